"""Checks the whole of the data: every file by its shape, then what only several files together can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from upgrader.graph import records, schema
from upgrader.graph.contradictions import contradictions
from upgrader.graph.graph import edge_faults, names_in
from upgrader.graph.leftovers import Leftovers
from upgrader.graph.load import damaged, data_folder, parse, read_files
from upgrader.graph.marks import SchemaMarks
from upgrader.graph.migration_faults import MigrationFaults
from upgrader.graph.migrations import Migrations
from upgrader.graph.structure import structure_faults
from upgrader.value import Value

Part = TypeVar("Part", bound=Value)

SINGLE: dict[str, type[Value]] = {
    "actions/common.toml": records.CommonActions,
    "cli.toml": records.Cli,
    "containers.toml": records.Containers,
    "leftovers.toml": Leftovers,
    "migration_faults.toml": MigrationFaults,
    "migrations.toml": Migrations,
    "risks/host_os.toml": records.HostWindows,
    "risks/rabbitmq.toml": records.Rabbitmq,
    "risks/way_back.toml": records.WayBackFacts,
    "schema_heads.toml": schema.SchemaHeads,
    "schema_marks.toml": SchemaMarks,
    "schema_tasks.toml": schema.SchemaTasks,
    "slurp.toml": schema.Skips,
}
PER_RELEASE: dict[str, type[Value]] = {
    "releases": schema.Release,
    "components": records.ReleaseComponents,
    "service_order": records.ServiceOrder,
}
PER_PUBLISHED: dict[str, type[Value]] = {"defaults": records.Defaults}
"""What only a release with published packages has."""
_OF_A_RELEASE = (records.ReleaseComponents, records.ServiceOrder, records.Defaults)
PER_HOP: dict[str, type[Value]] = {
    "hops": schema.Hop,
    "actions": records.HopActions,
    "variables": records.HopVariables,
}


@dataclass(frozen=True, slots=True)
class Count:
    """How much a checked graph holds; actions count those of every hop once."""

    releases: int
    hops: int
    actions: int


class Whole:
    """Every file as a value, as far as it could be read."""

    def __init__(self, files: Mapping[str, bytes], faults: list[str]) -> None:
        self.files = files
        self.ids = tuple(names_in(files, "releases"))
        self.edges = tuple(
            (name, *name.split("-", 1)) if "-" in name else (name, name, "") for name in self.hop_names()
        )
        self.values: dict[str, Value] = {}
        for name, shape in self._expected().items():
            value = parse(files, name, shape, faults)
            if value is not None:
                self.values[name] = value
        unknown = sorted(set(files) - set(self._expected()) - {"VERSION"})
        faults.extend(f"{name}: no such file belongs to the graph" for name in unknown)

    def hop_names(self) -> list[str]:
        return names_in(self.files, "hops")

    def _expected(self) -> dict[str, type[Value]]:
        names = dict(SINGLE)
        names |= {f"{folder}/{id_}.toml": shape for folder, shape in PER_RELEASE.items() for id_ in self.ids}
        names |= {f"{folder}/{name}.toml": shape for folder, shape in PER_HOP.items() for name in self.hop_names()}
        for folder, shape in PER_PUBLISHED.items():
            names |= {name: shape for id_ in self.ids if (name := f"{folder}/{id_}.toml") in self.files}
        return names

    def one(self, name: str, shape: type[Part]) -> Part | None:
        value = self.values.get(name)
        return value if isinstance(value, shape) else None

    def every(self, shape: type[Part]) -> list[tuple[str, Part]]:
        return [(name, value) for name, value in self.values.items() if isinstance(value, shape)]


def validate_all(folder: Path | None = None) -> Count:
    """Reads and checks everything. Raises DataError that holds every fault, each with its file and field."""
    return validate_files(read_files(folder or data_folder()))


def validate_files(files: Mapping[str, bytes]) -> Count:
    """The same for files in memory, by their path below the data folder."""
    faults: list[str] = []
    whole = Whole(files, faults)
    if not whole.files["VERSION"].strip():
        faults.append("VERSION: empty")
    faults.extend(_names(whole))
    for name, source, target in whole.edges:
        faults.extend(edge_faults(whole.ids, name, source, target))
    faults.extend(fault for fault in structure_faults(whole.ids, _pairs(whole)) if fault not in faults)
    faults.extend(_releases(whole))
    faults.extend(_hops(whole))
    faults.extend(_ids(whole))
    faults.extend(_heads(whole))
    faults.extend(_marks(whole))
    faults.extend(_known_faults(whole))
    faults.extend(_references(whole))
    faults.extend(contradictions(whole))
    if faults:
        raise damaged(list(dict.fromkeys(faults)))
    actions = [len(value.actions) for _, value in whole.every(records.HopActions)]
    common = whole.one("actions/common.toml", records.CommonActions)
    return Count(len(whole.ids), len(whole.edges), sum(actions) + (len(common.actions) if common else 0))


def _pairs(whole: Whole) -> tuple[tuple[str, str], ...]:
    return tuple((source, target) for _, source, target in whole.edges if source in whole.ids and target in whole.ids)


def _stem(name: str) -> str:
    return Path(name).name.removesuffix(".toml")


def _names(whole: Whole) -> Iterable[str]:
    for name, value in whole.values.items():
        if isinstance(value, schema.Release) and value.id != _stem(name):
            yield f"{name}: id: says {value.id}, the file name says {_stem(name)}"
        if isinstance(value, _OF_A_RELEASE) and value.release != _stem(name):
            yield f"{name}: release: says {value.release}, the file name says {_stem(name)}"
        if isinstance(value, schema.Hop | records.HopActions | records.HopVariables):
            says = f"{value.source}-{value.target}"
            if says != _stem(name):
                yield f"{name}: from, to: say {says}, the file name says {_stem(name)}"


def _releases(whole: Whole) -> Iterable[str]:
    releases = whole.every(schema.Release)
    for field, values in (
        ("codename", [release.codename for _, release in releases]),
        ("kolla_ansible.major", [str(release.kolla_ansible.major) for _, release in releases]),
    ):
        yield from (f"releases: {field}: {value} is used {count} times" for value, count in _repeated(values))
    for name, release in releases:
        for field in ("ansible_core", "python_requires"):
            try:
                SpecifierSet(getattr(release.kolla_ansible, field))
            except InvalidSpecifier as error:
                yield f"{name}: kolla_ansible.{field}: {error}"
        for folder in PER_PUBLISHED:
            if release.kolla_ansible.newest and f"{folder}/{release.id}.toml" not in whole.files:
                yield f"{folder}/{release.id}.toml: missing, though kolla-ansible {release.kolla_ansible.newest} is out"
        if not release.kolla_ansible.newest and not release.provisional:
            yield f"{name}: kolla_ansible.newest: nothing is published, but the release is not provisional"
        if release.image_tag.openstack_release != release.id:
            yield f"{name}: image_tag.openstack_release: says {release.image_tag.openstack_release}"
        if release.status == "end of life" and release.end_of_life is None:
            yield f"{name}: end_of_life: required for a release that is at its end of life"


def _hops(whole: Whole) -> Iterable[str]:
    for name, hop in whole.every(schema.Hop):
        if hop.key != _stem(name):
            continue
        for end, field in ((hop.source, "before"), (hop.target, "after")):
            release = whole.one(f"releases/{end}.toml", schema.Release)
            stock = whole.one(f"components/{end}.toml", records.ReleaseComponents)
            told = getattr(hop, f"kolla_ansible_{field}")
            if release and told != release.kolla_ansible.newest:
                newest = release.kolla_ansible.newest
                yield f"{name}: kolla_ansible_{field}: says {told}, releases/{end}.toml: kolla_ansible.newest: {newest}"
            for index, change in enumerate(hop.components):
                known = stock.components.get(change.name) if stock else None
                if known is not None and known != getattr(change, field):
                    where = f"{name}: components[{index}].{field}: {change.name} {getattr(change, field)}"
                    yield f"{where}, components/{end}.toml: components.{change.name}: {known}"
            broker = stock.components.get("rabbitmq") if stock else None
            if stock and broker != getattr(hop.rabbitmq, field):
                where = f"{name}: rabbitmq.{field}: {getattr(hop.rabbitmq, field)}"
                yield f"{where}, components/{end}.toml: components.rabbitmq: {broker}"


def _ids(whole: Whole) -> Iterable[str]:
    entries = [entry.id for _, hop in whole.every(schema.Hop) for entry in hop.irreversible]
    yield from (f"hops: irreversible.id: {id_} is used {count} times" for id_, count in _repeated(entries))


def _heads(whole: Whole) -> Iterable[str]:
    name = "schema_heads.toml"
    heads = whole.one(name, schema.SchemaHeads)
    if heads is None:
        return
    for index, known in enumerate(heads.databases):
        where = f"{name}: databases[{index}] ({known.database})"
        for field in ("heads", "read_from"):
            missing = sorted(set(whole.ids) - set(getattr(known, field)))
            yield from (f"{where}.{field}: nothing for {release}" for release in missing)
        for field in ("heads", "read_from", "new_revisions", "shipped_but_not_loaded"):
            extra = sorted(set(getattr(known, field)) - set(whole.ids))
            yield from (f"{where}.{field}: {release} is not a release" for release in extra)
        yield from (f"{where}.heads.{release}: empty" for release, rows in known.heads.items() if not rows)
    databases = {database for known in heads.databases for database in known.names}
    tasks = whole.one("schema_tasks.toml", schema.SchemaTasks)
    for index, task in enumerate(tasks.tasks if tasks else ()):
        unknown = sorted(set(task.databases) - databases)
        yield from (f"schema_tasks.toml: tasks[{index}].databases: no heads for {database}" for database in unknown)


def _marks(whole: Whole) -> Iterable[str]:
    """Every script that a hop brings has to stand in the marks, and nothing else."""
    heads, marks = whole.one("schema_heads.toml", schema.SchemaHeads), whole.one("schema_marks.toml", SchemaMarks)
    if heads is None or marks is None:
        return
    marked = {known.database: known for known in marks.databases}
    yield from (
        f"schema_marks.toml: databases: no heads for {name}"
        for name in sorted(marked.keys() - {known.database for known in heads.databases})
    )
    for known in heads.databases:
        told = marked.get(known.database)
        if told is None:
            yield f"schema_marks.toml: databases: nothing for {known.database}"
            continue
        brought = {row for rows in known.new_revisions.values() for row in rows}
        listed = {revision.id for revision in told.revisions}
        first = set(known.heads.get(min(whole.ids, default=""), ()))
        before = {row for revision in told.revisions for row in revision.after} - listed - first
        where = f"schema_marks.toml: {known.database}.revisions"
        yield from (f"{where}: nothing for {row}" for row in sorted(brought - listed))
        yield from (f"{where}: {row} is in no release's new_revisions" for row in sorted(listed - brought))
        yield from (f"{where}: after: {row} is unknown" for row in sorted(before))


def _known_faults(whole: Whole) -> Iterable[str]:
    """Known faults name releases, services and databases of the graph, each fault once."""
    known = whole.one("migration_faults.toml", MigrationFaults)
    migrations = whole.one("migrations.toml", Migrations)
    if known is None or migrations is None:
        return
    services = {service.name: service for service in migrations.services}
    for index, fault in enumerate(known.faults):
        where = f"migration_faults.toml: faults[{index}] ({fault.id})"
        yield from (f"{where}.targets: {name} is not a release" for name in fault.targets if name not in whole.ids)
        service = services.get(fault.service)
        if service is None:
            yield f"{where}.service: {fault.service} has no migrations"
            continue
        for query in (*fault.after, *fault.rows, *fault.foreseen):
            if query.database not in service.databases:
                yield f"{where}: {query.table} is in no database of {fault.service}"
    ids = [fault.id for fault in known.faults]
    yield from (f"migration_faults.toml: id {name} is there {count} times" for name, count in _repeated(ids))


def _references(whole: Whole) -> Iterable[str]:
    named: list[tuple[str, str | None]] = []
    skips = whole.one("slurp.toml", schema.Skips)
    for index, skip in enumerate(skips.skips if skips else ()):
        named += [(f"slurp.toml: skips[{index}].from", skip.origin), (f"slurp.toml: skips[{index}].to", skip.target)]
    tasks = whole.one("schema_tasks.toml", schema.SchemaTasks)
    for index, task in enumerate(tasks.tasks if tasks else ()):
        named += [(f"schema_tasks.toml: tasks[{index}].{end}", getattr(task, end)) for end in ("first", "last")]
    containers = whole.one("containers.toml", records.Containers)
    for index, container in enumerate(containers.containers if containers else ()):
        named += [(f"containers.toml: containers[{index}].{end}", getattr(container, end)) for end in ("first", "last")]
    left = whole.one("leftovers.toml", Leftovers)
    for index, kind in enumerate(left.leftovers if left else ()):
        named += [(f"leftovers.toml: leftovers[{index}].{end}", getattr(kind, end)) for end in ("first", "last")]
    windows = whole.one("risks/host_os.toml", records.HostWindows)
    for index, window in enumerate(windows.windows if windows else ()):
        where = f"risks/host_os.toml: windows[{index}]"
        named += [(f"{where}.possible_on", release) for release in window.possible_on]
        named.append((f"{where}.deadline_before", window.deadline_before))
    cli = whole.one("cli.toml", records.Cli)
    for index, generation in enumerate(cli.generations if cli else ()):
        named += [(f"cli.toml: generations[{index}].releases", release) for release in generation.releases]
    for where, release in named:
        if release is not None and release not in whole.ids:
            yield f"{where}: {release} is not a release of the graph"


def _repeated(values: list[str]) -> list[tuple[str, int]]:
    return sorted((value, count) for value, count in Counter(values).items() if count > 1)
