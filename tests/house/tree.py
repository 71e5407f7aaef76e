"""The project's own source tree, read without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPO = Path(__file__).parents[2]
PACKAGES = ("upgrader", "release_graph", "runbooks")


@cache
def modules() -> dict[str, Path]:
    """Module → file, of everything that is installed."""
    found = {}
    for package in PACKAGES:
        for path in sorted((REPO / package).rglob("*.py")):
            parts = path.relative_to(REPO).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str) -> tuple[tuple[str, int], ...]:
    """(what, line) for every import in a module, also inside functions and under TYPE_CHECKING."""
    return tuple(_imports(module, ast.parse(modules()[module].read_text())))


def _imports(module: str, tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                inside = module.split(".") if modules()[module].stem == "__init__" else module.split(".")[:-1]
                inside = inside[: len(inside) - node.level + 1]
                base = ".".join([*inside, *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if full in modules() else base), node.lineno


def unit(module: str) -> str:
    """What the layers speak of: the first name below `upgrader`, or the package itself."""
    parts = module.split(".")
    return parts[1] if parts[0] == "upgrader" and len(parts) > 1 else parts[0]
