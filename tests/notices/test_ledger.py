"""What was told is remembered: nothing twice, one more try after a failure, whatever is killed in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.journal_kit import ram_folder
from tests.notices_kit import a_notice
from upgrader.notices.ledger import Ledger

NOTICE = a_notice()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.of(tmp_path)
    made.open(NOTICE, ["a", "b"])
    return made


def due(ledger: Ledger, after: float = 0.0) -> list[tuple[str, int]]:
    ledger.read()
    now = datetime.now(UTC) + timedelta(seconds=after)
    return [(one.name, one.tries) for one in ledger.due(NOTICE.id, now, retry_after=30, lost_after=45)]


def state(ledger: Ledger, name: str) -> str:
    """As another process finds it."""
    return Ledger.of(ledger.path.parents[1]).entries[NOTICE.id].deliveries[name].state


def test_to_those_of_the_beginning_and_no_others(ledger: Ledger) -> None:
    ledger.open(NOTICE, ["a", "b", "c"])
    assert due(ledger) == [("a", 0), ("b", 0)]
    assert Ledger.of(ledger.path.parents[1]).entries[NOTICE.id].notice == NOTICE
    assert ledger.path.stat().st_mode & 0o777 == 0o600


def test_sent_is_sent(ledger: Ledger) -> None:
    ledger.note(NOTICE.id, "a", 1, "trying")
    ledger.note(NOTICE.id, "a", 1, "sent")
    assert due(ledger, 10000) == [("b", 0)]


def test_a_failure_is_tried_once_more_and_not_at_once(ledger: Ledger) -> None:
    ledger.note(NOTICE.id, "a", 1, "failed", "no")
    assert ("a", 1) not in due(ledger, 20)
    assert ("a", 1) in due(ledger, 40)
    ledger.note(NOTICE.id, "a", 2, "failed", "no")
    assert ("a", 2) not in due(ledger, 4000)
    assert state(ledger, "a") == "given up"


def test_begun_and_never_ended_may_have_gone_out(ledger: Ledger) -> None:
    """Its sender was killed: it is not sent again."""
    ledger.note(NOTICE.id, "a", 1, "trying")
    assert due(ledger, 40) == [("b", 0)] and state(ledger, "a") == "trying"
    assert due(ledger, 50) == [("b", 0)] and state(ledger, "a") == "unknown"
    ledger.note(NOTICE.id, "b", 1, "sent")
    ledger.read()
    assert ledger.entries[NOTICE.id].settled
    assert ledger.counts() == {"sent": 1, "failed": 0, "unknown": 1, "pending": 0}


def test_a_day_later_it_is_no_news(ledger: Ledger) -> None:
    assert due(ledger, 90000) == []
    assert state(ledger, "a") == "unknown"


def test_a_clock_that_was_set_back_does_not_hold_up(ledger: Ledger) -> None:
    ledger.note(NOTICE.id, "a", 1, "failed", "no")
    assert ("a", 1) in due(ledger, -7200)


@pytest.mark.parametrize(
    "torn", [b'{"id": "hop_do', b"\xff\xfe\n", b"[]\n", b'{"id": "other", "name": "x"}\n', b"{}\n"]
)
def test_a_torn_line_is_passed_over(ledger: Ledger, torn: bytes) -> None:
    with ledger.path.open("ab") as stream:
        stream.write(torn)
    if torn.endswith(b"\n"):
        ledger.note(NOTICE.id, "a", 1, "sent")
        assert due(ledger) == [("b", 0)]
    else:
        assert due(ledger) == [("a", 0), ("b", 0)]


def test_the_same_trouble_is_noted_once(ledger: Ledger) -> None:
    for words in ("x", "x", "y", "x"):
        ledger.trouble(words)
    assert [words for _, words in Ledger.of(ledger.path.parents[1]).troubles] == ["x", "y", "x"]


ENDS = st.sampled_from(["sent", "failed", "killed"])
OPS = st.lists(st.tuples(st.sampled_from(["a", "b"]), ENDS, st.sampled_from([0, 10, 31, 50])), max_size=12)


@given(OPS)
def test_whatever_is_killed_and_whenever(ops: list[tuple[str, str, int]]) -> None:
    """Against a model: what may have gone out is not sent again, a failure once more, and everything else is sent."""
    clock = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
    tried: dict[str, list[tuple[str, datetime]]] = {"a": [], "b": []}
    with ram_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("upgrader.notices.ledger._now", lambda: clock.isoformat())  # noqa: PLW0108 - the clock goes on
        Ledger.of(folder).open(NOTICE, ["a", "b"])
        for name, how, seconds in ops:
            clock += timedelta(seconds=seconds)
            ledger = Ledger.of(folder)  # as after a kill: nothing is remembered but what is in the file
            found = {one.name: one.tries for one in ledger.due(NOTICE.id, clock, retry_after=30, lost_after=45)}
            assert set(found) == {one for one, ends in tried.items() if _wanted(ends, clock)}
            if name not in found:
                continue
            number = found[name] + 1
            assert number == len(tried[name]) + 1
            tried[name].append((how, clock))
            ledger.note(NOTICE.id, name, number, "trying")
            if how != "killed":
                ledger.note(NOTICE.id, name, number, how)
    assert all(len(ends) <= 2 for ends in tried.values())


def _wanted(ends: list[tuple[str, datetime]], now: datetime) -> bool:
    if not ends:
        return True
    how, at = ends[-1]
    return len(ends) == 1 and how == "failed" and (now - at).total_seconds() >= 30
