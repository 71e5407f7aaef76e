"""The raw defaults of the variables that conditions name, and of those that their templates name in turn."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from upgrader.graph.extract.package import Package

_WORD = re.compile(r"[A-Za-z_]\w*")
_QUOTED = re.compile(r"'[^']*'")


@dataclass(frozen=True, slots=True)
class Raw:
    """One default as upstream writes it: JSON text, and the file below the package's ansible folder."""

    text: str
    file: str


def raw_defaults(package: Package) -> dict[str, Raw]:
    """Every variable with a default; what group_vars set hides what roles set, as Ansible ranks them."""
    found: dict[str, Raw] = {}
    for role, defaults in package.role_defaults.items():
        for name, value in defaults.items():
            found.setdefault(name, Raw(_json(value), f"roles/{role}/defaults/main.yml"))
    for name, (file, value) in package.group_vars.items():
        found[name] = Raw(_json(value), file.removeprefix("ansible/"))
    return found


def named_in(expressions: Iterable[str]) -> frozenset[str]:
    """Every word outside of quotes: more than the variables, but what is no variable has no default."""
    return frozenset(word for text in expressions for word in _WORD.findall(_QUOTED.sub(" ", text)))


def wanted(defaults: Mapping[str, Raw], names: Iterable[str]) -> dict[str, Raw]:
    """Defaults of these names and of all that their templates name, sorted by name."""
    found: dict[str, Raw] = {}
    open_ = [name for name in names if name in defaults]
    while open_:
        name = open_.pop()
        if name in found:
            continue
        found[name] = defaults[name]
        if "{{" in defaults[name].text or "{%" in defaults[name].text:
            open_ += [word for word in _WORD.findall(defaults[name].text) if word in defaults and word not in found]
    return dict(sorted(found.items()))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def as_toml(release: str, package: Package, found: Mapping[str, Raw]) -> str:
    """The file `defaults/<release>.toml`, by file of the package in the order of their names."""
    lines = [
        f"# Defaults of {release} that conditions name, as written upstream: JSON text, templates included.",
        "# Written by `python -m upgrader.graph.draft defaults`; do not edit by hand.",
        "",
        f'release = "{release}"',
        f'source = ["{package.reference}:ansible/group_vars and ansible/roles/*/defaults"]',
    ]
    for file in sorted({raw.file for raw in found.values()}):
        lines += ["", "[[files]]", f'path = "ansible/{file}"', "", "[files.values]"]
        lines += [f"{name} = {toml_text(raw.text)}" for name, raw in found.items() if raw.file == file]
    return "\n".join(lines) + "\n"


def toml_text(text: str) -> str:
    """A TOML string: literal where that is possible, for it is easier to read."""
    if "'" not in text and all(mark.isprintable() for mark in text):
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
