"""What changes between two packages: groups, passwords, roles, variables, as the files of a hop tell it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from upgrader.graph.extract.defaults import Raw, raw_defaults
from upgrader.graph.extract.facts import host_systems, inventory, passwords, resolved
from upgrader.graph.extract.package import Package

ALIKE = 0.8
"""How alike two names have to be for one to be taken for the other's new name (difflib's ratio)."""

_MACHINERY = re.compile(
    r"_(?:default_volumes|extra_volumes|dimensions|image|image_full|tag|services|enable_healthchecks|healthcheck(?:_\w+)?"
    r"|git_repository|source_version|dev_mode|dev_repos_pull|keystone_user|ks_services|ks_users|ks_roles|ks_user_roles"
    r"|logging_debug|(?:enabled_)?notification_topics|database_(?:name|user|address|shard\w*|backend))$"
)
"""What every role has for each of its containers; when a service goes, these go with it and nobody misses them."""


@dataclass(frozen=True, slots=True)
class Moved:
    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A default before and after, as JSON text, templates included."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    groups_added: Mapping[str, tuple[str, ...]]
    groups_removed: tuple[str, ...]
    groups_moved: tuple[Moved, ...]
    passwords_added: tuple[str, ...]
    passwords_removed: tuple[str, ...]
    roles_added: tuple[str, ...]
    roles_removed: tuple[str, ...]
    group_vars_removed: tuple[str, ...]
    role_defaults_removed: tuple[str, ...]
    """Without the machinery of containers (`*_image`, `*_dimensions`, `*_healthcheck_timeout` …)."""
    variables_added: tuple[str, ...]
    defaults_changed: tuple[Changed, ...]
    """Of group_vars only, in their own words; files that moved and `no` for `false` count as unchanged."""
    renamed: tuple[tuple[str, str], ...]
    """(old, new) that look like one variable with another name: a guess, to be looked at."""
    must_leave: Mapping[str, tuple[str, ...]]
    newly_accepted: Mapping[str, tuple[str, ...]]


def compare(old: Package, new: Package) -> Difference:
    """Everything that two packages tell of the hop between them. Raises DataError for files that are not there."""
    before, after = inventory(old), inventory(new)
    both = [name for name in after if name in before]
    moves = (Moved(name, resolved(name, before), resolved(name, after)) for name in both)
    secrets = set(passwords(old)), set(passwords(new))
    values = raw_defaults(old), raw_defaults(new)
    gone = sorted(set(values[0]) - set(values[1]))
    added = sorted(set(values[1]) - set(values[0]))
    systems = host_systems(old), host_systems(new)
    return Difference(
        groups_added={name: resolved(name, after) for name in sorted(set(after) - set(before))},
        groups_removed=tuple(sorted(set(before) - set(after))),
        groups_moved=tuple(move for move in sorted(moves, key=lambda move: move.name) if move.before != move.after),
        passwords_added=tuple(sorted(secrets[1] - secrets[0])),
        passwords_removed=tuple(sorted(secrets[0] - secrets[1])),
        roles_added=tuple(sorted(new.roles - old.roles)),
        roles_removed=tuple(sorted(old.roles - new.roles)),
        group_vars_removed=tuple(name for name in gone if name in old.group_vars),
        role_defaults_removed=tuple(
            name for name in gone if name not in old.group_vars and not _MACHINERY.search(name)
        ),
        variables_added=tuple(added),
        defaults_changed=_changed(values[0], values[1], old),
        renamed=_renamed(values[0], values[1], gone, added),
        must_leave=_less(systems[0], systems[1]),
        newly_accepted=_less(systems[1], systems[0]),
    )


def _changed(before: Mapping[str, Raw], after: Mapping[str, Raw], old: Package) -> tuple[Changed, ...]:
    both = (name for name in sorted(before) if name in after and name in old.group_vars)
    found = (Changed(name, before[name].text, after[name].text) for name in both)
    return tuple(change for change in found if same(change.before) != same(change.after))


def same(text: str) -> str:
    """A default in the form in which two spellings of one value are equal: `"no"` and false, space in templates."""
    value = json.loads(text)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("yes", "true"):
            return "true"
        if word in ("no", "false"):
            return "false"
        if "{" in value:
            return re.sub(r"\s+", "", value).replace('"', "'")
    return json.dumps(value, sort_keys=True)


def _renamed(
    before: Mapping[str, Raw], after: Mapping[str, Raw], gone: list[str], added: list[str]
) -> tuple[tuple[str, str], ...]:
    """One name for each that is gone, where a new one with the same default is much like it."""
    by_value: dict[str, list[str]] = {}
    for name in added:
        by_value.setdefault(same(after[name].text), []).append(name)
    found = []
    for name in gone:
        if _MACHINERY.search(name):
            continue
        alike = {one.lower(): one for one in by_value.get(same(before[name].text), [])}
        near = difflib.get_close_matches(name.lower(), list(alike), n=1, cutoff=ALIKE)
        found += [(name, alike[near[0]])] if near else []
    return tuple(found)


def _less(one: Mapping[str, tuple[str, ...]], two: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    found = {name: tuple(item for item in items if item not in two.get(name, ())) for name, items in one.items()}
    return {name: items for name, items in found.items() if items}
