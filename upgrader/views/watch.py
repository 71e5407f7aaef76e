"""A watched run as a page for any width and height, and as single lines of what changed for a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from upgrader.states import Ponr
from upgrader.status import Verdict
from upgrader.views.page import Columns, Line, Page, Piece, Ruled, Span, Tone, cells, draw
from upgrader.views.plain import fit
from upgrader.views.progress import service_lines
from upgrader.views.status import HEADLINES, age_seconds
from upgrader.watch.insights import way_back
from upgrader.watch.model import Level, Pace, StageLine, StageState, TaskLine, Watched
from upgrader.watch.pace import words

_JOINED = "\N{NO-BREAK SPACE}"
"""Between words that stay on one line; drawn as a blank."""
_MARK = "\x1f"
"""Stands in for it while the page is laid out: every encoding has it, and no text (see `safe`)."""
_TONES: dict[Level, Tone] = {"info": "", "warn": "warn", "bad": "bad"}
_MARKS: dict[Level, str] = {"info": "·", "warn": "!", "bad": "✗"}
_STAGE: dict[StageState, tuple[str, Tone]] = {
    "done": ("✓", "good"),
    "failed": ("✗", "bad"),
    "now": ("→", "strong"),
    "interrupted": ("✗", "bad"),
    "waits": ("…", "warn"),
    "next": ("·", "dim"),
    "passed": ("–", "dim"),  # noqa: RUF001
}
_TEMPO: dict[str, tuple[str, Tone]] = {
    "usual": ("as usual", "good"),
    "unknown": ("not known", ""),
    "slow": ("SLOW", "warn"),
    "stalled": ("STALLED?", "bad"),
}
_SOURCES = {
    "history": "earlier runs",
    "rehearsal": "rehearsal",
    "baseline": "shipped baseline",
    "tasks": "tasks counted",
}


@dataclass(frozen=True, slots=True)
class Room:
    """How much of each list is shown; what is left out is in `status`, `history` and the journal."""

    tasks: int
    insights: int
    events: int
    stages: bool = True


_ROOMS = (
    Room(6, 12, 12), Room(4, 8, 10), Room(3, 5, 8), Room(2, 4, 6), Room(1, 3, 4), Room(0, 2, 3), Room(0, 1, 2),
    Room(0, 1, 1, stages=False), Room(0, 0, 0, stages=False),
)  # fmt: skip


def fitted(seen: Watched, width: int, height: int, foot: str, encoding: str | None = "utf-8") -> list[tuple[Span, ...]]:
    """The lines of a screen: lists shrink first, and only what still does not fit is cut, which is said."""
    lines: list[tuple[Span, ...]] = []
    for room in _ROOMS:
        lines = draw(_sayable(watch_page(seen, room, width=width, foot=foot), encoding), width)
        if len(lines) <= height:
            return _drawn(lines, width)
    cut = len(lines) - height + 1
    more = (Span(fit(f"… {cut} more lines: upgrader status", encoding), "dim"),)
    return _drawn([*lines[: max(0, height - 1)], more], width)


def _sayable(page: Page, encoding: str | None) -> Page:
    """The page in what the stream can say, before it is laid out: stand-ins are wider than what they stand for."""

    def said(spans: tuple[Span, ...]) -> tuple[Span, ...]:
        return tuple(Span(fit(span.text.replace(_JOINED, _MARK), encoding), span.tone) for span in spans)

    blocks: list[Line | Ruled | Columns] = []
    for block in page.blocks:
        if isinstance(block, Line):
            blocks.append(replace(block, spans=said(block.spans)))
        elif isinstance(block, Columns):
            blocks.append(replace(block, rows=tuple(said(row) for row in block.rows)))
    return Page(blocks)


def _drawn(lines: list[tuple[Span, ...]], width: int) -> list[tuple[Span, ...]]:
    """As it stands on a screen: no line goes beyond its edge, which a word that is wider would."""
    found = []
    for line in lines:
        spans, room = [], width
        for span in line:
            text = span.text.replace(_JOINED, " ").replace(_MARK, " ")
            while cells(text) > room:
                text = text[:-1]
            spans.append(Span(text, span.tone))
            room -= cells(text)
        found.append(tuple(spans))
    return found


def watch_page(seen: Watched, room: Room = _ROOMS[0], *, width: int = 80, foot: str = "") -> Page:
    """The page; `foot` is its last line."""
    page = Page()
    _head(page, seen)
    if seen.trouble:
        page.line(Span("✗ ", "bad"), f"cannot be read now, this is from before: {seen.trouble}")
    if seen.report.run:
        if room.stages:
            page.line(*_stages(seen.stages), hang=2)
        _going(page, seen, width)
        _services(page, seen, room)
        _apis(page, seen)
        _window(page, seen)
        _line(page, seen)
        _tasks(page, seen, room)
    _insights(page, seen, room)
    _events(page, seen, room)
    if seen.needs_a_person or not seen.report.run:
        page.line(Span("You can:", "strong"))
        page.columns([(Span(one.command, "command"), one.what) for one in seen.report.choices[:3]], indent=2)
    if foot:
        page.line(Span(foot, "dim"))
    return page


def _head(page: Page, seen: Watched) -> None:
    report = seen.report
    headline, tone = HEADLINES[report.verdict]
    where = f" · hop {report.hop} of {len(report.hops)} · {report.source} → {report.target}" if report.run else ""
    attempt = report.attempt
    number = f" · {attempt.stage}, attempt {attempt.number}" if attempt and attempt.number > 1 else ""
    page.line(Span(report.site, "strong"), " · ", Span(headline, tone), f"{where}{number} · ", f"{seen.at[11:19]} UTC")


def _stages(lines: tuple[StageLine, ...]) -> Iterator[Piece]:
    for number, line in enumerate(lines):
        mark, tone = _STAGE[line.state]
        took = f" {short(line.seconds)}" if line.seconds is not None else ""
        again = f" ×{line.attempts}" if line.attempts > 1 else ""  # noqa: RUF001
        coming = line.state in ("next", "waits") and line.estimate
        expected = f" ~{words(line.estimate or 0)}" if coming else ""
        told = f"{mark} {line.name}{again}{took}{expected}"
        yield "  " if number else ""
        yield Span(told.replace(" ", _JOINED), tone)


def _going(page: Page, seen: Watched, width: int) -> None:
    pace = seen.pace
    rows: list[tuple[Piece, ...]] = []
    if pace.tempo:
        stage = seen.report.attempt.stage if seen.report.attempt else seen.report.state
        page.line(Span(stage, "strong"), "  ", *_bar(pace, width), _gone(pace), hang=2)
        word, tone = _TEMPO[pace.tempo]
        why = f" · {pace.why}" if pace.why and pace.tempo != "usual" else ""
        rest = f" · hop about {words(pace.hop_left)} more" if pace.hop_left else ""
        rows.append(("pace", Span(word, tone), f"{why}{rest}"))
    if seen.tasks.now is not None:
        rows.append(("now", Span(_task(seen.tasks.now), "strong"), _timed(seen)))
    elif pace.tempo and seen.tasks.step:
        rows.append(("now", Span(seen.tasks.step, "strong"), ""))
    if not pace.tempo and not seen.over:
        rows += _resting(seen)
    for label, first, rest_ in rows:
        page.line(Span(f"{_text(label):<6} ", "dim"), first, rest_, hang=7)
    _hosts(page, seen)


def _resting(seen: Watched) -> Iterator[tuple[Piece, ...]]:
    """Why nothing is under way."""
    attempt = seen.report.attempt
    if attempt is not None and seen.report.verdict is Verdict.INTERRUPTED:
        where = f' at "{attempt.task or attempt.step}"' if attempt.task or attempt.step else ""
        yield "last", f"{attempt.stage} was interrupted{where}", ""
    elif seen.report.reason:
        yield "why", seen.report.reason, ""


def _text(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece.text


def _bar(pace: Pace, width: int) -> Iterator[Piece]:
    if pace.fraction is None:
        return
    cells = 20 if width >= 70 else 10
    full = round(pace.fraction * cells)
    yield Span("█" * full, "good")
    yield Span("░" * (cells - full), "dim")
    yield f" {round(pace.fraction * 100)} %  "


def _gone(pace: Pace) -> str:
    gone = f"{clock(pace.elapsed)} gone" if pace.elapsed is not None else ""
    source = _SOURCES.get(pace.source, "")
    if pace.left is None:
        known = f" ({source})" if source else ""
        return f"{gone}, how long is left is not known{known}"
    spread = f"{words(pace.left_low or 0)} to {words(pace.left_high)}, " if pace.left_high else ""
    return f"{gone}, about {words(pace.left)} left ({spread}{source})"


def _timed(seen: Watched) -> str:
    now, task = seen.tasks.now, seen.pace.task
    took = f"  {short(task)}" if task is not None and task >= 1 else ""
    usually = f" (usually {short(now.usual)})" if now and now.usual is not None and task and task >= 1 else ""
    return f"{took}{usually}"


def _hosts(page: Page, seen: Watched) -> None:
    hosts = seen.hosts
    if not hosts.total:
        return
    running = f" · {hosts.answered} of {hosts.total} through this task" if seen.tasks.now and seen.pace.tempo else ""
    page.line(
        Span("hosts  ", "dim"),
        f"{hosts.ok} ok · ",
        Span(f"{hosts.failed} failed", "bad" if hosts.failed else ""),
        " · ",
        Span(f"{hosts.unreachable} unreachable", "bad" if hosts.unreachable else ""),
        running,
        hang=7,
    )


def _services(page: Page, seen: Watched, room: Room) -> None:
    if seen.report.services is None or not room.tasks:
        return
    for line in service_lines(seen.report.services, room.tasks, newest=6):
        page.line(*line.spans, indent=line.indent, hang=line.hang)


def _apis(page: Page, seen: Watched) -> None:
    if not seen.apis:
        return
    pieces: list[Piece] = []
    for api in sorted(seen.apis, key=lambda one: (one.state != "away", -one.away_seconds, one.name)):
        word = {"up": "", "away": " AWAY", "unknown": " ?"}[api.state]
        tone: Tone = "bad" if api.state == "away" else ""
        pieces += [" · " if pieces else "", Span(f"{api.name}{word} {short(api.away_seconds)}", tone)]
    note = f" ({seen.apis_note})" if seen.apis_note else ""
    page.line(Span("API    ", "dim"), *pieces, f"  away so far{note}", hang=7)


def _window(page: Page, seen: Watched) -> None:
    window = seen.report.window
    if window is not None:
        why = f" · {window.stage} may not begin: {window.why}" if window.why else ""
        page.line(Span("window ", "dim"), window.told or window.schedule, Span(why, "warn"), hang=7)


def _line(page: Page, seen: Watched) -> None:
    if seen.ponr_at:
        page.line(
            Span(f"═══ point of no return crossed {seen.ponr_at[11:19]} UTC ═══", "bad"),
            f" {seen.ponr_task} · way back: {way_back(seen.report)}",
            hang=4,
        )
    elif seen.report.ponr_words and seen.report.ponr == Ponr.NO and not seen.over:
        page.line(Span("point of no return ", "dim"), "not crossed", hang=4)


def _tasks(page: Page, seen: Watched, room: Room) -> None:
    shown = seen.tasks.last[: room.tasks]
    if not shown:
        return
    page.line(Span("Last tasks", "strong"))
    page.columns([(f"{short(task.seconds):>6}", _task(task)) for task in shown], indent=2)


def _insights(page: Page, seen: Watched, room: Room) -> None:
    # what has a line of its own above is not said twice
    told = [one for one in seen.insights if one.source not in ("pace", "line" if seen.ponr_at else "")]
    if not told or not room.insights:
        return
    page.line(Span("To know", "strong"))
    for one in told[: room.insights]:
        page.line(Span(_MARKS[one.level], _TONES[one.level]), f" {one.text}", indent=2, hang=4)
    if len(told) > room.insights:
        page.line(Span(f"and {len(told) - room.insights} more", "dim"), indent=4)


def _events(page: Page, seen: Watched, room: Room) -> None:
    shown = seen.events[-room.events :] if room.events else ()
    if not shown:
        return
    page.line(Span("Events", "strong"), Span(" (UTC, the newest last)", "dim"))
    for one in shown:
        page.line(Span(f"{one.at[11:19]} ", "dim"), Span(one.text, _TONES[one.level]), indent=2, hang=4)


def _task(task: TaskLine) -> str:
    named = task.name if not task.role or task.name.startswith(f"{task.role} | ") else f"{task.role} : {task.name}"
    return named or "?"


def short(seconds: float | None) -> str:
    """`0.4 s`, `41 s`, `12 min`, `1 h 05`."""
    if seconds is None:
        return "?"
    if seconds < 1 and seconds:
        return f"{seconds:.1f} s"
    return age_seconds(round(seconds))


def clock(seconds: float | None) -> str:
    """`0:41`, `17:20`, `1:02:03`."""
    whole = round(seconds or 0)
    hours = f"{whole // 3600}:{whole % 3600 // 60:02d}" if whole >= 3600 else f"{whole // 60}"
    return f"{hours}:{whole % 60:02d}"


# ------------------------------------------------------------ for a pipe


def changes(before: Watched | None, seen: Watched) -> list[str]:
    """What happened between two looks, one line each; of the first look where it stands."""
    at = f"{seen.at[:19]}Z "
    lines: list[str] = []
    if before is None or before.report.verdict is not seen.report.verdict or before.report.hop != seen.report.hop:
        report = seen.report
        where = f" hop {report.hop} of {len(report.hops)} {report.source} → {report.target}" if report.run else ""
        lines.append(f"{at}{report.site}: {HEADLINES[report.verdict][0]}{where}")
    known = before.events[-1].seq if before and before.events else 0
    fresh = [one for one in seen.events if one.seq > known] if before else list(seen.events[-1:])
    lines += [f"{one.at[:19]}Z {_MARKS[one.level]} {one.text}" for one in fresh]
    old = before or Watched(seen.at, seen.report)
    if seen.trouble and seen.trouble != old.trouble:
        lines.append(f"{at}✗ cannot be read now: {seen.trouble}")
    if seen.tasks.step and (seen.tasks.step, seen.tasks.play) != (old.tasks.step, old.tasks.play) and seen.pace.tempo:
        lines.append(f"{at}· now {seen.tasks.step}{f': {seen.tasks.play}' if seen.tasks.play else ''}")
    lines += [
        f"{at}✗ {one.host} {one.kind} at {one.task}: {' '.join(one.message.split())[:200]}"
        for one in seen.hosts.troubled
        if one not in old.hosts.troubled
    ]
    if seen.ponr_at and not old.ponr_at:
        lines.append(f"{at}✗ point of no return crossed {seen.ponr_at[11:19]} UTC: {seen.ponr_task}")
    if seen.pace.tempo in ("slow", "stalled") and seen.pace.tempo != old.pace.tempo:
        lines.append(f"{at}! {_TEMPO[seen.pace.tempo][0]}: {seen.pace.why}")
    away = {api.name: api.state for api in old.apis}
    lines += [
        f"{at}{'✗' if api.state == 'away' else '·'} API {api.name} {api.state}, {short(api.away_seconds)} away so far"
        for api in seen.apis
        if api.state != away.get(api.name, "up")
    ]
    return lines
