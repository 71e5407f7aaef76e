"""What the release graph knows that fits: faults of migrations, risks of the hop, and what the operator accepted.

Recognised by a line where the data say how it shows; what only concerns the failing service is said to be no more
than that. Never raises for what a log says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from upgrader.diagnose.model import Match, Story
from upgrader.diagnose.rules import Line
from upgrader.graph import ReleaseGraph

CONCERNS = 5
"""Risks that only concern the service that are told."""
RESTORE = (
    "restore the backup taken before that migration, then run the hop again (upgrader rollback)",
    "never write the version row by hand: it would hide what is missing",
)
_NEAR = frozenset({"blocker", "required"})


def known(
    graph: ReleaseGraph, story: Story, role: str, lines: Sequence[Line], planned: Mapping[str, Any]
) -> tuple[Match, ...]:
    """Everything known that fits, what a line says first. `planned`: the hop as its plan has it."""
    if not story.target:
        return ()
    service = role.removesuffix("-cell")
    found = [*_faults(graph, story, service, lines), *_risks(graph, story, lines)]
    if not any(match.kind == "fault" for match in found):
        found += _interrupted(graph, role, lines)
    said = {match.id for match in found}
    return (*found, *(match for match in _concerning(planned, service) if match.id not in said))


def _line(lines: Iterable[Line], patterns: Iterable[str]) -> str:
    wanted = [re.compile(pattern) for pattern in patterns]
    return next((line.text for line in lines if any(pattern.search(line.text) for pattern in wanted)), "")


def _faults(graph: ReleaseGraph, story: Story, service: str, lines: Sequence[Line]) -> Iterable[Match]:
    for fault in graph.migration_faults.faults:
        if story.target not in fault.targets or not fault.words or service not in ("", fault.service):
            continue
        line = _line(lines, fault.words)
        if line:
            yield Match(fault.id, "fault", fault.message, line, fault.fix, fault.source)


def _risks(graph: ReleaseGraph, story: Story, lines: Sequence[Line]) -> Iterable[Match]:
    for action in graph.actions(graph.hop(story.source, story.target)):
        line = _line(lines, action.says) if action.says else ""
        if line:
            fix = tuple(filter(None, (action.detail, *action.commands)))
            yield Match(action.id, "risk", action.title, line, fix, tuple(action.source))


def _interrupted(graph: ReleaseGraph, role: str, lines: Sequence[Line]) -> Iterable[Match]:
    """A migration that meets what an earlier one left; only said of roles that have databases."""
    owners = {migrations.name for migrations in graph.migrations}
    if role.removesuffix("-cell") not in owners:
        return
    for one in graph.migration_faults.interrupted:
        for line in lines:
            match = re.search(one.words, line.text) if re.search(rf"\b{one.code}\b", line.text) else None
            if match:
                what = f"{match[1]}: " if match.groups() else ""
                title = f"{what}{one.means}; an earlier try of this migration was interrupted inside a script"
                yield Match(
                    "interrupted-script", "interrupted", title, line.text, RESTORE, graph.migration_faults.source
                )
                return


def _concerning(planned: Mapping[str, Any], service: str) -> Iterable[Match]:
    """Risks of the hop, as the plan judged them for this cloud, that name the service; no line speaks for them."""
    if not service:
        return
    word = re.compile(rf"(?<![\w]){re.escape(service)}(?![\w])", re.I)
    rows = [
        row
        for row in planned.get("by_hand", ())
        if row.get("applies") != "no" and row.get("severity") in _NEAR and word.search(f"{row['id']} {row['title']}")
    ]
    rows.sort(key=lambda row: (row.get("applies") != "yes", row.get("severity") != "blocker"))
    for row in rows[:CONCERNS]:
        yield Match(row["id"], "concerns", row["title"], "", tuple(row.get("fix", ())), tuple(row.get("source", ())))


def accepted(rows: Iterable[tuple[str, str, str]]) -> tuple[Match, ...]:
    """Risks a person took for this run."""
    return tuple(Match(name, "accepted", f"accepted by {who}: {reason}") for name, reason, who in rows)
