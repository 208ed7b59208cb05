"""Holds every include line against the layer list: no arrow points up, and none leads around a cycle (S0-6.5).

The list is the one that CMakeLists.txt builds by, so the linker and this check cannot disagree; main may include everything.
Files within one folder may not include each other in a cycle either.
"""
import re

import source

LAYER = re.compile(r"^tributary_layer\((\w+)\s+DEPENDS\s*([\w ]*)\)", re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def cycle(graph):
    """One cycle of the graph as a list of its nodes, or None."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for following in graph.get(node, ()):
            found = visit(following)
            if found:
                return found
        path.pop()
        done.add(node)
        return None

    for start in sorted(graph):
        found = visit(start)
        if found:
            return found
    return None


allowed = {layer: set(below.split()) | {layer}
           for layer, below in LAYER.findall((source.ROOT / "CMakeLists.txt").read_text())}
problems, includes, graph = [], 0, {}
for layer in sorted(allowed):
    for below in allowed[layer] - {layer}:
        if below not in allowed:
            problems.append(f"CMakeLists.txt: {layer} depends on {below}, which is no layer")
for path in source.files():
    here, layer = source.name(path), source.name(path).split("/")[0]
    if layer != "main" and layer not in allowed:
        problems.append(f"{here}: folder {layer} is not in the layer list")
        continue
    for target in INCLUDE.findall(path.read_text()):
        includes += 1
        folder = target.split("/")[0]
        if "/" not in target or not (source.SRC / target).exists():
            problems.append(f'{here}: "{target}" is not folder/file of src/')
        elif layer != "main" and folder not in allowed[layer]:
            problems.append(f"{here}: {layer} must not include {target}")
        elif path.suffix == ".h":
            graph.setdefault(here, []).append(target)
found = cycle(graph)
if found:
    problems.append("headers in a cycle: " + " -> ".join(found))
source.finish(problems, f"{includes} include lines")
