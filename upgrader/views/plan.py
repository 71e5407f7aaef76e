"""A plan in words: blockers first, the path, each hop with its ruled point of no return, the next command last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from upgrader.estimates import Estimate, HopFit
from upgrader.model import ByHand, Code, Finding, HopPlan, Plan, Way, WayBack
from upgrader.status import Standing
from upgrader.views.configuration import configuration_blocks
from upgrader.views.explain import by_hand_told
from upgrader.views.page import WIDTH, Page, Piece, Span, Tone, cells
from upgrader.views.window import times, times_from, window_part

_LABEL = 16


def plan_page(
    plan: Plan,
    *,
    next_commands: Sequence[str],
    details: bool = False,
    typed: Callable[[str], str] = str,
    found: Sequence[Estimate] = (),
    window: Standing | None = None,
    fits: Sequence[HopFit] = (),
) -> Page:
    """The whole plan. With `details` also the commands of every stage and the text of everything to do by hand.

    `typed` makes of a finding's command the one to type here (it may have to name the site). `found`, `window` and
    `fits` say how long it takes and when there is time for it; they are no part of the plan.
    """
    page = Page()
    _header(page, plan)
    _findings(page, plan, typed)
    _path(page, plan, found)
    _waves(page, plan)
    window_part(page, window, fits)
    for number, hop in enumerate(plan.hops, start=1):
        page.blank()
        _hop(page, plan, hop, number, details)
    _on_every_hop(page, plan, details)
    _closing(page, plan)
    page.next(*next_commands)
    return page


def short(digest: str) -> str:
    """The first twelve characters of a plan's digest: how plans are named in conversation."""
    return digest[:12]


def count(number: int, word: str, plural: str = "") -> str:
    return f"{number} {word if number == 1 else plural or word + 's'}"


def _header(page: Page, plan: Plan) -> None:
    if plan.site:
        page.line(
            Span(f"Site {plan.site}", "strong"),
            f" · {host_counts(plan.hosts)} · running {plan.source} ({plan.known_by})",
        )
    else:
        page.line(Span("Paper plan", "strong"), f" · {plan.source} → {plan.target} · no cloud was looked at")
    parts = [f"Plan {short(plan.sha256)}", count(len(plan.hops), "hop"), f"graph data {plan.graph_version}"]
    if plan.made_at:
        parts.append(f"made {plan.made_at}")
    if plan.site:
        parts.append("valid until the cloud or its configuration changes")
    page.line(" · ".join(parts))


def host_counts(hosts: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    """`3 control, 24 compute, 5 storage`; groups with the same hosts count once."""
    named = []
    counted: list[set[str]] = []
    for group in ("control", "network", "compute", "storage"):
        members = {host for host, groups in hosts if group in groups}
        if members and members not in counted:
            counted.append(members)
            named.append(f"{len(members)} {group}")
    return ", ".join(named) or count(len(hosts), "host")


def blocked_words(blockers: Sequence[Finding], hops: Sequence[str]) -> str:
    """`2 findings must be resolved before the first hop, 1 before a later one`."""
    later = sum(finding.hop in hops[1:] for finding in blockers)
    first = len(blockers) - later
    parts = [f"{count(first, 'finding')} must be resolved before the first hop"] if first else []
    if later:
        parts.append(
            f"{later} before a later one" if first else f"{count(later, 'finding')} must be resolved before a later hop"
        )
    return ", ".join(parts)


def mark_of(finding: Finding) -> tuple[str, Tone]:
    """The sign before a finding: its weight, never by colour alone."""
    if finding.code is Code.SUCCESS:
        return "✓", "good"
    if finding.accepted[1]:
        return "~", "dim"
    if finding.blocks:
        return ("?", "bad") if finding.unknown else ("✗", "bad")
    return ("?", "warn") if finding.unknown else ("!", "warn")


def host_before(finding: Finding) -> str:
    """The host, where the message does not name it and there is only one."""
    return "" if not finding.host or "," in finding.host or finding.host in finding.message else f"{finding.host}: "


def _findings(page: Page, plan: Plan, typed: Callable[[str], str]) -> None:
    page.blank()
    blockers = plan.blockers
    if blockers:
        page.line(Span("BLOCKED", "bad"), f"  {blocked_words(blockers, [hop.name for hop in plan.hops])}")
    elif plan.site:
        page.line(Span("Nothing found blocks this way.", "good"))
    else:
        page.line("Nothing in the release graph blocks this way; no site's state was checked.")
    shown = [finding for finding in plan.findings if _stands_out(finding)]
    for finding in sorted(shown, key=lambda finding: (not finding.blocks, bool(finding.accepted[1]))):
        _finding(page, finding, typed)
    listed = len(plan.findings) - len(shown)
    if listed:
        more = Span(f"{listed} more that should be done, or known: ", "dim")
        page.line(more, Span(typed(f"upgrader check --to {plan.target}"), "command"), indent=2)


def _stands_out(finding: Finding) -> bool:
    """What the hops below do not list: what blocks, was accepted or came back, and what is no action of a hop."""
    return finding.blocks or bool(finding.accepted[1]) or finding.regressed or not finding.hop


def _finding(page: Page, finding: Finding, typed: Callable[[str], str]) -> None:
    mark, tone = mark_of(finding)
    notes = [word for word, holds in (("not known", finding.unknown), ("came back", finding.regressed)) if holds]
    note = Span(f"  [{', '.join(notes)}]" if notes else "", "warn")
    said = f"  {host_before(finding)}{finding.message}"
    page.line(Span(mark, tone), " ", Span(finding.id, tone), said, note, indent=2, hang=6)
    if finding.accepted[1]:
        page.line(f'accepted by {finding.accepted[0]}: "{finding.accepted[1]}"', indent=6)
        return
    if finding.blocks and finding.severity:  # what was seen, why and what to do: a page of its own
        page.line("→ ", Span(typed(f"upgrader check --explain {finding.id}"), "command"), indent=6)
        return
    if finding.evidence:
        page.line(Span(finding.evidence, "dim"), indent=6)
    if finding.next:
        page.line("→ ", Span(typed(finding.next), "command"), indent=6)


def _path(page: Page, plan: Plan, found: Sequence[Estimate]) -> None:
    page.blank()
    timed = ("in the window", "before it") if found else ()
    rows: list[Sequence[Piece]] = [[Span(word, "dim") for word in ("hop", *timed, "way back", "schema changes")]]
    for hop in plan.hops:
        changing = " ".join(_changing(hop)) or "none"
        lasting = times(found, hop.name) if found else ()
        rows.append((Span(f"{hop.source} → {hop.target}", "strong"), *lasting, _way_back_words(hop), changing))
    page.columns(rows, indent=1)
    if found:
        times_from(page, found, [hop.name for hop in plan.hops])


_WAVES_SHOWN = 6


def _waves(page: Page, plan: Plan) -> None:
    """In which order hosts are upgraded, the same on every hop."""
    if not plan.waves:
        return
    page.blank()
    page.line(Span("waves", "dim"), "  one after the other, each only when the one before is healthy", indent=1)
    shown = plan.waves if len(plan.waves) <= _WAVES_SHOWN + 1 else plan.waves[:_WAVES_SHOWN]
    rows: list[Sequence[Piece]] = [(Span(wave.name, "strong"), named_hosts(wave.hosts)) for wave in shown]
    more = plan.waves[len(shown) :]
    if more:
        rows.append((Span(f"{len(more)} more batches", "strong"), count(sum(len(wave.hosts) for wave in more), "host")))
    if plan.left:
        rows.append((Span("stay behind", "warn"), named_hosts(plan.left)))
    page.columns(rows, indent=3)


def named_hosts(hosts: Sequence[str], most: int = 6) -> str:
    """All names, or the first of them and how many there are."""
    return ", ".join(hosts) if len(hosts) <= most else f"{', '.join(hosts[: most - 2])} … {hosts[-1]} ({len(hosts)})"


def _way_back_words(hop: HopPlan) -> str:
    ways = {row.way for row in hop.way_back if row.enabled is not False}
    if Way.FORWARD_ONLY in ways:
        return "redeploy, then partly none"
    return "redeploy, then restore" if Way.RESTORE in ways else "redeploy"


def _changing(hop: HopPlan) -> list[str]:
    return list(
        dict.fromkeys(
            row.service for row in hop.way_back if row.changes_schema and row.database and row.enabled is not False
        )
    )


def _hop(page: Page, plan: Plan, hop: HopPlan, number: int, details: bool) -> None:
    pin = hop.toolchain
    page.line(Span(f"Hop {number} of {len(plan.hops)}   {hop.source} → {hop.target}", "strong"))
    if hop.summary:
        page.line(hop.summary, indent=2, hang=2)
    _labelled(
        page,
        "toolchain",
        f"kolla-ansible {pin.kolla_ansible}, ansible-core {pin.ansible_core}, Python {pin.python}",
    )
    _stages(page, hop, details)
    _components(page, hop)
    _changes(page, hop)
    _broker(page, hop, details)
    if hop.configuration is not None:
        page.blocks += configuration_blocks(hop.name, hop.configuration, details=details)
    _line_of_no_return(page, hop)
    _ways(page, hop)
    _by_hand(page, hop, _shared(plan), details)


def _line_of_no_return(page: Page, hop: HopPlan) -> None:
    words = f"point of no return: {hop.ponr}"
    if not hop.ponr:
        page.ruled("no point of no return on this hop")
    elif cells(words) <= WIDTH - 8:
        page.ruled(words)
    else:
        page.ruled("point of no return")
        _labelled(page, "crossed by", hop.ponr)


def _labelled(page: Page, label: str, *pieces: Piece) -> None:
    page.line(Span(label.ljust(_LABEL), "dim"), *pieces, indent=2, hang=2 + _LABEL)


def _stages(page: Page, hop: HopPlan, details: bool) -> None:
    for when, label in (("before", "days before"), ("window", "in the window")):
        names = [stage.name for stage in hop.stages if stage.when == when]
        if names:
            _labelled(page, label, " · ".join(names))
    if details:
        for stage in hop.stages:
            for command in stage.commands:
                _labelled(page, f"  {stage.name}", Span(command, "command"))


def _components(page: Page, hop: HopPlan) -> None:
    moved = [part for part in hop.components if part.before != part.after]
    for number, part in enumerate(moved):
        _labelled(page, "" if number else "components", f"{part.name} {part.before or '-'} → {part.after or '-'}")


def _ways(page: Page, hop: HopPlan) -> None:
    _labelled(page, "above the line", f"nothing to undo, or redeploy {hop.source}")
    rows = [row for row in hop.way_back if row.enabled is not False]
    unsure = any(row.enabled is None for row in rows)
    for way, words in (
        (Way.RESTORE, "restore (loses what was written since the backup)"),
        (Way.FORWARD_ONLY, "no way back, forward only"),
        (Way.REDEPLOY, f"redeploy {hop.source}"),
    ):
        schema = [row for row in rows if row.way is way and row.database]
        if schema:
            _labelled(page, "below", f"{words}: ", " ".join(dict.fromkeys(row.service for row in schema)))
        for row in rows:
            if row.way is way and not row.database and way is not Way.REDEPLOY:
                _labelled(page, "", f"{row.service}: {way.value}. {row.why}")
    if unsure:
        _labelled(page, "", Span("Which of these services the cloud runs is not known here.", "dim"))


def _changes(page: Page, hop: HopPlan) -> None:
    if hop.settings:
        _labelled(page, "settings", ", ".join(f'{key}: "{value}"' for key, value in hop.settings))
    if hop.passwords_added:
        _labelled(page, "new passwords", f"{', '.join(hop.passwords_added)} (generated)")
    if hop.groups_added:
        _labelled(
            page,
            "new groups",
            f"{', '.join(hop.groups_added)} (upgrader adds them to an INI inventory, others are yours to edit)",
        )


def _broker(page: Page, hop: HopPlan, details: bool) -> None:
    """RabbitMQ's version where it moves, and the outage of a queue migration."""
    broker = hop.broker
    if broker.allowed != "yes" and broker.allowed_why:
        mark = Span("✗ ", "bad") if broker.allowed == "no" else Span("! ", "warn")
        _labelled(page, "rabbitmq", mark, f"{broker.before or '?'} → {broker.after or '?'}: {broker.allowed_why}")
    if broker.migration == "no":
        return
    due = "" if broker.migration == "yes" else "perhaps (seen when the hop's checks run): "
    _labelled(page, "queue migration", Span("FULL API OUTAGE  ", "bad"), f"{due}{broker.migration_why}")
    _labelled(page, "", f"own approval, on {hop.source}, before the upgrade: {broker.outage.partition(': ')[2]}")
    if broker.settings:
        _labelled(page, "", "sets ", ", ".join(f'{key}: "{value}"' for key, value in broker.settings))
    if not details:
        return
    for label, lines in (("asserts first", broker.checks_before), ("asserts then", broker.checks_after)):
        for number, line in enumerate(lines):
            _labelled(page, "" if number else f"  {label}", line)


def _shared(plan: Plan) -> frozenset[str]:
    """What every hop asks for alike: it is said once, after the hops."""
    if len(plan.hops) < 2:
        return frozenset()
    each = [{(item.id, item.applies) for item in hop.by_hand if item.applies != "no"} for hop in plan.hops]
    return frozenset(name for name, _ in set.intersection(*each))


def _by_hand(page: Page, hop: HopPlan, shared: frozenset[str], details: bool) -> None:
    items = [item for item in hop.by_hand if item.applies != "no"]
    own = [item for item in items if item.id not in shared]
    if not hop.by_hand:
        return
    settled = len(hop.by_hand) - len(items)
    notes = [f"{len(items) - len(own)} more as on every hop"] if shared else []
    notes += [f"{settled} do not apply here"] if settled else []
    _labelled(page, "by hand", "; ".join([_points(own), *notes]))
    _items(page, own, details)


def _points(items: Sequence[ByHand]) -> str:
    blockers = sum(item.severity == "blocker" for item in items)
    stop = f" ({blockers} of them ✗: left undone, the hop fails)" if blockers else ""
    return f"{count(len(items), 'point')}{stop}"


def _items(page: Page, items: Sequence[ByHand], details: bool) -> None:
    for item in _in_order(items):
        mark: Piece = Span("✗", "bad") if item.severity == "blocker" else Span("!", "warn")
        page.line(mark, f" {item.id}  ", item.title, _condition(item), indent=4, hang=8)
        if details:
            by_hand_told(page, item, title=False)


def _on_every_hop(page: Page, plan: Plan, details: bool) -> None:
    shared = _shared(plan)
    items = [item for item in plan.hops[0].by_hand if item.id in shared]
    if items:
        page.blank()
        page.line(Span("On every hop", "strong"))
        _labelled(page, "by hand", _points(items))
        _items(page, items, details)


def _in_order(items: Iterable[ByHand]) -> list[ByHand]:
    severity = ("blocker", "required", "advised")
    when = ("before", "during", "after")
    return sorted(items, key=lambda item: (severity.index(item.severity), when.index(item.when)))


def _condition(item: ByHand) -> Span:
    when = "" if item.when == "before" else f"{item.when} the hop"
    if item.applies == "unknown" and item.condition:
        when = ", ".join(part for part in (when, f"if {item.condition}") if part)
    return Span(f"  [{when}]" if when else "", "dim")


def _closing(page: Page, plan: Plan) -> None:
    page.blank()
    stages = sum(len(hop.stages) for hop in plan.hops)
    points = sum(item.applies != "no" for hop in plan.hops for item in hop.by_hand)
    restore = _restored(plan)
    page.line(
        f"In all: {count(len(plan.hops), 'hop')}, {count(stages, 'stage')}, {count(points, 'point')} by hand, "
        f"{count(len(plan.blockers), 'blocker')}. A backup is taken on every hop"
        + (f"; {count(len(restore), 'service')} can only go back through it." if restore else ".")
    )


def _restored(plan: Plan) -> set[str]:
    rows: list[WayBack] = [row for hop in plan.hops for row in hop.way_back]
    return {row.service for row in rows if row.way is Way.RESTORE and row.enabled is not False}
