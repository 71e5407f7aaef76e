"""A YAML file of the operator as text with known places: what each top-level key says, and where it says it.

Changing a value means replacing its characters, so every other byte (comments, spacing, line ends) stays as it was.
Error texts name file and line and never quote the content, because passwords are read through here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from upgrader.errors import ConfigError

Tree = tuple[Any, ...]
"""A scalar as (tag, text), a sequence or mapping as its name and its items."""

VAULT_HEADER = b"$ANSIBLE_VAULT;"
_NUMBER = re.compile(r"[-+]?(0[xob])?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?")
_BREAK = re.compile(r"\r\n|\n|\r")
_NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Entry:
    """One top-level key. `start` and `end` are the places of its value in the text, in characters."""

    key: str
    kind: Literal["scalar", "mapping", "sequence"]
    text: str
    """The scalar as written, without quotes; `""` for null; empty for mappings and sequences."""
    line: int
    key_start: int
    key_end: int
    start: int
    end: int
    plain: bool
    """Written without quotes, so that YAML decides whether it is text, a number or a truth value."""
    encrypted: bool
    tree: Tree = field(default=(), repr=False)
    """The whole value, nested, with what YAML would make of each scalar."""

    @property
    def empty(self) -> bool:
        return self.kind == "scalar" and self.plain and self.text == ""

    @property
    def number(self) -> bool:
        """Whether YAML reads it as a number: `2025.10` would lose its last digit."""
        return self.plain and _NUMBER.fullmatch(self.text) is not None


@dataclass(frozen=True, slots=True, repr=False)
class YamlText:
    """One parsed file. Its representation says nothing of its content."""

    path: Path
    text: str
    entries: tuple[Entry, ...]
    indent: int
    """Column of the top-level keys."""
    block: bool
    """False when the whole file is written in braces."""

    def get(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)

    @property
    def lines(self) -> list[str]:
        """Lines without their ends, and without an empty one after the last end."""
        lines = _BREAK.split(self.text)
        return lines[:-1] if lines[-1] == "" else lines

    def line_at(self, place: int) -> int:
        """Number (from 0) of the line that holds a place in the text."""
        return len(_BREAK.findall(self.text, 0, place))

    @property
    def eol(self) -> str:
        first = self.text.find("\n")
        return "\r\n" if first > 0 and self.text[first - 1] == "\r" else "\n"

    def lines_of(self, entry: Entry) -> str:
        """The text from the key to the last line of its value, without what follows."""
        return self.text[entry.key_start : entry.end]


def read_bytes(path: Path) -> bytes:
    """Content of an operator's file. Raises ConfigError naming it when it is missing or unreadable."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist.", reason="missing-file") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", reason="unreadable-file") from None


def parse(data: bytes, path: Path) -> YamlText:
    """Raises ConfigError naming file and line for anything that is not one mapping with distinct keys."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text = _decode(data, path)
    try:
        root = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = re.sub(r"\s+", " ", str(error.problem or error.context or "it cannot be parsed"))
        raise ConfigError(f"{path}, line {_line(mark)}: not valid YAML: {problem}.", reason="broken-yaml") from None
    except YAMLError as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        raise ConfigError(f"{path}, line {line}: not valid YAML: {_reason(error)}.", reason="broken-yaml") from None
    except RecursionError:
        raise ConfigError(f"{path}: not valid YAML: nested too deeply.", reason="broken-yaml") from None
    if root is None or (root.id == "scalar" and root.value in _NULLS):
        return YamlText(path, text, (), 0, block=True)
    if root.id != "mapping":
        raise ConfigError(
            f"{path}, line {_line(root.start_mark)}: `key: value` lines are expected.", reason="no-mapping"
        )
    _refuse_duplicates(root, path)
    entries = tuple(_entry(key, value, text) for key, value in root.value)
    indent = root.value[0][0].start_mark.column if root.value else 0
    return YamlText(path, text, entries, indent, block=not root.flow_style)


def value_of(tree: Tree) -> Any:
    """A value as mappings, lists and texts; scalars as they are written."""
    if tree[0] == "mapping":
        pairs: tuple[tuple[Tree, Tree], ...] = tree[1:]
        return {str(key[1]): value_of(value) for key, value in pairs}
    if tree[0] == "sequence":
        return [value_of(item) for item in tree[1:]]
    return tree[1]


def quoted(value: str) -> str:
    """`value` as a double-quoted YAML scalar on one line."""
    return '"' + "".join(_escaped(char) for char in value) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char == " " or (char.isprintable() and char != "\ufeff"):
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _decode(data: bytes, path: Path) -> str:
    if data.startswith(VAULT_HEADER):
        raise ConfigError(
            f"{path} is encrypted as a whole with Ansible Vault; it cannot be read here.", reason="encrypted-file"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text.", reason="broken-yaml") from None


def _refuse_duplicates(node: Any, path: Path, seen: frozenset[int] = frozenset()) -> None:
    if id(node) in seen:
        return
    children = [value for _key, value in node.value] if node.id == "mapping" else node.value
    if node.id == "mapping":
        lines: dict[str, int] = {}
        for key, _value in node.value:
            name = str(key.value) if key.id == "scalar" else ""
            if name and name in lines and name != "<<":
                raise ConfigError(
                    f"{path}, line {_line(key.start_mark)}: the key {name} is there twice "
                    f"(first in line {lines[name]}).",
                    reason="duplicate-key",
                )
            lines[name] = _line(key.start_mark)
    for child in children:
        if child.id != "scalar":
            _refuse_duplicates(child, path, seen | {id(node)})


def _entry(key: Any, value: Any, text: str) -> Entry:
    scalar = value.id == "scalar"
    plain = scalar and value.style is None
    content = str(value.value) if scalar else ""
    tag = str(value.tag)
    start, end = value.start_mark.index, value.end_mark.index
    if plain and content == "":  # the parser places an empty value at the next key; it belongs behind the colon
        start = end = text.index(":", key.end_mark.index) + 1
    return Entry(
        key=str(key.value) if key.id == "scalar" else "",
        kind=value.id,
        text="" if plain and content in _NULLS and tag.endswith(":null") else content,
        line=_line(key.start_mark),
        key_start=key.start_mark.index,
        key_end=key.end_mark.index,
        start=start,
        end=end,
        plain=plain and not tag.startswith("!"),
        encrypted="!vault" in tag,
        tree=_tree(value),
    )


def _tree(node: Any, above: frozenset[int] = frozenset()) -> Tree:
    if node.id == "scalar":
        return str(node.tag), str(node.value)
    if id(node) in above:
        return ("itself",)
    above |= {id(node)}
    if node.id == "sequence":
        return "sequence", *(_tree(item, above) for item in node.value)
    return "mapping", *((_tree(key, above), _tree(value, above)) for key, value in node.value)


def scalars_below(tree: Tree, key: str = "") -> Iterator[tuple[str, str, str]]:
    """(nearest key above, tag, text) of every scalar in `tree`."""
    if tree[0] == "sequence":
        for item in tree[1:]:
            yield from scalars_below(item, key)
    elif tree[0] == "mapping":
        for name, value in tree[1:]:
            yield from scalars_below(value, name[1] if len(name) == 2 else key)
    elif len(tree) == 2:
        yield key, tree[0], tree[1]


def _line(mark: Any) -> int:
    return int(mark.line) + 1 if mark is not None else 1


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or "it cannot be parsed")
