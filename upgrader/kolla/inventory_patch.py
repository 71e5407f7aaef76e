"""The operator's inventory against the samples of the releases on a path, and the patch that makes up for it.

A patch only adds groups: at the end of an INI or YAML file, or as one new file in a folder. It is proved by Ansible
(every old group as it was, every new one there) and never applied here. Groups that are gone or moved are told.
"""

from __future__ import annotations

import difflib
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from upgrader.errors import ConfigError
from upgrader.kolla.inventory import Inventory, missing_groups, read_inventory, why_not_ini
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import encrypted
from upgrader.kolla.yaml_text import parse, quoted, read_bytes
from upgrader.model import Code, Finding

if TYPE_CHECKING:
    from upgrader.graph import Hop

MISSING = "inventory-groups-missing"
GONE = "inventory-groups-gone"
_HEADER = re.compile(r"^\[([^\]:]+)(:children)?\]\s*$")
_YAML = (".yml", ".yaml")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class InventoryPatch:
    """What an inventory lacks for a path, and the patch that adds it."""

    path: Path
    added: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Missing group → the groups it is made of."""
    renamed: tuple[tuple[str, str], ...] = ()
    """(old, new): the new group is made of the old one, which stays until the old release is gone."""
    hostless: tuple[str, ...] = ()
    """Missing groups that hold hosts themselves in the samples: only the operator knows which."""
    gone: tuple[tuple[str, str], ...] = ()
    """(group of the inventory, release from which on nothing uses it)."""
    moved: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = ()
    """(group, release, where the sample had it, where it has it now)."""
    text: str = ""
    """Unified difference, for `patch -p1` in the folder of the inventory; empty: nothing to add, or by hand."""
    by_hand: str = ""
    """Why a person has to add the groups; `lines` are what to add."""
    lines: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    """Groups of the samples that new groups are made of and that the inventory does not have."""
    first: Mapping[str, str] = field(default_factory=dict)
    """Missing group → name of the first hop that needs it."""


def sample_groups(toolchain: Toolchain) -> dict[str, tuple[str, ...]]:
    """Groups of the release's own multinode inventory, in its order, with the groups they are made of.

    Empty where the toolchain has no sample.
    """
    try:
        lines = toolchain.example_inventory.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for raw in lines:
        line = raw.split("#")[0].strip()
        header = _HEADER.match(line)
        if header:
            members = found.setdefault(header[1], [])
            current = members if header[2] else None
        elif line.startswith("["):
            current = None
        elif line and current is not None:
            current.append(line.split()[0])
    return {name: tuple(children) for name, children in found.items()}


def plan_patch(
    path: Path,
    inventory: Inventory,
    hops: Sequence[Hop],
    toolchains: Mapping[str, Toolchain],
    *,
    prove: bool = True,
    vault_password_file: Path | None = None,
) -> InventoryPatch:
    """What the inventory lacks for all hops together. Reads files only; nothing is written.

    Samples come from the toolchains that are built, else the release graph's own account of each hop is used. With
    `prove` the patched copy is read by Ansible (1 s); a patch that would change an old group becomes a job by hand.
    Raises ConfigError when the inventory cannot be read.
    """
    added, renamed, hostless, strange, first = _missing(inventory, hops, toolchains)
    gone = tuple(
        (name, hop.target)
        for hop in hops
        for name in hop.groups.removed
        if name in inventory.groups and name not in {old for old, _ in renamed}
    )
    moved = tuple(
        (name, hop.target, tuple(move.before), tuple(move.after))
        for hop in hops
        for name, move in hop.groups.moved.items()
        if name in inventory.groups
    )
    base = InventoryPatch(path, added, renamed, hostless, gone, moved, strange=strange, first=first)
    if not added:
        return base
    tool = next(reversed(list(toolchains.values())), None)
    return _with_text(base, inventory, hops[-1].target, tool if prove else None, vault_password_file)


def judge_inventory(patch: InventoryPatch, hops: Sequence[Hop]) -> tuple[Finding, ...]:
    """What is missing, once, at the first hop that needs it; and what is left over. Pure."""
    found = []
    if patch.added:
        names = list(patch.added)
        first = min(patch.first.values(), default=hops[0].title.replace(" ", ""))
        plain_ini = patch.text != "" and not patch.path.is_dir() and patch.path.suffix not in _YAML
        automatic = plain_ini and not patch.hostless and not patch.strange
        found.append(
            Finding(
                id=MISSING,
                code=Code.WARNING if automatic else Code.FAILURE,
                severity="required" if automatic else "blocker",
                hop=first,
                message=f"the inventory lacks {_listed(names)}, which {hops[-1].target} has in its sample",
                why="plays address services by these groups; without them a service is left where it was, or the play"
                " stops at an unknown group",
                evidence="; ".join(
                    [*(f"{name}: {' '.join(children) or 'no hosts'}" for name, children in patch.added.items())][:40]
                )
                + (f"; by hand: {patch.by_hand}" if patch.by_hand else ""),
                fix=(
                    *(
                        f"{old} is called {new} now: keep both until the old release is gone"
                        for old, new in patch.renamed
                    ),
                    *(f"name the hosts of group {name} yourself" for name in patch.hostless),
                    *(f"the sample has a group {name} in it, which this inventory lacks" for name in patch.strange),
                    *(
                        ("upgrader check --inventory-patch FILE; look at it; patch -p1 < FILE",)
                        if patch.text
                        else ("add these lines:", *patch.lines)
                    ),
                ),
                next="upgrader check --inventory-patch groups.patch" if patch.text else "",
            )
        )
    if patch.gone or patch.moved:
        found.append(_left_over(patch))
    return tuple(found)


def _left_over(patch: InventoryPatch) -> Finding:
    gone = [f"{name} (unused from {release} on)" for name, release in patch.gone]
    moved = [
        f"{name} (in the sample of {release} made of {' '.join(after)}, before of {' '.join(before)})"
        for name, release, before, after in patch.moved
    ]
    return Finding(
        id=GONE,
        code=Code.WARNING,
        severity="advised",
        when="after",
        message=f"groups of the inventory that change their meaning on the way: {_listed([*gone, *moved])}",
        why="a group that nothing uses misleads; a group whose sample moved may leave a service where upstream"
        " no longer tests it",
        evidence="; ".join([*gone, *moved]),
        fix=("compare with the release's sample inventory; delete unused groups once the old release is gone",),
    )


# ---------------------------------------------------------------- what is missing


def _missing(
    inventory: Inventory, hops: Sequence[Hop], toolchains: Mapping[str, Toolchain]
) -> tuple[dict[str, tuple[str, ...]], tuple[tuple[str, str], ...], tuple[str, ...], tuple[str, ...], dict[str, str]]:
    added: dict[str, tuple[str, ...]] = {}
    renamed: list[tuple[str, str]] = []
    hostless: list[str] = []
    first: dict[str, str] = {}
    for hop in hops:
        sample = sample_groups(toolchains[hop.target]) if hop.target in toolchains else {}
        wanted = sample or dict(missing_groups(inventory, hop))
        old_names = {_same(name): name for name in hop.groups.removed if name in inventory.groups}
        for name, children in wanted.items():
            if name in inventory.groups or name in added:
                continue
            first[name] = f"{hop.source}→{hop.target}"
            old = old_names.get(_same(name)) if name in hop.groups.added else None
            if old is not None:
                renamed.append((old, name))
                added[name] = (old,)
                continue
            if not children and name in sample:
                hostless.append(name)
            added[name] = children
    known = inventory.groups.keys() | added.keys()
    made = {name: tuple(child for child in children if child in known) for name, children in added.items()}
    strange = sorted({child for children in added.values() for child in children} - known)
    return made, tuple(renamed), tuple(hostless), tuple(strange), first


def _same(name: str) -> str:
    return name.replace("_", "-").lower()


# ---------------------------------------------------------------- the patch


def _with_text(
    patch: InventoryPatch, inventory: Inventory, release: str, toolchain: Toolchain | None, vault: Path | None
) -> InventoryPatch:
    ini = [line for name, children in patch.added.items() for line in (*_ini_section(name, children), "")]
    lines = tuple(ini[:-1])
    try:
        name, before, after = _edited(patch, inventory, release)
        if toolchain is not None:
            _prove(patch, inventory, toolchain, vault, name, after)
    except ConfigError as error:
        return _but(patch, by_hand=error.message, lines=lines)
    return _but(patch, text=unified(name, before, after), lines=lines)


def _but(patch: InventoryPatch, *, text: str = "", by_hand: str = "", lines: tuple[str, ...] = ()) -> InventoryPatch:
    return InventoryPatch(
        patch.path,
        patch.added,
        patch.renamed,
        patch.hostless,
        patch.gone,
        patch.moved,
        text,
        by_hand,
        lines,
        patch.strange,
        patch.first,
    )


def _edited(patch: InventoryPatch, inventory: Inventory, release: str) -> tuple[str, bytes | None, bytes]:
    """(file below the inventory's folder, its content or None for a new one, its content with the groups)."""
    if patch.path.is_dir():
        # the last name of all: Ansible reads a folder's files in order, and children have to be known by then
        name = f"zz-kolla-groups-{release}.yml"
        if (patch.path / name).exists():
            raise ConfigError(f"{patch.path / name} exists already; delete it or add the groups to it by hand.")
        return f"{patch.path.name}/{name}", None, ("---\n" + "".join(_yaml_groups(patch.added, "\n", ""))).encode()
    before = read_bytes(patch.path)
    if encrypted(before):
        raise ConfigError("the inventory is encrypted as a whole")
    if patch.path.suffix in _YAML:
        return patch.path.name, before, _yaml_edited(patch, before)
    trouble = why_not_ini(patch.path, inventory)
    if trouble:
        raise ConfigError(trouble)
    eol = "\r\n" if b"\r\n" in before else "\n"
    gap = "" if before.endswith(b"\n") or not before else eol
    sections = [line for name, children in patch.added.items() for line in ("", *_ini_section(name, children))]
    return patch.path.name, before, before + (gap + "".join(line + eol for line in sections)).encode()


def _ini_section(name: str, children: Sequence[str]) -> tuple[str, ...]:
    return (f"[{name}:children]", *children) if children else (f"[{name}]",)


def _yaml_edited(patch: InventoryPatch, before: bytes) -> bytes:
    """Every key at the top of a YAML inventory is a group, so the groups are added after the last one."""
    text = parse(before, patch.path)
    if not text.block:
        raise ConfigError("it is written in braces")
    if text.entries and re.search(r"^(\.\.\.|---)", text.text[text.entries[0].key_start :], re.M):
        raise ConfigError("it has more than one document, or an end mark")
    gap = "" if not text.text or text.text.endswith("\n") else text.eol
    return before + (gap + "".join(_yaml_groups(patch.added, text.eol, " " * text.indent))).encode()


def _yaml_groups(added: Mapping[str, tuple[str, ...]], eol: str, indent: str) -> list[str]:
    lines = []
    for name, children in added.items():
        if not children:
            lines.append(f"{indent}{quoted(name)}: {{}}{eol}")
            continue
        lines += [f"{indent}{quoted(name)}:{eol}", f"{indent}  children:{eol}"]
        lines += [f"{indent}    {quoted(child)}: {{}}{eol}" for child in children]
    return lines


def unified(name: str, before: bytes | None, after: bytes) -> str:
    """A unified difference that `patch -p1` takes, with its remark about a last line without an end."""
    old = _LINE.findall((before or b"").decode(errors="surrogateescape"))
    new = _LINE.findall(after.decode(errors="surrogateescape"))
    lines = difflib.unified_diff(old, new, "/dev/null" if before is None else f"a/{name}", f"b/{name}")
    ended = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return "".join(ended)


def _prove(
    patch: InventoryPatch, inventory: Inventory, toolchain: Toolchain, vault: Path | None, name: str, after: bytes
) -> None:
    """Read a patched copy with Ansible. Raises ConfigError unless old groups are as they were and new ones there."""
    with tempfile.TemporaryDirectory(prefix="upgrader-inventory-") as folder:
        copy = Path(folder) / patch.path.name
        if patch.path.is_dir():
            shutil.copytree(patch.path, copy, symlinks=False)
        target = Path(folder) / name
        target.touch(mode=0o600)
        target.write_bytes(after)
        for beside in ("group_vars", "host_vars"):
            if not patch.path.is_dir() and (patch.path.parent / beside).is_dir():
                shutil.copytree(patch.path.parent / beside, Path(folder) / beside)
        found = read_inventory(toolchain, copy, vault)
    changed = [group for group, hosts in inventory.groups.items() if found.groups.get(group) != hosts]
    absent = [group for group in patch.added if group not in found.groups]
    if changed or absent or set(found.hosts) != set(inventory.hosts):
        raise ConfigError(
            f"with the new groups, Ansible reads {_listed(changed or absent or ['the hosts'])} differently"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
