"""The herald, look by look: files, journal and clocks are real or moved by hand, what sends is a recorder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.journal_kit import attempt
from tests.watch_kit import Going, going
from upgrader.herald.work import Herald
from upgrader.metric_rules import MetricRules
from upgrader.notice_rules import NoticeRules
from upgrader.notices.ledger import Ledger
from upgrader.notices.sending import Order
from upgrader.states import AttemptState, Event, State


class Sent:
    """What the herald handed to processes that send, and what these make of it."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.answer: Callable[[str], str] = lambda _name: ""
        """Why an address fails; empty: it is told."""
        self.over = True
        self.killed = False

    def __call__(self, order: Order) -> Sent:
        self.orders.append(order)
        ledger = Ledger(Path(order.ledger))
        for address, number in order.to:
            ledger.note(order.notice.id, address.name, number, "trying")
            if self.killed or not self.over:
                continue
            why = self.answer(address.name)
            ledger.note(order.notice.id, address.name, number, "failed" if why else "sent", why)
        return self

    def results(self, patience: float | None = None) -> dict[str, tuple[str, str]]:
        return {}

    @property
    def told(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(order.notice.event, tuple(address.name for address, _ in order.to)) for order in self.orders]


class Place:
    """A run, its herald and its clocks."""

    def __init__(self, run: Going, folder: Path) -> None:
        self.folder = folder
        self.run = run
        self.sent = Sent()
        self.mono = 1000.0
        self.offset = timedelta(0)
        (folder / "urls").write_text("a = json://TOKEN\nb = webhook+https://h/TOKEN\n")
        (folder / "urls").chmod(0o600)
        run.site = replace(
            run.site, notices=NoticeRules(urls_file=folder / "urls"), metrics=MetricRules(folder / "upgrader.prom")
        )
        self.after = run.journal.snapshot().last_seq
        self.herald = self.another()

    def another(self) -> Herald:
        """As after a kill: nothing is remembered but what is on the disk."""
        self.herald = Herald(
            self.run.site, after=self.after, send=self.sent, mono=lambda: self.mono,
            now=lambda: datetime.now(UTC) + self.offset,
        )  # fmt: skip
        return self.herald

    def tick(self, seconds: float = 1.0, times: int = 1) -> None:
        for _ in range(times):
            self.mono += seconds
            self.offset += timedelta(seconds=seconds)
            self.herald.tick()

    def fail(self) -> None:
        attempt(self.run.journal, self.run.stage, AttemptState.FAILED, message="no")

    @property
    def metrics(self) -> str:
        return (self.folder / "upgrader.prom").read_text()

    @property
    def troubles(self) -> list[str]:
        return [words for _, words in Ledger.of(self.run.site.state_dir).troubles]


@contextmanager
def placed(folder: Path, stage: State = State.PREFLIGHT) -> Iterator[Place]:
    with going(folder, stage) as run:
        yield Place(run, folder)


def test_metrics_at_once_when_something_happens_and_now_and_then_otherwise(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        place.tick()
        first = place.metrics
        assert 'stage="preflight"} 1' in first
        place.tick(times=5)
        assert place.metrics == first, "nothing happened"
        place.fail()
        place.tick()
        assert 'stage="failed_clean"} 1' in place.metrics and place.metrics != first
        before = place.metrics
        place.tick(seconds=11)
        assert place.metrics != before, "its moment is younger"


def test_each_event_is_told_once_to_all(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        place.tick(times=2)
        assert place.sent.told == [] and place.herald.through
        place.fail()
        place.tick(times=4)
        written = Ledger.of(place.run.site.state_dir).path.read_bytes()
        place.another()
        place.tick(times=4)
        assert place.sent.told == [("failed", ("a", "b"))]
        assert Ledger.of(place.run.site.state_dir).path.read_bytes() == written
        assert place.herald.through


def test_what_was_before_the_first_telling_is_not_told(tmp_path: Path) -> None:
    with going(tmp_path, State.PREFLIGHT) as run:
        attempt(run.journal, State.PREFLIGHT, AttemptState.FAILED)
        place = Place(run, tmp_path)
        place.tick(times=3)
        assert place.sent.told == []
        run.journal.move(0, Event.RETRY, "anna", "again")
        place.after = run.journal.snapshot().last_seq  # a later command asks from later on
        place.fail()
        place.after = run.journal.snapshot().last_seq
        place.another()
        place.tick(times=3)
        assert place.sent.told == [("failed", ("a", "b"))], "what happened while no herald was there is told"


def test_a_failure_is_tried_once_more_at_that_address_alone(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        place.sent.answer = lambda name: "the server answered 500" if name == "a" else ""
        place.fail()
        place.tick(times=3)
        assert place.sent.told == [("failed", ("a", "b"))] and not place.herald.through
        place.tick(seconds=31)
        place.tick(times=3)
        assert place.sent.told[1:] == [("failed", ("a",))] and place.herald.through
        place.tick(seconds=100, times=3)
        assert len(place.sent.orders) == 2
        assert [number for _, number in place.sent.orders[1].to] == [2]


@pytest.mark.parametrize("when", ["opened", "begun"])
def test_killed_on_the_way(tmp_path: Path, when: str) -> None:
    """Noted and never begun: it is sent. Begun and never ended: it may have gone out, so it is not."""
    with placed(tmp_path) as place:
        if when == "begun":
            place.sent.killed = True
        else:

            def crash(_order: Order) -> Sent:
                raise KeyboardInterrupt

            place.herald._send = crash
        place.fail()
        try:
            place.tick(times=2)
        except KeyboardInterrupt:
            assert when == "opened"
        place.sent.killed = False
        place.another()
        place.tick(times=2)
        place.tick(seconds=60, times=3)
        assert place.sent.told == [("failed", ("a", "b"))]
        counts = Ledger.of(place.run.site.state_dir).counts()
        assert counts["unknown"] == (2 if when == "begun" else 0) and counts["pending"] == 0
        assert place.herald.through


def test_a_sender_that_says_nothing_is_not_started_for_ever(tmp_path: Path) -> None:
    with placed(tmp_path) as place:

        class Mute(Sent):
            def __call__(self, order: Order) -> Sent:
                self.orders.append(order)
                return self

        place.herald._send = mute = Mute()
        place.fail()
        place.tick(times=5)
        assert len(mute.orders) == 1
        place.tick(seconds=31, times=5)
        assert len(mute.orders) == 2 and place.herald.through
        assert Ledger.of(place.run.site.state_dir).counts()["failed"] == 2


def test_one_that_hangs_holds_up_no_metrics(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        place.sent.over = False
        place.fail()
        place.tick(times=3)
        assert len(place.sent.orders) == 1 and not place.herald.through
        place.run.journal.move(0, Event.RETRY, "anna", "again")
        place.tick()
        assert 'stage="preflight"} 1' in place.metrics


def test_only_what_is_wanted(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        place.run.site = replace(place.run.site, notices=replace(place.run.site.notices, events=("hop_done",)))
        place.another()
        place.fail()
        place.tick(times=3)
        assert place.sent.told == []


def test_a_list_that_cannot_be_used_and_then_can(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        (tmp_path / "urls").chmod(0o644)
        place.fail()
        place.tick(times=5)
        assert place.sent.told == [] and place.herald.through, "it does not wait for ever"
        assert len(place.troubles) == 1 and "can be read by others (mode 0644)" in place.troubles[0]
        assert "TOKEN" not in "".join(place.troubles)
        (tmp_path / "urls").chmod(0o600)
        place.tick(times=2)
        assert place.sent.told == [("failed", ("a", "b"))]


def test_an_address_that_was_taken_out_is_not_waited_for(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        place.sent.answer = lambda _name: "no"
        place.fail()
        place.tick(times=2)
        (tmp_path / "urls").write_text("b = webhook+https://h/TOKEN\nc = json://TOKEN\n")
        place.tick(seconds=31)
        place.tick(times=2)
        assert place.sent.told[1:] == [("failed", ("b",))], "and a new one hears of what comes"
        assert place.herald.through


def test_metrics_that_cannot_be_written_are_said_and_notices_go_on(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        place.run.site = replace(place.run.site, metrics=MetricRules(tmp_path / "gone" / "upgrader.prom"))
        place.another()
        place.fail()
        place.tick(times=3)
        assert any("metrics cannot be written" in words for words in place.troubles)
        assert len(place.sent.orders) == 1


def test_a_journal_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        place.tick()
        for item in place.run.site.state_dir.glob("journal*"):
            item.unlink()
        place.tick(times=2)


def test_nobody_at_work(tmp_path: Path) -> None:
    with placed(tmp_path, State.UPGRADE) as place:
        place.run.begin()
        with place.run.locked():
            place.tick(seconds=50, times=4)
            assert place.herald.idle < 2 and place.sent.told == [], "the stage goes on, whoever follows it"


def test_left_alone(tmp_path: Path) -> None:
    with placed(tmp_path, State.UPGRADE) as place:
        place.run.begin()
    place.tick(seconds=29, times=2)
    assert place.sent.told == []
    place.tick(seconds=5, times=2)
    assert [event for event, _ in place.sent.told] == ["unattended"]
    place.tick(seconds=25, times=3)
    assert len(place.sent.orders) == 1 and place.herald.idle > 75 and place.herald.through


def test_the_line_while_no_controller_is_there(tmp_path: Path) -> None:
    with placed(tmp_path, State.UPGRADE) as place:
        place.run.now = datetime.now(UTC)
        place.run.begin()
        place.run.play("ctl1")
        place.run.task("Running Neutron database expand container", watched=True)
        with place.run.locked():
            place.tick(times=3)
            place.another()
            place.tick(times=3)
        assert [event for event, _ in place.sent.told] == ["point_of_no_return"]


def test_a_site_file_that_is_mended_meanwhile(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        place.tick()
        text = '[site]\nname = "crash"\n[kolla]\nconfig_dir = "."\ninventory = "inventory"\n[state]\ndir = "state"\n'
        (tmp_path / "upgrader.toml").write_text("[site\n")
        place.tick()
        assert place.herald.site == place.run.site, "a broken one is not taken"
        (tmp_path / "upgrader.toml").write_text(text + '[metrics]\ntextfile = "other.prom"\n')
        place.tick()
        assert (tmp_path / "other.prom").exists() and not place.herald.site.notices.wanted
