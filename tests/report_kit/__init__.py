"""A run in a real journal, driven by hand with a clock that a test moves: names, times and so its report are fixed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.journal_kit import EVENT, FAST, REQUEST, Ticking
from tests.planner.plans import a_hop, a_plan
from upgrader.config import Site, load_site
from upgrader.durable import make_dir, write_json
from upgrader.journal import Journal, acquire, open_journal
from upgrader.journal.rows import EventRow
from upgrader.model import ByHand, Code, Finding, Plan
from upgrader.report.story import Beside, story
from upgrader.report.told import choose, tell
from upgrader.report.values import Audit, Report
from upgrader.states import AttemptState, Event, State

HOSTILE = '<script>alert("1")</script> | `x` [a](http://evil.example) **b** \x1b[31m \u202egnp.exe @all'
CANARY = "canary-Sw0rdfish-91"
SITE = """
[site]
name = "prod"
[kolla]
config_dir = "kolla"
inventory = "inventory"
[window]
start = "22:00"
length = "4h"
timezone = "Europe/Berlin"
"""
BACK = State.ROLLBACK_REDEPLOY


def numbered() -> Any:
    """Ids one after the other, as `new_id` would give random ones."""
    count = iter(range(1, 10_000))
    return lambda: str(uuid.UUID(int=next(count)))


def plan_of(journal: Journal, hops: list[tuple[str, str]]) -> Plan:
    """The small plan of the planner's tests, with a finding whose risk was taken and something left to a person."""
    shot = journal.snapshot()
    left = ByHand(
        id="clients", title=f"Tell clients {HOSTILE}", when="after", severity="required", condition="always",
        applies="yes", detail="They use an old name.", fix=("openstack catalog list",),
    )  # fmt: skip
    taken = Finding(
        id="volumev3", code=Code.FAILURE, message="an old service type", overridable=True,
        accepted=("anna", f"no client uses it, the password is {CANARY}"),
    )  # fmt: skip
    made = [a_hop(*hop).model_copy(update={"by_hand": (left,)}) for hop in hops]
    return a_plan().model_copy(
        update={
            "lineage": shot.lineage, "serial": shot.serial, "findings": (taken,), "hops": tuple(made),
            "source": hops[0][0], "target": hops[-1][1],
        }
    )  # fmt: skip


class Run:
    """A run that a test drives. Every step takes the seconds it is told to take."""

    def __init__(self, place: Path, hops: list[tuple[str, str]]) -> None:
        (place / "upgrader.toml").write_text(SITE)
        (place / "kolla").mkdir()
        (place / "kolla" / "passwords.yml").write_text(f"database_password: {CANARY}\n")
        self.place = place
        self.site: Site = load_site(place / "upgrader.toml")
        self.clock = Ticking()
        self.lease = acquire(self.site.state_dir, "run")
        self.journal = open_journal(self.site.state_dir, durability=FAST, clock=self.clock)
        self.journal.enter(self.lease)
        plan = plan_of(self.journal, hops)
        self.pass_(5)
        self.id = self.journal.begin_run(plan.document(), plan.sha256, "anna", hops, engine_version="0.1.0")
        self.journal.begin_hop(0)

    def pass_(self, seconds: float) -> None:
        self.clock.wall += round(seconds * 1e9)
        self.clock.mono += round(seconds * 1e9)

    def attempt(
        self, stage: State, seconds: float, result: AttemptState = AttemptState.SUCCEEDED, *, hop: int = 0,
        message: str = "", findings: tuple[Mapping[str, Any], ...] = (), step: str = "", **finish: Any,
    ) -> str:  # fmt: skip
        row = self.journal.intend(hop, stage, request_sha256=REQUEST)
        self.journal.launched(row.id, 4711, "boot-1")
        if step:
            self.journal.step(row.id, "work", "success", step)
        self.pass_(seconds)
        evidence = {"findings": list(findings), "seconds": seconds - 0.5, **finish.pop("evidence", {})}
        event = finish.pop("event", EVENT[result])
        self.journal.finish(row.id, result, event, evidence, message=message, **finish)
        return row.id

    def to_upgrade(self, hop: int = 0, facts: Mapping[str, str] | None = None) -> None:
        """Everything before the upgrade, undisturbed, and the approval."""
        for stage, seconds in ((State.PREFLIGHT, 130), (State.BACKUP, 300), (State.PULL, 600), (State.REHEARSE, 1500)):
            self.attempt(stage, seconds, hop=hop, facts=facts if stage is State.BACKUP else None)
        self.journal.move(hop, Event.SKIP, actor="engine", reason="no queue has to be migrated")
        self.pass_(3600)
        self.journal.move(hop, Event.APPROVE, actor="bert", reason="the window is open")

    def backup_set(self) -> dict[str, str]:
        """A small set on disk; the facts of it that a stage leaves."""
        from upgrader.database.manifest import manifest_sha256

        folder = self.site.backup_dir / "2024.1-set"
        make_dir(folder)
        (folder / "proof.json").write_text("{}")
        (folder / "grants.sql").write_text("grant")
        digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        manifest = {
            "state": "proved", "made_at": "2027-01-15T08:02:10Z", "dump_format": "mydumper",
            "proof": {"proved_at": "2027-01-15T08:06:00Z", "server": "10.11.9", "seconds": 41, "file_sha256": digest},
            "parts": [{"name": "grants", "files": [{"path": "grants.sql", "bytes": 5, "sha256": ""}]}],
            "tables": [{"name": "keystone.user", "rows": 12, "digest": ""}],
        }  # fmt: skip
        write_json(folder / "manifest.json", manifest)
        images = {
            "sha256:" + "1" * 64: {"tags": ["reg/kolla/keystone:2024.1-x"], "digests": ["reg/kolla/keystone@sha256:22"]}
        }
        write_json(folder / "images.json", {"images": images})
        return {
            "backup_set": str(folder), "backup_manifest_sha256": manifest_sha256(folder),
            "server_before": "10.11.9-MariaDB",
        }  # fmt: skip

    def events(self) -> list[EventRow]:
        """All of them, without what differs from machine to machine."""
        card = {"boot": "boot-1", "host": "deploy1", "id": "1", "operation": "run", "pid": 1, "who": "anna"}
        return [
            replace(event, data={**event.data, **card}) if event.kind == "entered" else event
            for event in self.journal.events()
        ]

    def report(self, beside: Beside | None = None, **audit: Any) -> Report:
        """Of the run as it stands, without reading anything but the evidence on disk."""
        events = self.events()
        told = tell(events, choose(events[:3], ""))
        fixed: dict[str, Any] = {
            "lineage": "lineage-1", "events": len(events), "first": told.begun.seq, "last": len(events),
            "head": "ab" * 32, "faults": (), "plan_sha256": "cd" * 32, "plan_fits": True,
        }  # fmt: skip
        found = beside or Beside(no_estimates="none was asked for", no_apis="no probe asked the APIs during this run")
        return story(self.site, told, Audit(**{**fixed, **audit}), found, self.site.state_dir / "observed.json")

    def close(self) -> None:
        self.journal.close()
        self.lease.release()


def fixed_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and attempts get numbers for names."""
    ids = numbered()
    monkeypatch.setattr("upgrader.journal.runs.new_id", ids)
    monkeypatch.setattr("upgrader.journal.attempts.new_id", ids)
