"""The arithmetic against a truth that is known: bounds hold, gaps are unknown, clocks may be set."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.availability.downtime import Account, ApiDowntime
from upgrader.availability.records import Answer, Api, Header, Item, Mark

EVERY, TIMEOUT = 0.5, 5.0
API = Api("nova", "http://nova/", EVERY)
WALL = 1_800_000_000.0


def header(clock: float = 0.0, *, boot: str = "boot", at: float | None = None) -> Header:
    return Header(boot, WALL + clock if at is None else at, clock, TIMEOUT, (API,))


def total(items: list[Item]) -> ApiDowntime:
    account = Account()
    account.take(items)
    (found,) = account.result()
    return found


def good(at: float, took: float = 0.01) -> Answer:
    return Answer(0, at, at + took, True)


def bad(at: float, took: float = 0.01, words: str = "refused nobody") -> Answer:
    return Answer(0, at, at + took, False, words)


def ticks(began: float, ended: float) -> list[float]:
    return [began + EVERY * number for number in range(int((ended - began) / EVERY))]


def test_an_outage_with_its_bounds() -> None:
    items = [header(), *map(good, ticks(0, 5)), *map(bad, ticks(5, 9)), *map(good, ticks(9, 12))]
    found = total(items)
    (outage,) = found.outages
    assert (found.asked, found.failed, outage.questions) == (24, 8, 8)
    assert outage.began == datetime.fromtimestamp(WALL + 5, UTC)
    assert outage.ended == datetime.fromtimestamp(WALL + 9.01, UTC)
    assert outage.seconds == pytest.approx(4.01)
    assert found.seconds_away == (pytest.approx(8.5 - 5.01), pytest.approx(9.01 - 4.5))
    assert found.unknown == 0 and not outage.edge and found.up is True


def test_never_asked_is_nothing() -> None:
    found = total([header()])
    assert (found.asked, found.seconds, found.up, found.first) == (0, 0, None, None)


def test_an_outage_that_has_not_ended() -> None:
    found = total([header(), *map(good, ticks(0, 2)), *map(bad, ticks(2, 4))])
    (outage,) = found.outages
    assert outage.ended is None and outage.edge and found.up is False
    assert outage.seconds == pytest.approx(1.51)


def test_a_dead_probe_is_a_time_unknown_and_never_up() -> None:
    items = [header(), *map(good, ticks(0, 10)), header(100), *map(good, ticks(100, 110))]
    found = total(items)
    assert found.unknown == pytest.approx(100 - 9.51) and found.seconds == 0
    assert [gap.rest for gap in found.gaps] == [False]


def test_away_before_and_behind_a_gap_is_not_away_within() -> None:
    items = [header(), good(0), *map(bad, ticks(0.5, 3)), header(100), *map(bad, ticks(100, 103)), good(103)]
    found = total(items)
    assert len(found.outages) == 2 and all(outage.edge for outage in found.outages)
    assert found.seconds == pytest.approx(2.01 + 3.01)
    assert found.unknown == pytest.approx(100 - 2.51)


def test_a_probe_that_rested_left_no_unknown_time() -> None:
    rest = Mark("rest", 10, WALL + 10, "the hop is at rest")
    items = [header(), *map(good, ticks(0, 10)), rest, header(5000), *map(good, ticks(5000, 5002))]
    found = total(items)
    assert found.unknown == 0 and [gap.rest for gap in found.gaps] == [True]
    asked_to_end = Mark("stop", 10, WALL + 10, "it was asked to end")
    assert total([*items[:21], asked_to_end, *items[22:]]).unknown > 4900


def test_another_boot_is_a_gap_by_the_wall_clock() -> None:
    items = [header(500), good(500.5), header(3, boot="next", at=WALL + 800), good(3.5), good(4)]
    found = total(items)
    assert found.unknown == pytest.approx(300, abs=0.1)


def test_setting_the_clock_changes_no_duration() -> None:
    steps = [Mark("clock", 6, WALL - 3594, "set"), Mark("clock", 8, WALL + 8, "set")]
    plain = [header(), *map(good, ticks(0, 5)), *map(bad, ticks(5, 9)), *map(good, ticks(9, 12))]
    stepped = [*plain[:13], steps[0], *plain[13:17], steps[1], *plain[17:]]
    one, other = total(plain), total(stepped)
    assert (one.seconds, one.low, one.high, one.unknown) == (other.seconds, other.low, other.high, other.unknown)
    assert other.outages[0].began == datetime.fromtimestamp(WALL + 5, UTC)


def test_what_this_machine_could_not_ask_is_no_outage() -> None:
    ours = [Answer(0, at, at, None, "local Too many open files") for at in ticks(2, 30)]
    found = total([header(), *map(good, ticks(0, 2)), *ours, *map(good, ticks(30, 32))])
    assert found.seconds == 0 and found.failed == 0
    assert found.unknown == pytest.approx(30 - 1.51)


def test_a_name_that_cannot_be_resolved_is_away_and_named_as_ours() -> None:
    found = total([header(), good(0), bad(0.5, 0, "name x cannot be resolved"), good(1)])
    assert found.outages[0].ours
    assert not total([header(), good(0), bad(0.5, 0, "name x"), bad(1, 0, "refused"), good(2)]).outages[0].ours


def test_answers_count_in_the_order_of_their_questions() -> None:
    """Questions that hang are answered after later ones were: no flapping comes of it."""
    hanging = [bad(at, TIMEOUT, "timeout") for at in ticks(5, 12)]
    items = sorted([*map(good, ticks(0, 5)), *hanging, *map(good, ticks(12, 25))], key=lambda one: one.answered)
    found = total([header(), *items])
    assert len(found.outages) == 1
    assert found.seconds == pytest.approx(7.01)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[float, float]], int, str]:
    """Outages of a service, each seen by at least one question; a seed for delays; how it fails."""
    shortest_up = TIMEOUT + 4 * EVERY
    found, at = [], 0.0
    for _ in range(draw(st.integers(0, 4))):
        at += draw(st.floats(shortest_up, 60))
        away = draw(st.floats(2 * EVERY, 90))
        found.append((at, at + away))
        at += away
    return found, draw(st.integers(0, 2**16)), draw(st.sampled_from(["refused", "timeout", "mixed"]))


@given(histories())
def test_bounds_hold(history: tuple[list[tuple[float, float]], int, str]) -> None:
    truth, seed, how = history
    rnd = random.Random(seed)  # noqa: S311
    end = (truth[-1][1] if truth else 0) + 10
    answers = []
    for number in range(int(end / EVERY)):
        asked = number * EVERY + rnd.random() * 0.1
        delay = rnd.random() * 0.3
        moment = asked + delay * rnd.random()
        if any(began <= moment < ended for began, ended in truth):
            kind = how if how != "mixed" else rnd.choice(["refused", "timeout"])
            answers.append(bad(asked, TIMEOUT if kind == "timeout" else delay, kind))
        else:
            answers.append(good(asked, delay))
    answers.sort(key=lambda one: one.answered)
    found = total([header(), *answers])
    assert len(found.outages) == len(truth)
    for outage, (began, ended) in zip(found.outages, truth, strict=True):
        assert outage.low - 1e-6 <= ended - began <= outage.high + 1e-6
        assert outage.low <= outage.seconds <= outage.high
        assert abs(outage.seconds - (ended - began)) <= 2 * EVERY + 0.5
    assert found.unknown == 0


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 59), st.floats(15, 500))
def test_time_is_away_or_unknown_or_neither_but_never_twice(states: list[bool], cut: int, pause: float) -> None:
    """However answers fall, what is away and what is unknown fits into the time there was."""
    at, items = 0.0, [header()]
    for number, up in enumerate(states):
        if number == cut:
            at += pause
            items.append(header(at))
        items.append(good(at) if up else bad(at))
        at += EVERY
    found = total(items)
    assert 0 <= found.low <= found.seconds <= found.high
    assert found.seconds + found.unknown <= at + 1e-6
    assert found.failed == states.count(False)
    if 0 < cut < len(states):
        assert found.unknown == pytest.approx(pause + EVERY - 0.01)


def test_a_probe_that_died_before_its_first_answer_was_written() -> None:
    found = total([header(), header(60), *map(good, ticks(60, 62))])
    assert found.unknown == pytest.approx(60)
    assert total([header(), *map(good, ticks(1, 3))]).unknown == 0
