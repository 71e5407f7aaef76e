"""Without a release's toolchain: what its published defaults and the operator's literal settings say by themselves.

Nothing is evaluated beyond `{{ other }}` and `{{ other | bool }}` of a value that is known; everything else that
holds a template stays unknown and says that the toolchain has to be built. Stands for Ansible only where there can
be no doubt about its answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from upgrader.config import Site
from upgrader.effective.definitions import Members, configured, definitions_of
from upgrader.effective.own_files import OwnFiles, read_own_files
from upgrader.errors import UpgraderError
from upgrader.facts.plays import HasHosts, cloud_hosts
from upgrader.kolla.yaml_text import Entry
from upgrader.record import Definition, Effective, Variable

_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*(\|\s*bool)?\s*\}\}")
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(\.[0-9]+)?")
_TRUTH = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
"""YAML 1.1 as PyYAML, and so Ansible, reads it: `y` and `n` are text."""
_BOOL = {"yes": True, "on": True, "1": True, "true": True, "no": False, "off": False, "0": False, "false": False}


class HasDefaultsFile(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def values(self) -> Mapping[str, Any]: ...


class HasFiles(Protocol):
    @property
    def files(self) -> Sequence[HasDefaultsFile]: ...


class HasDefaults(Protocol):
    """What is needed of the release graph here."""

    def defaults(self, release: str) -> HasFiles: ...


class NotKnownError(Exception):
    """Only the release's own Ansible could say; the message tells why."""


def from_defaults(graph: HasDefaults, release: str, site: Site, inventory: HasHosts, names: Iterable[str]) -> Effective:
    """Effective variables by data alone. `names` that nobody defines have no Variable.

    Never raises for the operator's files or for a release without published defaults: `Effective.error` says so.
    """
    try:
        files = graph.defaults(release).files
        own = read_own_files(site, release)
    except UpgraderError as trouble:
        return Effective(release=release, by="shipped defaults", error=trouble.message)
    closed = [file.path for file in own.encrypted if not file.secret]
    if closed:
        error = f"{closed[0]} is encrypted with Ansible Vault; only the toolchain of {release} can read it"
        return Effective(release=release, by="shipped defaults", error=error)
    known = _Known(release, files, own, Members(_groups(inventory), cloud_hosts(inventory)))
    found = tuple(variable for name in sorted(set(names)) if (variable := known.variable(name)) is not None)
    return Effective(release=release, by="shipped defaults", variables=found)


def _groups(inventory: HasHosts) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for host, groups in inventory.hosts.items():
        for group in groups:
            found.setdefault(group, []).append(host)
    return found


class _Known:
    def __init__(self, release: str, files: Sequence[HasDefaultsFile], own: OwnFiles, members: Members) -> None:
        self._release, self._own, self._members = release, own, members
        self._defaults = {name: (str(text), file) for file in reversed(files) for name, text in file.values.items()}

    def variable(self, name: str) -> Variable | None:
        definitions = self._definitions(name)
        if not definitions:
            return None
        secret = any(file.secret and file.entry(name) for file in self._own.given)
        value, error = None, ""
        try:
            found = self._value(name, frozenset())
            value = json.dumps(any(_leaves(found)) if secret else found)
        except NotKnownError as trouble:
            error = str(trouble)
        if secret:
            definitions = tuple(item.model_copy(update={"text": ""}) for item in definitions)
        return Variable(
            name=name, value=value, configured=configured(definitions), definitions=definitions, error=error,
            secret=secret,
        )  # fmt: skip

    def _definitions(self, name: str) -> tuple[Definition, ...]:
        own = definitions_of(name, None, self._own, self._members, {}, secret=False)
        if name not in self._defaults:
            return own
        text, file = self._defaults[name]
        place = file.path.removeprefix("ansible/")
        kind: Any = "role default" if file.role else "release default"
        default = Definition(place=f"{place} of {self._release}", kind=kind, text=text)
        # group_vars/all of the release is stronger than what an inventory says of groups
        weaker = [item for item in own if not file.role and _weaker_than_release(item)]
        return (*weaker, default, *(item for item in own if item not in weaker))

    def _value(self, name: str, above: frozenset[str]) -> Any:
        """Raises NotKnownError."""
        if name in above:
            raise NotKnownError(f"{name} refers to itself")
        holder = next((file for file in reversed(self._own.given) if file.entry(name)), None)
        if holder is not None:
            entry = holder.entry(name)
            assert entry is not None  # noqa: S101 - it was found by it
            return self._evaluated(name, literal(entry), above)
        strong = [item for item in self._definitions(name) if item.kind == "inventory"]
        if name in self._defaults and not self._defaults[name][1].role:
            strong = [item for item in strong if not _weaker_than_release(item)]
        if strong:
            raise NotKnownError(f"{strong[-1].place} sets it; {self._needs_toolchain()}")
        if any(re.search(rf"\b{re.escape(name)}\b", text) for text in self._unread()):
            raise NotKnownError(f"the inventory may set it; {self._needs_toolchain()}")
        if name not in self._defaults:
            raise NotKnownError(f"no default of {name} is known; {self._needs_toolchain()}")
        return self._evaluated(name, json.loads(self._defaults[name][0]), above)

    def _evaluated(self, name: str, value: Any, above: frozenset[str]) -> Any:
        if not any("{{" in text or "{%" in text for text in _leaves(value)):
            return value
        match = _REFERENCE.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise NotKnownError(f"it is a template; {self._needs_toolchain()}")
        found = self._value(match[1], above | {name})
        if not match[2] or isinstance(found, bool):
            return found
        if str(found).lower() not in _BOOL:
            raise NotKnownError(f"{match[1]} is no truth value")
        return _BOOL[str(found).lower()]

    def _unread(self) -> list[str]:
        """Inventories that are not INI: what they set is not read here."""
        read = {file for file, _ in self._own.lines}
        return [text for file, text in self._own.inventory if file not in read]

    def _needs_toolchain(self) -> str:
        return f"the toolchain of {self._release} is not built: upgrader toolchain build {self._release}"


def literal(entry: Entry) -> Any:
    """The value of a top-level key as Ansible reads it (YAML 1.1). Raises NotKnownError for what is not read here."""
    if entry.encrypted:
        raise NotKnownError("it is in Ansible Vault")
    if entry.kind != "scalar":
        return _plain(entry.tree)
    return _scalar(entry.text) if entry.plain else entry.text


def _scalar(text: str) -> Any:
    if text.lower() in _TRUTH and text in (text.lower(), text.upper(), text.capitalize()):
        return _TRUTH[text.lower()]
    if text == "":
        return None
    match = _NUMBER.fullmatch(text)
    if match:
        return float(text) if match[1] else int(text)
    if text[0] in "+-.0123456789" and re.fullmatch(r"[-+.0-9xobXOBa-fA-F_:eE]+", text):
        raise NotKnownError(f"{text} is a number in a form that is left to Ansible")
    return text


def _plain(tree: Sequence[Any]) -> Any:
    if tree[0] == "sequence":
        return [_plain(item) for item in tree[1:]]
    if tree[0] == "mapping":
        return {str(_plain(key)): _plain(value) for key, value in tree[1:]}
    if len(tree) != 2 or tree[0].startswith("!"):
        raise NotKnownError("it is written in a way that is left to Ansible")
    return str(tree[1]) if tree[0].endswith(":str") and tree[1].lower() not in _TRUTH else _scalar(tree[1])


def _weaker_than_release(item: Definition) -> bool:
    """Set by the inventory's groups or by group_vars/all beside it: the release's group_vars/all win over these."""
    return item.kind == "inventory" and (
        item.place.startswith("inventory group ") or re.match(r"inventory group_vars/all\b", item.place) is not None
    )


def _leaves(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _leaves(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _leaves(inner)]
    return [] if value is None else [str(value)]
