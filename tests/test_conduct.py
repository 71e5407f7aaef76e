"""What becomes of an attempt whose end nobody saw: every kind of evidence, over a real journal and real folders."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.engine_kit.desk import Desk, desk, place
from tests.engine_kit.forked import forks
from tests.engine_kit.stages import SCHEMA_TASK
from tests.journal_kit import walk_to
from upgrader import attempts, durable, processes
from upgrader.conduct import Conduct, Look, launch, settle
from upgrader.config import load_site
from upgrader.context import AttemptContext
from upgrader.errors import ConfigError
from upgrader.model import AttemptRequest, Code, StageOutcome, StepResult
from upgrader.redact import Redactor
from upgrader.runner.base import Play
from upgrader.runner.events import RESULT, Account
from upgrader.runner.play import REQUEST as PLAY_REQUEST
from upgrader.states import FORWARD, AttemptState, Event, Ponr, State

__all__ = ["desk", "forks", "place"]

pytestmark = pytest.mark.usefixtures("forks")
COMPLETE = Look(True, False, "every container runs 2024.2")
UNTOUCHED = Look(False, True, "every container runs 2024.1")
MIXED = Look(False, False, "the cloud is mixed")


class Left:
    """An attempt that was intended and launched, and of which there is only what a test writes into its folder."""

    def __init__(self, desk: Desk, stage: State, *, launched: bool = True, **plan: Any) -> None:
        self.desk, self.stage = desk, stage
        desk.begin(**plan)
        desk.journal.begin_hop(0)
        walk_to(desk.journal, stage)
        if stage in FORWARD[FORWARD.index(State.UPGRADE) + 1 :]:
            desk.world.become("2024.2")
        self.row = desk.journal.intend(0, stage, request_sha256="0" * 64)
        request = AttemptRequest(
            attempt=self.row.id, run=self.row.run, epoch=self.row.epoch, hop=0, stage=stage.value,
            number=self.row.number, site_file="s", plan_file="p", state_dir=str(desk.site.state_dir),
        )  # fmt: skip
        self.folder = attempts.create(desk.site.state_dir, request)
        if launched:
            desk.journal.launched(self.row.id, 4_000_000)

    def started(self, boot: str = "") -> None:
        self.write(attempts.STARTED, boot_id=boot or processes.boot_id())

    def write(self, name: str, **content: Any) -> None:
        durable.write_json(self.folder / name, {"attempt": self.row.id, **content})

    def outcome(self, verdict: str, **more: Any) -> None:
        made = StageOutcome.model_validate({"verdict": verdict, **more})
        self.write(attempts.EXIT, outcome=made.document(), tree="t", strays=0, seconds=1, plays=[], watched=[])

    def played(
        self, *, watched: bool = False, stats: bool = True, result: bool = True, closing: bool = True, rc: int = 0
    ) -> None:
        """A play of the attempt, by the code that writes it in earnest."""
        play = Play("upgrade", Path("/t"), Path("/p"), (Path("/i"),), expected_hosts=("ctl1",), watch=("expand",),
                    closing=closing)  # fmt: skip
        folder = AttemptContext(self.folder).play_folder("upgrade")
        durable.make_dir(folder)
        durable.write_json(folder / PLAY_REQUEST, {"play": play.document(), "ident": "i", "cancel": [], "patience": 1})
        account = Account(play, folder, Redactor())
        if watched:
            account.take({"event": "playbook_on_task_start", "event_data": {"task": SCHEMA_TASK}})
        if stats:
            account.take({"event": "playbook_on_stats", "event_data": {"ok": {"ctl1": 1}, "processed": {"ctl1": 1}}})
        if result:
            durable.write_json(folder / RESULT, {**account.result("successful", rc, 1.0).document(), "ident": "i"})

    def settle(self, look: Look | Exception = MIXED) -> tuple[AttemptState, State]:
        """What is recorded of the attempt, and where the hop is then."""

        def looking(_hop: object) -> Look:
            if isinstance(look, Exception):
                raise look
            return look

        shot = self.desk.journal.snapshot()
        made = dataclasses.replace(self.desk.session.conduct(shot), look=looking)
        assert settle(made, shot, lambda: False)
        return self.now().state, self.desk.hop.state

    def now(self):
        return next(row for row in self.desk.journal.attempts(self.row.run) if row.id == self.row.id)

    def evidence(self) -> dict[str, Any]:
        return dict(list(self.desk.journal.events(kinds=["attempt_finished"]))[-1].data)


# ---------------------------------------------------------------- it never started


@pytest.mark.parametrize("remains", ["folder", "nothing", "torn request"])
def test_what_never_started_is_void_and_can_never_start(desk: Desk, remains: str) -> None:
    left = Left(desk, State.PULL, launched=False)
    if remains == "nothing":
        shutil.rmtree(left.folder)
    if remains == "torn request":
        (left.folder / attempts.REQUEST).write_text('{"attempt": ')
    assert left.settle() == (AttemptState.VOID, State.PULL)
    assert (left.folder / attempts.VOID).exists()
    assert desk.drive().kind == "done"
    assert desk.stages().count("pull void") == 1


def test_a_void_upgrade_takes_the_line_back(desk: Desk) -> None:
    left = Left(desk, State.UPGRADE)
    assert desk.hop.ponr is Ponr.POSSIBLE
    assert left.settle() == (AttemptState.VOID, State.UPGRADE)
    assert desk.hop.ponr is Ponr.NO


# ---------------------------------------------------------------- it ended, and said how


@pytest.mark.parametrize(
    ("verdict", "state", "hop"),
    [
        ("succeeded", AttemptState.SUCCEEDED, State.REHEARSE),
        ("failed", AttemptState.FAILED, State.FAILED_CLEAN),
        ("inconclusive", AttemptState.FAILED, State.FAILED_CLEAN),
        ("canceled", AttemptState.CANCELED, State.FAILED_CLEAN),
    ],
)
def test_an_exit_record_is_taken_at_its_word(desk: Desk, verdict: str, state: AttemptState, hop: State) -> None:
    left = Left(desk, State.PULL)
    left.started()
    step = StepResult(name="pull images", code=Code.SUCCESS)
    left.outcome(verdict, message="so it ended", steps=(step,), facts=(("images", "31"),))
    assert left.settle() == (state, hop)
    told = left.evidence()
    assert told["message"] == "so it ended" and told["facts"] == {"images": "31"}
    assert [item["name"] for item in told["evidence"]["steps"]] == ["pull images"] and told["evidence"]["tree"] == "t"
    assert desk.hop.facts["images"] == "31"


@pytest.mark.parametrize(("schema", "ponr"), [(True, Ponr.CROSSED), (None, Ponr.CROSSED), (False, Ponr.NO)])
def test_what_an_upgrade_says_of_schemas_is_where_the_line_is(desk: Desk, schema: bool | None, ponr: Ponr) -> None:
    left = Left(desk, State.UPGRADE)
    left.started()
    left.outcome("failed", schema_started=schema)
    left.settle()
    assert desk.hop.ponr is ponr


@pytest.mark.parametrize(
    "damage", ["foreign", "cut", "empty", "no verdict", "never started", "void and started", "play disagrees"]
)
def test_an_exit_record_that_cannot_be_believed(desk: Desk, damage: str) -> None:
    left = Left(desk, State.UPGRADE)
    if damage != "never started":
        left.started()
    left.outcome("succeeded", schema_started=False)
    path = left.folder / attempts.EXIT
    if damage == "foreign":
        path.write_text(path.read_text().replace(left.row.id, "11111111-2222-3333-4444-555555555555"))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    if damage == "empty":
        path.write_bytes(b"")
    if damage == "no verdict":
        left.write(attempts.EXIT, outcome={"verdict": "fine"})
    if damage == "void and started":
        (left.folder / attempts.VOID).touch()
    if damage == "play disagrees":
        left.played(result=False)
    assert left.settle(COMPLETE) == (AttemptState.UNKNOWN, State.DECIDE), "not even a cloud that looks complete helps"
    assert desk.hop.ponr is Ponr.CROSSED and "damaged evidence" in left.now().message
    assert left.evidence()["evidence"]["faults"]


# ---------------------------------------------------------------- its end is lost


@pytest.mark.parametrize("stage", [State.PREFLIGHT, State.BACKUP, State.PULL, State.REHEARSE, State.VERIFY, State.SOAK])
def test_a_lost_end_of_what_changes_nothing_is_worked_on_again(desk: Desk, stage: State) -> None:
    left = Left(desk, stage)
    left.started()
    assert left.settle(RuntimeError("must not look")) == (AttemptState.UNKNOWN, stage)
    assert "its supervisor died" in left.now().message
    assert desk.drive().kind == "done"
    assert desk.journal.attempts(left.row.run, 0, stage)[-1].after_interrupt


def test_a_restart_of_the_machine_is_named(desk: Desk) -> None:
    left = Left(desk, State.PULL)
    left.started(boot="another-boot")
    assert left.settle() == (AttemptState.UNKNOWN, State.PULL)
    assert "this machine was restarted" in left.now().message


@pytest.mark.parametrize("boot", ["", "another-boot"])
@pytest.mark.parametrize(
    ("look", "play", "hop", "ponr"),
    [
        (MIXED, None, State.DECIDE, Ponr.CROSSED),
        (OSError("no route to host"), None, State.DECIDE, Ponr.CROSSED),
        (UNTOUCHED, None, State.UPGRADE, Ponr.NO),
        (UNTOUCHED, {"watched": True, "result": False, "stats": False}, State.DECIDE, Ponr.CROSSED),
        (COMPLETE, None, State.DECIDE, Ponr.CROSSED),
        (COMPLETE, {"result": False}, State.DECIDE, Ponr.CROSSED),
        (COMPLETE, {"closing": False}, State.DECIDE, Ponr.CROSSED),
        (COMPLETE, {"rc": 2}, State.DECIDE, Ponr.CROSSED),
        (COMPLETE, {"watched": True}, State.VERIFY, Ponr.CROSSED),
        (MIXED, {}, State.DECIDE, Ponr.CROSSED),
    ],
)
def test_a_lost_upgrade_is_judged_by_the_cloud(
    desk: Desk, look: Look | Exception, play: dict[str, Any] | None, hop: State, ponr: Ponr, boot: str
) -> None:
    left = Left(desk, State.UPGRADE)
    left.started(boot)
    if play is not None:
        left.played(**play)
    assert left.settle(look) == (AttemptState.UNKNOWN, hop)
    assert desk.hop.ponr is ponr
    words = left.now().message
    assert ("no route to host" if isinstance(look, Exception) else look.words) in words


def test_a_hop_without_schema_changes_never_crosses_the_line(desk: Desk) -> None:
    left = Left(desk, State.UPGRADE, schema=False)
    left.started()
    assert left.settle(MIXED) == (AttemptState.UNKNOWN, State.DECIDE)
    assert desk.hop.ponr is Ponr.NO


def test_a_lost_migration_waits_for_a_decision(desk: Desk) -> None:
    left = Left(desk, State.BROKER, queues=True)
    left.started()
    assert left.settle(RuntimeError("must not look")) == (AttemptState.UNKNOWN, State.DECIDE_BROKER)
    assert desk.hop.broker_open and desk.hop.ponr is Ponr.NO
    desk.journal.move(0, Event.RETRY, "anna", "again")
    assert desk.drive().kind == "done"


@pytest.mark.parametrize("event", [Event.REDEPLOY, Event.RESTORE])
def test_a_lost_way_back_stops_everything(desk: Desk, event: Event) -> None:
    desk.world.script({"upgrade": ["fail_early"]})
    desk.begin()
    desk.drive()
    desk.journal.move(0, event, "anna", "back", redeploy_allowed=True, restore_possible=True)
    shot = desk.journal.snapshot()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(durable.FAILPOINT, "supervisor.stage_done")
        launch(desk.session.conduct(shot), shot, desk.hop)
        assert settle(desk.session.conduct(shot), desk.journal.snapshot(), lambda: False)
    assert desk.hop.state is State.NEEDS_ATTENTION
    assert "inconsistent" in desk.journal.snapshot().flags


# ---------------------------------------------------------------- what is heard on the way


def test_steps_are_recorded_once_however_often_they_are_heard(desk: Desk) -> None:
    left = Left(desk, State.PULL)
    left.started()
    for name in ("one", "two"):
        durable.append_line(left.folder / attempts.PROGRESS, {"kind": "step_end", "step": name, "code": "success"})
    desk.journal.step(left.row.id, "one", "success")
    left.outcome("succeeded")
    left.settle()
    assert [event.data["name"] for event in desk.journal.events(kinds=["attempt_step"])][-2:] == ["one", "two"]
    assert left.now().steps == 2


def test_the_line_is_crossed_as_soon_as_a_schema_task_is_announced(desk: Desk) -> None:
    left = Left(desk, State.UPGRADE)
    left.started()
    line = {"kind": "task_start", "task": SCHEMA_TASK, "watched": True}
    for _ in range(2):
        durable.append_line(left.folder / attempts.PROGRESS, line)
    seen = []
    desk.session.say = lambda kind, data: seen.append((kind, desk.hop.ponr))
    left.outcome("failed", schema_started=True)
    left.settle()
    assert seen[0] == ("ponr", Ponr.CROSSED) and [kind for kind, _ in seen].count("ponr") == 1


def test_intent_folder_supervisor_in_this_order(desk: Desk) -> None:
    """A crash between any two of them is found: the intent is there before anything, the request before the process."""
    desk.begin()
    desk.journal.begin_hop(0)
    order: list[str] = []

    def passing(name: str) -> None:
        order.append(name)
        if not name.startswith("attempt."):
            return
        attempt = desk.journal.snapshot(0).attempt
        assert attempt is not None and attempt.state is AttemptState.INTENDED
        folder = attempts.folder_of(desk.site.state_dir, attempt.id)
        assert folder.is_dir()
        if name == "attempt.spawned":
            written = json.loads((folder / attempts.REQUEST).read_text())
            assert written["attempt"] == attempt.id and written["epoch"] == desk.journal.epoch

    shot = desk.journal.snapshot()
    with durable.failpoints(passing):
        launch(desk.session.conduct(shot), shot, desk.hop)
    points = [name for name in order if name.startswith(("engine.", "attempt.")) or name.endswith(".after_commit")]
    assert points == [
        "engine.intend", "journal.intend.after_commit", "engine.intended", "attempt.folder", "attempt.requested",
        "attempt.spawned", "journal.launched.after_commit", "engine.launched",
    ]  # fmt: skip
    assert settle(desk.session.conduct(shot), desk.journal.snapshot(), lambda: False)


def test_nothing_is_begun_without_the_sites_secrets(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a `resume` in a shell that lacks what the first one had."""
    desk.begin()
    desk.journal.begin_hop(0)
    shot = desk.journal.snapshot()
    file = desk.site.file
    file.write_text(
        '[site]\nname = "x"\n[kolla]\nconfig_dir = "."\ninventory = "hosts"\n'
        + '\n[secrets]\nvault_password_env = "KOLLA_VAULT"\n'
    )
    made = dataclasses.replace(
        desk.session.conduct(shot), site=dataclasses.replace(load_site(file), state_dir=desk.site.state_dir)
    )
    given: dict[str, Any] = {}
    monkeypatch.setattr(attempts, "spawn", lambda _folder, **more: given.update(more) or 1)
    monkeypatch.delenv("KOLLA_VAULT", raising=False)
    with pytest.raises(ConfigError, match="KOLLA_VAULT is not set in this shell"):
        launch(made, shot, desk.hop)
    assert desk.journal.snapshot().attempt is None and not given
    monkeypatch.setenv("KOLLA_VAULT", "canary-key")
    launch(made, desk.journal.snapshot(), desk.hop)
    assert given["carry"]["KOLLA_VAULT"] == "canary-key"
    attempt = desk.journal.snapshot().attempt
    assert attempt is not None
    for path in attempts.folder_of(desk.site.state_dir, attempt.id).rglob("*"):
        assert not path.is_file() or b"canary-key" not in path.read_bytes()


def test_conduct_gives_supervisors_what_they_need_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def spawn(folder: Path, *, run: str, env: dict[str, str], carry: dict[str, str]) -> int:
        given.update(run=run, env=env, carry=carry)
        return 1

    monkeypatch.setattr(attempts, "spawn", spawn)
    desk.begin()
    desk.journal.begin_hop(0)
    shot = desk.journal.snapshot()
    made: Conduct = dataclasses.replace(
        desk.session.conduct(shot), run_stage="a:b", env={"X": "1"}, options=(("o", "1"),)
    )
    launch(made, shot, desk.hop)
    assert given == {"run": "a:b", "env": {"X": "1"}, "carry": {}}
    attempt = desk.journal.snapshot().attempt
    assert attempt is not None
    request = json.loads((attempts.folder_of(desk.site.state_dir, attempt.id) / attempts.REQUEST).read_text())
    assert request["options"] == [["o", "1"]] and request["stage"] == "preflight"
    assert settle(made, desk.journal.snapshot(), lambda: False)
