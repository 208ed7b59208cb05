"""docs/requirements.md leads somewhere: every place it names is there, with the test it names in it, and every id stands there once."""
import re

import source

DOC = source.ROOT / "docs/requirements.md"
ELSEWHERE = ("src/", "docs/", "scripts/", "examples/", "README.md", "CONTRIBUTING.md", "run.sh")
problems, checked, seen = [], 0, set()
for number, line in source.lines(DOC.read_text()):
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    if len(cells) != 3 or not re.match(r"[PSV]\d?-", cells[0]):
        continue
    where = f"docs/requirements.md:{number}"
    for name in cells[0].split(", "):
        if name in seen:
            problems.append(f"{where}: {name} stands here a second time")
        seen.add(name)
    places = re.findall(r"([\w./-]+\.(?:cc|py|h|md|sh))(?: (\w+))?(?=`)|(?<!`)\b((?:src|docs|examples)/[\w./-]+|README\.md|CONTRIBUTING\.md)", cells[2])
    if not places:
        problems.append(f"{where}: {cells[0]} is shown nowhere")
    for path, name, other in places:
        checked += 1
        place = source.ROOT / (other or (path if path.startswith(ELSEWHERE) else "tests/" + path))
        if not place.exists():
            problems.append(f"{where}: {place.relative_to(source.ROOT)} is not there")
        elif name and not re.search(rf"\b{name}\b", place.read_text()):
            problems.append(f"{where}: there is no {name} in {place.relative_to(source.ROOT)}")
source.finish(problems, f"{checked} places of {len(seen)} requirements")
