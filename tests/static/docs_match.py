"""The documents tell of what is there: every state table is drawn, every metric and configuration key explained, every
link leads somewhere, and no page of a state machine shows an edge that the code does not have (S0-1.2).

A state page draws its machine in a mermaid stateDiagram-v2 block whose edges are `From --> To` lines, below a line
Table: `kName` in `folder/file`. An enumerator stands for itself; [*] is the outside. `--draw` prints the block of every
table as it is in the source.
"""
import re
import sys

import source

DOCS = source.ROOT / "docs"
problems, checked = [], 0


def edges_in_source():
    """(file, kName) -> [(from, to)], for every table of core::Edge."""
    tables = {}
    for path in source.files():
        for found in re.finditer(r"Edge<[\w:]+>\s+(k\w+)\[\]\s*=\s*\{(.*?)\};", source.code(path), re.S):
            tables[source.name(path), found.group(1)] = re.findall(
                r"\{\s*(?:\w+::)*(\w+)\s*,\s*(?:\w+::)*(\w+)\s*\}", found.group(2))
    return tables


def edges_in_docs():
    tables = {}
    for page in sorted((DOCS / "state-machines").glob("*.md")):
        for found in re.finditer(r"Table: `(k\w+)` in `([\w/.]+)`(.*?)```mermaid\n(.*?)```", page.read_text(), re.S):
            pairs = re.findall(r"^\s*(\w+|\[\*\]) --> (\w+|\[\*\])", found.group(4), re.M)
            tables[found.group(2), found.group(1)] = (page.name, {p for p in pairs if "[*]" not in p})
    return tables


def drawing(pairs):
    """The picture of a table, for a new page."""
    return "```mermaid\nstateDiagram-v2\n" + "".join(f"    {a} --> {b}\n" for a, b in pairs) + "```\n"


in_source, in_docs = edges_in_source(), edges_in_docs()
if sys.argv[1:] == ["--draw"]:
    for (place, name), pairs in in_source.items():
        print(f"Table: `{name}` in `{place}`\n\n{drawing(pairs)}")
    sys.exit(0)
for place, name in sorted(in_source.keys() | in_docs.keys()):
    checked += 1
    if (place, name) not in in_docs:
        problems.append(f"src/{place}: {name} is drawn on no page of docs/state-machines")
    elif (place, name) not in in_source:
        problems.append(f"docs/state-machines/{in_docs[place, name][0]}: there is no {name} in src/{place}")
    else:
        page, drawn = in_docs[place, name]
        for edge in sorted(set(in_source[place, name]) - drawn):
            problems.append(f"docs/state-machines/{page}: {name} lacks {edge[0]} --> {edge[1]}")
        for edge in sorted(drawn - set(in_source[place, name])):
            problems.append(f"docs/state-machines/{page}: {name} has no edge {edge[0]} --> {edge[1]}")

metrics = set()
for path in source.files():
    metrics |= set(re.findall(r'"((?:tributary|process)_[a-z_]+)"', path.read_text()))
metrics_page = (DOCS / "metrics.md").read_text()
documented = set(re.findall(r"`((?:tributary|process)_[a-z_]+)", metrics_page))
checked += len(metrics)
for name in sorted(metrics - documented):
    problems.append(f"docs/metrics.md does not explain {name}")
for name in sorted(documented - metrics):
    problems.append(f"docs/metrics.md explains {name}, which no source file registers")

def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


table = source.SRC / "proxy/error_table.cc"
in_code = {(snake(n), *rest) for n, *rest in re.findall(
    r'\{ErrorCode::(\w+), (\d+), (\d+), "([^"]+)"', table.read_text())} if table.exists() else set()
in_page = set(re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| `(\w+)` \|", (DOCS / "errors.md").read_text(), re.M))
checked += len(in_code)
for row in sorted(in_code - in_page):
    problems.append(f"docs/errors.md lacks the row {' | '.join(row)}")
for row in sorted(in_page - in_code):
    problems.append(f"docs/errors.md has a row that proxy/error_table.cc lacks: {' | '.join(row)}")

pages = [source.ROOT / "README.md", source.ROOT / "CONTRIBUTING.md", source.ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]
for page in pages:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        checked += 1
        if "://" not in target and not (page.parent / target).exists():
            problems.append(f"{page.relative_to(source.ROOT)}: no such file: {target}")
source.finish(problems, f"{checked} tables, metrics and links")
