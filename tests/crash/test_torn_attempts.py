"""Torn, missing, empty and doubled files of an attempt never look like a success (T7)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_attempts import request
from upgrader import attempts, durable, processes
from upgrader.attempts import Judgement, judge
from upgrader.context import AttemptContext
from upgrader.model import StageOutcome
from upgrader.redact import Redactor
from upgrader.runner.base import Play
from upgrader.runner.events import RESULT, Account
from upgrader.runner.play import REQUEST as PLAY_REQUEST

HOSTS = ("a", "b")
PLAY = Play("upgrade", Path("/t"), Path("/p"), (Path("/i"),), expected_hosts=HOSTS, watch=("db",), closing=True)
ONE = dict.fromkeys(HOSTS, 1)
STATS = {"ok": ONE, "processed": ONE, "changed": {}, "failures": {}, "dark": {}}
GOOD = {Judgement.FINISHED, Judgement.ARTIFACT, Judgement.INFER}


def finish(folder: Path) -> None:
    """Everything a good attempt leaves, written by the code that writes it in earnest, without Ansible."""
    durable.write_json(
        folder / attempts.STARTED, {"attempt": folder.name, "boot_id": processes.boot_id(), "at": "now", "adopts": True}
    )
    place = AttemptContext(folder).play_folder("upgrade")
    durable.make_dir(place)
    durable.write_json(place / PLAY_REQUEST, {"play": PLAY.document(), "ident": "i", "cancel": [], "patience": 1})
    account = Account(PLAY, place, Redactor())
    account.take({"event": "playbook_on_task_start", "event_data": {"task": "db sync"}})
    account.take({"event": "playbook_on_stats", "event_data": STATS})
    result = account.result("successful", 0, 1.0)
    durable.write_json(place / RESULT, {**result.document(), "ident": "i"})
    outcome = StageOutcome(verdict="succeeded", message="done")
    durable.write_json(folder / attempts.EXIT, {"attempt": folder.name, "outcome": outcome.document()})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    made = attempts.create(tmp_path, request())
    finish(made)
    # thousands of looks: the process table has its own tests
    monkeypatch.setattr(processes, "carrying", lambda variable, value: set())
    yield made


PLACE = f"{attempts.PLAYS}/01-upgrade"
FILES = (attempts.REQUEST, attempts.STARTED, attempts.EXIT, f"{PLACE}/{PLAY_REQUEST}", f"{PLACE}/{RESULT}")


def meaning(folder: Path) -> Judgement:
    return judge(attempts.evidence(folder))


def test_the_whole_is_believed_and_loses_its_parts_in_the_right_order(folder: Path) -> None:
    assert meaning(folder) is Judgement.FINISHED
    assert attempts.evidence(folder).watched == ("db sync",)
    (folder / attempts.EXIT).unlink()
    assert meaning(folder) is Judgement.ARTIFACT
    (folder / PLACE / RESULT).unlink()
    assert meaning(folder) is Judgement.INFER
    (folder / PLACE / "events.jsonl").unlink()
    assert meaning(folder) is Judgement.UNKNOWN
    (folder / PLACE / PLAY_REQUEST).unlink()
    assert meaning(folder) is Judgement.UNKNOWN
    (folder / attempts.STARTED).unlink()
    assert meaning(folder) is Judgement.NEVER_STARTED


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("without_exit", [False, True], ids=["", "no-exit"])
def test_a_file_cut_at_any_byte(folder: Path, name: str, without_exit: bool) -> None:
    if without_exit:
        (folder / attempts.EXIT).unlink()
        if name == attempts.EXIT:
            return
    file = folder / name
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        found = meaning(folder)
        if whole[:length].strip() == whole.strip():
            assert found in GOOD, "only the last newline is missing"
        else:
            assert found is Judgement.CONTRADICTION, f"{name} cut after {length} bytes is taken as {found}"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["empty", "doubled", "zeros", "tail-of-zeros", "list", "other-object"])
def test_damaged_in_other_ways(folder: Path, name: str, how: str) -> None:
    file = folder / name
    whole = file.read_bytes()
    damaged = {
        "empty": b"",
        "doubled": whole + whole,
        "zeros": bytes(len(whole)),
        "tail-of-zeros": whole[:-20] + bytes(20),
        "list": b"[" + whole + b"]",
        "other-object": b'{"a": 1}',
    }
    file.write_bytes(damaged[how])
    assert meaning(folder) is Judgement.CONTRADICTION


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    found = meaning(folder)
    expected = {attempts.EXIT: Judgement.ARTIFACT}
    assert found is expected.get(name, Judgement.CONTRADICTION)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_attempt(folder: Path, tmp_path: Path, name: str) -> None:
    """Same names, another attempt: a folder put together by hand or by a bad restore."""
    other = attempts.create(tmp_path, request())
    finish(other)
    durable.write_json(other / PLACE / PLAY_REQUEST, {"play": PLAY.document(), "ident": "other", "cancel": []})
    result = dict(durable.read_json(other / PLACE / RESULT).document or {})
    durable.write_json(other / PLACE / RESULT, {**result, "ident": "other"})
    shutil.copyfile(other / name, folder / name)
    assert meaning(folder) is Judgement.CONTRADICTION


def test_events_cut_at_any_byte(folder: Path) -> None:
    """Lines are not written whole-or-nothing: a cut tail is lost, never misread."""
    file = folder / PLACE / "events.jsonl"
    whole = file.read_bytes()
    (folder / attempts.EXIT).unlink()
    (folder / PLACE / RESULT).unlink()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert meaning(folder) is Judgement.UNKNOWN
    file.write_bytes(whole)
    assert meaning(folder) is Judgement.INFER


def test_a_success_whose_events_say_otherwise(folder: Path) -> None:
    file = folder / PLACE / "events.jsonl"
    file.write_text(file.read_text().replace('"failures":{}', '"failures":{"b":1}'))
    assert meaning(folder) is Judgement.CONTRADICTION


def test_a_success_whose_play_failed(folder: Path) -> None:
    document = dict(durable.read_json(folder / PLACE / RESULT).document or {})
    durable.write_json(folder / PLACE / RESULT, {**document, "rc": 2})
    evidence = attempts.evidence(folder)
    assert judge(evidence) is Judgement.CONTRADICTION
    assert "does not" in " ".join(evidence.contradictions)


def test_garbage_beside_the_files_changes_nothing(folder: Path) -> None:
    (folder / f".{attempts.EXIT}.1.2.tmp").write_text('{"attempt"')
    (folder / attempts.PLAYS / "02-later").mkdir()
    (folder / attempts.PROGRESS).write_bytes(os.urandom(500))
    assert meaning(folder) is Judgement.FINISHED
    attempts.read_progress(folder)
