"""Loss of power at every write of an attempt: whatever the disk kept, no false success and no false "never began" (T7).

A kill keeps everything that was written; only a loss of power shows a missing fsync. So every operation of a whole
attempt is recorded, and for each moment all disk images that a file system may leave are rebuilt: what was synced is
there, of the rest any part may be.
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.runner_kit import REPO
from upgrader import attempts, processes
from upgrader.attempts import Judgement, judge
from upgrader.durable import Operation

RECORD = """
import base64, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.crash.test_torn_attempts import PLAY, STATS
from tests.test_attempts import request
from upgrader import attempts, durable, supervisor
from upgrader.model import StageOutcome
from upgrader.redact import Redactor
from upgrader.runner.events import RESULT, Account
from upgrader.runner.play import REQUEST as PLAY_REQUEST

seen = []
def note(operation):
    seen.append({"kind": operation.kind, "path": str(operation.path), "append": operation.append,
                 "target": operation.target and str(operation.target),
                 "data": base64.b64encode(operation.data).decode()})

def stage(request, context):
    context.progress("step_start", step="play")
    place = context.play_folder("upgrade")
    durable.make_dir(place)
    durable.write_json(place / PLAY_REQUEST, {"play": PLAY.document(), "ident": "i", "cancel": [], "patience": 1})
    account = Account(PLAY, place, Redactor())
    account.take({"event": "playbook_on_task_start", "stdout": "TASK", "event_data": {"task": "db sync"}})
    seen.append({"kind": "effect"})
    account.take({"event": "playbook_on_stats", "event_data": STATS})
    result = account.result("successful", 0, 1.0)
    durable.write_json(place / RESULT, {**result.document(), "ident": "i"})
    context.results.append(result)
    context.progress("step_end", step="play")
    return StageOutcome(verdict="succeeded", message="done")

supervisor.stage_of_the_test = stage
state = Path(sys.argv[2])
with durable.recorded(note):
    folder = attempts.create(state, request())
    seen.append({"kind": "created"})
    code = supervisor.supervise(folder, run="upgrader.supervisor:stage_of_the_test")
    seen.append({"kind": "returned"})
Path(sys.argv[3]).write_text(json.dumps([str(folder), code, seen]))
"""


Image = dict[Path, bytes | None]
"""Path → content; None for a folder."""


@dataclass(frozen=True)
class Step:
    """A change that is not certain yet: of a name (`binds` path → file number), or of a file's content."""

    settled_by: tuple[str, object]
    binds: tuple[tuple[Path, int | None], ...] = ()
    file: int = -1
    data: bytes = b""
    append: bool = False


@dataclass
class Disk:
    """What is certain to be on the disk, and what may be there as well. Names and contents are separate things."""

    names: dict[Path, int | None] = field(default_factory=dict)
    """Path → number of the file; None: not there; FOLDER: a folder."""
    contents: dict[int, bytes] = field(default_factory=dict)
    loose: list[Step] = field(default_factory=list)
    now: dict[Path, int] = field(default_factory=dict)
    """What the running system sees."""

    def do(self, operation: Operation) -> None:
        path = operation.path
        if operation.kind == "fsync":
            self._settle(("file", self.now[path]))
        elif operation.kind == "fsync_dir":
            self._settle(("folder", path))
        elif operation.kind == "write":
            file = self.now[path]
            self.loose.append(Step(("file", file), file=file, data=operation.data, append=operation.append))
        elif operation.kind in {"mkdir", "create"}:
            self.now[path] = FOLDER if operation.kind == "mkdir" else len(self.now) + 1
            self.loose.append(Step(("folder", path.parent), binds=((path, self.now[path]),)))
        elif operation.kind == "unlink":
            self.now.pop(path, None)
            self.loose.append(Step(("folder", path.parent), binds=((path, None),)))
        elif operation.kind == "rename" and operation.target is not None:
            self.now[operation.target] = self.now.pop(path)
            both = ((path, None), (operation.target, self.now[operation.target]))
            self.loose.append(Step(("folder", path.parent), binds=both))

    def _settle(self, what: tuple[str, object]) -> None:
        for step in [step for step in self.loose if step.settled_by == what]:
            happen(step, self.names, self.contents)
            self.loose.remove(step)

    def images(self) -> Iterator[Image]:
        """Every disk that may be found afterwards: of what is not certain, any part may be there."""
        for kept in itertools.product((False, True), repeat=len(self.loose)):
            names, contents = dict(self.names), dict(self.contents)
            for step, keep in zip(self.loose, kept, strict=True):
                if keep:
                    happen(step, names, contents)
            yield {
                path: None if file == FOLDER else contents.get(file, b"")
                for path, file in names.items()
                if file is not None
            }


FOLDER = 0


def happen(step: Step, names: dict[Path, int | None], contents: dict[int, bytes]) -> None:
    names.update(step.binds)
    if step.file > 0:
        contents[step.file] = (contents.get(step.file, b"") if step.append else b"") + step.data


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Operation | str]]:
    place = tmp_path_factory.mktemp("recording")
    program = place / "record.py"
    program.write_text(RECORD)
    command = [sys.executable, str(program), str(REPO), str(place / "state"), str(place / "seen.json")]
    subprocess.run(command, check=True)
    folder, code, seen = json.loads((place / "seen.json").read_text())
    assert code == 0
    operations: list[Operation | str] = []
    for item in seen:
        if item["kind"] in {"created", "effect", "returned"}:
            operations.append(item["kind"])
        else:
            target = Path(item["target"]) if item["target"] else None
            data = base64.b64decode(item["data"])
            operations.append(Operation(item["kind"], Path(item["path"]), data, target, item["append"]))
    return Path(folder), operations


def materialise(image: Image, origin: Path, copy: Path) -> Path:
    """Put an image into an empty folder; returns where the attempt is in it."""
    for path, content in sorted(image.items()):
        place = copy / path.relative_to(origin)
        if content is None:
            place.mkdir(parents=True, exist_ok=True)
        elif place.parent.is_dir():
            place.write_bytes(content)
    return copy


def test_every_image_of_every_moment(
    recording: tuple[Path, list[Operation | str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, operations = recording
    monkeypatch.setattr(processes, "carrying", lambda variable, value: set())
    state = folder.parents[1]
    disk = Disk()
    passed: set[str] = set()
    images: dict[frozenset[tuple[Path, bytes | None]], Path] = {}
    count = 0
    for operation in operations:
        if isinstance(operation, str):
            passed.add(operation)
        else:
            disk.do(operation)
        assert len(disk.loose) <= 12, "too much is not certain at once"
        for image in disk.images():
            key = frozenset(image.items())
            if key not in images:
                images[key] = materialise(image, state, tmp_path / str(len(images)))
            evidence = attempts.evidence(images[key] / "attempts" / folder.name)
            said = judge(evidence)
            count += 1
            where = f"after {operation}, {said}, {evidence.contradictions}"
            assert said is not Judgement.CONTRADICTION, where
            if said in {Judgement.FINISHED, Judgement.ARTIFACT, Judgement.INFER}:
                assert "effect" in passed, where
            if said is Judgement.NEVER_STARTED:
                assert "effect" not in passed, where
            if "effect" in passed:
                assert evidence.watched == ("db sync",), "a schema task that began is known for certain"
            if "created" in passed:
                assert evidence.request == "whole", where
            if "returned" in passed:
                assert said is Judgement.FINISHED, where
    assert passed == {"created", "effect", "returned"}
    assert len(images) > 30 and count > 120, (len(images), count)
