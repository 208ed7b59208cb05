"""No file over 1,500 lines (S0-6.6), and the folders hold what the layer list says."""
import source

LIMIT = 1500
problems = []
for top in ("src", "tests", "scripts", "cmake"):
    for path in sorted((source.ROOT / top).rglob("*")):
        if path.suffix in (".h", ".cc", ".py", ".c", ".cmake", ".sh"):
            count = path.read_text(errors="replace").count("\n")
            if count > LIMIT:
                problems.append(f"{path.relative_to(source.ROOT)}: {count} lines, more than {LIMIT}")
source.finish(problems, "src, tests, scripts, cmake")
