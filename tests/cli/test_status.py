"""`status` and `history` over a real journal: the verdict, the commands that are open, nothing heavy."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_main import HEAVY, imported, upgrader
from tests.planner.plans import a_plan
from upgrader import attempts, processes, status_read
from upgrader.config import Site, load_site
from upgrader.journal import Journal, acquire, open_journal
from upgrader.model import AttemptRequest
from upgrader.states import AttemptState, Event, Ponr, State
from upgrader.status import Verdict
from upgrader.status_read import gather, keep_seen, lock_held, owner_lives
from upgrader.views.page import plain_text
from upgrader.views.status import age, status_page

SITE = """
[site]
name = "prod"
[kolla]
config_dir = "kolla"
inventory = "inventory"
"""
NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
OBSERVED = {
    "observed_at": "2026-11-22T14:00:00Z",
    "reading": {
        "kind": "mixed",
        "release": "",
        "how": "container images",
        "evidence": ["ctl1: 2024.1: keystone; 2024.2: mariadb"],
        "by_service": [["keystone", "2024.1", ["ctl1", "ctl2"]], ["mariadb", "2024.2", ["ctl1"]]],
    },
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "upgrader.toml").write_text(SITE)
    return load_site(tmp_path / "upgrader.toml")


class Run:
    """A run of one hop in a real journal, moved by hand."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lease = acquire(site.state_dir, "test")
        self.journal = open_journal(site.state_dir)
        self.journal.enter(self.lease)
        snapshot = self.journal.snapshot()
        plan = a_plan().model_copy(update={"lineage": snapshot.lineage, "serial": snapshot.serial})
        self.run = self.journal.begin_run(plan.document(), plan.sha256, "anna", [("2024.1", "2024.2")])
        self.journal.begin_hop(0)

    def stage(self, stage: State, result: AttemptState = AttemptState.SUCCEEDED, event: Event | None = None) -> None:
        attempt = self.intend(stage)
        self.journal.finish(attempt, result, event or Event.SUCCEEDED, schema_started=False)

    def intend(self, stage: State) -> str:
        name = str(uuid.uuid4())
        ponr = Ponr.POSSIBLE if stage is State.UPGRADE else None
        self.journal.intend(0, stage, attempt=name, request_sha256="0" * 64, ponr=ponr)
        self.journal.launched(name, os.getpid())
        return name

    def folder(self, attempt: str, stage: State) -> Path:
        request = AttemptRequest(
            attempt=attempt, run=self.run, epoch=1, hop=0, stage=stage.value, number=1,
            site_file=str(self.site.file), plan_file="", state_dir=str(self.site.state_dir),
        )  # fmt: skip
        return attempts.create(self.site.state_dir, request)

    def begun(self, stage: State) -> Path:
        """An attempt that started and left nothing else."""
        attempt = self.intend(stage)
        folder = self.folder(attempt, stage)
        (folder / attempts.STARTED).write_text(json.dumps({"attempt": attempt, "boot_id": processes.boot_id()}))
        return folder

    def until(self, state: State) -> None:
        for stage in (State.PREFLIGHT, State.BACKUP, State.PULL, State.REHEARSE):
            if stage is state:
                return
            self.stage(stage)
        if state is State.HOLD_BROKER:
            return
        if state is State.BROKER:
            self.journal.move(0, Event.APPROVE, actor="anna", reason="outage announced")
            return
        self.journal.move(0, Event.SKIP, actor="engine", reason="no queue has to be migrated")
        if state is State.HOLD_UPGRADE:
            return
        self.journal.move(0, Event.APPROVE, actor="anna", reason="window open")
        for stage in (State.UPGRADE, State.VERIFY, State.SOAK):
            if stage is state:
                return
            self.stage(stage)

    def close(self) -> None:
        self.journal.close()
        self.lease.release()


@pytest.fixture
def run(site: Site) -> Any:
    made = Run(site)
    yield made
    made.close()


def commands(site: Site) -> list[str]:
    return [choice.command for choice in gather(site).choices]


def words(site: Site) -> str:
    return plain_text(status_page(gather(site), NOW), width=80)


def test_without_a_journal_there_is_no_run_and_none_is_made(site: Site) -> None:
    report = gather(site)
    assert report.verdict is Verdict.NO_RUN
    assert not site.state_dir.exists()
    assert commands(site) == ["upgrader plan --to RELEASE"]


def test_a_journal_without_a_run(site: Site) -> None:
    with acquire(site.state_dir, "test") as lease, open_journal(site.state_dir) as journal:
        journal.enter(lease)
    assert gather(site).verdict is Verdict.NO_RUN


def test_waiting_for_approval(run: Run, site: Site) -> None:
    run.until(State.HOLD_UPGRADE)
    run.close()
    report = gather(site)
    assert report.verdict is Verdict.WAITING
    assert commands(site) == ["upgrader approve", "upgrader abort"]
    assert report.way_back == "nothing"
    assert "WAITING for you in hop 1 of 1 (2024.1 → 2024.2), stage hold_upgrade" in words(site)


def test_a_queue_migration_waits_with_its_outage_and_its_failure_with_its_own_decision(run: Run, site: Site) -> None:
    run.until(State.HOLD_BROKER)
    assert "full API outage" in words(site)
    assert commands(site) == ["upgrader approve", "upgrader abort"]
    run.journal.move(0, Event.APPROVE, actor="anna", reason="go")
    run.stage(State.BROKER, "failed", Event.FAILED)
    run.close()
    report = gather(site)
    assert (report.verdict, report.way_back) == (Verdict.DECISION, "redeploy")
    assert commands(site) == ["upgrader resume", "upgrader rollback", "upgrader status --observe"]
    assert [choice.what for choice in report.choices][:2] == [
        "migrate the queues again, from where it stopped", "the old switches and queues again (another reset)",
    ]  # fmt: skip


def test_a_missing_rehearsal_waits_for_a_named_acceptance(run: Run, site: Site, tmp_path: Path) -> None:
    run.until(State.REHEARSE)
    run.journal.close()
    run.lease.release()
    nowhere = replace(site, mariadb_programs=tmp_path)
    assert gather(nowhere).verdict is Verdict.WAITING
    assert commands(nowhere)[0].startswith("upgrader approve --accept not-rehearsed")
    (tmp_path / "mariadbd").write_text("")
    (tmp_path / "mariadbd").chmod(0o755)
    assert gather(nowhere).verdict is Verdict.STOPPED, "it is rehearsed on a copy"


def test_while_a_controller_holds_the_lease_it_is_running(run: Run, site: Site) -> None:
    run.until(State.BACKUP)
    report = gather(site)
    assert report.verdict is Verdict.RUNNING
    assert "test by" in report.controller
    run.journal.close()
    run.lease.release()
    assert gather(site).verdict is Verdict.STOPPED


def test_interrupted_names_the_stage_the_task_and_the_way_back(run: Run, site: Site) -> None:
    run.until(State.UPGRADE)
    folder = run.begun(State.UPGRADE)
    lines = [
        {"kind": "step_start", "step": "upgrade", "at": "2026-11-22T14:55:00Z"},
        {"kind": "task_start", "task": "mariadb : Creating mysql monitor user", "at": "2026-11-22T14:55:48Z"},
        {"kind": "host_failed", "host": "ctl1", "task": "x", "message": "[red]no\x1b[2J"},
    ]
    (folder / attempts.PROGRESS).write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "torn')
    run.journal.close()
    run.lease.release()
    report = gather(site)
    assert report.verdict is Verdict.INTERRUPTED
    assert report.attempt is not None
    assert report.attempt.evidence == "unknown"
    assert report.way_back == "restore"
    assert report.restore_services == ("neutron", "mariadb")
    assert commands(site) == ["upgrader resume", "upgrader status --observe", "upgrader rollback"]
    said = words(site)
    assert "INTERRUPTED in hop 1 of 1 (2024.1 → 2024.2), stage upgrade, attempt 1, at" in said
    assert '"mariadb : Creating mysql monitor user"' in " ".join(said.split())
    assert "[red]no\\x1b[2J" in said
    assert "Take it as mixed" in said
    assert "may be crossed" in said


def test_an_old_observation_does_not_hide_the_interruption(run: Run, site: Site) -> None:
    run.until(State.UPGRADE)
    folder = run.begun(State.UPGRADE)
    (folder / attempts.PROGRESS).write_text('{"kind": "task_start", "task": "x", "at": "2026-11-22T14:30:00Z"}\n')
    run.journal.close()
    run.lease.release()
    keep_seen(site, OBSERVED)
    said = " ".join(words(site).split())
    assert "MIXED (seen 2026-11-22T14:00:00Z, 1 h 00 min ago)" in said
    assert "2024.2 mariadb ctl1" in said.replace("(", "").replace(")", "")
    assert "That was before the interruption" in said


def test_an_attempt_that_never_began_leaves_nothing_mixed(run: Run, site: Site) -> None:
    run.until(State.UPGRADE)
    run.folder(run.intend(State.UPGRADE), State.UPGRADE)
    run.journal.close()
    run.lease.release()
    report = gather(site)
    assert (report.verdict, report.unverified) == (Verdict.INTERRUPTED, False)
    assert "provably never began" in words(site)


def test_a_torn_observation_is_no_observation(site: Site) -> None:
    site.state_dir.mkdir()
    (site.state_dir / status_read.OBSERVED).write_text('{"reading": {')
    assert gather(site).cloud is None
    (site.state_dir / status_read.OBSERVED).write_text('{"observed_at": "x", "reading": {"by_service": 1}}')
    assert gather(site).cloud is None


def test_decision_after_a_failure(run: Run, site: Site) -> None:
    run.until(State.UPGRADE)
    run.stage(State.UPGRADE, AttemptState.FAILED, Event.FAILED)
    assert gather(site).verdict is Verdict.DECISION
    assert commands(site)[:2] == ["upgrader resume", "upgrader rollback"]
    assert gather(site).way_back == "redeploy"


def test_failed_before_anything_was_changed(run: Run, site: Site) -> None:
    run.until(State.PULL)
    run.stage(State.PULL, AttemptState.FAILED, Event.FAILED)
    assert gather(site).verdict is Verdict.FAILED_CLEAN
    assert commands(site) == ["upgrader resume", "upgrader abort"]


def test_done(run: Run, site: Site) -> None:
    run.until(State.HOLD_FINALIZE)
    assert gather(site).verdict is Verdict.WAITING
    assert commands(site) == ["upgrader approve", "upgrader rollback"]
    run.journal.move(0, Event.APPROVE, actor="anna", reason="fine")
    run.stage(State.FINALIZE)
    assert gather(site).verdict is Verdict.DONE
    assert gather(site).way_back == "forward-only"


def test_the_kernel_knows_who_holds_the_lock(site: Site) -> None:
    lease = acquire(site.state_dir, "test")
    assert lock_held(site.state_dir / "lock")
    lease.release()
    assert not lock_held(site.state_dir / "lock")


def test_an_owner_is_known_by_its_process_where_the_kernels_table_does_not_help(site: Site, tmp_path: Path) -> None:
    with acquire(site.state_dir, "test") as lease:
        process = tmp_path / "proc" / str(lease.card.pid)
        process.mkdir(parents=True)
        (process / "cmdline").write_bytes(b"python\0-m\0upgrader\0run\0")
        assert owner_lives(lease.card, tmp_path / "proc")
        assert not owner_lives(lease.card._replace(boot="another"), tmp_path / "proc")
        (process / "cmdline").write_bytes(b"vim\0")
        assert not owner_lives(lease.card, tmp_path / "proc")
        assert not owner_lives(lease.card, tmp_path / "nowhere")


def test_status_says_the_same_as_json_and_imports_nothing_heavy(run: Run, site: Site) -> None:
    run.until(State.HOLD_UPGRADE)
    done = upgrader("status", "--json", "--site", str(site.file))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["schema_version"], document["kind"], document["verdict"]) == (1, "status", "waiting")
    assert document["choices"][0]["command"] == f"upgrader --site {site.file} approve"
    assert not imported("status", "--site", str(site.file)) & HEAVY


def test_history_shows_every_event_and_checks_the_chain(run: Run, site: Site) -> None:
    run.until(State.HOLD_UPGRADE)
    done = upgrader("history", "--verify", "--json", "--site", str(site.file))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["chain"] == {"whole": True, "faults": []}
    assert [event["seq"] for event in document["events"]] == list(range(1, len(document["events"]) + 1))
    plain = upgrader("history", "--site", str(site.file)).stdout
    assert plain.count("\n") > len(document["events"])
    assert upgrader("history", "--last", "2", "--json", "--site", str(site.file)).stdout.count('"seq"') == 2


def test_a_changed_history_is_found_and_ends_with_its_own_exit_code(run: Run, site: Site) -> None:
    run.until(State.BACKUP)
    run.close()
    log = site.state_dir / "audit.log"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines[:-1], lines[-1].replace(lines[-1][-8:], "00000000")]) + "\n")
    done = upgrader("history", "--verify", "--site", str(site.file))
    assert done.returncode == 8
    assert "BROKEN" in done.stdout
    assert "cannot be relied on" in done.stderr


def test_history_without_a_journal_says_so(site: Site) -> None:
    done = upgrader("history", "--site", str(site.file))
    assert done.returncode == 3
    assert "no journal" in done.stderr


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-22T14:59:30Z", "30 s"),
        ("2026-11-22T14:50:00+00:00", "10 min 00 s"),
        ("2026-11-22T12:30:00", "2 h 30 min"),
        ("2026-11-01T12:30:00Z", "21 days"),
        ("2027-01-01T00:00:00Z", "0 s"),
        ("nonsense", "?"),
        ("", "?"),
    ],
)
def test_ages_are_in_words(at: str, said: str) -> None:
    assert age(at, NOW) == said


def test_reading_takes_no_lock(run: Run, site: Site) -> None:
    assert isinstance(run.journal, Journal)
    gather(site)
    assert run.lease.held
