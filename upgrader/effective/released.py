"""What a release's own kolla-ansible says before anybody configures anything: its group_vars and role defaults.

Read fast and by line, without YAML: these files are plain mappings with one name per line at the margin, and only
where a name is set and how it is written there is of interest. Values are computed by Ansible.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from upgrader.kolla.toolchain import Toolchain

_KEY = re.compile(r"^([A-Za-z_]\w*)[ \t]*:(?=[ \t\r\n]|$)[ \t]*", re.MULTILINE)
_TAIL = re.compile(r"(?:\n[ \t]*(?:#[^\n]*)?|\n---[^\n]*)+\Z")
_ENDINGS = ("", ".yml", ".yaml", ".json")
"""Ansible's default `YAML_FILENAME_EXTENSIONS` with the bare name before it."""


@dataclass(frozen=True, slots=True)
class Written:
    """How a file says it: `text` from behind the colon to the end of the value."""

    line: int
    text: str


def written(text: str) -> dict[str, Written]:
    """Name → what a plain mapping says of it; the last one of several holds, as for Ansible."""
    found = {}
    places = list(_KEY.finditer(text))
    line, position = 1, 0
    for number, match in enumerate(places):
        line, position = line + text.count("\n", position, match.start()), match.start()
        end = places[number + 1].start() if number + 1 < len(places) else len(text)
        found[match[1]] = Written(line, _TAIL.sub("", "\n" + text[match.end() : end].rstrip())[1:].strip("\n"))
    return found


def entity_files(folder: Path, entity: str) -> tuple[Path, ...]:
    """Files of a group or host below a group_vars or host_vars folder, weakest first, as Ansible finds them.

    The first of `entity/`, `entity`, `entity.yml`, `entity.yaml`, `entity.json` that exists is taken.
    Source: DataLoader.find_vars_files, ansible-core 2.19.
    """
    for ending in _ENDINGS:
        path = folder / f"{entity}{ending}"
        if path.is_dir():
            return tuple(_inside(path))
        if path.is_file():
            return (path,)
    return ()


def entities(folder: Path) -> tuple[str, ...]:
    """Groups or hosts that have files below a group_vars or host_vars folder, sorted."""
    if not folder.is_dir():
        return ()
    names = {item.stem if item.suffix in _ENDINGS[1:] and item.is_file() else item.name for item in folder.iterdir()}
    return tuple(sorted(name for name in names if not name.startswith(".")))


def _inside(folder: Path) -> Iterator[Path]:
    for item in sorted(folder.iterdir()):
        if item.name.startswith(".") or item.name.endswith("~"):
            continue
        if item.is_dir():
            yield from _inside(item)
        elif item.suffix in _ENDINGS:
            yield item


class Released:
    """The defaults of one toolchain's release."""

    def __init__(self, toolchain: Toolchain) -> None:
        self.toolchain = toolchain
        self.folder = toolchain.playbooks

    @cached_property
    def name(self) -> str:
        """`kolla-ansible 20.6.0`, or the release's name for one that is not this tool's work."""
        return f"kolla-ansible {self.toolchain.manifest.get('kolla_ansible') or self.toolchain.release}"

    @cached_property
    def roles(self) -> dict[str, Path]:
        """Role → its defaults."""
        found = sorted(self.folder.glob("roles/*/defaults/main.yml"))
        return {path.parents[1].name: path for path in found}

    @cached_property
    def group_files(self) -> tuple[tuple[str, Path], ...]:
        """(group, file), each group's weakest first."""
        folder = self.folder / "group_vars"
        return tuple((entity, path) for entity in entities(folder) for path in entity_files(folder, entity))

    @cached_property
    def by_group(self) -> tuple[tuple[str, Path, Mapping[str, Written]], ...]:
        return tuple((group, path, written(self._text(path))) for group, path in self.group_files)

    @cached_property
    def by_role(self) -> dict[str, tuple[Path, Mapping[str, Written]]]:
        return {role: (path, written(self._text(path))) for role, path in self.roles.items()}

    @cached_property
    def names(self) -> frozenset[str]:
        """Everything group_vars define."""
        return frozenset(name for _, _, found in self.by_group for name in found)

    @cached_property
    def example_passwords(self) -> frozenset[str]:
        """Names that are secret in this release whatever a site's passwords.yml says."""
        path = self.toolchain.example_passwords
        return frozenset(written(self._text(path))) if path.is_file() else frozenset()

    @cached_property
    def digest(self) -> str:
        """Over everything here, and over the lock of what evaluates it."""
        whole = hashlib.sha256(f"{self.toolchain.dir}\0{self.toolchain.lock_sha256}".encode())
        filters = sorted((self.folder / "filter_plugins").glob("*.py"))
        for path in (*(path for _, path in self.group_files), *self.roles.values(), *filters):
            content = path.read_bytes()
            whole.update(f"{path.relative_to(self.folder)}\0{len(content)}\0".encode() + content)
        return whole.hexdigest()

    @staticmethod
    def _text(path: Path) -> str:
        return path.read_text(encoding="utf-8", errors="replace")
