"""The folder of an attempt, and what its remains mean: the whole table, every combination."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from upgrader import attempts, durable, processes
from upgrader.attempts import Evidence, Judgement, judge
from upgrader.model import AttemptRequest


def request(attempt: str = "") -> AttemptRequest:
    return AttemptRequest(
        attempt=attempt or str(uuid.uuid4()), run="r", epoch=1, hop=0, stage="pull", number=1,
        site_file="/s", plan_file="/p", state_dir="/d",
    )  # fmt: skip


STATES = ("whole", "missing", "torn")
CHOICES: dict[str, tuple[Any, ...]] = {
    "lock_held": (False, True),
    "request": STATES,
    "void": (False, True),
    "started": STATES,
    "exit": STATES,
    "strays": (0, 2),
    "artifact": (False, True),
    "stats": (False, True),
    "same_boot": (None, False, True),
    "faults": ((), ("foreign",)),
}
EVERY = [Evidence(**dict(zip(CHOICES, values, strict=True))) for values in itertools.product(*CHOICES.values())]


def expected(e: Evidence) -> str:
    """The table of the specification in other words: which rows fit, then the first in its order."""
    began = e.started == "whole"
    sane = (
        not e.faults
        and "torn" not in (e.started, e.exit)
        and (not began or e.request == "whole")
        and (began or (e.exit == "missing" and not e.artifact and not e.stats))
        and not (e.void and (began or e.exit == "whole"))
    )
    rows = [
        (e.lock_held, "running"),
        (sane and e.exit == "whole", "finished"),
        (e.strays > 0, "orphaned"),
        (not sane, "contradiction"),
        (e.artifact, "artifact"),
        (e.stats, "infer"),
        (not began, "never_started"),
        (e.same_boot is False, "rebooted"),
        (True, "unknown"),
    ]
    return next(name for fits, name in rows if fits)


def test_every_combination_of_evidence() -> None:
    assert len(EVERY) == 2 * 3 * 2 * 3 * 3 * 2 * 2 * 2 * 3 * 2
    seen = set()
    for evidence in EVERY:
        assert judge(evidence) == expected(evidence), evidence
        seen.add(judge(evidence))
    assert seen == set(Judgement)


def test_what_may_never_be_said() -> None:
    for e in EVERY:
        said = judge(e)
        if e.lock_held or (e.strays and e.exit != "whole"):
            assert said in {Judgement.RUNNING, Judgement.ORPHANED}, "never start another while work goes on"
        if said is Judgement.FINISHED:
            assert e.exit == "whole" and e.started == "whole" and not e.faults
        if said is Judgement.NEVER_STARTED:
            assert e.started == e.exit == "missing" and not e.strays and not e.artifact
        if said in {Judgement.ARTIFACT, Judgement.INFER}:
            assert e.started == "whole" and not e.contradictions
        if said is Judgement.CONTRADICTION:
            assert e.contradictions


def test_creating(tmp_path: Path) -> None:
    asked = request()
    folder = attempts.create(tmp_path, asked)
    assert folder == tmp_path / "attempts" / asked.attempt
    assert folder.stat().st_mode & 0o777 == 0o700
    assert AttemptRequest.model_validate_json((folder / attempts.REQUEST).read_bytes()) == asked
    with pytest.raises(FileExistsError):
        attempts.create(tmp_path, asked)
    for name in ("../../etc", "", "UPPER", str(uuid.uuid4()).upper()):
        with pytest.raises(ValueError, match=r"UUID|not the name"):
            attempts.folder_of(tmp_path, name)


def test_void_bars_whoever_comes_late(tmp_path: Path) -> None:
    asked = request()
    folder = attempts.folder_of(tmp_path, asked.attempt)
    assert attempts.void(folder)
    assert judge(attempts.evidence(folder)) is Judgement.NEVER_STARTED
    with pytest.raises(FileExistsError):
        attempts.create(tmp_path, asked)


def test_void_is_refused_for_what_runs_or_ran(tmp_path: Path) -> None:
    folder = attempts.create(tmp_path, request())
    with attempts.locked(folder) as held:
        assert held is not None
        assert attempts.running(folder)
        assert not attempts.void(folder)
    assert not attempts.running(folder)
    durable.write_json(folder / attempts.STARTED, {"attempt": folder.name})
    assert not attempts.void(folder)
    assert not (folder / attempts.VOID).exists()


def test_a_missing_folder_is_an_attempt_that_never_started(tmp_path: Path) -> None:
    folder = attempts.folder_of(tmp_path, str(uuid.uuid4()))
    assert judge(attempts.evidence(folder)) is Judgement.NEVER_STARTED
    assert not folder.exists()


def _files(folder: Path, **documents: Any) -> None:
    names = {"started": attempts.STARTED, "exit": attempts.EXIT}
    for name, document in documents.items():
        durable.write_json(folder / names[name], {"attempt": folder.name, **document})


def test_the_boot_is_compared(tmp_path: Path) -> None:
    folder = attempts.create(tmp_path, request())
    _files(folder, started={"boot_id": "another"})
    assert judge(attempts.evidence(folder)) is Judgement.REBOOTED
    _files(folder, started={"boot_id": processes.boot_id()})
    assert judge(attempts.evidence(folder)) is Judgement.UNKNOWN
    _files(folder, started={"boot_id": ""})
    assert judge(attempts.evidence(folder)) is Judgement.UNKNOWN


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ({}, "names no verdict"),
        ({"outcome": "succeeded"}, "names no verdict"),
        ({"outcome": {"verdict": "great"}}, "names no verdict"),
        ({"attempt": str(uuid.uuid4()), "outcome": {"verdict": "succeeded"}}, "another attempt"),
    ],
)
def test_foreign_or_senseless_exit_records_are_not_believed(tmp_path: Path, record: dict[str, Any], word: str) -> None:
    folder = attempts.create(tmp_path, request())
    _files(folder, started={"boot_id": "x"}, exit=record)
    evidence = attempts.evidence(folder)
    assert judge(evidence) is Judgement.CONTRADICTION
    assert word in " ".join(evidence.contradictions)


def test_processes_of_the_attempt_are_found_by_their_environment(tmp_path: Path) -> None:
    folder = attempts.create(tmp_path, request())
    _files(folder, started={"boot_id": processes.boot_id()})
    env = {**os.environ, processes.ATTEMPT: folder.name}
    code = "import os; os.setsid() if os.fork() == 0 else os._exit(0); import time; time.sleep(600)"
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    evidence = attempts.evidence(folder)
    assert evidence.strays == 1 and judge(evidence) is Judgement.ORPHANED
    find = lambda: processes.carrying(processes.ATTEMPT, folder.name)  # noqa: E731
    assert processes.await_gone(find, patience=0.1, grace=600) == (1, 1)
    assert judge(attempts.evidence(folder)) is Judgement.UNKNOWN


def test_progress_is_read_on_from_where_one_was(tmp_path: Path) -> None:
    folder = attempts.create(tmp_path, request())
    assert attempts.read_progress(folder) == ([], 0)
    durable.append_line(folder / attempts.PROGRESS, {"kind": "step_start"})
    lines, offset = attempts.read_progress(folder)
    assert [line["kind"] for line in lines] == ["step_start"]
    with (folder / attempts.PROGRESS).open("a") as stream:
        stream.write('rubbish\n7\n{"kind": "half')
    lines, offset = attempts.read_progress(folder, offset)
    assert lines == []
    with (folder / attempts.PROGRESS).open("a") as stream:
        stream.write('"}\n')
    assert attempts.read_progress(folder, offset)[0] == [{"kind": "half"}]


def test_the_tree_hash_covers_names_and_content(tmp_path: Path) -> None:
    folder = attempts.create(tmp_path, request())
    hashes = {attempts.tree_hash(folder)}
    (folder / "plays").mkdir()
    (folder / "plays" / "a").write_text("1")
    hashes.add(attempts.tree_hash(folder))
    (folder / "plays" / "a").write_text("2")
    hashes.add(attempts.tree_hash(folder))
    (folder / "plays" / "a").rename(folder / "plays" / "b")
    hashes.add(attempts.tree_hash(folder))
    assert len(hashes) == 4
    (folder / attempts.CANCEL).touch()
    (folder / attempts.LOG).write_text("later")
    assert attempts.tree_hash(folder) in hashes


def test_looking_is_light() -> None:
    """`status` looks at attempts and must start at once."""
    heavy = "{'pydantic', 'ansible_runner', 'networkx', 'rich', 'transitions', 'ruamel'}"
    code = f"import sys, upgrader.attempts; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
