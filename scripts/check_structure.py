#!/usr/bin/env python3
"""Checks the structure of the crates: no import cycles between modules, and no long files.

A module and its submodules count as one: `sync.rs` and `sync/*.rs` are the module `sync`. Imports
are the paths that begin with `crate::`. Unit tests do not count.
"""

import pathlib
import re
import sys

MAX_LINES = 400
ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\n(?:pub\(crate\) )?mod ([a-z_0-9]+);")
IMPORT = re.compile(r"\bcrate::(\{[^}]*\}|[a-z_0-9]+)")


def module_of(source: pathlib.Path, file: pathlib.Path) -> str:
    """Returns the top-level module that a file belongs to."""
    return file.relative_to(source).parts[0].removesuffix(".rs")


def imports(source: pathlib.Path) -> dict[str, set[str]]:
    """Returns the modules that each module of a crate imports."""
    files = list(source.rglob("*.rs"))
    modules = {module_of(source, file) for file in files}
    found: dict[str, set[str]] = {module: set() for module in modules}
    tests = {name for file in files for name in TEST_MODULE.findall(file.read_text())}
    for file in files:
        if file.stem in tests:
            continue
        module = module_of(source, file)
        code = file.read_text().split("#[cfg(test)]\nmod tests {")[0]
        code = re.sub(r"//[^\n]*", "", code)
        for path in IMPORT.findall(code):
            names = re.findall(r"(?:^|[{,]\s*)([a-z_0-9]+)", path)
            found[module].update(name for name in names if name in modules and name != module)
    return found


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Returns a cycle of the graph, or nothing."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return path[path.index(node):] + [node]
        if node not in done:
            for successor in sorted(graph[node]):
                if found := visit(successor, path + [node]):
                    return found
            done.add(node)
        return []

    for node in sorted(graph):
        if found := visit(node, []):
            return found
    return []


def main() -> int:
    problems = []
    for source in sorted(ROOT.glob("crates/*/src")):
        if found := cycle(imports(source)):
            problems.append(f"{source.parent.name}: import cycle {' -> '.join(found)}")
        for file in sorted(source.rglob("*.rs")):
            lines = file.read_text().count("\n")
            if lines > MAX_LINES:
                name = file.relative_to(ROOT)
                problems.append(f"{name}: {lines} lines, at most {MAX_LINES} are allowed")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
