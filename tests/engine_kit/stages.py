"""Stages over a `World`, called by supervisors as `tests.engine_kit.stages:run_stage`.

The frame is the real one (StageContext, steps, plays judged by their account, files of plays as Ansible's runner
leaves them); only the hands are these. What an attempt does is the world's script: `good`, `fail` (at its end),
`fail_early` (before the first change), `inconclusive`, `wait` (until it is canceled), `break` (an exception).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.engine_kit.place import graph, site_of
from tests.engine_kit.world import HOSTS, World
from tests.process_kit import wait_until
from upgrader import durable
from upgrader.context import AttemptContext
from upgrader.database.manifest import (
    BackupSet,
    Manifest,
    ProofSummary,
    manifest_sha256,
    must_be_whole,
    now,
    required_parts,
    sha256_of,
)
from upgrader.model import AttemptRequest, StageOutcome
from upgrader.plan_file import read_plan
from upgrader.redact import Redactor
from upgrader.runner.base import Cancelled, EventSink, Play, PlayResult
from upgrader.runner.events import RESULT, Account, read
from upgrader.runner.play import REQUEST
from upgrader.stages.base import Inconclusive, StageCanceled, StageContext, StepFailed, conduct_stage
from upgrader.stages.queue_record import QueueRecord

SCHEMA_TASK = "Running Neutron database expand container"


def run_stage(request: AttemptRequest, attempt: AttemptContext) -> StageOutcome:
    world = World.of(Path(request.state_dir))
    ctx = StageContext(
        request, site_of(Path(request.state_dir).parent), read_plan(Path(request.plan_file)), graph(), attempt
    )
    attempt._runner = Hands(world, ctx)

    def work(ctx: StageContext) -> None:
        deed = world.deed(request.stage, request.number)
        with ctx.step("begin") as evidence:
            evidence.append(f"attempt {request.number}: {deed}")
            if deed == "break":
                raise RuntimeError("a defect")
            if deed == "fail_early":
                raise StepFailed("it failed before anything was changed")
            if deed == "inconclusive":
                raise Inconclusive("it could not be told")
            if deed == "wait":
                _wait(ctx)
        WORK.get(request.stage, nothing)(ctx, world)
        if deed == "fail":
            raise StepFailed("it failed at its end")

    return conduct_stage(work, ctx)


def _wait(ctx: StageContext) -> None:
    wait_until(ctx.attempt.cancelled, "being canceled")
    raise StageCanceled("waiting")


def nothing(ctx: StageContext, world: World) -> None:
    pass


def backup(ctx: StageContext, world: World) -> None:
    with ctx.step("take"):
        folder = world.folder.parent / "backups" / ctx.request.attempt
        durable.make_dir(folder.parent, exist_ok=True)
        taken = BackupSet.begin(folder, Manifest(site="crash", release=ctx.hop.source, made_at=now()))
        for part in required_parts("logical"):
            path = folder / part
            path.write_text(part)
            taken.record(part, [path])
        ctx.judge(taken.finish(), "not complete")
        (folder / "proof.json").write_text("{}")
        taken.proved(ProofSummary(proved_at=now(), server="none", file_sha256=sha256_of(folder / "proof.json")))
        ctx.facts["backup_set"] = str(folder)
        ctx.facts["backup_manifest_sha256"] = manifest_sha256(folder)
        ctx.facts["server_before"] = "10.11.9-MariaDB"


def broker(ctx: StageContext, world: World) -> None:
    record = QueueRecord.of(ctx.request)
    if not record.begun:
        record = record.keep(begun=True)
    with ctx.step("reset"):
        if world.at("queues")["broker"] == "classic":
            world.effect(ctx.request.attempt, "reset", "queues", "broker", "none")
    with ctx.step("deploy"):
        ctx.run(a_play(ctx, "deploy"))
        world.effect(ctx.request.attempt, "declare", "queues", "broker", "durable")
    record.keep(done=True)


def upgrade(ctx: StageContext, world: World) -> None:
    with ctx.step("configuration"):
        world.effect(ctx.request.attempt, "settings", "settings", "globals", ctx.hop.target)
    with ctx.step("play"):
        ctx.run(a_play(ctx, "upgrade", watch=ctx.watch, closing=not ctx.request.after_interrupt))


def redeploy(ctx: StageContext, world: World) -> None:
    if QueueRecord.of(ctx.request).open:
        with ctx.step("reset"):
            world.effect(ctx.request.attempt, "reset", "queues", "broker", "none")
            world.effect(ctx.request.attempt, "declare", "queues", "broker", "classic")
    with ctx.step("configuration"):
        world.effect(ctx.request.attempt, "settings", "settings", "globals", ctx.hop.source)
    with ctx.step("play"):
        ctx.run(a_play(ctx, "deploy"))


def restore(ctx: StageContext, world: World) -> None:
    with ctx.step("backup set"):
        assert ctx.backup_set is not None
        must_be_whole(ctx.backup_set)
    with ctx.step("load"):
        world.effect(ctx.request.attempt, "schema", "schema", "neutron", ctx.hop.source)
    redeploy(ctx, world)


def verify(ctx: StageContext, world: World) -> None:
    with ctx.step("compare"):
        _must_be(ctx, world, ctx.hop.target)


def verify_old(ctx: StageContext, world: World) -> None:
    with ctx.step("compare"):
        _must_be(ctx, world, ctx.hop.source)


def _must_be(ctx: StageContext, world: World, release: str) -> None:
    expected = ctx.graph.heads(release)["neutron"]
    wrong = [name for name, seen in world.at("host").items() if seen != release]
    if wrong or ctx.graph.heads(world.at("schema")["neutron"])["neutron"] != expected:
        raise StepFailed(f"not {release}: {wrong or 'the schema'}")


WORK: dict[str, Callable[[StageContext, World], None]] = {
    "backup": backup,
    "broker": broker,
    "upgrade": upgrade,
    "verify": verify,
    "soak": verify,
    "rollback_redeploy": redeploy,
    "rollback_restore": restore,
    "verify_old": verify_old,
}


def a_play(ctx: StageContext, name: str, watch: tuple[str, ...] = (), *, closing: bool = False) -> Play:
    folder = ctx.attempt.folder
    return Play(name, folder, folder / f"{name}.yml", (folder,), expected_hosts=HOSTS, watch=watch, closing=closing)


class Hands:
    """A runner that changes the world, and leaves the files that the real one leaves, written by the same code."""

    def __init__(self, world: World, ctx: StageContext) -> None:
        self.world, self.ctx = world, ctx

    def run(
        self, play: Play, folder: Path, *, on_event: EventSink | None = None, cancelled: Cancelled | None = None
    ) -> PlayResult:
        durable.make_dir(folder)
        durable.write_json(folder / REQUEST, {"play": play.document(), "ident": "i", "cancel": [], "patience": 1})
        durable.failpoint("play.requested")
        account = Account(play, folder, Redactor())
        offset = 0

        def tell(event: str, **data: object) -> None:
            nonlocal offset
            account.take({"event": event, "event_data": data})
            events, offset = read(folder, offset)
            for item, _ in events if on_event else ():
                assert on_event is not None
                on_event(item)

        tell("playbook_on_play_start", name=play.name)
        hop, attempt = self.ctx.hop, self.ctx.request.attempt
        if play.name == "upgrade" and hop.ponr:
            tell("playbook_on_task_start", task=SCHEMA_TASK, name=SCHEMA_TASK)
            self.world.effect(attempt, "schema", "schema", "neutron", hop.target)
        for host in HOSTS:
            tell("playbook_on_task_start", task=f"deploy on {host}")
            self.world.effect(attempt, host, "host", host, hop.target if play.name == "upgrade" else hop.source)
        done = dict.fromkeys(HOSTS, 1)
        tell("playbook_on_stats", ok=done, processed=done)
        durable.failpoint("play.ended")
        result = account.result("successful", 0, 1.0)
        durable.write_json(folder / RESULT, {**result.document(), "ident": "i"})
        durable.failpoint("play.result")
        return result
