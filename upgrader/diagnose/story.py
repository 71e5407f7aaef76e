"""What this machine knows of an attempt: its failure, and what ran just before. Reads its folder; asks nobody.

Everything in the folder was stripped of the site's secrets when it was written. What a crash left behind is read as
far as it goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from upgrader import attempts
from upgrader.diagnose.model import Story, TaskDone, TaskFailure
from upgrader.journal.rows import AttemptRow, HopRow
from upgrader.runner.base import TaskEvent
from upgrader.runner.events import OUTPUT, read

BEFORE = 12
"""Tasks before the failure that are told."""
FAILURES = 5
WORDS = 8000
"""Characters of what one task said."""
_DONE = {
    "host_ok": "ok",
    "host_changed": "changed",
    "host_skipped": "skipped",
    "host_failed": "failed",
    "host_ignored": "failed, ignored",
    "host_unreachable": "unreachable",
}
_SAID = ("msg", "reason", "rc", "module_stderr", "stderr", "stdout", "module_stdout", "log")
_OUTPUT_BYTES = 8 * 1024 * 1024


def story_of(row: AttemptRow, hop: HopRow, hops: int, folder: Path) -> Story:
    """The attempt's story. `folder` may be missing, torn, or still be written to."""
    told = Story(
        attempt=row.id,
        run=row.run,
        hop=hop.name,
        source=hop.source,
        target=hop.target,
        hop_number=hop.index + 1,
        hops=hops,
        stage=row.stage.value,
        number=row.number,
        verdict=row.state.value,
        message=row.message,
        began=row.launched_at or row.intended_at,
        ended=row.finished_at,
    )
    if not folder.is_dir():
        return _moment(told, row.finished_at or row.intended_at, "the attempt left no folder; the journal's time")
    found = attempts.evidence(folder)
    if row.in_flight:
        judged = attempts.judge(found)
        alive = judged in (attempts.Judgement.RUNNING, attempts.Judgement.ORPHANED)
        told = replace(told, verdict="running" if alive else "interrupted")
    outcome = _table((found.exit_document or {}).get("outcome"))
    told = replace(
        told,
        message=told.message or str(outcome.get("message", "")),
        step=_failed_step(outcome) or row.step,
        findings=tuple(_findings(outcome)),
        watched=found.watched,
    )
    told = _play(told, found.plays)
    return told if told.moment else _last_sign(told, folder, row)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _failed_step(outcome: Mapping[str, Any]) -> str:
    steps = [_table(step) for step in outcome.get("steps", ())]
    return next((str(step.get("name", "")) for step in reversed(steps) if step.get("code") == "failure"), "")


def _findings(outcome: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    for finding in map(_table, outcome.get("findings", ())):
        if finding.get("code") == "failure":
            yield str(finding.get("id", "")), str(finding.get("message", "")), str(finding.get("next", ""))


def _moment(story: Story, at: str, how: str) -> Story:
    return replace(story, moment=at, moment_how=how)


def _last_sign(story: Story, folder: Path, row: AttemptRow) -> Story:
    """No task failed: the last thing that was heard of the attempt."""
    lines, _ = attempts.read_progress(folder)
    last = next((str(line["at"]) for line in reversed(lines) if line.get("at")), "")
    if last:
        return _moment(story, last, "the last thing the attempt reported")
    return _moment(story, row.finished_at or story.began, "the journal's time of the attempt")


# ---------------------------------------------------------------- the play that did not come right


def _play(story: Story, plays: Sequence[attempts.PlayEvidence]) -> Story:
    """With the failure of the last play that did not come right; of a cut-off attempt the last play at all."""
    bad = [play for play in plays if not (play.result and play.result.verdict)]
    if not bad:
        return story
    play = bad[-1]
    events = [event for event, _ in read(play.folder)[0]]
    hosts = {trouble.host for trouble in (*play.seen.failed, *play.seen.unreachable)}
    failed = [event for event in events if event.kind in ("host_failed", "host_unreachable") and event.host in hosts]
    # the last trouble of each host is what stopped it
    last = {event.host: event for event in failed}
    rows = sorted(last.values(), key=lambda event: event.counter)
    first = rows[0] if rows else None
    told = replace(
        story,
        play=play.name,
        failures=tuple(_failure(play.folder, event) for event in rows[:FAILURES]),
        more_failures=max(0, len(rows) - FAILURES),
        before=_before(events, first.counter if first else None),
    )
    if play.result and not rows:
        told = replace(told, message=told.message or play.result.message)
    if first:
        return _moment(told, first.at, "the time of the failed task")
    return _moment(told, events[-1].at, "the last thing its play reported") if events else told


def _failure(folder: Path, event: TaskEvent) -> TaskFailure:
    return TaskFailure(
        host=event.host,
        task=event.task,
        role=event.role,
        play=event.play,
        module=event.module,
        path=event.path,
        message=event.message,
        words=_words(folder / OUTPUT, event.host),
        at=event.at,
        unreachable=event.kind == "host_unreachable",
    )


def _before(events: Sequence[TaskEvent], until: int | None) -> tuple[TaskDone, ...]:
    tasks: list[tuple[TaskEvent, dict[str, int]]] = []
    for event in events:
        if until is not None and event.counter > until:
            break
        if event.kind == "task_start":
            tasks.append((event, {}))
        elif event.kind in _DONE and tasks:
            counts = tasks[-1][1]
            counts[_DONE[event.kind]] = counts.get(_DONE[event.kind], 0) + 1
    worked = [(event, counts) for event, counts in tasks[:-1] if counts] + tasks[-1:]
    return tuple(
        TaskDone(event.at, event.role, event.task, ", ".join(f"{word} {count}" for word, count in counts.items()))
        for event, counts in worked[-BEFORE:]
    )


def _words(output: Path, host: str) -> str:
    """All that the last fatal task of a host said, out of what Ansible printed: there it is one line of JSON."""
    try:
        with output.open("rb") as stream:
            stream.seek(max(0, output.stat().st_size - _OUTPUT_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    wanted = re.compile(rf"^fatal: \[{re.escape(host)}(?: -> [^\]]*)?\]: (?:FAILED|UNREACHABLE)! => (\{{.*)$")
    for line in reversed(lines):
        match = wanted.match(line)
        if match is None:
            continue
        try:
            result = json.loads(match[1])
        except ValueError:
            return match[1][:WORDS]
        return _told(_table(result))
    return ""


def _told(result: Mapping[str, Any]) -> str:
    parts = []
    for name in _SAID:
        value = result.get(name)
        if value in (None, "", []):
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        parts.append(f"{name}: {text}" if "\n" not in text else f"{name}:\n{text.rstrip()}")
    for item in result.get("results") or ():
        if isinstance(item, Mapping) and (item.get("failed") or item.get("unreachable")):
            parts.append(f"item {item.get('_ansible_item_label', item.get('item', ''))}: {_told(item)}")
    text = "\n".join(dict.fromkeys(parts))
    # the end of what a program said is where it says why
    return text if len(text) <= WORDS else f"… {len(text) - WORDS} characters left out\n{text[-WORDS:]}"
