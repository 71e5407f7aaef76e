"""The operator's inventory, as Ansible itself reads it, and the groups a release newly wants in it.

Everything Ansible understands works (INI, YAML, folders, ranges, scripts), because Ansible reads it. Only one INI
file can be extended here; for all other forms the operator is told what to add.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upgrader.durable import make_dir, read_json, write_json
from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.kolla.globals_yml import Edit, apply_edit
from upgrader.kolla.toolchain import Toolchain, environment
from upgrader.kolla.yaml_text import read_bytes
from upgrader.secret_sources.identities import vault_words

if TYPE_CHECKING:
    from upgrader.graph import Hop

INVENTORIES = "inventories"
"""Folder beside the journal for what Ansible said about plain INI inventories."""
_SECTION = re.compile(r"^\[([^\]:]+)(?::(\w+))?\]")
_PLUGIN = re.compile(
    r"with '?(\w+)'? plugin:\s*(.*?)\s*(?=\[WARNING\]|\[ERROR\]|ERROR!|Failed to parse inventory with|<<<|\Z)",
    re.DOTALL,
)
_BUILT_IN = ("all", "ungrouped")


@dataclass(frozen=True, slots=True)
class Inventory:
    """Hosts and groups; membership includes what comes through child groups, `all` and `ungrouped` left out."""

    hosts: Mapping[str, tuple[str, ...]]
    """Host → its groups, both sorted."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Group → its hosts; a group without hosts is there as well."""
    sha256: str = ""
    """Over the inventory's files and the group_vars and host_vars beside it."""

    def without(self, hosts: Sequence[str]) -> Inventory:
        """As if these hosts were not in it; the digest is still that of the files."""
        if not hosts:
            return self
        gone = set(hosts)
        groups = {name: tuple(host for host in inside if host not in gone) for name, inside in self.groups.items()}
        return Inventory({host: of for host, of in self.hosts.items() if host not in gone}, groups, self.sha256)


@dataclass(frozen=True, slots=True)
class GroupEdit(Edit):
    """Planned sections of an inventory."""

    @property
    def added(self) -> tuple[str, ...]:
        """Names of the new groups."""
        return self.keys


def read_inventory(toolchain: Toolchain, path: Path, vault_password_file: Path | None = None) -> Inventory:
    """Read a file or folder with the toolchain's `ansible-inventory` (about 1 s). Variables of hosts are not kept.

    Raises ConfigError naming it when it is missing, unreadable, empty or not understood, with Ansible's own reason.
    """
    path = path.absolute()
    digest = _digest(path)
    data = _listed(toolchain, path, vault_password_file)
    groups = _memberships(data)
    # Ansible shows "?" where a name is not UTF-8, so several such hosts would look like one.
    broken = [name for name in {*groups, *groups.get("all", ())} if "?" in name or not name.isprintable()]
    if broken:
        raise ConfigError(
            f"The inventory {path} has a name with unreadable characters: {broken[0]!a}.", reason="broken-inventory"
        )
    hosts: dict[str, list[str]] = {host: [] for host in sorted(groups.get("all", ()))}
    for group, members in sorted(groups.items()):
        for host in members if group not in _BUILT_IN else ():
            hosts[host].append(group)
    if not hosts:
        raise ConfigError(f"The inventory {path} names no host.", reason="empty-inventory")
    return Inventory(
        {host: tuple(found) for host, found in hosts.items()},
        {group: tuple(sorted(members)) for group, members in sorted(groups.items()) if group not in _BUILT_IN},
        digest,
    )


def remembered_inventory(toolchain: Toolchain, path: Path, vault_password_file: Path | None, place: Path) -> Inventory:
    """As `read_inventory`, but Ansible reads the same bytes once only; `place` is a folder for what it said.

    Only a plain INI file is remembered, under the digest of its bytes and of the variables beside it: groups and hosts
    follow from those alone. A program, a folder or a plugin's file may answer differently every time.
    """
    digest = _digest(path.absolute())
    known = place / f"{toolchain.release}-{digest}.json"
    reading = read_json(known)
    if reading.document is not None and reading.document.get("toolchain") == str(toolchain.dir):
        document = reading.document
        return Inventory(
            {host: tuple(groups) for host, groups in document["hosts"].items()},
            {group: tuple(hosts) for group, hosts in document["groups"].items()},
            digest,
        )
    found = read_inventory(toolchain, path, vault_password_file)
    if found.sha256 == digest and not why_not_ini(path, found):
        make_dir(place, exist_ok=True)
        document = {"toolchain": str(toolchain.dir), "hosts": dict(found.hosts), "groups": dict(found.groups)}
        write_json(known, document)
    return found


def missing_groups(inventory: Inventory, hop: Hop) -> dict[str, tuple[str, ...]]:
    """Group → groups it is made of in the release's sample, for every group the hop adds and the inventory lacks."""
    added = hop.groups.added
    return {name: tuple(added[name]) for name in sorted(added) if name not in inventory.groups}


def plan_groups(path: Path, inventory: Inventory, hop: Hop, toolchain: Toolchain | None = None) -> GroupEdit | None:
    """Sections to append to the INI inventory at `path`; None when no group is missing. Nothing is written.

    With a toolchain the result is read back by Ansible to prove that no existing group changed. Raises ConfigError
    naming the lines to add where only a person can add them (a folder, YAML, a script, other group names).
    """
    missing = missing_groups(inventory, hop)
    if not missing:
        return None
    lines = [line for name, children in missing.items() for line in ("", f"[{name}:children]", *children)]
    known = inventory.groups.keys() | missing.keys()
    strange = sorted({child for children in missing.values() for child in children if child not in known})
    trouble = why_not_ini(path, inventory) or (f"it has no group {', '.join(strange)}" if strange else "")
    if trouble:
        raise ConfigError(
            f"The inventory {path} lacks the groups {', '.join(missing)}; they have to be added by hand: {trouble}.",
            details=[line for line in lines if line],
            reason="groups-missing",
        )
    before = read_bytes(path)
    eol = b"\r\n" if b"\r\n" in before else b"\n"
    gap = b"" if before.endswith(b"\n") or not before else eol
    after = before + gap + b"".join(line.encode() + eol for line in lines)
    if toolchain is not None:
        _prove(toolchain, after, inventory, missing, path)
    return GroupEdit(path, tuple(missing), tuple(f"+{line}" for line in lines), before, after)


def apply_groups(edit: GroupEdit, keep: Path) -> None:
    """Write planned sections; as `apply_edit` of globals_yml, with a copy of the inventory in `keep` first."""
    apply_edit(edit, keep)


def _listed(toolchain: Toolchain, path: Path, vault_password_file: Path | None) -> dict[str, Any]:
    command = [str(toolchain.ansible_inventory), "--inventory", str(path), "--list"]
    # Without this a file that no plugin understands is only worth a warning, and the cloud looks empty.
    variables = environment(toolchain, ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="1")
    try:
        with vault_words(vault_password_file) as words:
            run = subprocess.run(
                [*command, *words], env=variables, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False,
                timeout=120,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ConfigError(f"The inventory {path} was not read within 2 minutes.", reason="broken-inventory") from None
    except OSError as error:
        raise EnvironmentMissingError(
            f"{toolchain.ansible_inventory} cannot be started: {error.strerror}.",
            next_command=f"upgrader toolchain build {toolchain.release}",
        ) from None
    if run.returncode:
        raise ConfigError(
            f"The inventory {path} cannot be read: {_reason(run.stderr.decode(errors='replace'), path)}",
            reason="broken-inventory",
        )
    data: dict[str, Any] = json.loads(run.stdout)
    return data


def _memberships(data: Mapping[str, Any]) -> dict[str, set[str]]:
    direct = {name: set(part.get("hosts", ())) for name, part in data.items() if name != "_meta"}
    children = {name: tuple(part.get("children", ())) for name, part in data.items() if name != "_meta"}
    found: dict[str, set[str]] = {}

    def members(name: str) -> set[str]:
        if name not in found:
            found[name] = set(direct.get(name, ()))
            for child in children.get(name, ()):
                found[name] |= members(child)
        return found[name]

    for name in {*direct, *(child for several in children.values() for child in several)}:
        members(name)
    return found


def _reason(words: str, path: Path) -> str:
    if "no vault secrets" in words or "ecryption failed" in words:
        return "it holds Ansible Vault values, and no vault password fits."
    found = {name: _tidy(text) for name, text in _PLUGIN.findall(words)}
    wanted = "yaml" if path.suffix in (".yml", ".yaml", ".json") else "ini"
    if wanted in found:
        return found[wanted]
    errors = re.findall(r"(?:\[ERROR\]:|ERROR!)\s*(.*)", words)
    return _tidy(errors[-1]) if errors else "Ansible gave no reason."


def _tidy(text: str) -> str:
    """Ansible's words on one line, without the pieces of the file it quotes: they may hold a password."""
    text = re.sub(r"^Failed to parse inventory:\s*", "", text.strip())
    place = re.search(r"Origin: (\S+)", text)
    text = re.sub(r"\s+", " ", text.partition("Origin:")[0]).strip()
    text = re.sub(r",? got:? .*|\. The error was.*|The offending line.*", "", text).rstrip(". ")
    text = re.sub(r"\s*\([^()]*$", "", text)  # a bracket that was cut open
    return f"{text}{f' ({place[1]})' if place else ''}."


def _digest(path: Path) -> str:
    try:
        whole = hashlib.sha256()
        for name, file in _files(path):
            content = file.read_bytes()
            whole.update(f"{name}\0{len(content)}\0".encode() + content)
    except FileNotFoundError:
        raise ConfigError(f"The inventory {path} does not exist.", reason="missing-file") from None
    except OSError as error:
        raise ConfigError(f"The inventory {path} cannot be read: {error.strerror}.", reason="unreadable-file") from None
    return whole.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if not path.is_dir():
        yield path.name, path
    beside = [] if path.is_dir() else [path.parent / name for name in ("group_vars", "host_vars")]
    for folder in [path] if path.is_dir() else [item for item in beside if item.is_dir()]:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.name.startswith(".") and file.suffix not in (".pyc", ".retry"):
                yield str(file.relative_to(folder.parent)), file


def why_not_ini(path: Path, inventory: Inventory) -> str:
    """Why a file cannot be extended as a plain INI inventory; empty when it can."""
    if path.is_dir():
        return "it is a folder"
    if path.suffix in (".yml", ".yaml", ".json", ".toml"):
        return f"only INI inventories are edited, not {path.suffix} files"
    if path.stat().st_mode & 0o111:
        return "it is executable, so it may be a program"
    try:
        lines = read_bytes(path).decode().splitlines()
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    sections = {match[1] for line in lines if (match := _SECTION.match(line.strip()))}
    if not sections or not sections <= inventory.groups.keys() | {"all", "ungrouped"}:
        return "it does not look like an INI inventory"
    return ""


def _prove(
    toolchain: Toolchain, after: bytes, inventory: Inventory, missing: Mapping[str, tuple[str, ...]], path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="upgrader-inventory-") as folder:
        copy = Path(folder) / (path.name or "inventory")
        copy.touch(mode=0o600)
        copy.write_bytes(after)
        new = _memberships(_listed(toolchain, copy, None))
    old = {name: set(members) for name, members in inventory.groups.items()}
    for name in missing:
        old[name] = set().union(*(new.get(child, set()) for child in missing[name]))
    if {name: members for name, members in new.items() if name not in _BUILT_IN} != old:
        raise ConfigError(
            f"The inventory {path} cannot be extended safely; add the groups {', '.join(missing)} by hand.",
            reason="groups-missing",
        )
