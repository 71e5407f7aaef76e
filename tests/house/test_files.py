"""Files small enough to be read in one go, names that say what is inside, modules that say what they are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.house.tree import REPO, modules

LONGEST = 400
VAGUE = re.compile(r"(^|_)(utils?|helpers?|managers?|handlers?|misc|common_utils)(_|$)")
_CLASSES = re.compile(r"(Utils?|Helpers?|Manager|Handler)$")


def test_no_file_is_too_long():
    lengths = {module: len(path.read_text().splitlines()) for module, path in modules().items()}
    assert {module: lines for module, lines in lengths.items() if lines > LONGEST} == {}


def test_no_vague_names():
    assert [module for module in modules() if any(VAGUE.search(part) for part in module.split("."))] == []
    classes = [
        f"{module}.{node.name}"
        for module, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and _CLASSES.search(node.name)
    ]
    assert classes == []


def test_every_module_says_what_it_is():
    trees = {module: ast.parse(path.read_text()) for module, path in modules().items()}
    assert [module for module, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def _made(path: Path) -> bool:
    """Caches that tools leave between the sources."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.relative_to(REPO).parts)


def test_no_path_of_any_machine_and_no_host():
    """The project holds no path of a developer's machine and no registry but the public names of images."""
    listed = [path for folder in ("upgrader", "release_graph", "tests", "benchmarks", "runbooks")
              for path in (REPO / folder).rglob("*")]  # fmt: skip
    listed += [REPO / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")]
    homes = re.compile(rb"/(wo" + rb"rk|Users)/[a-z]")
    found = [
        str(path.relative_to(REPO))
        for path in listed
        if path.is_file() and not _made(path) and homes.search(path.read_bytes())
    ]
    assert found == []
