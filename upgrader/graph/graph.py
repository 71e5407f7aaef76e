"""The releases and the hops between them, read from the data when they are asked for.

Every edge read here joins neighbours, so the edges are pieces of one chain and a path is walked. That the data is one
sound graph is proved with networkx (`structure.py`), by the check of the whole and by the tests.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from upgrader.errors import RefusedError
from upgrader.graph.load import damaged, data_folder, files_digest, parse, read_files
from upgrader.graph.schema import DatabaseHeads, Hop, Release, SchemaHeads, SchemaTask, SchemaTasks, Skip, Skips
from upgrader.value import Value

if TYPE_CHECKING:
    from upgrader.graph import records
    from upgrader.graph.leftovers import Leftovers
    from upgrader.graph.marks import DatabaseMarks
    from upgrader.graph.migration_faults import MigrationFaults
    from upgrader.graph.migrations import ServiceMigrations

Part = TypeVar("Part", bound=Value)
Edge = tuple[str, str]


class ReleaseGraph:
    """Validated view of one set of data files. A file is parsed at most once, and only when something of it is asked.

    Whatever is asked for raises DataError, naming file and field, when its file is damaged.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._parsed: dict[str, Value] = {}
        self.version = files["VERSION"].decode(errors="replace").strip()
        self.sha256 = files_digest(files)
        self.releases = self._read_releases()
        self._by_id = {release.id: release for release in self.releases}
        self.edges = self._read_edges()

    # ------------------------------------------------------------ releases

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._by_id)

    def find(self, name: str) -> Release | None:
        """The release with this id or codename; codenames in any case. None when there is none."""
        wanted = name.strip().lower()
        return next((release for release in self.releases if wanted in (release.id, release.codename)), None)

    def release(self, name: str) -> Release:
        """Like `find`, but an unknown name raises RefusedError with the nearest names."""
        found = self.find(name)
        if found is None:
            raise RefusedError(f"{name!r} is not a release of the graph; {self.hint(name)}", reason="unknown-release")
        return found

    def hint(self, name: str) -> str:
        """Words that help with an unknown name: the nearest ones, and what the graph knows."""
        names = [text for release in self.releases for text in (release.id, release.codename)]
        near = difflib.get_close_matches(name.strip().lower(), names, n=3, cutoff=0.6)
        known = f"the graph knows {self.releases[0].id} to {self.releases[-1].id}"
        return f"nearest: {', '.join(near)} ({known})" if near else known

    def between(self, source: str, target: str) -> tuple[Release, ...]:
        """Releases strictly between two others, in order; empty when there is none or the order is reversed."""
        low, high = self.release(source).id, self.release(target).id
        return tuple(release for release in self.releases if low < release.id < high)

    # ------------------------------------------------------------ hops

    def hop(self, source: str, target: str) -> Hop:
        """The hop between two neighbours; RefusedError when the graph has none."""
        pair = (self.release(source).id, self.release(target).id)
        if pair not in self.edges:
            raise RefusedError(f"The graph has no hop {pair[0]} → {pair[1]}.", reason="no-path")
        return self._one(f"hops/{pair[0]}-{pair[1]}.toml", Hop)

    def next_hop(self, source: str) -> Hop | None:
        """The hop that leaves a release, None at the end of the graph."""
        start = self.release(source).id
        return next((self.hop(*edge) for edge in self.edges if edge[0] == start), None)

    def path(self, source: str, target: str) -> tuple[Hop, ...]:
        """The one path between two releases, hop by hop; empty from a release to itself.

        Raises RefusedError for an unknown release and where no path leads (backwards never does), naming the hop
        where it ends; DataError when the data of one of the hops is damaged.
        """
        start, end = self.release(source).id, self.release(target).id
        return tuple(self.hop(*edge) for edge in chain(self.edges, start, end))

    def skip(self, source: str, target: str) -> Skip | None:
        """The jump between these two that upstream supports; information for people, never a way."""
        return next((skip for skip in self.skips if (skip.origin, skip.target) == (source, target)), None)

    @property
    def skips(self) -> tuple[Skip, ...]:
        return self._one("slurp.toml", Skips).skips

    # ------------------------------------------------------------ schemas

    @property
    def databases(self) -> tuple[DatabaseHeads, ...]:
        return self._one("schema_heads.toml", SchemaHeads).databases

    def heads(self, release: str) -> dict[str, tuple[str, ...]]:
        """Expected rows of the version table of every database of which heads are known, at this release."""
        wanted = self.release(release).id
        return {name: known.heads[wanted] for known in self.databases for name in known.names}

    @property
    def marks(self) -> tuple[DatabaseMarks, ...]:
        """Tables by which each service's database is known, and what every migration script leaves in it."""
        from upgrader.graph.marks import SchemaMarks

        return self._one("schema_marks.toml", SchemaMarks).databases

    def releases_for_heads(self, database: str, heads: Iterable[str]) -> tuple[str, ...]:
        """Releases whose complete schema of this database has exactly these heads, in order."""
        rows = tuple(sorted(heads))
        for known in self.databases:
            if database in known.names:
                return tuple(release for release in known.heads if tuple(sorted(known.heads[release])) == rows)
        return ()

    def schema_tasks(self, release: str) -> tuple[SchemaTask, ...]:
        """Tasks of this release's roles after whose start old images may not read what they find, in play order."""
        wanted = self.release(release).id
        return tuple(task for task in self._one("schema_tasks.toml", SchemaTasks).tasks if task.covers(wanted))

    # ------------------------------------------------------------ the rest, for those who ask

    def actions(self, hop: Hop) -> tuple[records.Action, ...]:
        """What an operator has to do or to know for a hop: that of every hop first, then its own."""
        from upgrader.graph import records

        return self.common_actions + self._one(f"actions/{hop.key}.toml", records.HopActions).actions

    @property
    def common_actions(self) -> tuple[records.Action, ...]:
        """Those of every hop."""
        from upgrader.graph import records

        return self._one("actions/common.toml", records.CommonActions).actions

    def variables(self, hop: Hop) -> records.HopVariables:
        """Variables that a hop removes, renames, or gives another default."""
        from upgrader.graph import records

        return self._one(f"variables/{hop.key}.toml", records.HopVariables)

    def defaults(self, release: str) -> records.Defaults:
        """Raw defaults of the variables that conditions name, as that release's packages write them.

        Raises DataError for a provisional release: nothing is published that could be read.
        """
        from upgrader.graph import records

        return self._one(f"defaults/{self.release(release).id}.toml", records.Defaults)

    def components(self, release: str) -> records.ReleaseComponents:
        """What the images of a release hold."""
        from upgrader.graph import records

        return self._one(f"components/{self.release(release).id}.toml", records.ReleaseComponents)

    def service_order(self, release: str) -> records.ServiceOrder:
        """Order of the plays of one upgrade at a release."""
        from upgrader.graph import records

        return self._one(f"service_order/{self.release(release).id}.toml", records.ServiceOrder)

    @property
    def containers(self) -> records.Containers:
        from upgrader.graph import records

        return self._one("containers.toml", records.Containers)

    @property
    def cli(self) -> records.Cli:
        from upgrader.graph import records

        return self._one("cli.toml", records.Cli)

    @property
    def rabbitmq(self) -> records.Rabbitmq:
        from upgrader.graph import records

        return self._one("risks/rabbitmq.toml", records.Rabbitmq)

    @property
    def migrations(self) -> tuple[ServiceMigrations, ...]:
        """How each service migrates its databases, in the order in which kolla-ansible upgrades them."""
        from upgrader.graph.migrations import Migrations

        return self._one("migrations.toml", Migrations).services

    @property
    def migration_faults(self) -> MigrationFaults:
        """What is known to make a migration fail or mislead, and what mends it."""
        from upgrader.graph.migration_faults import MigrationFaults

        return self._one("migration_faults.toml", MigrationFaults)

    @property
    def leftovers(self) -> Leftovers:
        """What roles that are interrupted leave behind, and how it is put right."""
        from upgrader.graph.leftovers import Leftovers

        return self._one("leftovers.toml", Leftovers)

    @property
    def host_windows(self) -> tuple[records.HostWindow, ...]:
        from upgrader.graph import records

        return self._one("risks/host_os.toml", records.HostWindows).windows

    @property
    def way_back_facts(self) -> tuple[records.WayBackFact, ...]:
        from upgrader.graph import records

        return self._one("risks/way_back.toml", records.WayBackFacts).facts

    # ------------------------------------------------------------ reading

    def _one(self, name: str, shape: type[Part]) -> Part:
        value = self._parsed.get(name)
        if value is None:
            faults: list[str] = []
            value = parse(self._files, name, shape, faults)
            if value is None:
                raise damaged(faults)
            self._parsed[name] = value
        if not isinstance(value, shape):
            raise TypeError(f"{name} was read as {type(value).__name__}, not as {shape.__name__}")
        return value

    def _read_releases(self) -> tuple[Release, ...]:
        faults: list[str] = []
        found: list[Release] = []
        for name in names_in(self._files, "releases"):
            release = parse(self._files, f"releases/{name}.toml", Release, faults)
            if release is None:
                continue
            if release.id != name:
                faults.append(f"releases/{name}.toml: id: says {release.id}, the file name says {name}")
            found.append(release)
        if not found and not faults:
            faults.append("releases: holds no release")
        if faults:
            raise damaged(faults)
        return tuple(found)

    def _read_edges(self) -> tuple[tuple[str, str], ...]:
        faults: list[str] = []
        edges: list[tuple[str, str]] = []
        for name in names_in(self._files, "hops"):
            source, _, target = name.partition("-")
            faults.extend(edge_faults(self.ids, name, source, target))
            edges.append((source, target))
        if faults:
            raise damaged(faults)
        return tuple(edges)


def chain(edges: Iterable[Edge], source: str, target: str) -> tuple[Edge, ...]:
    """The edges that lead from one release to another; empty from a release to itself.

    Of edges without a fault (`structure_faults`; a gap elsewhere does no harm) these are the one path. Raises
    RefusedError (reason `no-path`) where no path leads.
    """
    following = dict(edges)
    steps: list[Edge] = []
    at = source
    while at != target:
        if at not in following:
            why = f"nothing leads on from {at}" if source < target else "hops lead forward only"
            raise RefusedError(f"No path leads from {source} to {target}: {why}.", reason="no-path")
        steps.append((at, following.pop(at)))
        at = steps[-1][1]
    return tuple(steps)


def edge_faults(ids: tuple[str, ...], name: str, source: str, target: str) -> list[str]:
    """What is wrong with one hop as an edge: ends that are no release, a step that is not to the next one."""
    file = f"hops/{name}.toml"
    faults = [
        f"{file}: {field}: {end!r} is not a release of the graph"
        for field, end in (("from", source), ("to", target))
        if end not in ids
    ]
    if not faults and ids.index(target) != ids.index(source) + 1:
        faults.append(f"{file}: to: {target} does not follow {source}; hops join neighbours only")
    return faults


def names_in(files: Iterable[str], folder: str) -> list[str]:
    """File names below a folder, without their ending, sorted."""
    front = f"{folder}/"
    return sorted(name.removeprefix(front).removesuffix(".toml") for name in files if name.startswith(front))


def load_graph(folder: Path | None = None) -> ReleaseGraph:
    """The graph in `folder`, or the shipped one. Reads the releases now and every other file when it is asked for.

    Raises DataError with every fault of what it reads, by file and field.
    """
    return ReleaseGraph(read_files(folder or data_folder()))
