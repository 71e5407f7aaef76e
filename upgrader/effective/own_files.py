"""Where the operator's own files set variables: globals and extras, the inventory, the files of variables beside it.

Files are read with their lines; what they mean is Ansible's answer. Nothing here raises for a file's content: an
encrypted file is listed, because only Ansible with the vault password can say what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from upgrader.config import Site
from upgrader.effective.inventory_text import Setting, settings_of
from upgrader.effective.released import entities, entity_files
from upgrader.errors import ConfigError
from upgrader.kolla.commands import variable_files
from upgrader.kolla.vault import encrypted
from upgrader.kolla.yaml_text import Entry, YamlText, parse, read_bytes

Kind = Literal["globals", "extra", "group_vars", "host_vars"]


@dataclass(frozen=True, slots=True)
class OwnFile:
    """One file of variables; `parsed` is None for one that is encrypted as a whole."""

    path: Path
    shown: str
    """As it is named to people: relative to the configuration folder or to the inventory's."""
    kind: Kind
    entity: str
    """Group or host it is for; empty: everybody."""
    secret: bool
    """passwords.yml: what it says is never repeated."""
    parsed: YamlText | None

    def entry(self, name: str) -> Entry | None:
        return self.parsed.get(name) if self.parsed else None

    def text_of(self, entry: Entry) -> str:
        assert self.parsed is not None  # noqa: S101 - it has an entry
        return self.parsed.text[entry.start : entry.end].strip()


@dataclass(frozen=True)
class OwnFiles:
    """Everything the operator wrote that sets variables."""

    given: tuple[OwnFile, ...]
    """What is passed with `-e`, weakest first."""
    beside: tuple[OwnFile, ...]
    """group_vars and host_vars beside the inventory."""
    inventory: tuple[tuple[str, str], ...]
    """(name of the file, its text); several when the inventory is a folder."""
    lines: tuple[tuple[str, Setting], ...]
    """What those that are INI set, with the file's name."""

    @property
    def all(self) -> tuple[OwnFile, ...]:
        return (*self.given, *self.beside)

    def setting(self, kind: str, name: str) -> Mapping[str, tuple[str, Setting]]:
        """Group or host as written → (file, last line that sets `name` for it)."""
        return self._by_name.get((kind, name), {})

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], Mapping[str, tuple[str, Setting]]]:
        found: dict[tuple[str, str], dict[str, tuple[str, Setting]]] = {}
        for file, setting in self.lines:
            found.setdefault((setting.kind, setting.name), {})[setting.entity] = (file, setting)
        return found

    @property
    def encrypted(self) -> tuple[OwnFile, ...]:
        return tuple(file for file in self.all if file.parsed is None)


def read_own_files(site: Site, release: str) -> OwnFiles:
    """Read everything. Raises ConfigError naming the file that is missing, unreadable or not YAML."""
    given = [_own(path, *_given(site, path), site=site) for path in variable_files(site, release) if path.exists()]
    texts = tuple((path.name, _text(path)) for path in _inventory_files(site.inventory))
    ini = [(name, text) for name, text in texts if _looks_like_ini(name, text)]
    lines = tuple((name, setting) for name, text in ini for setting in settings_of(text))
    return OwnFiles(tuple(given), tuple(_beside(site)), texts, lines)


def secret_names(own: OwnFiles) -> frozenset[str]:
    """Variables that the operator's own word makes secret: those of passwords.yml, and values in Ansible Vault."""
    found = set()
    for file in own.all:
        for entry in file.parsed.entries if file.parsed else ():
            if file.secret or entry.encrypted:
                found.add(entry.key)
    return frozenset(found)


def _given(site: Site, path: Path) -> tuple[str, Kind, bool]:
    kind: Kind = "extra" if path in site.extra_vars else "globals"
    shown = str(path.relative_to(site.config_dir)) if path.is_relative_to(site.config_dir) else path.name
    return shown, kind, path == site.passwords


def _own(path: Path, shown: str, kind: Kind, secret: bool, *, site: Site, entity: str = "") -> OwnFile:
    data = read_bytes(path)
    if encrypted(data):
        return OwnFile(path, shown, kind, entity, secret, None)
    return OwnFile(path, shown, kind, entity, secret, parse(data, path))


def _beside(site: Site) -> Iterable[OwnFile]:
    folder = site.inventory if site.inventory.is_dir() else site.inventory.parent
    kinds: Sequence[tuple[str, Kind]] = (("group_vars", "group_vars"), ("host_vars", "host_vars"))
    for name, kind in kinds:
        for entity in entities(folder / name):
            for path in entity_files(folder / name, entity):
                yield _own(path, str(path.relative_to(folder)), kind, False, site=site, entity=entity)


def _inventory_files(path: Path) -> tuple[Path, ...]:
    if not path.is_dir():
        return (path,)
    return tuple(item for item in sorted(path.iterdir()) if item.is_file() and not item.name.startswith("."))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"The inventory {path} cannot be read: {error.strerror}.", reason="unreadable-file") from None


def _looks_like_ini(name: str, text: str) -> bool:
    return not name.endswith((".yml", ".yaml", ".json", ".toml", ".py", ".sh")) and not text.startswith("#!")
