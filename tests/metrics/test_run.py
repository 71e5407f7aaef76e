"""A run's metrics: real journals and attempts, read back by Prometheus' own parser."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.engine_kit.place import site_of
from tests.journal_kit import attempt, begin, entered, walk_to
from tests.watch_kit import Going, going, probing
from upgrader.metrics.reading import Reader
from upgrader.metrics.textfile import why_not, write_textfile
from upgrader.notices.ledger import Ledger
from upgrader.rolling.record import RollRecord
from upgrader.states import AttemptState, Event, Ponr, State
from upgrader.status import Verdict
from upgrader.watch.sample import Watcher

Found = dict[str, dict[frozenset[tuple[str, str]], float]]


def parsed(text: str) -> Found:
    found: Found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.timestamp is None, "the textfile collector refuses them"
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def metrics(run: Going) -> Found:
    return parsed(Reader(run.site).text(Watcher(run.site).sample(), 1.0))


def one(found: Found, name: str, **labels: str) -> float:
    """The one sample that has these labels among its own."""
    (value,) = [value for has, value in found[name].items() if set(labels.items()) <= has]
    return value


def holds(found: Found, name: str, label: str) -> list[str]:
    """Which values of a set are 1."""
    return [dict(has)[label] for has, value in found[name].items() if value == 1]


def test_a_site_without_a_run(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    found = parsed(Reader(site).text(Watcher(site).sample(), 7.5))
    assert holds(found, "upgrader_state", "state") == ["no-run"]
    assert found["upgrader_written_timestamp_seconds"] == {frozenset({("site", "crash")}): 7.5}
    assert "upgrader_stage" not in found and "upgrader_hosts" not in found


def test_while_a_stage_works(tmp_path: Path) -> None:
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1", "ctl2", "cmp1")
        run.task("Running Neutron bootstrap", "ctl1", "ctl2")
        run.event("host_failed", task="Running Neutron bootstrap", host="cmp1", message="no")
        with run.locked():
            found = metrics(run)
    assert len(found["upgrader_state"]) == len(Verdict)
    assert holds(found, "upgrader_state", "state") in (["running"], ["detached"])
    assert holds(found, "upgrader_stage", "stage") == ["upgrade"]
    assert one(found, "upgrader_hosts", condition="ok") == 2
    assert one(found, "upgrader_hosts", condition="failed", hop="2024.1-2024.2", run=run.run) == 1
    assert one(found, "upgrader_hosts_through_task") == 3
    assert one(found, "upgrader_hops") == 2 and one(found, "upgrader_hops_done") == 0
    assert set(found["upgrader_stage_started_timestamp_seconds"]) == {
        frozenset({("site", "crash"), ("run", run.run), ("hop", "2024.1-2024.2"), ("stage", "upgrade")})
    }
    assert "upgrader_point_of_no_return_crossed" in found
    assert set(found["upgrader_point_of_no_return_crossed"].values()) == {0}
    stages = {dict(has)["stage"] for has in found["upgrader_stage_duration_seconds"]}
    assert stages == {"preflight", "backup", "pull", "rehearse"}


def test_the_last_event_is_the_stages_own(tmp_path: Path) -> None:
    with going(tmp_path, now=datetime.fromisoformat("2036-01-01T00:00:00+00:00")) as run:
        run.begin()
        run.play("ctl1")
        run.task("Running", "ctl1", seconds=30)
        with run.locked():
            found = metrics(run)
    assert one(found, "upgrader_last_event_timestamp_seconds") == run.now.timestamp()


def test_the_line_is_told_before_the_journal_knows(tmp_path: Path) -> None:
    with going(tmp_path) as run:
        run.begin()
        run.play("ctl1")
        run.task("Running Neutron database expand container", watched=True)
        with run.locked():
            found = metrics(run)
        assert run.journal.snapshot().hops[0].ponr is not Ponr.CROSSED
    assert one(found, "upgrader_point_of_no_return_crossed", hop="2024.1-2024.2") == 1
    assert one(found, "upgrader_point_of_no_return_crossed", hop="2024.2-2025.1") == 0


def test_durations_and_results_of_every_hop(tmp_path: Path) -> None:
    with entered(tmp_path / "state") as journal:
        run = begin(journal)
        attempt(journal, State.PREFLIGHT, AttemptState.FAILED)
        journal.move(0, Event.RETRY, "anna", "again")
        walk_to(journal, State.HOP_DONE)
        journal.begin_hop(1)
        site = site_of(tmp_path)
        found = parsed(Reader(site).text(Watcher(site).sample(), 1.0))
    assert one(found, "upgrader_stage_attempts_total", hop="2024.1-2024.2", stage="preflight", result="failed") == 1
    assert one(found, "upgrader_stage_attempts_total", hop="2024.1-2024.2", stage="preflight", result="succeeded") == 1
    assert one(found, "upgrader_stage_duration_seconds", hop="2024.1-2024.2", stage="finalize", run=run) >= 0
    assert one(found, "upgrader_hops_done") == 1
    assert one(found, "upgrader_stage", hop="2024.2-2025.1", stage="preflight") == 1


def test_apis(tmp_path: Path) -> None:
    with going(tmp_path) as run, probing(run, "away", 12.5):
        found = metrics(run)
    assert (one(found, "upgrader_api_up", api="keystone"), one(found, "upgrader_api_up", api="neutron")) == (1, 0)
    assert one(found, "upgrader_api_away_seconds_total", api="neutron", run=run.run) == 12.5
    with going(tmp_path / "other") as run, probing(run, "unknown", 3):
        found = metrics(run)
    assert [dict(has)["api"] for has in found["upgrader_api_up"]] == ["keystone"]
    assert one(found, "upgrader_api_away_seconds_total", api="neutron") == 3


def test_hosts_of_the_waves_as_they_recorded_them(tmp_path: Path) -> None:
    with going(tmp_path) as run:
        request = SimpleNamespace(state_dir=str(run.site.state_dir), run=run.run, hop=0)
        RollRecord.of(request).keep(done=("ctl1", "cmp1"), failed=(("cmp2", "no answer"),))
        found = metrics(run)
    assert one(found, "upgrader_hosts_done", hop="2024.1-2024.2") == 2
    assert one(found, "upgrader_hosts_failed", hop="2024.1-2024.2") == 1


def test_hosts_of_one_play_over_all(tmp_path: Path) -> None:
    """Without waves: the closing account in the exit record; a way back that came right takes them back."""
    with going(tmp_path) as run:
        run.begin()
        assert "upgrader_hosts_done" not in metrics(run)
        run.end(AttemptState.FAILED, Event.FAILED)
        stats = {"processed": {"ctl1": 1, "cmp1": 1, "cmp2": 1}, "failures": {"cmp1": 1}, "dark": {}, "ok": {"ctl1": 9}}
        plays = [{"name": "observe", "stats": {"processed": {"x": 1}}}, {"name": "upgrade", "stats": stats,
                                                                        "missing": ["cmp3"]}]  # fmt: skip
        (run.folder / "exit.json").write_text(json.dumps({"attempt": run.attempt, "plays": plays}))
        found = metrics(run)
        assert (one(found, "upgrader_hosts_done"), one(found, "upgrader_hosts_failed")) == (2, 2)
        run.journal.move(0, Event.REDEPLOY, "anna", "back", redeploy_allowed=True)
        attempt(run.journal, State.ROLLBACK_REDEPLOY)
        found = metrics(run)
        assert (one(found, "upgrader_hosts_done"), one(found, "upgrader_hosts_failed")) == (0, 0)


@pytest.mark.parametrize("exit_", ["", "{}", '{"plays": 5}', '{"plays": [5, {"name": "upgrade", "stats": null}]}'])
def test_an_attempt_that_says_nothing_of_hosts(tmp_path: Path, exit_: str) -> None:
    with going(tmp_path) as run:
        run.begin()
        run.end(AttemptState.FAILED, Event.FAILED)
        (run.folder / "exit.json").write_text(exit_)
        assert "upgrader_hosts_done" not in metrics(run)


def test_a_reader_sees_what_is_added(tmp_path: Path) -> None:
    with going(tmp_path, State.PREFLIGHT) as run:
        reader, watcher = Reader(run.site), Watcher(run.site)
        assert "upgrader_stage_duration_seconds" not in parsed(reader.text(watcher.sample()))
        attempt(run.journal, State.PREFLIGHT)
        assert "upgrader_stage_duration_seconds" in parsed(reader.text(watcher.sample()))


def test_notices_are_counted_where_they_are_wanted(tmp_path: Path) -> None:
    from tests.notices_kit import a_notice
    from upgrader.notice_rules import NoticeRules

    with going(tmp_path) as run:
        ledger = Ledger.of(run.site.state_dir)
        ledger.open(a_notice(), ["a", "b"])
        ledger.note(a_notice().id, "a", 1, "sent")
        assert "upgrader_notices_total" not in metrics(run)
        run.site = replace(run.site, notices=NoticeRules(urls_file=tmp_path / "urls"))
        found = metrics(run)
    assert {dict(has)["result"]: value for has, value in found["upgrader_notices_total"].items()} == {
        "sent": 1, "failed": 0, "unknown": 0, "pending": 1,
    }  # fmt: skip


# ---------------------------------------------------------------- the file


def test_the_file_is_replaced_as_a_whole_and_everybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "upgrader.prom"
    before = os.umask(0o077)
    try:
        write_textfile(path, "a 1\n")
        with path.open() as old:
            write_textfile(path, "a 2\n")
            assert old.read() == "a 1\n", "a reader keeps what it opened"
    finally:
        os.umask(before)
    assert path.read_text() == "a 2\n" and stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [item.name for item in tmp_path.iterdir()] == ["upgrader.prom"]


def test_nothing_stays_behind_where_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "upgrader.prom").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_textfile(tmp_path / "upgrader.prom", "a 1\n")
    assert [item.name for item in tmp_path.iterdir()] == ["upgrader.prom"]
    assert "is a folder" in why_not(tmp_path / "upgrader.prom")
    assert "is no folder" in why_not(tmp_path / "gone" / "upgrader.prom")
    assert why_not(tmp_path / "other.prom") == ""


def test_the_document_names_no_path_and_no_secret(tmp_path: Path) -> None:
    with going(tmp_path) as run:
        text = Reader(run.site).text(Watcher(run.site).sample())
    assert str(tmp_path) not in text and json.dumps(text)
