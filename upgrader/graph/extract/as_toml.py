"""A draft of the files of a hop, as a person would begin them: what packages tell is there, the rest says FILL IN."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from upgrader.graph.extract.compare import Difference
from upgrader.graph.extract.facts import Play, ansible_core, ansible_core_series, openstack_release, python_requires
from upgrader.graph.extract.package import Package

FILL_IN = "FILL IN"
_WIDE = 110
"""Characters of a line before a list is broken."""


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """A service whose packages were given: heads before and after, and the scripts that are new."""

    service: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    new: tuple[str, ...]


def text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def listed(values: Iterable[str], indent: str = "") -> str:
    """A TOML list on one line, or on several when it is long."""
    items = [text(value) for value in values]
    line = f"[{', '.join(items)}]"
    if len(line) <= _WIDE:
        return line
    rows: list[str] = [""]
    for item in items:
        if len(rows[-1]) + len(item) + 2 > _WIDE - 4:
            rows.append("")
        rows[-1] += f"{' ' if rows[-1] else ''}{item},"
    return "[\n" + "".join(f"{indent}  {row}\n" for row in rows) + f"{indent}]"


def hop_file(old: Package, new: Package, difference: Difference, steps: Sequence[SchemaStep]) -> str:
    """`hops/<from>-<to>.toml`."""
    source, target = openstack_release(old), openstack_release(new)
    lines = [
        f"# Hop {source} → {target}: what it changes and what cannot be taken back by old images alone. A draft.", "",
        f'from = "{source}"', f'to = "{target}"', f'summary = "{FILL_IN}"', f'nova_oldest_compute = "{FILL_IN}"',
        f"kolla_ansible_before = {text(old.version)}", f"kolla_ansible_after = {text(new.version)}", "components = []",
        "irreversible = []",
        "", "[host_os]", _sources(old, new, "ansible/roles/prechecks/vars/main.yml"), "",
        *_table("host_os.must_leave", difference.must_leave), *_table("host_os.new", difference.newly_accepted),
        "[rabbitmq]", f'before = "{FILL_IN}"', f'after = "{FILL_IN}"', "direct_from = []", f'reset_state = "{FILL_IN}"',
        _sources(old, new, "ansible/roles/rabbitmq/tasks/version-check.yml"),
        "", "[groups]", f"removed = {listed(difference.groups_removed)}",
        _sources(old, new, "ansible/inventory/multinode"), "",
        *_table("groups.added", difference.groups_added), "[groups.moved]",
    ]  # fmt: skip
    for moved in difference.groups_moved:
        lines.append(f"{moved.name} = {{ before = {listed(moved.before)}, after = {listed(moved.after)} }}")
    for name, added, removed, path in (
        ("passwords", difference.passwords_added, difference.passwords_removed, "etc/kolla/passwords.yml"),
        ("roles", difference.roles_added, difference.roles_removed, "ansible/roles"),
        ("containers", (), (), "ansible/roles/*/defaults/main.yml"),
    ):
        lines += ["", f"[{name}]", f"added = {listed(added)}", f"removed = {listed(removed)}"]
        lines.append(_sources(old, new, path))
    return "\n".join([*lines, "", "[containers.image_changed]", "", *_schema(steps)]) + "\n"


def _schema(steps: Sequence[SchemaStep]) -> list[str]:
    lines = ["[schema]", 'how = "migration scripts in one package and not in the other"']
    lines.append('source = ["PyPI wheels of the services"]')
    if not steps:
        return [*lines, "services = []"]
    for step in steps:
        lines += ["", "[[schema.services]]", f"name = {text(step.service)}", f"changes = {len(step.new)}"]
        if step.new:
            revisions = ", ".join(
                f'{{ id = {text(id_)}, branch = "{FILL_IN}", nature = "unknown", operations = [] }}' for id_ in step.new
            )
            lines += ['nature = "unknown"', f"revisions = [{revisions}]"]
        lines.append(f"# heads before {', '.join(step.before)}; after {', '.join(step.after)}")
    return lines


def variables_file(old: Package, new: Package, difference: Difference) -> str:
    """`variables/<from>-<to>.toml`. Renamed ones are guesses; changed defaults are those of group_vars."""
    source, target = openstack_release(old), openstack_release(new)
    where = text(f"{old.reference} and @{new.version}: ansible/group_vars and role defaults")
    lines = [
        f"# Variables of globals.yml and group_vars on the hop {source} → {target}. A draft.", "", f'from = "{source}"',
        f'to = "{target}"', f"renamed_source = [{where}]", f"changed_defaults_source = [{where}]", "renamed = [",
        *(f"  {{ name = {text(before)}, to = {text(after)} }}," for before, after in difference.renamed), "]",
        "changed_defaults = [",
        *(
            f"  {{ name = {text(one.name)}, before = {_shown(one.before)}, after = {_shown(one.after)} }},"
            for one in difference.defaults_changed
        ),
        "]", "", "[removed]", f"group_vars = {listed(difference.group_vars_removed)}",
        f"role_defaults = {listed(difference.role_defaults_removed)}", f"source = [{where}]",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def order_file(package: Package, plays: Sequence[Play]) -> str:
    """`service_order/<to>.toml`."""
    release = openstack_release(package)
    lines = [
        f"# Order of the plays of one kolla-ansible upgrade at {release}. Placement as in the sample inventory.", "",
        f'release = "{release}"', 'playbook = "site.yml"',
        f"source = [{text(f'{package.reference}:ansible/site.yml')}, "
        f"{text(f'{package.reference}:ansible/inventory/multinode')}]",
        "roles = [",
    ]  # fmt: skip
    for play in plays:
        parts = [f"name = {text(play.name)}"]
        parts += [f"playbook = {text(play.playbook)}"] if play.playbook else []
        parts += [f"enabled_by = {text(play.enabled_by)}"] if play.enabled_by else []
        parts += [f"placement = {listed(play.placement)}", f"tags = {listed(play.tags)}"]
        lines.append(f"  {{ {', '.join(parts)} }},")
    return "\n".join([*lines, "]"]) + "\n"


def notes(package: Package) -> tuple[str, ...]:
    """What belongs into `releases/<to>.toml`, for a person to carry over."""
    release = openstack_release(package)
    low, high = ansible_core_series(package)
    return (
        f"releases/{release}.toml: kolla_ansible.newest = {package.version}",
        f"releases/{release}.toml: kolla_ansible.python_requires = {python_requires(package)}",
        f"releases/{release}.toml: kolla_ansible.ansible_core = {ansible_core(package) or 'not in the metadata'}",
        f"releases/{release}.toml: kolla_ansible.ansible_core_series = from {low} to {high} (prechecks)",
    )


def _sources(old: Package, new: Package, path: str) -> str:
    return f"source = [{text(f'{old.reference}:{path}')}, {text(f'{new.reference}:{path}')}]"


def _table(name: str, values: Mapping[str, tuple[str, ...]]) -> list[str]:
    bare = str.isidentifier
    rows = [f"{key if bare(key.replace('-', '_')) else text(key)} = {listed(items)}" for key, items in values.items()]
    return [f"[{name}]", *rows, ""]


def _shown(raw: str) -> str:
    """A default as people read it; an empty one needs a word, for the shape wants text."""
    value = json.loads(raw)
    return text(value if isinstance(value, str) and value else "(empty)" if value == "" else raw)
