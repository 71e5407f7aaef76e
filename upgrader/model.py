"""Frozen values that every layer speaks: what was seen of the cloud, and what is going to be done.

Owns the shapes and their canonical form; never reads files, the network or the clock. Values that come
from outside are validated once, here, when they are built; after that nobody checks them again.
Release ids such as `"2025.1"` are strings everywhere: YAML would read them as numbers.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from upgrader.observed import ClockFacts, GaleraFacts, Observed
from upgrader.rendered import ConfigDifference
from upgrader.value import Pattern, Value, named
from upgrader.wave import Wave

ReleaseId = Annotated[str, Pattern(r"^20[0-9]{2}\.[12]$")]

PLAN_SCHEMA = 1
"""Version of the plan document; a reader refuses what it does not know."""


def canonical(document: Any) -> bytes:
    """The one byte form of a JSON document that hashes are taken of: sorted keys, no spaces, UTF-8, no NaN."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(document: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(document)).hexdigest()


class Code(StrEnum):
    """Answer of a gate or probe; the worst of several wins."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"

    @property
    def rank(self) -> int:
        return list(Code).index(self)


def worst(codes: list[Code] | tuple[Code, ...]) -> Code:
    """The most severe of the codes; SUCCESS when there is none."""
    return max(codes, key=lambda code: code.rank, default=Code.SUCCESS)


class Way(StrEnum):
    """Way back: what it takes to return to the release before."""

    NOTHING = "nothing"
    REDEPLOY = "redeploy"
    RESTORE = "restore"
    FORWARD_ONLY = "forward-only"


class Finding(Value):
    """One thing a gate or probe found. `next` is what the operator types or does about it."""

    id: str
    code: Code
    message: str
    host: str = ""
    """Host, or hosts separated by commas, that it is about."""
    evidence: str = ""
    next: str = ""
    source: str = ""
    severity: Literal["", "blocker", "required", "advised"] = ""
    """How the release graph rates it; empty for what a probe found."""
    hop: str = ""
    """`2024.2→2025.1`; empty: it is about the cloud as it is."""
    when: Literal["before", "during", "after"] = "before"
    variable: str = ""
    why: str = ""
    fix: tuple[str, ...] = ()
    """Settings and commands that settle it, in order."""
    unknown: bool = False
    """The gate could not be evaluated; `evidence` says what is missing."""
    overridable: bool = False
    """A blocker that the operator's typed reason may set aside."""
    accepted: tuple[str, str] = ("", "")
    """(who, reason) of one who took the risk by name."""
    regressed: bool = False
    """It had been settled before and is back."""

    @property
    def blocks(self) -> bool:
        """It stops the hop: a failure whose risk nobody took."""
        return self.code is Code.FAILURE and not self.accepted[1]


class ContainerFacts(Value):
    name: str
    image: str
    """Image reference as the container was created with, e.g. `registry:4000/kolla/keystone:2025.1-debian-bookworm`."""
    image_id: str = ""
    """Content digest (`sha256:…`) of the image in use."""
    labels: tuple[tuple[str, str], ...] = ()
    """Labels of the image that help to name a release, sorted by key."""
    state: str = "running"
    health: str = ""
    started_at: str = ""


class DiskFacts(Value):
    path: str
    total_bytes: int
    free_bytes: int


class HostFacts(Value):
    name: str
    groups: tuple[str, ...] = ()
    reachable: bool = True
    error: str = ""
    """Why the host could not be read, in the transport's own words, stripped of secrets."""
    engine: str = ""
    engine_version: str = ""
    os: str = ""
    containers: tuple[ContainerFacts, ...] = ()
    disks: tuple[DiskFacts, ...] = ()
    kernel: str = ""
    sdk_version: str = ""
    """Version of the engine's Python library that kolla-ansible's modules use on this host."""
    clock: ClockFacts | None = None
    addresses: tuple[tuple[str, str], ...] | None = None
    """(interface, address without prefix length), sorted."""
    volumes: tuple[str, ...] | None = None
    images: tuple[str, ...] | None = None
    """References of the images on the host, sorted."""
    legacy_iptables: int | None = None
    """Rules in the legacy tables of the host's own network namespace."""
    unread: tuple[tuple[str, str], ...] = ()
    """(what, why) of what the host could not say, apart from its containers."""
    galera: GaleraFacts | None = None


class SchemaHead(Value):
    """Rows of the version table of one service's database, sorted."""

    database: str
    heads: tuple[str, ...]


class ReleaseReading(Value):
    """Which release runs, and how that is known.

    `exact`: every container of the cloud's own services says the same, and the heads agree. `mixed`: they do not;
    `evidence` says it host by host. `unknown`: nothing could be read or named; it is asked for, never guessed.
    """

    kind: Literal["exact", "mixed", "unknown"]
    release: str = ""
    how: str = ""
    evidence: tuple[str, ...] = ()
    by_service: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """(service, release, hosts), for every service and release seen."""


class CloudFacts(Value):
    """One frozen observation of a cloud. Everything in it was read; nothing was inferred from settings."""

    site: str
    observed_at: str
    """UTC, ISO 8601, seconds."""
    hosts: tuple[HostFacts, ...]
    heads: tuple[SchemaHead, ...] = ()
    heads_error: str = ""
    """Why heads could not be read; empty when they were."""
    reading: ReleaseReading
    observed: Observed = Observed()
    """What the services themselves said."""


# ---------------------------------------------------------------- what is going to be done


class Component(Value):
    """A third-party component in the images, before and after a hop."""

    name: str
    before: str
    after: str


class ByHand(Value):
    """Something the operator has to do or to know; `applies` is what could be found out about its condition."""

    id: str
    title: str
    when: Literal["before", "during", "after"]
    severity: Literal["blocker", "required", "advised"]
    condition: str = ""
    applies: Literal["yes", "no", "unknown"] = "unknown"
    detail: str = ""
    fix: tuple[str, ...] = ()
    source: tuple[str, ...] = ()


class WayBack(Value):
    """What returning takes for one service (or data store) once the hop has changed it."""

    service: str
    database: str = ""
    changes_schema: bool
    heads_before: tuple[str, ...] = ()
    heads_after: tuple[str, ...] = ()
    way: Way
    why: str
    enabled: bool | None = None
    """None: not known (a paper plan)."""


Answer = Literal["yes", "no", "unknown"]
BROKER_DUE, BROKER_WHY = "broker_due", "broker_why"
"""Facts of a hop that its checks leave: whether queues have to be migrated, as an Answer, and why."""
BROKER_DONE = "broker_done"
"""Fact of a hop whose queues were migrated."""


class BrokerPlan(Value):
    """RabbitMQ on one hop: its version before and after, and whether its queues have to be made anew first."""

    runs: bool | None = None
    """None: not known (a paper plan)."""
    before: str = ""
    """Version that runs before the hop: observed on the first hop, expected on later ones."""
    after: str = ""
    """Series in the target's image, the operator's image override considered; empty: not known."""
    allowed: Answer = "unknown"
    allowed_why: str = ""
    flags: tuple[str, ...] = ()
    """Feature flags that have to be on before the new version starts, and are not known to be."""
    demands: Literal["nothing", "quorum", "durable"] = "nothing"
    """What the target's own check wants: no certain type; quorum queues except for replies and fanout; all of them."""
    streams: bool = False
    """Fanout goes through streams after the migration."""
    migration: Answer = "no"
    migration_why: str = "the plan says nothing of RabbitMQ"
    outage: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    """Switches that the migration sets in globals.yml."""
    services: tuple[str, ...] = ()
    """Tags of the services that are stopped and deployed again."""
    mirrored: Answer = "no"
    """Mirrored queues are on, so that RabbitMQ itself has to be reconfigured."""
    commands: tuple[str, ...] = ()
    """What an operator would type with kolla-ansible for the same effect, in order."""
    checks_before: tuple[str, ...] = ()
    checks_after: tuple[str, ...] = ()


class ToolchainPin(Value):
    """The environment that drives one release: exact versions once it is built, ranges before."""

    release: ReleaseId
    kolla_ansible: str
    ansible_core: str
    python: str
    lock_sha256: str = ""
    """Digest of the built environment's lock; empty while it is not built."""


class StagePlan(Value):
    name: str
    when: Literal["before", "window"]
    """`before`: may run days ahead of the change window."""
    changes_cloud: bool
    way_back: Way
    commands: tuple[str, ...] = ()
    """What an operator would type with kolla-ansible for the same effect, with INVENTORY as placeholder."""


class HopPlan(Value):
    source: ReleaseId = named(alias="from")
    target: ReleaseId = named(alias="to")
    summary: str = ""
    toolchain: ToolchainPin
    toolchain_back: ToolchainPin
    """Environment of the release we come from; the way back needs it."""
    stages: tuple[StagePlan, ...]
    components: tuple[Component, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    way_back: tuple[WayBack, ...] = ()
    ponr: str = ""
    """The point of no return in words; empty when nothing of this cloud passes one on this hop."""
    settings: tuple[tuple[str, str], ...] = ()
    """Edits of globals.yml this hop makes: (key, new value)."""
    groups_added: tuple[str, ...] = ()
    passwords_added: tuple[str, ...] = ()
    broker: BrokerPlan = BrokerPlan()
    configuration: ConfigDifference | None = None
    """None: it was not asked for; rendering takes minutes."""

    @property
    def name(self) -> str:
        return f"{self.source}→{self.target}"


class Binding(Value):
    """What the plan was made from. A difference found later means drift: the plan is refused with the differences."""

    config_sha256: str = ""
    """Over the configuration folder's files except passwords, in canonical order."""
    inventory_sha256: str = ""
    passwords_hmac: str = ""
    """Keyed hash, so that the plan says nothing about the passwords themselves."""
    running: str = ""
    images: tuple[tuple[str, str, str], ...] = ()
    """(host, container, image reference), sorted."""
    heads: tuple[SchemaHead, ...] = ()


class Plan(Value):
    """A path for one site, frozen; its digest names it. `lineage` and `serial` bind it to one journal."""

    schema_version: Literal[1] = 1
    kind: Literal["plan"] = "plan"
    site: str
    """Name of the site, empty for a paper plan."""
    lineage: str = ""
    serial: int = 0
    source: ReleaseId = named(alias="from")
    target: ReleaseId = named(alias="to")
    known_by: str = ""
    """How the current release is known: containers, labels, heads, or the operator's word."""
    made_at: str = ""
    tool_version: str
    graph_version: str
    graph_sha256: str
    hops: tuple[HopPlan, ...]
    findings: tuple[Finding, ...] = ()
    binding: Binding = Binding()
    hosts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(host, groups) of the inventory, sorted."""
    waves: tuple[Wave, ...] = ()
    """In which order the hosts of every hop are upgraded; empty: all in one run."""
    left: tuple[str, ...] = ()
    """Compute hosts that stay on the release they run, by the operator's word."""

    @property
    def sha256(self) -> str:
        return digest(self.document())

    @property
    def blockers(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.blocks)


class AttemptRequest(Value):
    """Everything the supervisor of one attempt is told; written to `request.json` before it starts. Holds no secret."""

    schema_version: Literal[1] = 1
    attempt: str
    """uuid, also in the environment of every process of the attempt (UPGRADER_ATTEMPT)."""
    run: str
    epoch: int
    hop: int
    stage: str
    number: int
    site_file: str
    plan_file: str
    state_dir: str
    after_interrupt: bool = False
    acceptances: tuple[tuple[str, str], ...] = ()
    """(name, reason) of what the operator accepted before this attempt."""
    backup_set: str = ""
    """Folder of the backup set that the way back would use; empty when there is none yet."""
    journal_head: str = ""
    """Hash of the journal's last event before the intent; a backup set keeps it."""
    options: tuple[tuple[str, str], ...] = ()


class StepResult(Value):
    name: str
    code: Code
    seconds: int = 0
    message: str = ""
    evidence: tuple[str, ...] = ()


class StageOutcome(Value):
    """What a stage says of itself. `verdict`: succeeded, failed, inconclusive, or canceled between two steps."""

    verdict: Literal["succeeded", "failed", "inconclusive", "canceled"]
    message: str = ""
    steps: tuple[StepResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    schema_started: bool | None = None
    """Whether a schema change may have begun in this attempt; None: cannot be told, counts as yes."""
    facts: tuple[tuple[str, str], ...] = ()
    """Small results later stages need, e.g. (`backup_set`, folder)."""
