"""`upgrader rollback`: what it shows before anything is changed, what it asks for, and what it writes down."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cli.test_bad_input import Call, call, history, nowhere, run, site
from tests.cli.test_status import Run
from upgrader.back_map import RESTORE_ALL, RESTORE_CHANGED, BackMap, ServiceWay
from upgrader.cli import rollback_cmd
from upgrader.config import Site
from upgrader.database.losses import Losses, RowChange
from upgrader.decisions import Ways
from upgrader.engine import Ending
from upgrader.journal import open_journal
from upgrader.model import Way
from upgrader.session import Session
from upgrader.states import AttemptState, Event, State

__all__ = ["call", "nowhere", "run", "site"]

WAYS = Ways(redeploy=False, restore=True, redeploy_reasons=("neutron's schema changed",), restore_reasons=("set",))
LOST = Losses(since="2026-02-01T00:00:00Z", rows=(RowChange(table="nova.instances", then=1, now=3),))


def a_map(*, sound: bool) -> BackMap:
    row = ServiceWay(
        service="neutron",
        databases=("neutron",),
        way=Way.RESTORE,
        why="its heads",
        alone=sound,
        alone_why="for a reason",
    )
    return BackMap(
        source="2024.1", target="2024.2", best=Way.RESTORE, services=(row,), reasons=("neutron's schema changed",),
        backup_set="/b/set", losses=LOST, only_changed=sound,
    )  # fmt: skip


@pytest.fixture
def failed(site: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """A run whose upgrade failed; what a look at the cloud would find, and where driving it would end."""
    run.until(State.UPGRADE)
    run.stage(State.UPGRADE, AttemptState.FAILED, Event.FAILED)
    run.close()

    def found(sound: bool) -> None:
        monkeypatch.setattr(Session, "ways", lambda *_: WAYS)
        monkeypatch.setattr(Session, "back_map", lambda *_, **__: a_map(sound=sound))
        monkeypatch.setattr(rollback_cmd, "drive", lambda *_, **__: Ending("done", None, "driven"))

    found(True)
    return found


def accepted(site: Site) -> list[str]:
    with open_journal(site.state_dir, readonly=True) as journal:
        return [row.name for row in journal.acceptances()]


def test_showing_changes_nothing(call: Call, site: Site, failed: object) -> None:
    kinds = history(site)
    said = call("--site", site.file, "rollback", "--show")
    assert said.code == 0, said.err
    assert "nova.instances  1  →  3  2 written since" in said.out
    assert said.out.rstrip().endswith("rollback --restore")
    document = json.loads(call("--site", site.file, "rollback", "--show", "--json").out)
    assert document["losses"]["rows"] == [{"table": "nova.instances", "then": 1, "now": 3}]
    assert document["services"][0]["way"] == "restore"
    assert set(history(site)[len(kinds) :]) == {"entered"}


def test_the_name_of_the_site_is_what_confirms(call: Call, site: Site, failed: object) -> None:
    for wrong in ("yes", "restore", ""):
        said = call("--site", site.file, "rollback", "--confirm", wrong)
        assert said.code == 3
        assert "was not confirmed" in said.err
        assert "2 written since" in said.err, "what would be lost is shown before it is asked"
    said = call("--site", site.file, "rollback", "--confirm", site.name)
    assert said.code == 0, said.err
    assert "hop_moved" in history(site)
    assert accepted(site) == [], "everything is what a restore means"


def test_the_scope_is_written_down_and_can_be_widened_again(call: Call, site: Site, failed: object) -> None:
    assert call("--site", site.file, "rollback", "--only-changed", "--confirm", site.name).code == 0
    assert accepted(site) == [RESTORE_CHANGED]
    with open_journal(site.state_dir, readonly=True) as journal:
        kinds = [(event.kind, event.data.get("event")) for event in journal.events()]
    assert kinds.index(("accepted", None)) < kinds.index(("hop_moved", "restore"))


def test_only_what_changed_is_refused_where_it_is_not_sound(
    call: Call, site: Site, failed: Callable[[bool], None]
) -> None:
    failed(False)
    said = call("--site", site.file, "rollback", "--only-changed", "--confirm", site.name)
    assert said.code == 3
    assert "would not be sound" in said.err
    assert "neutron: for a reason" in said.err
    assert accepted(site) == []
    assert RESTORE_ALL != RESTORE_CHANGED
