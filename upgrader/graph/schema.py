"""Shapes of the files every plan needs: releases, hops, schema heads, schema tasks, and upstream's skips.

Owns the shapes and nothing else: no reading, no checks between files (`check.py`). Unknown fields, wrong types and
missing sources are faults. The rarer files have their shapes in `records.py`, so that a plan does not pay for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from upgrader.model import ReleaseId, Way
from upgrader.value import NOTHING, AtLeast, Lenient, Pattern, Sealed, Value, named

Text = Annotated[str, AtLeast(1)]
Day = Annotated[str, Pattern(r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$")]
Sources = Annotated[tuple[Text, ...], AtLeast(1)]


Table = Annotated[Mapping[Text, Text], Sealed()]
Lists = Annotated[Mapping[Text, tuple[Text, ...]], Sealed()]
PerRelease = Annotated[Mapping[ReleaseId, tuple[Text, ...]], Sealed()]


class Shape(Value):
    """A part of a data file."""


class Record(Shape):
    """A fact with where it comes from; `inferred` names the part that no source states, empty when all is stated."""

    source: Sources
    inferred: str = ""


class Change(Shape):
    """A named thing before and after a hop."""

    name: Text
    before: Text
    after: Text


class Move(Shape):
    before: Text
    after: Text


class GroupMove(Shape):
    before: tuple[Text, ...]
    after: tuple[Text, ...]


# ---------------------------------------------------------------- a release


class KollaAnsible(Record):
    major: Annotated[int, AtLeast(1)]
    newest: str = ""
    """Newest published version of the series; empty when none is published."""
    first_release: str = ""
    python_requires: Text
    python_classifiers: tuple[Text, ...]
    ansible_core: Text
    """Version range in the form of PEP 440."""
    ansible_core_series: Annotated[tuple[Text, ...], AtLeast(1)]
    note: str = ""


class ImageTag(Record):
    openstack_release: ReleaseId
    pattern: Text
    examples: tuple[Text, ...]


class InstallDepsBroken(Record):
    detail: Text


class Release(Shape):
    """One OpenStack release as Kolla-Ansible deploys it."""

    id: ReleaseId
    codename: Annotated[str, Pattern(r"^[a-z]+$")]
    released: Day
    slurp: bool
    status: Literal["maintained", "unmaintained", "end of life"]
    status_as_of: Day
    status_inferred: bool = False
    status_note: str = ""
    unmaintained_from: Day | None = None
    end_of_life: Day | None = None
    kolla_end_of_life: Day | None = None
    """When kolla and kolla-ansible themselves were given up, which may differ from the other projects."""
    provisional: str = ""
    """Why the facts of this release are not final; empty when they are. Plans to a provisional release are refused."""
    kolla_newest: Text
    engines: Annotated[tuple[Literal["docker", "podman"], ...], AtLeast(1)]
    docker_min: Text
    docker_python_sdk: Text
    collection_ref: Text
    base_image_note: str = ""
    source: Sources
    engines_source: Sources
    host_os_source: Sources
    kolla_ansible: KollaAnsible
    image_tag: ImageTag
    host_os: Lists
    base_images: Table
    install_deps_broken: InstallDepsBroken | None = None

    @property
    def title(self) -> str:
        """Name for people: `2025.1 (Epoxy)`."""
        return f"{self.id} ({self.codename.capitalize()})"

    @property
    def cli(self) -> Literal["bash", "cliff"]:
        """Generation of the kolla-ansible command: a shell script up to 18.x, a Python program from 19.x on."""
        return "bash" if self.kolla_ansible.major < 19 else "cliff"


# ---------------------------------------------------------------- a hop


class HopHosts(Record):
    must_leave: Lists
    """Host systems that have to be gone before the hop."""
    new: Lists
    """Host systems that become possible with it."""


class HopRabbitmq(Record):
    before: Text
    after: Text
    direct_from: tuple[Text, ...]
    optional_target: str = ""
    reset_state: Text
    note: str = ""


class HopGroups(Record):
    added: Lists
    """Inventory groups the target's plays use: name to the groups it holds in the sample inventory."""
    removed: tuple[Text, ...]
    moved: Annotated[Mapping[Text, GroupMove], Sealed()]


class HopNames(Record):
    added: tuple[Text, ...]
    removed: tuple[Text, ...]


class HopContainers(HopNames):
    image_changed: Annotated[Mapping[Text, Move], Sealed()]


Nature = Literal["additive", "not additive", "unknown"]
"""Additive: only new tables, columns, indexes or foreign keys. Unknown: the operations do not tell."""


class Revision(Shape):
    id: Text
    branch: Text
    nature: Nature
    operations: tuple[Text, ...]


class SchemaChange(Shape):
    """Migration scripts that appear between two releases' source trees; what is *loaded* is in the schema heads."""

    name: Text
    changes: Annotated[int, AtLeast(0)]
    nature: Nature | None = None
    revisions: tuple[Revision, ...] = ()


class HopSchema(Record):
    how: Text
    services: tuple[SchemaChange, ...]


class Irreversible(Record):
    """Something on a hop that old images alone may not be able to read back."""

    id: Text
    component: Text
    title: Text
    way: Annotated[Way, Lenient()]
    """What it takes to come back, read from the two texts below."""
    applies_if: Text
    services: tuple[Text, ...]
    """Services or containers whose presence makes it apply; empty: every cloud."""
    becomes_irreversible: Text
    redeploy_old_images: Text
    restore_needs: Text
    detail: str = ""


class Hop(Shape):
    """Edge between two neighbouring releases."""

    source: ReleaseId = named(alias="from")
    target: ReleaseId = named(alias="to")
    summary: Text
    slurp_skip: str = ""
    """The upstream skip that would jump over this hop, information only."""
    nova_oldest_compute: Text
    provisional: str = ""
    kolla_ansible_before: Text
    kolla_ansible_after: str = ""
    components: tuple[Change, ...]
    host_os: HopHosts
    rabbitmq: HopRabbitmq
    groups: HopGroups
    passwords: HopNames
    roles: HopNames
    containers: HopContainers
    schema_: HopSchema = named(alias="schema")
    irreversible: tuple[Irreversible, ...]

    @property
    def key(self) -> str:
        """Name in file names: `2025.1-2025.2`."""
        return f"{self.source}-{self.target}"

    @property
    def title(self) -> str:
        return f"{self.source} → {self.target}"


class Skip(Record):
    """A jump over one release that upstream supports and tests. This tool never takes it."""

    origin: ReleaseId = named(alias="from")
    target: ReleaseId = named(alias="to")
    tested_by: Text
    extra: tuple[Text, ...]


class Skips(Shape):
    skips: tuple[Skip, ...]


# ---------------------------------------------------------------- schema heads and tasks


class DatabaseHeads(Shape):
    """What the version table of one service database holds after a complete migration with each release."""

    database: Text
    service: Text
    package: Text
    version_table: Text
    tool: Text
    scripts: Text
    also: tuple[Text, ...] = ()
    """Further databases with the same schema, such as nova_cell0."""
    heads: PerRelease
    read_from: Table
    """Versions of the package whose scripts were read, per release."""
    new_revisions: PerRelease
    shipped_but_not_loaded: PerRelease = NOTHING

    @property
    def names(self) -> tuple[str, ...]:
        return (self.database, *self.also)


class SchemaHeads(Shape):
    how: Text
    note: Text
    source: Sources
    databases: tuple[DatabaseHeads, ...]


class SchemaTask(Shape):
    """A task of kolla-ansible's roles after whose start old images may no longer read what they find."""

    service: Text
    role: Text
    task: Text
    kind: Literal["schema", "online", "store"]
    """A database schema; rows changed while services run; a data directory or volume."""
    part: Literal["all", "expand", "migrate", "contract"] = "all"
    databases: tuple[Text, ...] = ()
    """Databases of the schema heads that it changes; empty where no heads are known."""
    first: ReleaseId | None = None
    last: ReleaseId | None = None
    files: Annotated[tuple[Text, ...], AtLeast(1)]

    def consistent(self) -> None:
        if self.first and self.last and self.first > self.last:
            raise ValueError(f"first {self.first} is after last {self.last}")

    @property
    def pattern(self) -> str:
        """Regular expression for `re.search` that fits the task's name with or without its role in front."""
        return rf"^(?:{re.escape(self.role)} : )?{re.escape(self.task)}$"

    def covers(self, release: str) -> bool:
        return (self.first or "") <= release <= (self.last or "9999.9")


class Harmless(Shape):
    task: Text
    why: Text


class SchemaTasks(Shape):
    source: Sources
    parts_source: Sources
    note: Text
    tasks: tuple[SchemaTask, ...]
    harmless: tuple[Harmless, ...]
    """Tasks that look alike and change nothing that matters for a way back."""
