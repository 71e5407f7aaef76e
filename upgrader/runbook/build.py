"""(plan, site, estimates, journal head, window) → Document. Pure: reads no file, asks no host, knows no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from upgrader.estimates import Estimate
from upgrader.estimates.value import before_window, in_window, of, way_back
from upgrader.model import ByHand, Finding, HopPlan, Plan, Way, WayBack
from upgrader.runbook.commands import Typist
from upgrader.runbook.document import (
    Document,
    Downtime,
    FindingRow,
    HopPage,
    Identity,
    ServiceBack,
    SitePage,
    Span,
    Task,
)
from upgrader.runbook.draw import draw_hop, draw_path
from upgrader.runbook.go import go_list
from upgrader.runbook.stages import stage_pages
from upgrader.runbook.times import Opening, placed
from upgrader.window import frozen_at, schedule

if TYPE_CHECKING:
    from upgrader.config import Site

COUNTED = ("control", "network", "compute", "storage")
PLAN_FILE = "plan.json"


@dataclass(frozen=True, slots=True)
class JournalHead:
    """Where the journal stands: the hash of its last event and its number."""

    hash: str = ""
    events: int = 0


@dataclass(frozen=True, slots=True)
class Given:
    """What a document is made from besides plan and site."""

    estimates: tuple[Estimate, ...] = ()
    journal: JournalHead = JournalHead()
    openings: tuple[Opening, ...] = ()
    """When windows open: one for each hop, in order; hops beyond have none."""
    downtimes: Mapping[str, tuple[Downtime, ...]] = field(default_factory=dict)
    """Hop → what was measured of its APIs before."""
    plan_file: str = PLAN_FILE
    change: str = ""
    """The operator's own number of the change."""


def document(plan: Plan, site: Site | None = None, given: Given | None = None) -> Document:
    """The document of a plan. `site` is the plan's own; None for a paper plan."""
    given = given or Given()
    typist = Typist(site)
    hops = tuple(_hop(plan, number, site, given, typist) for number in range(len(plan.hops)))
    made = Document(
        site=_site(plan, site),
        source=plan.source,
        target=plan.target,
        paper=not plan.site,
        blocked=bool(plan.blockers),
        groups=_groups(plan),
        hosts=tuple(plan.hosts),
        hops=hops,
        findings=_findings(plan, typist),
        gates=(),
        tasks=_tasks(plan, typist),
        contacts=site.runbook.contacts if site else (),
        identity=_identity(plan, given),
        plan_file=given.plan_file,
        zone=given.openings[0].zone if given.openings else "UTC",
        change=given.change,
        picture=draw_path(plan, given.estimates),
    )
    return replace(made, gates=go_list(made, typist))


# ---------------------------------------------------------------- site and plan


def _site(plan: Plan, site: Site | None) -> SitePage:
    if site is None:
        return SitePage(name=plan.site)
    return SitePage(
        name=site.name,
        engine=site.engine,
        file=str(site.file),
        config_dir=str(site.config_dir),
        inventory=str(site.inventory),
        passwords=str(site.passwords),
        backup_dir=str(site.backup_dir),
        backup_method=site.backup_database,
        toolchains_dir=str(site.toolchains_dir),
        staging=str(site.staging or ""),
        offbox=site.offbox is not None,
        backup_hours=f"{site.backup_max_age / 3600:g}",
        soak_seconds=site.soak_seconds,
        window=schedule(site.window) if site.window else "",
    )


def _groups(plan: Plan) -> tuple[tuple[str, int], ...]:
    """Hosts by the groups that people count by; groups with the same hosts count once."""
    found: list[tuple[str, int]] = []
    seen: list[set[str]] = []
    for group in COUNTED:
        members = {host for host, groups in plan.hosts if group in groups}
        if members and members not in seen:
            seen.append(members)
            found.append((group, len(members)))
    return tuple(found)


def _identity(plan: Plan, given: Given) -> Identity:
    return Identity(
        plan_sha256=plan.sha256,
        made_at=plan.made_at,
        known_by=plan.known_by,
        tool_version=plan.tool_version,
        graph_version=plan.graph_version,
        graph_sha256=plan.graph_sha256,
        lineage=plan.lineage,
        serial=plan.serial,
        journal_head=given.journal.hash,
        journal_events=given.journal.events,
    )


def _findings(plan: Plan, typist: Typist) -> tuple[FindingRow, ...]:
    """What blocks first, then what nobody could judge, then warnings, then what was accepted."""
    order = ("blocks", "unknown", "warning", "accepted")
    rows = [_finding(finding, typist) for finding in plan.findings]
    return tuple(sorted(rows, key=lambda row: order.index(row.mark)))


def _finding(found: Finding, typist: Typist) -> FindingRow:
    return FindingRow(
        id=found.id,
        mark="accepted"
        if found.accepted[1]
        else "blocks"
        if found.blocks
        else "unknown"
        if found.unknown
        else "warning",
        message=found.message,
        host=found.host,
        hop=found.hop,
        evidence=found.evidence,
        why=found.why,
        next=typist.here(found.next),
        fix=tuple(typist.here(line) for line in found.fix),
        accepted_by=found.accepted[0],
        accepted_why=found.accepted[1],
    )


def _tasks(plan: Plan, typist: Typist) -> tuple[Task, ...]:
    """By hand, in the order of the hops; what several hops ask for alike is one task."""
    found: dict[tuple[str, str], Task] = {}
    for hop in plan.hops:
        for task in _by_hand(hop, typist):
            key = (task.id, task.applies)
            before = found.get(key)
            found[key] = replace(task, hops=(*(before.hops if before else ()), hop.name))
    return tuple(found.values())


def _by_hand(hop: HopPlan, typist: Typist) -> tuple[Task, ...]:
    severity = ("blocker", "required", "advised")
    items = sorted(
        (item for item in hop.by_hand if item.applies != "no"), key=lambda item: severity.index(item.severity)
    )
    return tuple(_task(item, hop.name, typist) for item in items)


def _task(item: ByHand, hop: str, typist: Typist) -> Task:
    return Task(
        id=item.id,
        title=item.title,
        severity=item.severity,
        when=item.when,
        applies="yes" if item.condition == "always" else item.applies,
        condition="" if item.condition == "always" else item.condition,
        detail=item.detail,
        fix=tuple(typist.here(line) for line in item.fix),
        source=item.source,
        hops=(hop,),
    )


# ---------------------------------------------------------------- one hop


def span_of(found: Estimate | None) -> Span:
    """An estimate as the document shows it."""
    if found is None:
        return Span()
    return Span(
        seconds=found.seconds,
        low=found.low,
        high=found.high,
        source=found.source,
        samples=found.samples,
        note=found.note,
    )


def _hop(plan: Plan, at: int, site: Site | None, given: Given, typist: Typist) -> HopPage:
    hop = plan.hops[at]
    found = given.estimates
    known = any(one.hop == hop.name for one in found)
    window = span_of(in_window(found, hop.name)) if known else Span()
    backs = tuple(
        (way, span_of(way_back(found, hop.name, way)) if known else Span())
        for way in ("redeploy", "restore")
        if way == "redeploy" or any(row.way is Way.RESTORE for row in _rows(hop))
    )
    opening = given.openings[at] if at < len(given.openings) else None
    clock = placed(hop, found, opening)
    stages = stage_pages(
        plan, at, typist, given.plan_file, lambda stage: span_of(of(found, hop.name, stage)), clock.starts, site
    )
    reserved = max((span.seconds or 0 for _, span in backs), default=0)
    return HopPage(
        number=at + 1,
        source=hop.source,
        target=hop.target,
        name=hop.name,
        summary=hop.summary,
        components=tuple((part.name, part.before, part.after) for part in hop.components if part.before != part.after),
        toolchain=(
            ("kolla-ansible", hop.toolchain.kolla_ansible),
            ("ansible-core", hop.toolchain.ansible_core),
            ("Python", hop.toolchain.python),
        ),
        before=span_of(before_window(found, hop.name)) if known else Span(),
        window=window,
        back=backs,
        opens=clock.opens,
        closes=clock.closes,
        fits=clock.fits(window.high if window.high is not None else window.seconds, reserved),
        frozen=_frozen(site, opening),
        stages=stages,
        ponr=hop.ponr,
        crossed_by=_crossed(hop),
        services=tuple(_service(row) for row in _rows(hop)),
        downtimes=given.downtimes.get(hop.name, ()),
        outage=_outage(hop),
        outage_sure=hop.broker.migration == "yes",
        broker_why=hop.broker.migration_why if hop.broker.migration != "no" else "",
        by_hand=_by_hand(hop, typist),
        settings=hop.settings,
        passwords=hop.passwords_added,
        groups=hop.groups_added,
        picture=draw_hop(hop, found, opening, reserved),
    )


def _frozen(site: Site | None, opening: Opening | None) -> str:
    freeze = frozen_at(site.window, opening.begins) if site and site.window and opening else None
    return (freeze.why or "[window] freeze") if freeze else ""


def _outage(hop: HopPlan) -> str:
    """What is away while queues are migrated, without the words `Full API outage` that the page has anyway."""
    if hop.broker.migration == "no":
        return ""
    told = hop.broker.outage.removeprefix("Full API outage: ")
    return told[:1].upper() + told[1:]


def _rows(hop: HopPlan) -> Sequence[WayBack]:
    return [row for row in hop.way_back if row.enabled is not False]


def _crossed(hop: HopPlan) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What leads back below the line, by way: the worst of each service counts."""
    rank = {Way.NOTHING: 0, Way.REDEPLOY: 1, Way.RESTORE: 2, Way.FORWARD_ONLY: 3}
    worst: dict[str, Way] = {}
    for row in _rows(hop):
        if rank[row.way] >= rank[worst.get(row.service, Way.NOTHING)]:
            worst[row.service] = row.way
    ways = (Way.FORWARD_ONLY, Way.RESTORE, Way.REDEPLOY)
    named = ((way.value, tuple(sorted(name for name, its in worst.items() if its is way))) for way in ways)
    return tuple((way, names) for way, names in named if names)


def _service(row: WayBack) -> ServiceBack:
    return ServiceBack(
        service=row.service,
        database=row.database,
        changes_schema=row.changes_schema,
        way=row.way.value,
        why=row.why,
        runs="yes" if row.enabled else "not known",
    )
