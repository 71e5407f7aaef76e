"""Shapes of the files that single commands need: actions, variables, play order, containers, commands, risks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from upgrader.graph.schema import Change, Lists, Record, Shape, Sources, Table, Text
from upgrader.model import ReleaseId
from upgrader.value import NOTHING, AtLeast, Pattern, Sealed, named


class Action(Record):
    """Something an operator has to do or to know; `applies_if` is the expression that says for which clouds."""

    id: Text
    title: Text
    when: Literal["before", "during", "after"]
    severity: Literal["blocker", "required", "advised"]
    applies_if: Text
    satisfied_if: str = ""
    """Expression that holds once what was to be done is done; empty: nothing can tell."""
    condition_text: str = ""
    """The condition in words, where they say more than the expression."""
    evidence: str = ""
    """What must be known to judge it; required where an expression asks for the operator's answers."""
    overridable: bool = False
    """A blocker for which the operator's word is the best evidence there is."""
    done_by: str = ""
    """Stage of this tool that carries it out itself; empty: it is the operator's to do."""
    detail: str = ""
    commands: tuple[Text, ...] = ()
    settings: Table = NOTHING
    enforced_by: str = ""
    check: str = ""
    downtime: str = ""
    rollback: str = ""
    says: tuple[Text, ...] = ()
    """Regular expressions: a failed task or a log that says one of them shows that it was not done."""

    def consistent(self) -> None:
        for pattern in self.says:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern}: {error}") from None


class CommonActions(Shape):
    actions: tuple[Action, ...]


class HopActions(Shape):
    source: ReleaseId = named(alias="from")
    target: ReleaseId = named(alias="to")
    actions: tuple[Action, ...]


class RemovedVariables(Record):
    group_vars: tuple[Text, ...]
    role_defaults: tuple[Text, ...]


class Renamed(Shape):
    name: Text
    to: Text


class HopVariables(Shape):
    source: ReleaseId = named(alias="from")
    target: ReleaseId = named(alias="to")
    renamed_source: Sources
    changed_defaults_source: Sources
    removed: RemovedVariables
    renamed: tuple[Renamed, ...] = ()
    changed_defaults: tuple[Change, ...] = ()


# ---------------------------------------------------------------- per release


class DefaultsFile(Shape):
    """Defaults of one file of a kolla-ansible package, as written there: JSON text, templates included."""

    path: Text
    """`ansible/group_vars/all.yml`, `ansible/roles/nova/defaults/main.yml`."""
    values: Table

    @property
    def role(self) -> str:
        """The role whose defaults these are; empty for group_vars."""
        parts = self.path.split("/")
        return parts[2] if parts[1] == "roles" else ""


class Defaults(Record):
    """Raw defaults of one release: of every variable that a condition names and of those their templates name."""

    release: ReleaseId
    files: tuple[DefaultsFile, ...]

    def find(self, name: str) -> tuple[str, str] | None:
        """(JSON text, path of the file) of a variable; None when the release gives it no default or none is kept."""
        return next(((file.values[name], file.path) for file in self.files if name in file.values), None)


class ServiceVersion(Shape):
    line: Text
    newest: Text


class NovaRpc(Record):
    service_version: int
    oldest_supported_compute: Text
    min_libvirt: Text
    min_qemu: Text


class ReleaseComponents(Shape):
    """What the images of one release hold."""

    release: ReleaseId
    rabbitmq_extra_images: tuple[Text, ...]
    components_source: Sources
    services_note: str = ""
    services_inferred: str = ""
    services_source: Sources
    components: Table
    services: Annotated[Mapping[Text, ServiceVersion], Sealed()]
    nova_rpc: NovaRpc


class Role(Shape):
    name: Text
    playbook: str = ""
    enabled_by: str = ""
    """Group made from the enable variable; empty: always part of the run."""
    placement: tuple[Text, ...]
    tags: tuple[Text, ...]


class ServiceOrder(Shape):
    release: ReleaseId
    playbook: Text
    source: Sources
    roles: tuple[Role, ...]


# ---------------------------------------------------------------- containers


class Container(Shape):
    name: Text
    role: Text
    image: Text
    group: Text
    first: ReleaseId | None = None
    last: ReleaseId | None = None
    placement: tuple[Text, ...] = ()
    placement_earlier: tuple[Text, ...] = ()
    image_earlier: tuple[Text, ...] = ()

    def covers(self, release: str) -> bool:
        return (self.first or "") <= release <= (self.last or "9999.9")


class Volume(Shape):
    name: Text
    role: Text
    content: Text


class BackupLayout(Shape):
    id: Text
    pattern: Text


class DatabaseBackup(Record):
    precondition: Text
    volume: Text
    host: Text
    scope: Text
    image: Text
    restore: Text
    caveat: Text
    file_layout: tuple[BackupLayout, ...]


class Containers(Shape):
    note: Text
    source: Sources
    volumes_source: Sources
    containers: tuple[Container, ...]
    volumes: tuple[Volume, ...]
    database_backup: DatabaseBackup


# ---------------------------------------------------------------- kolla-ansible's commands


class Generation(Record):
    id: Literal["bash", "cliff"]
    releases: tuple[ReleaseId, ...]
    implementation: Text
    argument_order: Text
    exit_code: Text
    note: str = ""


class SiteActions(Record):
    values: tuple[Text, ...]


class Command(Record):
    id: Text
    title: Text
    playbook: str = ""
    releases: tuple[ReleaseId, ...] = ()
    bash_name: str = ""
    cliff_name: str = ""
    options: tuple[Text, ...] = ()
    detail: str = ""
    extra_vars: Table = NOTHING
    extra_vars_note: str = ""


class Option(Record):
    id: Text
    bash: str = ""
    cliff: str = ""
    note: str = ""


class Companion(Shape):
    id: Text
    purpose: Text
    source: tuple[Text, ...] = ()


class HealthCheck(Record):
    id: Text
    what: Text
    since: str = ""


class Cli(Shape):
    generations: tuple[Generation, ...]
    site_actions: SiteActions
    commands: tuple[Command, ...]
    options: tuple[Option, ...]
    companions: tuple[Companion, ...]
    health_checks: tuple[HealthCheck, ...]


# ---------------------------------------------------------------- risks


class HostWindow(Shape):
    id: Text
    finding: Text
    """Id of what an operator is told whose hosts have to go through it."""
    origin: Text = named(alias="from")
    target: Text = named(alias="to")
    leave: Lists
    """Systems that have to go, named as in `Release.host_os`."""
    become: Lists = NOTHING
    """Systems that follow them; empty: another distribution has to be chosen."""
    actions: tuple[Text, ...] = ()
    """Actions of hops that say the same as this window."""
    possible_on: tuple[ReleaseId, ...]
    only: tuple[Text, ...] = ()
    """Point releases that narrow a window: `2024.1: 18.7.0 or newer`."""
    deadline_before: ReleaseId


class HostWindows(Shape):
    source: Sources
    windows: tuple[HostWindow, ...]


class WayBackFact(Record):
    id: Text
    fact: Text


class WayBackFacts(Shape):
    facts: tuple[WayBackFact, ...]


class UpstreamRule(Shape):
    version: Text
    needs: Text
    oldest: Annotated[tuple[Text, ...], AtLeast(1)]
    """The oldest version of each series from which this one may be reached directly."""
    flags: tuple[Text, ...] = ()
    """Feature flags that have to be on before."""


class QueueVariable(Shape):
    name: Text
    releases: Text
    default: Text
    meaning: Text


class FeatureFlags(Record):
    behaviour: Text
    irreversible: bool


class QueueMigration(Record):
    steps: tuple[Text, ...]
    services: Text
    ci_order: Text


class AllowedSteps(Record):
    first: ReleaseId
    last: ReleaseId
    rule: Text
    note: str = ""
    minor_steps: int | None = None
    """Minor versions of one major that may be climbed at once; None: any."""
    jumps: tuple[Annotated[str, Pattern(r"^\d+\.\d+ \d+\.\d+$")], ...] = ()
    """`FROM TO` of what is allowed besides."""
    extended_by: str = ""
    """Variable of the operator that lists further jumps."""


class BrokerUsers(Record):
    tags: tuple[Text, ...]
    notify_only: tuple[Text, ...]
    """Tags of those that declare no queue of their own."""


class QueueDemand(Record):
    """Which queue types the check of a range of releases wants, and under which switches."""

    first: ReleaseId
    last: ReleaseId
    always: Literal["", "durable"] = ""
    quorum_if: str = ""
    durable_if: str = ""
    streams_if: str = ""


class Switch(Record):
    """One variable over a range of releases."""

    name: Text
    first: ReleaseId
    last: ReleaseId
    default: Annotated[str, Pattern(r"^(true|false|all of: \w+( \w+)*)$")]
    migrated: Literal["", "true"] = ""
    """Value that the migration sets on these releases; empty: it is not set."""
    kept_off: bool = False
    """An operator who set it to false keeps it."""


class RabbitmqPrecheck(Record):
    id: Text
    kind: Text
    rule: Text
    since: Text


class Experience(Record):
    id: Text
    fact: Text


class Rabbitmq(Shape):
    check_tag: Text
    check_runs_in: tuple[Text, ...]
    upstream_source: Sources
    queue_variables_source: Sources
    doc_gap: Text
    upstream_rules: tuple[UpstreamRule, ...]
    queue_variables: tuple[QueueVariable, ...]
    feature_flags: FeatureFlags
    migration: QueueMigration
    users: BrokerUsers
    demands: tuple[QueueDemand, ...]
    switches: tuple[Switch, ...]
    allowed: tuple[AllowedSteps, ...]
    prechecks: tuple[RabbitmqPrecheck, ...]
    experience: tuple[Experience, ...]
