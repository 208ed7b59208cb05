"""The documents tell of what is there: every state table is drawn, every metric and configuration key explained, every
link leads somewhere, and no page of a state machine shows an edge that the code does not have (S0-1.2).

A state page draws its machine in a ```mermaid stateDiagram-v2``` block whose edges are `From --> To` lines, below a line
`Table: \\`kName\\` in \\`folder/file\\``. An enumerator stands for itself; `[*]` is the outside.
"""
import re

import source

DOCS = source.ROOT / "docs"
problems, checked = [], 0


def edges_in_source():
    """kName -> set of (from, to), for every table of core::Edge."""
    tables = {}
    for path in source.files():
        text = source.code(path)
        for found in re.finditer(r"Edge<(\w+(?:::\w+)*)>\s+(k\w+)\[\]\s*=\s*\{(.*?)\};", text, re.S):
            pairs = re.findall(r"\{\s*(?:\w+::)*(\w+)\s*,\s*(?:\w+::)*(\w+)\s*\}", found.group(3))
            tables[found.group(2)] = (source.name(path), set(pairs))
    return tables


def edges_in_docs():
    tables = {}
    for page in sorted((DOCS / "state-machines").glob("*.md")):
        text = page.read_text()
        for found in re.finditer(r"Table: `(k\w+)` in `([\w/.]+)`(.*?)```mermaid\n(.*?)```", text, re.S):
            pairs = re.findall(r"^\s*(\w+|\[\*\]) --> (\w+|\[\*\])", found.group(4), re.M)
            tables[found.group(1)] = (page.name, found.group(2), {p for p in pairs if "[*]" not in p})
    return tables


in_source, in_docs = edges_in_source(), edges_in_docs()
for name in sorted(in_source.keys() | in_docs.keys()):
    checked += 1
    if name not in in_docs:
        problems.append(f"{in_source[name][0]}: {name} is drawn on no page of docs/state-machines")
    elif name not in in_source:
        problems.append(f"docs/state-machines/{in_docs[name][0]}: {name} is in no source file")
    else:
        page, place, drawn = in_docs[name]
        if place != in_source[name][0]:
            problems.append(f"docs/state-machines/{page}: {name} is in {in_source[name][0]}, not {place}")
        for edge in sorted(in_source[name][1] - drawn):
            problems.append(f"docs/state-machines/{page}: {name} lacks {edge[0]} --> {edge[1]}")
        for edge in sorted(drawn - in_source[name][1]):
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

pages = [source.ROOT / "README.md", source.ROOT / "CONTRIBUTING.md", source.ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]
for page in pages:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        checked += 1
        if "://" not in target and not (page.parent / target).exists():
            problems.append(f"{page.relative_to(source.ROOT)}: no such file: {target}")
source.finish(problems, f"{checked} tables, metrics and links")
