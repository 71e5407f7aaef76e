"""Who sets a variable, where and on which line, from weakest to strongest as Ansible ranks them.

Ranks (VariableManager.get_vars and VARIABLE_PRECEDENCE, ansible-core 2.19): role defaults, the inventory's groups,
group_vars/all beside the inventory, group_vars/all beside the playbooks (the release's own), group_vars of other
groups beside the inventory, then beside the playbooks, the inventory's hosts, host_vars, files given with `-e`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from upgrader.effective.inventory_text import Setting, names_host
from upgrader.effective.own_files import OwnFile, OwnFiles
from upgrader.effective.released import Released
from upgrader.record import Definition

_OWN = ("inventory", "globals", "extra")


class Members:
    """Hosts of groups among those that are looked at."""

    def __init__(self, groups: Mapping[str, Sequence[str]], hosts: Sequence[str]) -> None:
        self.hosts = tuple(hosts)
        self._groups = {name: tuple(sorted(set(members) & set(hosts))) for name, members in groups.items()}

    def of(self, group: str) -> tuple[str, ...]:
        """Empty for everybody, as a Definition has it; a group of nobody is told by `none`."""
        found = self._groups.get(group, ())
        return () if group == "all" or set(found) == set(self.hosts) else found

    def none(self, group: str) -> bool:
        return group != "all" and not self._groups.get(group)


def definitions_of(
    name: str,
    released: Released | None,
    own: OwnFiles,
    members: Members,
    answer: Mapping[str, Any],
    *,
    secret: bool,
) -> tuple[Definition, ...]:
    """All definitions of `name`. `answer` is what Ansible said of the inventory and of encrypted files."""
    found = [
        *(_roles(name, released, answer) if released else ()),
        *_inventory(name, own, members, answer, "group"),
        *_beside(name, own, members, answer, "group_vars", everybody=True),
        *(_release(name, released, members, everybody=True) if released else ()),
        *_beside(name, own, members, answer, "group_vars", everybody=False),
        *(_release(name, released, members, everybody=False) if released else ()),
        *_inventory(name, own, members, answer, "host"),
        *_beside(name, own, members, answer, "host_vars", everybody=False),
        *_given(name, own, answer),
    ]
    return tuple(item.model_copy(update={"text": ""}) if secret else item for item in found)


def configured(definitions: Sequence[Definition]) -> bool:
    """Whether the operator's own files set it with effect: stronger than the release's own word for everybody."""
    for item in reversed(definitions):
        if item.kind in _OWN:
            return True
        if not item.hosts:
            return False
    return False


def strongest(definitions: Sequence[Definition], host: str = "") -> Definition | None:
    """The definition that holds, for a host or for everybody it concerns."""
    for item in reversed(definitions):
        if not item.hosts or not host or host in item.hosts:
            return item
    return None


def _roles(name: str, released: Released, answer: Mapping[str, Any]) -> Iterator[Definition]:
    # the role whose default counts comes last, so that it is the strongest of them
    for role in reversed(answer.get("roles", {}).get(name, ())):
        _, found = released.by_role[role]
        if name in found:
            place = f"role {role}, defaults/main.yml:{found[name].line} of {released.name}"
            yield Definition(place=place, kind="role default", text=found[name].text)


def _release(name: str, released: Released, members: Members, *, everybody: bool) -> Iterator[Definition]:
    for group, path, found in released.by_group:
        if name in found and (group == "all") is everybody and not members.none(group):
            place = f"{path.relative_to(released.folder)}:{found[name].line} of {released.name}"
            text = found[name].text
            yield Definition(place=place, kind="release default", text=text, hosts=members.of(group))


def _inventory(
    name: str, own: OwnFiles, members: Members, answer: Mapping[str, Any], kind: str
) -> Iterator[Definition]:
    if "inventory" not in answer:
        yield from _inventory_lines(name, own, members, kind)
        return
    merged: dict[tuple[str, str], list[str]] = {}
    for said in answer["inventory"]:
        if said["name"] != name or said["kind"] != kind:
            continue
        entity, hosts = said["entity"], members.of(said["entity"]) if kind == "group" else (said["entity"],)
        if kind == "group" and members.none(entity):
            continue
        file, setting = _line_of(name, own, kind, entity)
        where = file if setting is None else f"{file}:{setting.line}"
        text = setting.text if setting is not None and said["text"] else said["text"]
        label = f"inventory group {entity} ({where})" if kind == "group" else f"inventory host ({where})"
        if kind == "group":
            yield Definition(place=label, kind="inventory", text=text, hosts=hosts)
        else:
            merged.setdefault((label, text), []).append(entity)
    for (label, text), several in merged.items():
        yield Definition(place=label, kind="inventory", text=text, hosts=tuple(sorted(several)))


def _inventory_lines(name: str, own: OwnFiles, members: Members, kind: str) -> Iterator[Definition]:
    """Without Ansible's answer: what INI files say, in the order of their lines."""
    for file, setting in own.lines:
        if setting.name != name or setting.kind != kind:
            continue
        if kind == "group" and not members.none(setting.entity):
            place, hosts = f"inventory group {setting.entity} ({file}:{setting.line})", members.of(setting.entity)
        elif kind == "host":
            place = f"inventory host ({file}:{setting.line})"
            hosts = tuple(host for host in members.hosts if names_host(setting.entity, host))
            if not hosts:
                continue
        else:
            continue
        yield Definition(place=place, kind="inventory", text=setting.text, hosts=hosts)


def _line_of(name: str, own: OwnFiles, kind: str, entity: str) -> tuple[str, Setting | None]:
    said = own.setting(kind, name)
    if entity in said:
        return said[entity]
    for pattern, found in said.items() if kind == "host" else ():
        if not {"[", ":"}.isdisjoint(pattern) and names_host(pattern, entity):
            return found
    # not INI: only a name that stands there once can be pointed at
    anywhere = re.compile(rf"^[ \t]*[\"']?{re.escape(name)}[\"']?[ \t]*:", re.MULTILINE)
    places = [(file, match) for file, text in own.inventory for match in anywhere.finditer(text)]
    if len(places) == 1:
        file, match = places[0]
        text = dict(own.inventory)[file]
        return f"{file}:{text.count(chr(10), 0, match.start()) + 1}", None
    return ", ".join(file for file, _ in own.inventory), None


def _beside(
    name: str, own: OwnFiles, members: Members, answer: Mapping[str, Any], kind: str, *, everybody: bool
) -> Iterator[Definition]:
    for file in own.beside:
        if file.kind != kind or (file.entity == "all") is not everybody:
            continue
        if kind == "group_vars":
            hosts = members.of(file.entity)
            if members.none(file.entity):
                continue
        elif file.entity in members.hosts:
            hosts = (file.entity,)
        else:
            continue
        yield from _said(name, file, answer, f"inventory {file.shown}", "inventory", hosts)


def _given(name: str, own: OwnFiles, answer: Mapping[str, Any]) -> Iterator[Definition]:
    for file in own.given:
        yield from _said(name, file, answer, file.shown, "extra" if file.kind == "extra" else "globals", ())


def _said(
    name: str, file: OwnFile, answer: Mapping[str, Any], shown: str, kind: Any, hosts: Iterable[str]
) -> Iterator[Definition]:
    if file.parsed is None:
        if name in answer.get("encrypted", {}).get(str(file.path), ()):
            yield Definition(place=f"{shown} (encrypted)", kind=kind, text="", hosts=tuple(hosts))
        return
    entry = file.entry(name)
    if entry is not None:
        text = "" if file.secret or entry.encrypted else file.text_of(entry)
        yield Definition(place=f"{shown}:{entry.line}", kind=kind, text=text, hosts=tuple(hosts))
