"""Facts that cannot both be true: each fault names both files, both fields and both values.

A fact is often told in two places, by the file of a release and by that of a hop, or by a variable that goes and an
action that wants it set. Whoever adds data sees here which of the two is wrong before an operator does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from upgrader.graph import records, schema

if TYPE_CHECKING:
    from upgrader.graph.check import Whole

_NAME = re.compile(r"^[a-z][a-zA-Z0-9_]*$")
_GOES = ("no", "false", "remove", "removed", "drop", "without effect")
"""How the value of a setting begins that switches something off or says that it goes."""


def contradictions(whole: Whole) -> Iterator[str]:
    """Every pair of facts that cannot both be true."""
    for name, release in whole.every(schema.Release):
        yield from _ranges(name, release)
    for name, hop in whole.every(schema.Hop):
        yield from _computes(whole, name, hop)
        yield from _hosts(whole, name, hop)
    for name, variables in whole.every(records.HopVariables):
        yield from _removed(whole, name, variables)
        yield from _changed(whole, name, variables)
        yield from _wanted(whole, name, variables)
    yield from _twice(whole)


def _ranges(name: str, release: schema.Release) -> Iterator[str]:
    known = release.kolla_ansible
    try:
        accepted = SpecifierSet(known.ansible_core)
    except InvalidSpecifier:
        return
    for series in known.ansible_core_series:
        if f"{series}.99" not in accepted:
            yield (
                f"{name}: kolla_ansible.ansible_core: {known.ansible_core} does not accept {series}.99, "
                f"kolla_ansible.ansible_core_series says {series}"
            )


def _computes(whole: Whole, name: str, hop: schema.Hop) -> Iterator[str]:
    file = f"components/{hop.target}.toml"
    stock = whole.one(file, records.ReleaseComponents)
    if stock and stock.nova_rpc.oldest_supported_compute != hop.nova_oldest_compute:
        yield (
            f"{name}: nova_oldest_compute: says {hop.nova_oldest_compute}, "
            f"{file}: nova_rpc.oldest_supported_compute: says {stock.nova_rpc.oldest_supported_compute}"
        )


def _hosts(whole: Whole, name: str, hop: schema.Hop) -> Iterator[str]:
    ends = [(end, whole.one(f"releases/{end}.toml", schema.Release)) for end in (hop.source, hop.target)]
    for field, moved, has, lacks in (
        ("must_leave", hop.host_os.must_leave, ends[0], ends[1]),
        ("new", hop.host_os.new, ends[1], ends[0]),
    ):
        for system, versions in moved.items():
            for version in versions:
                for (end, release), wanted in ((has, True), (lacks, False)):
                    there = version in release.host_os.get(system, ()) if release else wanted
                    if there is not wanted:
                        yield (
                            f"{name}: host_os.{field}: says {system} {version}, releases/{end}.toml: host_os: "
                            f"{'does not have it' if wanted else 'has it, too'}"
                        )


# ---------------------------------------------------------------- variables


def _defaults(whole: Whole, release: str) -> records.Defaults | None:
    return whole.one(f"defaults/{release}.toml", records.Defaults)


def _removed(whole: Whole, name: str, variables: records.HopVariables) -> Iterator[str]:
    after = _defaults(whole, variables.target)
    for field, gone in (
        ("removed.group_vars", variables.removed.group_vars),
        ("removed.role_defaults", variables.removed.role_defaults),
    ):
        for variable in gone:
            found = after.find(variable) if after else None
            if found:
                yield (
                    f"{name}: {field}: says that {variable} goes, "
                    f"defaults/{variables.target}.toml: {found[1]}: says {found[0]}"
                )


def _changed(whole: Whole, name: str, variables: records.HopVariables) -> Iterator[str]:
    before, after = _defaults(whole, variables.source), _defaults(whole, variables.target)
    if before is None or after is None:
        return
    for index, change in enumerate(variables.changed_defaults):
        old, new = before.find(change.name), after.find(change.name)
        if old and new and old[0] == new[0]:
            yield (
                f"{name}: changed_defaults[{index}] ({change.name}): says {change.before} → {change.after}, "
                f"defaults/{variables.source}.toml and defaults/{variables.target}.toml: both say {old[0]}"
            )


def _wanted(whole: Whole, name: str, variables: records.HopVariables) -> Iterator[str]:
    """A variable that goes cannot be what an action wants set for the target."""
    gone = {*variables.removed.group_vars, *variables.removed.role_defaults}
    file = f"actions/{variables.source}-{variables.target}.toml"
    actions = whole.one(file, records.HopActions)
    for action in actions.actions if actions else ():
        for setting, value in action.settings.items():
            if _NAME.match(setting) and setting in gone and not value.lower().startswith((*_GOES, *_new_names(value))):
                yield (
                    f"{file}: {action.id}: settings.{setting}: says {value}, "
                    f"{name}: removed: says that the target has no {setting}"
                )


def _new_names(value: str) -> Sequence[str]:
    """A value that is itself the name of a variable tells the new name."""
    first = value.split(" ", maxsplit=1)[0].strip(",").lower()
    return (first,) if "_" in first else ()


# ---------------------------------------------------------------- ids


def _twice(whole: Whole) -> Iterator[str]:
    seen: dict[str, tuple[str, str]] = {}
    parts: list[tuple[str, tuple[records.Action, ...]]] = []
    parts += [(name, value.actions) for name, value in whole.every(records.CommonActions)]
    parts += [(name, value.actions) for name, value in whole.every(records.HopActions)]
    for name, actions in parts:
        for index, action in enumerate(actions):
            here = f"{name}: actions[{index}].id"
            if action.id in seen:
                where, title = seen[action.id]
                yield f"{here}: {action.id} ({action.title}) is also {where} ({title})"
            seen.setdefault(action.id, (here, action.title))
