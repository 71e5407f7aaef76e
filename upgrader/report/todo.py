"""What stays to be done after a run, or before it can go on: the urgent first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from upgrader.report.told import RunTold
from upgrader.report.values import Audit, HopStory, Todo
from upgrader.states import INFO, State

_RESTING = {
    "decide": ("decide: try the upgrade again, or take the hop back", ("upgrader resume", "upgrader rollback")),
    "decide_broker": (
        "decide: migrate the queues again, or take the hop back",
        ("upgrader resume", "upgrader rollback"),
    ),
    "needs_attention": ("look at the cloud and repair it", ("upgrader status --observe", "upgrader resume")),
    "failed_clean": (
        "remove the cause, then begin the hop again or end the run",
        ("upgrader resume", "upgrader abort"),
    ),
    "hold_verify": ("decide on what the verification could not tell", ("upgrader resume", "upgrader approve")),
}


def todo(told: RunTold, plan: Mapping[str, Any], hops: Sequence[HopStory], audit: Audit) -> tuple[Todo, ...]:
    """In the order in which it should be looked at."""
    return (
        *_audit(audit),
        *_flags(told),
        *_run(told),
        *_evidence(hops),
        *_by_hand(told, plan),
        *_open(hops),
        *_later(told),
    )


def _audit(audit: Audit) -> Iterator[Todo]:
    if audit.faults:
        yield Todo("find out who changed the journal", audit.faults[0], ("upgrader history --verify",))
    if not audit.plan_fits:
        yield Todo("find out who changed the plan", "the journal's plan is not the one the run was begun with")


def _flags(told: RunTold) -> Iterator[Todo]:
    if "inconsistent" in told.flags:
        why = told.flags["inconsistent"]
        yield Todo("find out what the cloud runs: a way back failed", why, ("upgrader status --observe",))


def _run(told: RunTold) -> Iterator[Todo]:
    if told.over:
        return
    hop = next((hop for hop in told.hops if hop.state != State.HOP_DONE.value), None)
    if hop is None:
        return
    if any(one.finished is None for one in hop.attempts):
        yield Todo("follow the attempt that has no result yet", f"{hop.name}, {hop.state}", ("upgrader status",))
    elif hop.state in _RESTING:
        what, commands = _RESTING[hop.state]
        yield Todo(f"{hop.name}: {what}", hop.reason, commands)
    elif INFO[State(hop.state)].kind == "hold":
        yield Todo(f"{hop.name}: approve what comes next, or not", f"it waits in {hop.state}", ("upgrader approve",))
    else:
        yield Todo(f"{hop.name}: go on", f"it is at {hop.state}", ("upgrader resume",))


def _evidence(hops: Sequence[HopStory]) -> Iterator[Todo]:
    for hop in hops:
        for check in hop.evidence:
            if check.state in ("changed", "gone", "damaged"):
                yield Todo(f"{hop.name}: find out why the {check.what} is {check.state}", check.words or check.place)


def _by_hand(told: RunTold, plan: Mapping[str, Any]) -> Iterator[Todo]:
    """What the plan leaves to a person after a hop, for hops that are done."""
    for hop, planned in zip(told.hops, plan.get("hops", ()), strict=False):
        if hop.state != State.HOP_DONE.value:
            continue
        for row in planned.get("by_hand", ()):
            if row.get("when") == "after" and row.get("applies") != "no":
                unsure = (
                    f" (if {row.get('condition')})" if row.get("applies") == "unknown" and row.get("condition") else ""
                )
                detail = " ".join(str(row.get("detail", "")).split())
                yield Todo(f"{hop.name}: {row['title']}{unsure}", detail, tuple(map(str, row.get("fix", ()))))


def _open(hops: Sequence[HopStory]) -> Iterator[Todo]:
    """Findings of each stage's last attempt that were not good and whose risk nobody took."""
    seen = set()
    for hop in hops:
        last = {one.stage: one for one in hop.attempts}
        for one in last.values():
            for found in one.findings:
                if not found.reason and (found.id, found.message) not in seen:
                    seen.add((found.id, found.message))
                    why = found.message + (f" ({found.next})" if found.next else "")
                    yield Todo(f"{hop.name}: look at {found.id}, found in {one.stage}", why)


def _later(told: RunTold) -> Iterator[Todo]:
    left = [hop.name for hop in told.hops if not hop.began]
    if told.over and left and told.state != "done":
        yield Todo(f"plan the hops that were not begun: {', '.join(left)}", "", ("upgrader plan --to RELEASE",))
