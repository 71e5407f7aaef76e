"""Which of the lines that were read are shown: the failing service on the failed host first, errors before the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from upgrader.diagnose import log_lines
from upgrader.diagnose.asking import around_of
from upgrader.diagnose.choose import Choice
from upgrader.diagnose.model import Excerpt, Story, Trail
from upgrader.diagnose.rules import Line

BUDGET = 25_000
"""Characters of logs in a diagnosis."""
TRAILS = 9_000
LONGEST = 600
_FIRST, _OTHER = 7_000, 2_600
_LINES = 3_000
_TRACE = re.compile(r"^\++ ")
"""What a shell shows of its own commands (set -x), as Kolla's containers do when they start."""


def bad(text: str) -> bool:
    """Whether a line of a log speaks of a trouble."""
    return log_lines.BAD.search(text) is not None


def selected(excerpts: Iterable[Excerpt], story: Story, choice: Choice | None) -> tuple[Excerpt, ...]:
    """What is shown, most important first, within BUDGET."""
    around = around_of(story)
    ranked = sorted(excerpts, key=lambda one: (*_rank(one, story, choice), _distance(one, around), one.host, one.place))
    room = BUDGET
    found: list[Excerpt] = []
    for excerpt in ranked:
        first = _rank(excerpt, story, choice)[0] == 0 and any(bad(text) for _, text in excerpt.lines)
        cut = _cut(excerpt, around, min(room, _FIRST if first else _OTHER))
        # what says nothing of a trouble is shown of the failing service where it failed, or where nothing else is
        if not cut.lines or (_rank(excerpt, story, choice)[0] > 3 and len(found) > 3):
            continue
        room -= sum(len(text) + 10 for _, text in cut.lines) + 80
        found.append(cut)
        if room < 400:
            break
    return tuple(found)


def _rank(excerpt: Excerpt, story: Story, choice: Choice | None) -> tuple[int]:
    failed = excerpt.host in {failure.host for failure in story.failures}
    main = choice is not None and _of_main(excerpt, choice)
    says = any(bad(text) for _, text in excerpt.lines)
    if main and (failed or not story.failures):
        return (0,)
    order = [main and says, failed and says, says, main, failed]
    return (order.index(True) + 1,) if True in order else (6,)


def _of_main(excerpt: Excerpt, choice: Choice) -> bool:
    """Of the failing role itself: by its folder, by the front of the container's name, or its one-shot container."""
    if excerpt.folder:
        return excerpt.folder in choice.main
    front = choice.role.removesuffix("-cell").replace("-", "_")
    return bool(front) and excerpt.container.removeprefix("bootstrap_").startswith(front)


def _distance(excerpt: Excerpt, around: float) -> float:
    return min((abs(at - around) for at, text in excerpt.lines if bad(text)), default=1e9)


def _cut(excerpt: Excerpt, around: float, room: int) -> Excerpt:
    lines = [(at, _short(text)) for at, text in excerpt.lines if excerpt.path or not _TRACE.match(text)]
    traced = len(excerpt.lines) - len(lines)
    question = {"moment": around, "bytes": room, "lines": 120, "ids": []}
    kept, left_out = log_lines.chosen(_folded(lines), question)
    shown = tuple((float(at), str(text)) for at, text in kept)
    return replace(excerpt, lines=shown, left_out=excerpt.left_out + left_out + traced)


def _short(text: str) -> str:
    # cut at a blank: what is cut in the middle of a secret would not be recognised any more
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0] + " …"


def _folded(lines: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The same with one line in place of many of the same words in a row."""
    found: list[tuple[float, str]] = []
    last, again = "", 0
    for at, text in lines:
        key = log_lines.MASKS.sub("#", text)
        if key == last and text.strip():
            again += 1
            continue
        if again:
            found.append((found[-1][0], f"    (the line above {again} times more)"))
        last, again = key, 0
        found.append((at, text))
    if again:
        found.append((found[-1][0], f"    (the line above {again} times more)"))
    return found


def trails(found: Iterable[Trail]) -> tuple[Trail, ...]:
    """The followed requests, within TRAILS; one that is only in one place tells nothing new."""
    room = TRAILS
    kept: list[Trail] = []
    for trail in sorted(found, key=lambda one: -len({(host, place) for _, host, place, _ in one.lines})):
        if len({(host, place) for _, host, place, _ in trail.lines}) < 2:
            continue
        lines = []
        for at, host, place, text in trail.lines:
            room -= len(_short(text)) + 60
            if room < 0:
                break
            lines.append((at, host, place, _short(text)))
        if lines:
            kept.append(replace(trail, lines=tuple(lines), left_out=trail.left_out + len(trail.lines) - len(lines)))
    return tuple(kept)


def telling_lines(story: Story, excerpts: Iterable[Excerpt], choice: Choice | None) -> tuple[Line, ...]:
    """What rules are held against: the failure's words, then errors of the logs, the most important log first."""
    around = around_of(story)
    host = story.failures[0].host if story.failures else ""
    lines = [
        Line(text.strip(), failure.host)
        for failure in story.failures
        for text in f"{failure.message}\n{failure.words}".splitlines()
        if text.strip()
    ]
    lines += [Line(text.strip(), host) for text in story.message.splitlines() if text.strip()]
    lines += [Line(message, host) for _, message, _ in story.findings]
    ranked = sorted(excerpts, key=lambda one: (*_rank(one, story, choice), _distance(one, around)))
    for excerpt in ranked:
        near = sorted((abs(at - around), text) for at, text in excerpt.lines if bad(text))
        lines += [Line(text.strip(), excerpt.host) for _, text in near[:60]]
    return tuple(dict.fromkeys(lines))[:_LINES]
