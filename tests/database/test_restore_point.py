"""An upgrade begins only with a backup set that was restored, is unchanged, young, and newer than the last write."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.engine_kit.desk import Desk, desk, place
from tests.engine_kit.forked import forks
from upgrader.database.manifest import BackupSet, manifest_sha256
from upgrader.database.restore_point import NOT_PROVED, objection, written_since
from upgrader.engine import RESTORE_POINT
from upgrader.journal import EventRow, HopRow
from upgrader.states import AttemptState, State

__all__ = ["desk", "forks", "place"]

pytestmark = pytest.mark.usefixtures("forks")


def to_the_upgrade(desk: Desk) -> Path:
    """Drive until the upgrade wants its approval, then approve by hand; the folder of the hop's set."""
    desk.begin()
    assert desk.drive(auto_approve=False).wants == "hold_upgrade"
    return Path(desk.hop.facts["backup_set"])


def altered(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"release": "2023.1"}))


def unproved(folder: Path) -> None:
    BackupSet.open(folder).disproved()


def without_proof(folder: Path) -> None:
    (folder / "proof.json").write_text("{ }")


def damaged(folder: Path) -> None:
    (folder / "grants").unlink()


def gone(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (altered, "was changed after the journal recorded it"),
        (without_proof, "has lost the proof it speaks of"),
        (damaged, "is damaged: grants is gone"),
        (gone, "has no manifest"),
    ],
)
def test_what_is_no_restore_point(desk: Desk, spoil: Callable[[Path], None], words: str) -> None:
    folder = to_the_upgrade(desk)
    assert objection(desk.site, desk.journal, desk.hop) == ""
    spoil(folder)
    ending = desk.drive(auto_approve=True)
    assert (ending.kind, ending.wants) == ("waiting", RESTORE_POINT)
    assert words in ending.message
    assert not desk.journal.attempts(desk.hop.run, 0, State.UPGRADE), "no attempt was begun for it"


def test_an_old_set_is_replaced_and_the_run_goes_on(desk: Desk) -> None:
    folder = to_the_upgrade(desk)
    late = datetime.now(UTC) + timedelta(seconds=desk.site.backup_max_age + 60)
    assert "more than 24 h ago ([backup] max_age)" in objection(desk.site, desk.journal, desk.hop, now=late)
    facts = {"backup_set": str(folder), "backup_manifest_sha256": manifest_sha256(folder)}
    desk.journal.replace_backup(0, facts, "anna")
    assert desk.drive(auto_approve=True).kind == "done"


def test_a_set_that_nobody_restored_needs_a_word(desk: Desk) -> None:
    folder = to_the_upgrade(desk)
    unproved(folder)
    facts = {"backup_manifest_sha256": manifest_sha256(folder)}
    desk.journal.replace_backup(0, facts, "anna")
    assert "is unverified: nobody restored it yet" in objection(desk.site, desk.journal, desk.hop)
    desk.journal.accept(NOT_PROVED, "no MariaDB 9 here", "anna")
    assert objection(desk.site, desk.journal, desk.hop) == ""


def test_once_begun_the_set_stays_the_way_back(desk: Desk) -> None:
    folder = to_the_upgrade(desk)
    desk.world.script({"upgrade": ["fail"]})
    assert desk.drive(auto_approve=True).kind == "decide"
    altered(folder)
    assert objection(desk.site, desk.journal, desk.hop) == ""
    assert any(row.state is AttemptState.FAILED for row in desk.journal.attempts(desk.hop.run, 0, State.UPGRADE))


def event(seq: int, kind: str, attempt: str = "", hop: int = 1, **data: object) -> EventRow:
    return EventRow(seq=seq, txn=seq, at="", mono=0, boot="", epoch=1, run="r", hop=hop, attempt=attempt, kind=kind,
                    data=data, prev="", h="")  # fmt: skip


def worked(seq: int, attempt: str, stage: str, hop: int = 1) -> list[EventRow]:
    return [event(seq, "attempt_intended", attempt, hop, stage=stage), event(seq + 1, "attempt_launched", attempt, hop)]


def taken(seq: int, attempt: str = "b") -> list[EventRow]:
    return [*worked(seq, attempt, "backup"), event(seq + 2, "attempt_finished", attempt, facts={"backup_set": "/s"})]


@pytest.mark.parametrize(
    ("events", "older"),
    [
        (taken(1), False),
        ([*worked(1, "u", "upgrade", 0), *taken(5)], False),
        ([*taken(1), *worked(5, "u", "upgrade", 0)], True),
        ([*taken(1), *worked(5, "r", "rollback_restore", 0)], True),
        ([*taken(1), *worked(5, "p", "pull", 0), *worked(8, "v", "verify", 0)], False),
        ([*taken(1), *worked(5, "u", "upgrade")], False),
        # the set was begun before the write, and finished after it
        ([*worked(1, "b", "backup"), *worked(3, "u", "upgrade", 0), *taken(1)[2:]], True),
        ([*taken(1), *worked(5, "u", "upgrade", 0), event(9, "backup_replaced", facts={"backup_set": "/s"})], False),
        ([event(1, "backup_replaced", facts={"backup_set": "/other"}), *worked(5, "u", "upgrade", 0)], True),
    ],
)
def test_newer_is_told_by_the_order_of_events(events: list[EventRow], older: bool) -> None:
    hop = HopRow.__new__(HopRow)
    object.__setattr__(hop, "run", "r")
    object.__setattr__(hop, "index", 1)
    assert written_since(events, hop, "/s") is older
