"""What the static checks share: our source files, with comments and literals taken out, and one way to report."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SRC = ROOT / "src"

# Comments and string literals; a literal keeps its quotes so that line and call structure stay.
_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def files(*suffixes):
    """Our product sources with one of these suffixes, in order."""
    return sorted(p for p in SRC.rglob("*") if p.suffix in (suffixes or (".h", ".cc")))


def name(path):
    """A path as written in an include line or a table: folder/file."""
    return str(path.relative_to(SRC))


def code(path):
    """The file's text, comments and literals blanked, line numbers kept."""
    def blank(match):
        text = match.group(0)
        quote = '""' if text[0] in 'R"' else "''" if text[0] == "'" else ""
        return quote + "\n" * text.count("\n")
    # 1'000 is a number, not the start of a literal.
    return _NOISE.sub(blank, re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "", path.read_text()))


def lines(text):
    return enumerate(text.split("\n"), 1)


def finish(problems, checked):
    """Print what is wrong and end with the status ctest wants."""
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems in {checked}")
    sys.exit(1 if problems else 0)
