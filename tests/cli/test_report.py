"""`upgrader report` on a real site folder: which run, which form, where to; and what it says when it cannot."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.report_kit import CANARY, Run
from upgrader.cli.main import main
from upgrader.states import AttemptState, RunState, State

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path, [("2024.1", "2024.2")])
    made.attempt(State.PREFLIGHT, 30, AttemptState.FAILED, message=f"no room, {CANARY}")
    yield made
    made.close()


@pytest.fixture
def said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(["--site", str(tmp_path), *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def test_markdown_is_shown_unless_another_form_is_asked_for(run: Run, said: Said) -> None:
    code, out, _ = said("report")
    assert code == 0 and out.startswith("# Upgrade report: prod, 2024.1 → 2024.2\n")
    assert said("report", "--format", "html")[1].startswith("<!DOCTYPE html>")
    assert json.loads(said("report", "--json")[1])["run"] == run.id
    assert said("report", "--format", "json")[1] == said("report", "--json")[1]


def test_the_sites_own_passwords_are_taken_out(run: Run, said: Said) -> None:
    for form in ("md", "html", "json"):
        out = said("report", "--format", form)[1]
        assert CANARY not in out and "no room, ********" in out.replace("\\*", "*")


def test_passwords_that_cannot_be_read_are_told_of(run: Run, said: Said) -> None:
    (run.place / "kolla" / "passwords.yml").write_text("a: [\n")
    document = json.loads(said("report", "--json")[1])
    assert "passwords.yml" in document["not_cleared"]


def test_the_run_is_named_by_the_beginning_of_its_id(run: Run, said: Said) -> None:
    assert said("report", run.id[:6])[0] == 0
    code, _, err = said("report", "zzz")
    assert code == 2 and "No run of this journal begins with 'zzz'." in err and run.id[:8] in err
    run.journal.end_run(RunState.ABORTED, "anna", "no")
    code, out, _ = said("report", run.id, "--json")
    assert json.loads(out)["state"] == "aborted"


def test_an_old_run_is_told_as_it_was(run: Run, said: Said) -> None:
    from tests.report_kit import plan_of

    run.journal.end_run(RunState.ABORTED, "anna", "no")
    before = said("report", run.id, "--format", "md")[1]
    again = plan_of(run.journal, [("2024.1", "2024.2")])
    newer = run.journal.begin_run(again.document(), again.sha256, "zoe", [("2024.1", "2024.2")])
    after = said("report", run.id, "--format", "md")[1]
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line[:8] for line in changed] == ["| Events", "| Head |"], "only the journal went on"
    assert json.loads(said("report", "--json")[1])["run"] == newer


def test_it_is_written_whole_and_for_its_readers(run: Run, said: Said, tmp_path: Path) -> None:
    for name, begins in (("r.md", "# "), ("r.html", "<!DOCTYPE"), ("r.json", "{"), ("r.txt", "# ")):
        code, out, err = said("report", "--out", str(tmp_path / name))
        assert (code, out) == (0, "") and name in err
        assert (tmp_path / name).read_text().startswith(begins)
    assert not list(tmp_path.glob(".r*")), "no rest of writing"


@pytest.mark.parametrize("where", ["missing/r.md", "", "upgrader.toml/r.md"])
def test_what_cannot_be_written_is_said(run: Run, said: Said, tmp_path: Path, where: str) -> None:
    before = sorted(tmp_path.iterdir())
    code, _, err = said("report", "--out", str(tmp_path / where))
    assert code == 2 and "cannot be written" in err and "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_leaves_what_was_there(
    run: Run, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "r.md").write_text("the one before")
    monkeypatch.setattr("upgrader.durable.os.fsync", full)
    code, _, err = said("report", "--out", str(tmp_path / "r.md"))
    assert code == 2 and "No space left" in err
    assert (tmp_path / "r.md").read_text() == "the one before" and not list(tmp_path.glob(".r*"))


@pytest.mark.parametrize("words", [("--format", "pdf"), ("--json", "--format", "md")])
def test_a_form_that_there_is_not(run: Run, said: Said, words: tuple[str, ...]) -> None:
    assert said("report", *words)[0] == 2


def test_no_run_yet(tmp_path: Path, said: Said) -> None:
    from tests.journal_kit import entered
    from tests.report_kit import SITE

    (tmp_path / "upgrader.toml").write_text(SITE)
    code, _, err = said("report", "--out", str(tmp_path / "r.md"))
    assert code == 3 and "nothing was ever run here" in err
    with entered(tmp_path / "state"):
        pass
    code, _, err = said("report", "--out", str(tmp_path / "r.md"))
    assert code == 2 and "There is no run to report on" in err
    assert not (tmp_path / "r.md").exists()


def _change(run: Run, sql: str) -> None:
    run.journal.close()
    connection = sqlite3.connect(run.site.state_dir / "journal.db")
    for trigger in ("events_keep_their_order", "events_never_change", "events_never_go"):
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(sql)
    connection.commit()
    connection.close()


def test_a_changed_journal_is_reported_with_exit_code_8(run: Run, said: Said) -> None:
    _change(run, "UPDATE events SET at = '2020-01-01T00:00:00.000000+00:00' WHERE seq = 5")
    code, out, err = said("report")
    assert code == 8 and "event 5: was changed" in out and "cannot be relied on" in err
    assert said("report", "--json")[0] == 8


def test_a_journal_beyond_reading(run: Run, said: Said, tmp_path: Path) -> None:
    _change(run, "UPDATE events SET data = '{}' WHERE kind = 'hop_moved'")
    code, _, err = said("report", "--out", str(tmp_path / "r.md"))
    assert code == 8 and "nothing to report" in err and "was changed" in err
    assert not (tmp_path / "r.md").exists()


def test_a_file_that_is_no_journal(run: Run, said: Said, tmp_path: Path) -> None:
    run.journal.close()
    path = run.site.state_dir / "journal.db"
    for name in ("journal.db-wal", "journal.db-shm"):
        (run.site.state_dir / name).unlink(missing_ok=True)
    path.write_bytes(b"not a database " * 300)
    code, _, err = said("report", "--out", str(tmp_path / "r.md"))
    assert code == 3 and "damaged" in err and "Traceback" not in err
    assert not (tmp_path / "r.md").exists()


def test_it_changes_nothing_and_takes_no_lock(run: Run, said: Said) -> None:
    """The run's own process holds the lease meanwhile."""
    before = {path: path.stat().st_mtime_ns for path in run.site.state_dir.rglob("*") if path.suffix != ".db-shm"}
    assert said("report")[0] == 0
    after = {path: path.stat().st_mtime_ns for path in run.site.state_dir.rglob("*") if path.suffix != ".db-shm"}
    assert {path for path in after if before.get(path) != after[path]} <= {run.site.state_dir / "journal.db-shm"}


def test_a_stream_that_takes_ascii_alone(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {}
    for form in ("md", "html", "json"):
        raw = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
        assert main(["--site", str(tmp_path), "report", "--format", form]) == 0
        told[form] = raw.getvalue().decode("ascii")
    monkeypatch.undo()
    assert "2024.1 -> 2024.2" in told["md"] and "2024.1 &#8594; 2024.2" in told["html"]
    assert json.loads(told["json"])["hops"][0]["source"] == "2024.1"
