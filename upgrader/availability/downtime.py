"""What a run's records add up to: per API how long it was away, when, and what nobody knows. Pure arithmetic.

Every answer says that the API was up, or away, at some moment between the question and the answer. From that follow
bounds for an API that does not come and go between two questions (what is shorter than the interval can be missed):

    at least   from the end of the first failing question to the beginning of the last one
    at most    from the beginning of the last good question before to the end of the first good one after

`seconds` lies between: what a client that kept asking saw, from its first question that failed to the first answer.
Where nobody asked for longer than questions can take, the time is unknown: it counts neither as up nor as away.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from upgrader.availability.records import Answer, Api, Header, Item, Mark, items

LATENESS = 2.0
"""Seconds a question may be late on a busy machine before the time without one counts as unknown."""


@dataclass(frozen=True, slots=True)
class Outage:
    """One stretch in which every question to an API failed."""

    api: str
    began: datetime
    """UTC; the first question that failed."""
    ended: datetime | None
    """UTC; the first answer after it. None: it had not ended when the records end, or nobody asked any more."""
    seconds: float
    low: float
    high: float
    questions: int
    """How many failed."""
    error: str
    """Kind and words of the last failure."""
    kinds: tuple[str, ...] = ()
    """Different kinds of failure, in the order in which they came."""
    edge: bool = False
    """Time in which nobody asked lies before or behind it: it may have been longer than `high`."""

    @property
    def ours(self) -> bool:
        """It may be a trouble of this machine alone: its name service."""
        return self.kinds == ("name",)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which nobody asked."""

    began: datetime
    ended: datetime
    seconds: float
    rest: bool = False
    """The probe had ended because the run was at rest, as it should."""


@dataclass(frozen=True, slots=True)
class ApiDowntime:
    """One API over a whole run. Times in seconds."""

    api: str
    url: str
    every: float
    asked: int
    failed: int
    seconds: float
    """Away, as a client that kept asking saw it."""
    low: float
    high: float
    unknown: float
    """Nobody asked, although the run was under way."""
    outages: tuple[Outage, ...]
    gaps: tuple[Gap, ...]
    first: datetime | None
    last: datetime | None
    slowest_ms: int
    """The slowest good answer."""
    up: bool | None
    """At the last question; None: there was none that says."""

    @property
    def seconds_away(self) -> tuple[float, float]:
        return self.low, self.high


def downtime(folder: Path) -> tuple[ApiDowntime, ...]:
    """Every API of a run's records, in the order in which they were first asked. Empty when there are none."""
    account = Account()
    account.take(items(folder))
    return account.result()


class _Clock:
    """Wall time for moments of one boot's clock, through all steps of the wall clock."""

    def __init__(self) -> None:
        self._clocks: list[float] = []
        self._offsets: list[float] = []

    def set(self, clock: float, at: float) -> None:
        self._clocks.append(clock)
        self._offsets.append(at - clock)

    def wall(self, clock: float) -> datetime:
        place = max(0, bisect.bisect_right(self._clocks, clock) - 1)
        return datetime.fromtimestamp(clock + self._offsets[place], UTC)


@dataclass
class _Open:
    """An outage that has not ended."""

    before: float | None
    """When the last good question before it was asked."""
    first_asked: float
    first_answered: float
    last_asked: float
    last_answered: float
    clock: _Clock
    questions: int = 0
    error: str = ""
    kinds: list[str] = field(default_factory=list)


class Tally:
    """One API's answers added up, to be told in the order of the questions."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.asked = self.failed = 0
        self.slowest = 0.0
        self.outages: list[Outage] = []
        self.gaps: list[Gap] = []
        self.first: datetime | None = None
        self._last: tuple[_Clock, float] | None = None
        self.latest: Answer | None = None
        """The last answer that says up or away."""
        self.since: datetime | None = None
        """Since when it has been as it is now."""
        self._clock = _Clock()
        self._open: _Open | None = None
        self._expected: tuple[_Clock, float] | None = None

    def expect(self, clock: _Clock, at: float) -> None:
        """From `at` on it is asked: the time until the first answer that was recorded counts from here."""
        if self.first is None and self._expected is None:
            self._expected = clock, at

    def take(self, answer: Answer, clock: _Clock, patience: float) -> None:
        self.asked += 1
        self._last = clock, answer.asked
        if self.first is None:
            self.first = clock.wall(answer.asked)
            self._begin(clock, answer.asked, patience)
        if answer.up is None:
            return
        latest = self.latest
        if latest is not None and (clock is not self._clock or answer.asked - latest.asked > patience):
            self._gap(self._clock.wall(latest.answered), clock.wall(answer.asked), rest=False)
        self._clock = clock
        before = self.latest
        if before is None or before.up is not answer.up:
            self.since = clock.wall(answer.answered if answer.up else answer.asked)
        if answer.up:
            took = answer.answered - answer.asked
            if took > self.slowest:  # noqa: PLR1730 - a million times in one night
                self.slowest = took
            if self._open is not None:
                self._close(answer.answered)
        else:
            self._fail(answer, before.asked if before is not None and before.up else None)
        self.latest = answer

    def _begin(self, clock: _Clock, asked: float, patience: float) -> None:
        if self._expected is not None:
            since, at = self._expected
            if since is not clock or asked - at > patience:
                self._gap(since.wall(at), clock.wall(asked), rest=False)

    def rest(self, clock: _Clock, since: float, until: datetime) -> None:
        """The probe ended properly at `since`, and another began at `until`: not asked, and rightly so."""
        if self.latest is None:
            return
        self._gap(clock.wall(since), until, rest=True)

    def _gap(self, began: datetime, ended: datetime, *, rest: bool) -> None:
        self._close(None)
        self.latest = None
        if ended > began:
            self.gaps.append(Gap(began, ended, (ended - began).total_seconds(), rest))

    def _fail(self, answer: Answer, before: float | None) -> None:
        self.failed += 1
        kind = answer.words.partition(" ")[0]
        if self._open is None:
            self._open = _Open(
                before, answer.asked, answer.answered, answer.asked, answer.answered, self._clock
            )  # fmt: skip
        now = self._open
        now.first_answered = min(now.first_answered, answer.answered)
        now.last_asked = max(now.last_asked, answer.asked)
        now.last_answered = max(now.last_answered, answer.answered)
        now.questions += 1
        now.error = answer.words
        if kind not in now.kinds:
            now.kinds.append(kind)

    def _close(self, good: float | None) -> None:
        if self._open is not None:
            self.outages.append(self.outage(good))
            self._open = None

    def outage(self, good: float | None) -> Outage:
        """The open outage, ended by an answer at `good` or only by the end of asking."""
        now = self._open
        assert now is not None  # noqa: S101 - asked only while there is one
        end = now.last_answered if good is None else good
        return Outage(
            api=self.api.name,
            began=now.clock.wall(now.first_asked),
            ended=None if good is None else now.clock.wall(good),
            seconds=max(0.0, end - now.first_asked),
            low=max(0.0, now.last_asked - now.first_answered),
            high=max(0.0, end - (now.first_asked if now.before is None else now.before)),
            questions=now.questions,
            error=now.error,
            kinds=tuple(now.kinds),
            edge=good is None or now.before is None,
        )

    def so_far(self, going_on: float) -> tuple[float, int, str]:
        """Seconds away, outages, last failure; `going_on`: how long it has been away now, as was heard since."""
        known = sum(one.seconds for one in self.outages)
        current = max(going_on, self.outage(None).seconds if self._open is not None else 0.0)
        error = self._open.error if self._open is not None else self.outages[-1].error if self.outages else ""
        return known + current, len(self.outages) + (current > 0 or self._open is not None), error

    @property
    def since_words(self) -> str:
        return self.since.isoformat(timespec="milliseconds") if self.since is not None else ""

    def result(self) -> ApiDowntime:
        outages = [*self.outages, *([self.outage(None)] if self._open is not None else [])]
        return ApiDowntime(
            api=self.api.name, url=self.api.url, every=self.api.every, asked=self.asked, failed=self.failed,
            seconds=sum(one.seconds for one in outages), low=sum(one.low for one in outages),
            high=sum(one.high for one in outages), unknown=sum(gap.seconds for gap in self.gaps if not gap.rest),
            outages=tuple(outages), gaps=tuple(self.gaps), first=self.first,
            last=self._last[0].wall(self._last[1]) if self._last is not None else None,
            slowest_ms=round(self.slowest * 1000), up=self.latest.up if self.latest is not None else None,
        )  # fmt: skip


class Account:
    """Adds up records: answers come in the order in which they were heard, and count in that of the questions."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.stopped: Mark | None = None
        """The probe's end because the run was at rest, where it was the last thing recorded."""
        self._header: Header | None = None
        self._clock = _Clock()
        self._waiting: list[Answer] = []

    def take(self, recorded: Iterable[Item]) -> None:
        for item in recorded:
            if isinstance(item, Answer):
                self._waiting.append(item)
                if len(self._waiting) >= 4096:
                    self._settle(item.answered)
            elif isinstance(item, Header):
                self._begin(item)
            else:
                self._mark(item)

    def _mark(self, mark: Mark) -> None:
        if mark.kind == "clock":
            self._clock.set(mark.clock, mark.at)
        elif mark.kind == "rest":
            self._settle(None)
            self.stopped = mark

    def _begin(self, header: Header) -> None:
        self._settle(None)
        old, clock = self._header, self._clock
        if old is None or old.boot != header.boot:
            self._clock = _Clock()
        self._clock.set(header.clock, header.at)
        if self.stopped is not None:
            for tally in self.tallies.values():
                tally.rest(clock, self.stopped.clock, datetime.fromtimestamp(header.at, UTC))
            self.stopped = None
        self._header = header
        for api in header.apis:
            tally = self.tallies.setdefault(api.name, Tally(api))
            tally.api = api
            tally.expect(self._clock, header.clock)

    def _settle(self, heard: float | None) -> None:
        """Count what can no longer be overtaken by an answer to an earlier question; None: everything."""
        if self._header is None:
            return
        self._waiting.sort(key=lambda answer: answer.asked)
        sure = None if heard is None else heard - self._header.timeout - LATENESS
        ready = self._waiting if sure is None else [one for one in self._waiting if one.asked <= sure]
        self._waiting = self._waiting[len(ready) :]
        for answer in ready:
            self.count(answer, self._header.apis[answer.api], self._header.timeout)

    def count(self, answer: Answer, api: Api, timeout: float) -> None:
        """Add one answer, in the order of the questions."""
        self.tallies[api.name].take(answer, self._clock, 2 * api.every + timeout + LATENESS)

    def adopt(self, boot: str, clock: float, at: float) -> None:
        """The probe's own continuation of what was recorded: another start of it, seen by these clocks."""
        apis = tuple(tally.api for tally in self.tallies.values())
        self.take([Header(boot, at, clock, self._header.timeout if self._header else 0.0, apis)])

    def iso(self, clock: float) -> str:
        """UTC of a moment of this boot's clock."""
        return self._clock.wall(clock).isoformat(timespec="milliseconds")

    def result(self) -> tuple[ApiDowntime, ...]:
        self._settle(None)
        return tuple(tally.result() for tally in self.tallies.values())
