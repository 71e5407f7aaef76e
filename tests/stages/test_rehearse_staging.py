"""The stage that has a hop walked on staging: what it refuses, what it goes on with, what it records and tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from tests.engine_kit.place import a_plan, graph
from tests.journal_kit import entered
from tests.journal_kit.walk import walked
from upgrader.config import Site, load_site
from upgrader.context import AttemptContext
from upgrader.database.manifest import BackupSet, Manifest
from upgrader.errors import RefusedError
from upgrader.journal.commit import Clock
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import AttemptRequest, CloudFacts, HostFacts, Plan, ReleaseReading
from upgrader.stages import base, rehearse_staging, staging_place
from upgrader.stages.base import StageContext, StepFailed
from upgrader.staging import passes
from upgrader.staging.passes import COPY_BEGUN, SETTINGS
from upgrader.staging.settings import fingerprint
from upgrader.states import State
from upgrader.status_read import keep_seen

VIP = "kolla_internal_vip_address"


class At(Clock):
    """A wall clock that stands still."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self.moment = moment

    def wall_ns(self) -> int:
        return int(self.moment.timestamp() * 10**9)


def write_site(folder: Path, name: str, vip: str, more: str = "") -> Site:
    (folder / "kolla").mkdir(parents=True)
    (folder / "kolla/globals.yml").write_text(f'{VIP}: "{vip}"\nenable_x: "yes"\nopenstack_release: "2024.1"\n')
    (folder / "kolla/passwords.yml").write_text("a: b\n")
    (folder / "hosts").write_text(f"{name}-ctl1\n")
    file = folder / "upgrader.toml"
    file.write_text(f'[site]\nname = "{name}"\n[kolla]\nconfig_dir = "kolla"\ninventory = "hosts"\n{more}')
    return load_site(file)


@dataclass
class Desk:
    """Two sites and the stage's context; staging's driver is a function."""

    root: Path
    production: Site
    staging: Site
    facts: CloudFacts
    commands: list[list[str]] = field(default_factory=list)
    drive: Callable[[], None] = lambda: None

    def plan(self) -> Plan:
        with entered(self.production.state_dir) as journal:
            return a_plan(journal).model_copy(update={"site": "prod"})

    def context(self, plan: Plan | None = None, backup_set: str = "") -> StageContext:
        request = AttemptRequest(
            attempt="a1", run="r", epoch=1, hop=0, stage="rehearse", number=1, site_file=str(self.production.file),
            plan_file="p", state_dir=str(self.production.state_dir), backup_set=backup_set,
            acceptances=(("ovn-first", "looked at"),),
        )  # fmt: skip
        folder = self.root / "attempt"
        folder.mkdir(exist_ok=True)
        (folder / rehearse_staging.LOG).write_text("Looking at staging\nRefused: The plan has 1 blocker.\n")
        return StageContext(request, self.production, plan or self.plan(), graph(), AttemptContext(folder))

    def walk(self, *, until: State = State.HOP_DONE, clock: Clock | None = None) -> None:
        """Staging walks the hop, up to a state."""
        with entered(self.staging.state_dir, clock=clock) as journal:
            plan = a_plan(journal).model_copy(update={"site": self.staging.name})
            walked(journal, plan, until=until, facts={SETTINGS: fingerprint(self.staging).text()})


def cloud(release: str = "2024.1", **host: object) -> CloudFacts:
    reading = ReleaseReading(kind="exact", release=release, how="container images")
    made = HostFacts.model_validate({"name": "staging-ctl1", **host})
    return CloudFacts(site="staging", observed_at="2026-11-22T10:00:00Z", hosts=(made,), reading=reading)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    own = '[staging]\nsite = "../staging/upgrader.toml"\ndatabase = "own"\n'
    production = write_site(tmp_path / "prod", "prod", "10.0.0.250", own)
    made = Desk(tmp_path, production, write_site(tmp_path / "staging", "staging", "10.9.0.250"), cloud())

    def command(_ctx: StageContext, _place: object, words: list[str]) -> int:
        made.commands.append(words)
        made.drive()
        return 0

    def hosts(_toolchain: Toolchain, inventory: Path, _vault: Path | None) -> dict[str, str]:
        return {name: name for name in inventory.read_text().split()}

    monkeypatch.setattr(base, "locate", lambda _site, release: Toolchain(release, tmp_path))
    monkeypatch.setattr(staging_place, "reached", hosts)
    monkeypatch.setattr(rehearse_staging, "observe_site", lambda _site, _graph: made.facts)
    monkeypatch.setattr(rehearse_staging, "_command", command)
    return made


def test_the_hop_is_walked_and_recorded(desk: Desk) -> None:
    desk.drive = desk.walk
    ctx = desk.context()
    rehearse_staging.on_staging(ctx)
    assert [words[:3] for words in desk.commands] == [["run", "--to", "2024.2"]]
    assert desk.commands[0][-2:] == ["--accept", "ovn-first=looked at"], "risks taken here are taken there"
    with entered(desk.staging.state_dir) as journal:
        there = journal.snapshot()
    assert there.run is not None
    assert ctx.facts["rehearsal"] == there.run.id
    assert ctx.facts["rehearsal_lineage"] == there.lineage
    assert len(ctx.facts["rehearsal_head"]) == len(ctx.facts["rehearsal_sha256"]) == 64


def test_a_walk_is_judged_at_its_end_however_long_it_took(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    later = datetime.now(UTC) + timedelta(hours=5)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return later

    def long_walk() -> None:
        desk.walk(clock=At(later))
        monkeypatch.setattr(passes, "datetime", Later)

    desk.drive = long_walk
    rehearse_staging.on_staging(desk.context())


def test_a_walk_that_counts_is_not_walked_again(desk: Desk) -> None:
    desk.walk()
    ctx = desk.context()
    rehearse_staging.on_staging(ctx)
    assert desk.commands == []
    assert ctx.facts["rehearsal_state"] == "hop_done"


def test_another_setting_asks_for_another_walk(desk: Desk) -> None:
    desk.walk()
    settings = desk.production.config_dir / "globals.yml"
    settings.write_text(settings.read_text().replace('"yes"', '"no"'))
    ctx = desk.context()
    with pytest.raises(StepFailed) as failed:
        rehearse_staging.on_staging(ctx)
    assert "setting enable_x: staging says something else" in failed.value.message
    assert desk.commands != []


def test_an_unfinished_walk_is_resumed(desk: Desk) -> None:
    desk.walk(until=State.PULL)
    with pytest.raises(StepFailed):
        rehearse_staging.on_staging(desk.context())
    assert [words[0] for words in desk.commands] == ["resume"]


@pytest.mark.parametrize("how", ["another plan", "another hop"])
def test_another_unfinished_run_is_left_alone(desk: Desk, how: str) -> None:
    desk.walk(until=State.PULL)
    plan = desk.plan()
    if how == "another plan":
        plan = plan.model_copy(update={"tool_version": "99"})
    else:
        hop = plan.hops[0].model_copy(update={"source": "2024.2", "target": "2025.1"})
        plan = plan.model_copy(update={"hops": (hop,)})
    with pytest.raises(StepFailed, match="in the middle of another run") as failed:
        rehearse_staging.on_staging(desk.context(plan))
    assert failed.value.findings[0].next == f"upgrader --site {desk.staging.file} status"
    assert desk.commands == []


def test_a_failed_walk_is_told_with_condition_reason_and_next_command(desk: Desk) -> None:
    def fail() -> None:
        desk.walk(until=State.HOLD_UPGRADE)

    desk.drive = fail
    ctx = desk.context()
    with pytest.raises(StepFailed) as failed:
        rehearse_staging.on_staging(ctx)
    assert "staging is waiting at hold_upgrade of 2024.1→2024.2" in failed.value.message
    assert failed.value.findings[0].next == f"upgrader --site {desk.staging.file} approve"
    assert ctx.facts["rehearsal_state"] == "hold_upgrade", "recorded also when it did not come through"


def test_a_run_that_never_began_is_told_in_staging_s_words(desk: Desk) -> None:
    with pytest.raises(StepFailed) as failed:
        rehearse_staging.on_staging(desk.context())
    assert "staging is no-run before any run" in failed.value.message
    assert "Refused: The plan has 1 blocker." in failed.value.message
    assert failed.value.findings[0].next == f"upgrader --site {desk.staging.file} plan --to 2024.2"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (cloud("2024.2"), "staging runs 2024.2, the hop starts at 2024.1: deploy 2024.1 on staging again"),
        (cloud(reachable=False, error="timed out"), "staging is not reachable: staging-ctl1"),
    ],
)
def test_a_staging_that_cannot_walk_the_hop(desk: Desk, facts: CloudFacts, words: str) -> None:
    desk.facts = facts
    with pytest.raises(StepFailed, match=words):
        rehearse_staging.on_staging(desk.context())
    assert desk.commands == []


def test_a_mixed_staging_is_not_walked_on(desk: Desk) -> None:
    reading = ReleaseReading(kind="mixed", evidence=("nova runs 2024.2",))
    desk.facts = desk.facts.model_copy(update={"reading": reading})
    with pytest.raises(StepFailed, match=r"staging runs no one release \(mixed\)"):
        rehearse_staging.on_staging(desk.context())


def test_production_s_own_site_file(desk: Desk) -> None:
    text = desk.production.file.read_text().replace("../staging/upgrader.toml", "upgrader.toml")
    desk.production.file.write_text(text)
    desk.production = load_site(desk.production.file)
    with pytest.raises(RefusedError, match="is production's own"):
        rehearse_staging.on_staging(desk.context())


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("kolla/globals.yml", "10.9.0.250", "10.0.0.250", "is 10.0.0.250 on both"),
        ("hosts", "staging-ctl1", "prod-ctl1", "host prod-ctl1 is in both inventories"),
        ("upgrader.toml", '"staging"', '"prod"', "both sites are named prod"),
    ],
)
def test_what_is_shared_is_refused_before_anything(desk: Desk, file: str, old: str, new: str, words: str) -> None:
    path = desk.staging.file.parent / file
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RefusedError, match=words):
        rehearse_staging.on_staging(desk.context())
    assert desk.commands == []


def test_an_address_held_by_both_is_refused_when_staging_is_looked_at(desk: Desk) -> None:
    plan, held = desk.plan(), (("eth0", "10.0.0.11"),)
    keep_seen(desk.production, cloud(name="prod-ctl1", addresses=held).document())
    desk.facts = cloud(addresses=held)
    with pytest.raises(RefusedError, match=r"10\.0\.0\.11 is held by staging-ctl1"):
        rehearse_staging.on_staging(desk.context(plan))


def test_a_copied_journal_is_refused(desk: Desk) -> None:
    with entered(desk.staging.state_dir) as journal:
        lineage = journal.snapshot().lineage
    with pytest.raises(RefusedError, match="staging's journal is a copy of production's"):
        rehearse_staging.on_staging(desk.context(desk.plan().model_copy(update={"lineage": lineage})))


def test_a_copy_is_wanted_and_the_hop_has_no_backup_set(desk: Desk) -> None:
    desk.production.file.write_text(desk.production.file.read_text().replace('"own"', '"copy"'))
    desk.production = load_site(desk.production.file)
    with pytest.raises(StepFailed, match="no backup set of this hop"):
        rehearse_staging.on_staging(desk.context())


def test_passwords_that_do_not_fit_the_data_are_named_before_anything_is_loaded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.production.file.write_text(desk.production.file.read_text().replace('"own"', '"copy"'))
    desk.production = load_site(desk.production.file)
    monkeypatch.setattr(rehearse_staging, "locate", lambda _site, release: Toolchain(release, desk.root))
    for site, word in ((desk.production, "p-secret"), (desk.staging, "s-secret")):
        site.passwords.write_text(f"nova_database_password: {word}\nrabbitmq_password: {word}\n")
    ctx = desk.context(backup_set=str(desk.root / "set"))
    with pytest.raises(StepFailed) as failed:
        rehearse_staging.on_staging(ctx)
    assert failed.value.message == "staging's passwords do not fit production's data: nova_database_password"
    assert "secret" not in str(failed.value.findings) + str(ctx.steps)
    with entered(desk.staging.state_dir) as journal:
        assert list(journal.events(kinds=(f"note.{COPY_BEGUN}",))) == []


def a_set(folder: Path, *databases: str, state: str = "proved") -> Path:
    heads = tuple((name, ("abc",)) for name in databases)
    BackupSet.begin(
        folder, Manifest(site="prod", release="2024.1", made_at="2026-11-22T10:00:00Z", state=state, heads=heads)
    )
    return folder


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        ((("nova",), "unverified"), RefusedError, "is unverified: only a set that was restored goes to staging"),
        ((("ironic", "nova"), "proved"), StepFailed, "machines of production: ironic: the management controllers"),
    ],
)
def test_sets_that_do_not_go_to_staging(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, made: tuple[tuple[str, ...], str], error: type[Exception], words: str
) -> None:
    desk.production.file.write_text(desk.production.file.read_text().replace('"own"', '"copy"'))
    desk.production = load_site(desk.production.file)
    monkeypatch.setattr(rehearse_staging, "locate", lambda _site, release: Toolchain(release, desk.root))
    folder = a_set(desk.root / "set", *made[0], state=made[1])
    with pytest.raises(error, match=words):
        rehearse_staging.on_staging(desk.context(backup_set=str(folder)))
    with entered(desk.staging.state_dir) as journal:
        assert list(journal.events(kinds=(f"note.{COPY_BEGUN}",))) == []
