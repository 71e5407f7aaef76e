"""Looking at a run that goes on: what is seen, that it is read on, that nothing is locked or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.watch_kit import BEGAN, Clocks, Going, going
from upgrader.journal import JournalError
from upgrader.status import Verdict
from upgrader.watch.model import Watched
from upgrader.watch.sample import Watcher
from upgrader.watch.tail import Tail


def watcher(run: Going, clocks: Clocks | None = None) -> Watcher:
    clocks = clocks or Clocks()
    return Watcher(run.site, now=clocks.now, mono=clocks.mono)


def test_a_stage_under_way(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
        run.step("kolla-ansible upgrade to 2024.2")
        run.play("ctl1", "ctl2", "cmp1")
        run.task("Copying over config", "ctl1", "ctl2", "cmp1")
        run.task("Restart container", "ctl2", seconds=7)
        with run.locked():
            seen = watcher(run).sample()
    assert seen.report.verdict is Verdict.RUNNING
    assert seen.tasks.now is not None and seen.tasks.now.name == "Restart container"
    assert [(task.name, task.seconds) for task in seen.tasks.last] == [("Copying over config", 7.0)]
    assert (seen.hosts.total, seen.hosts.ok, seen.hosts.answered, seen.tasks.host) == (3, 3, 1, "ctl2")
    states = {line.name: line.state for line in seen.stages}
    assert states["backup"] == "done" and states["upgrade"] == "now" and states["verify"] == "next"
    assert seen.pace.tempo in ("unknown", "usual") and seen.pace.elapsed is not None


def test_hosts_in_trouble_and_one_that_was_rescued(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1", "ctl2", "cmp1")
        run.task("Pull", "ctl1")
        run.event("host_failed", task="Pull", host="ctl2", message="no space")
        run.event("host_unreachable", task="Pull", host="cmp1", message="ssh timeout")
        looking = watcher(run)
        seen = looking.sample()
        assert (seen.hosts.ok, seen.hosts.failed, seen.hosts.unreachable) == (1, 1, 1)
        assert [one.host for one in seen.hosts.troubled] == ["cmp1", "ctl2"]
        assert any("cmp1 unreachable at Pull: ssh timeout" in one.text for one in seen.insights)
        run.task("Go on", "ctl2")
        assert [one.host for one in looking.sample().hosts.troubled] == ["cmp1"]
        run.play("ctl1", "ctl2", "cmp1", number=2)
        run.task("Look", "ctl1")
        assert looking.sample().hosts.troubled == (), "another playbook tries every host again"


def test_four_hundred_hosts_that_fail_at_once(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
        names = [f"cmp{number:03d}" for number in range(400)]
        run.play(*names)
        run.task("Pull")
        for name in names:
            run.event("host_failed", task="Pull", host=name, message="x" * 5000)
        seen = watcher(run).sample()
    assert (seen.hosts.total, seen.hosts.ok, seen.hosts.failed) == (400, 0, 400)
    assert any("and 395 more hosts: cmp005" in one.text for one in seen.insights)
    assert len(str(seen.document())) < 60_000


def test_the_line_is_told_before_the_journal_knows(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1")
        looking = watcher(run)
        assert looking.sample().ponr_at == ""
        run.task("Running Neutron database expand container", watched=True)
        seen = looking.sample()
    assert seen.ponr_at.startswith("2026-11-22T14:00:01") and "expand" in seen.ponr_task
    assert any(one.level == "bad" and "point of no return crossed 14:00:01" in one.text for one in seen.insights)


def test_known_risks_are_those_of_this_hop(tmp_path: Path):
    with going(tmp_path) as run:
        told = " ".join(one.text for one in watcher(run).sample().insights)
    assert "old-computes" in told and "Watch the gateways" in told
    assert "later" not in told and "elsewhere" not in told
    assert "taken, accepted by anna (known): a risk" in told and "of-the-cloud" not in told


def test_slow_and_stalled_come_from_what_the_task_took_before(tmp_path: Path):
    with going(tmp_path) as run:
        for took in (18.0, 20.0, 300.0):
            run.before(Restart=took, Look=1.0)
        run.begin()
        run.play("ctl1")
        run.task("Restart")
        clocks = Clocks(run.now)
        looking = watcher(run, clocks)
        with run.locked():
            seen = looking.sample()
            assert seen.tasks.now is not None and seen.tasks.now.usual == 20.0, "the median of the three"
            assert (seen.pace.fraction, seen.tasks.expected) == (0.5, 2)
            clocks.sleep(39)
            assert looking.sample().pace.tempo == "usual"
            clocks.sleep(2)
            assert looking.sample().pace.tempo == "slow"
            clocks.sleep(160)
            seen = looking.sample()
    assert seen.pace.tempo == "stalled" and "usually takes 20 s" in seen.pace.why
    assert seen.insights[0].text.startswith("stalled?")


def test_silence_ends_with_the_next_sign(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1")
        run.task("Restart")
        clocks = Clocks(run.now)
        looking = watcher(run, clocks)
        with run.locked():
            looking.sample()
            clocks.sleep(90)
            assert looking.sample().pace.silent == 90
            run.event("host_ok", task="Restart", host="ctl1")
            assert looking.sample().pace.silent == 0
            clocks.sleep(5)
            assert looking.sample().pace.silent == 5


def test_a_clock_that_is_set_makes_nothing_slow(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1")
        run.task("Restart", "ctl1")
        clocks = Clocks(run.now)
        looking = watcher(run, clocks)
        with run.locked():
            before = looking.sample().pace
            clocks.wall = BEGAN.replace(year=2031)
            after = looking.sample().pace
    assert (after.tempo, after.silent, after.task) == (before.tempo, before.silent, before.task)


def test_between_two_looks_only_what_was_added_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1")
        for number in range(200):
            run.task(f"task {number}", "ctl1")
        looking = watcher(run)
        looking.sample()
        read: list[int] = []
        whole = Tail._bytes
        monkeypatch.setattr(Tail, "_bytes", lambda self: (data := whole(self), read.append(len(data)))[0])
        run.task("the next", "ctl1")
        assert looking.sample().tasks.done == 201
    assert 0 < sum(read) < 1000


def test_nothing_is_written_and_no_lock_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1")
        with run.locked():
            before = {path: path.stat().st_mtime_ns for path in run.site.state_dir.rglob("*") if path.is_file()}
            monkeypatch.setattr("fcntl.flock", lambda *_: pytest.fail("it asked for a lock"))
            opened: list[int] = []
            real = os.open

            def noted(path: str, flags: int, *rest: int, **more: int) -> int:
                descriptor = real(path, flags, *rest, **more)
                opened.append(flags)
                return descriptor

            monkeypatch.setattr(os, "open", noted)
            looking = watcher(run)
            looking.sample()
            looking.sample()
            after = {path: path.stat().st_mtime_ns for path in run.site.state_dir.rglob("*") if path.is_file()}
    assert after == before
    assert not any(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) for flags in opened)


def test_a_look_that_fails_shows_what_was_seen_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with going(tmp_path) as run:
        looking = watcher(run)
        good = looking.sample()

        def broken(*_: object, **__: object) -> None:
            raise JournalError("the journal is damaged")

        monkeypatch.setattr("upgrader.watch.sample.open_journal", broken)
        seen = looking.sample()
        assert seen.trouble == "the journal is damaged" and seen.report == good.report
        with pytest.raises(JournalError):
            watcher(run).sample()


def test_no_journal_and_no_run(tmp_path: Path):
    from tests.engine_kit.place import site_of

    seen = Watcher(site_of(tmp_path)).sample()
    assert seen.report.verdict is Verdict.NO_RUN and seen.stages == () and not seen.over


def test_dead_work_has_no_pace(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1")
        run.task("Restart", "ctl1")
        site = run.site
    seen = Watcher(site, now=Clocks().now).sample()
    assert seen.report.verdict is Verdict.INTERRUPTED
    assert seen.pace.tempo == "" and seen.pace.elapsed is None


def test_only_the_clock_moved(tmp_path: Path):
    clocks = Clocks()
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1")
        run.task("Restart", "ctl1")
        with run.locked():
            looking = watcher(run, clocks)
            first = looking.sample()
            clocks.sleep(3)
            second = looking.sample()
            run.task("The next", "ctl1")
            third = looking.sample()
    assert first.settled() == second.settled() != third.settled()
    assert first.pace != second.pace


def test_the_document_is_json_and_has_every_part(tmp_path: Path):
    import json

    with going(tmp_path) as run:
        run.begin()
        document = watcher(run).sample().document()
    assert json.loads(json.dumps(document))["status"]["verdict"] == "running"
    assert set(document) >= {name for name in Watched.__slots__ if name != "report"}
