"""The command: quick to start, errors in words with the right exit code, options before or after the verb."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from upgrader import errors
from upgrader.cli import trouble
from upgrader.cli.main import UpgraderGroup, hoist, main
from upgrader.cli.verb import with_site

HEAVY = {"pydantic", "networkx", "rich", "ansible_runner", "ruamel", "jinja2", "transitions", "pymysql", "openstack"}


def upgrader(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "upgrader", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=600,
    )


def imported(*arguments: str, **environment: str) -> set[str]:
    """Top-level packages that one command line imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "upgrader", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=600,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert len(lines) > 50, done.stderr
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


def test_help_imports_nothing_heavy() -> None:
    assert not imported("--help") & HEAVY


def test_completion_imports_nothing_heavy() -> None:
    words = {"COMP_WORDS": "upgrader st", "COMP_CWORD": "1", "_UPGRADER_COMPLETE": "complete_bash"}
    assert not imported(**words) & HEAVY


def test_completion_completes_verbs() -> None:
    done = upgrader(COMP_WORDS="upgrader st", COMP_CWORD="1", _UPGRADER_COMPLETE="complete_bash")
    assert done.stdout.split() == ["status", "staging"]


def test_completion_scripts_are_printed_for_every_shell() -> None:
    for shell in ("bash", "zsh", "fish"):
        done = upgrader("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
        assert done.returncode == 0, done.stderr
        assert "_UPGRADER_COMPLETE" in done.stdout


def test_every_verb_has_a_file_that_exposes_an_app() -> None:
    root = Path(__file__).parents[2]
    for verb, (module, line) in UpgraderGroup.verbs.items():
        file = root / (module.replace(".", "/") + ".py")
        if not file.is_file():
            file = root / module.replace(".", "/") / "__init__.py"
        assert file.is_file(), f"{verb}: there is no {module}"
        names = {
            target.id
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        assert "app" in names, f"{module} exposes no app"
        assert line.endswith(".")
        assert len(line) <= 66


def test_options_of_the_command_may_stand_after_the_verb() -> None:
    assert hoist(["status", "--site", "x", "--json", "--no-color"]) == ["--site", "x", "--no-color", "status", "--json"]
    assert hoist(["plan", "--site=x", "--", "--no-color"]) == ["--site=x", "plan", "--", "--no-color"]
    assert hoist(["status", "--site"]) == ["status", "--site"]


def test_offered_commands_name_the_site_that_was_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--site", "/no where/x.toml"]) == 2
    assert with_site("upgrader plan --to 2025.2", "a b") == "upgrader --site 'a b' plan --to 2025.2"
    assert with_site("upgrader init", "x") == "upgrader init"
    assert with_site("upgrader plan", None) == "upgrader plan"
    error = errors.StaleError("x", next_command="upgrader plan --to 2025.2", details=["  upgrader resume   go on"])
    trouble.report(error, as_json=True, debug=False, site="sandbox")
    said = capsys.readouterr().out
    assert '"next": "upgrader --site sandbox plan --to 2025.2"' in said
    assert "upgrader --site sandbox resume   go on" in said


def test_an_unknown_verb_is_a_usage_error_that_names_the_nearest() -> None:
    done = upgrader("pln")
    assert done.returncode == 2
    assert "plan" in done.stderr
    assert not done.stdout


def test_an_unknown_verb_with_json_is_one_document_on_stdout() -> None:
    done = upgrader("pln", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["reason"] == "usage"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UpgraderError("x"), 1),
        (errors.ConfigError("x"), 2),
        (errors.DataError("x"), 3),
        (errors.StaleError("x"), 4),
        (errors.LockedError("x"), 5),
        (errors.FailedCleanError("x"), 6),
        (errors.RolledBackError("x"), 7),
        (errors.AttentionError("x"), 8),
        (errors.WaitingError("x"), 9),
        (errors.InterruptedRunError("x"), 130),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "/etc/kolla/passwords.yml"), 3),
    ],
)
def test_known_troubles_have_their_exit_code_and_no_traceback(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trouble.report(error, as_json=False, debug=False) == code
    said = capsys.readouterr()
    assert said.err.strip()
    assert "Traceback" not in said.err + said.out
    assert trouble.report(error, as_json=True, debug=False) == code
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"schema_version", "kind", "reason", "message", "cloud", "details", "next"}
    assert document["kind"] == "error"


def test_a_defect_is_one_line_and_its_traceback_is_kept_privately(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    try:
        raise ZeroDivisionError("boom\nsecond line")
    except ZeroDivisionError as error:
        assert trouble.report(error, as_json=False, debug=False) == 1
    said = capsys.readouterr().err
    assert "A defect of this tool: ZeroDivisionError: boom" in said
    assert "Traceback" not in said
    log = tmp_path / "upgrader" / "last-error.log"
    assert str(log) in said
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_traceback_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--traceback", "--site", "/nowhere", "status"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_trouble() -> None:
    code = "import sys; from upgrader.cli import trouble\n"
    code += "sys.exit(trouble.report(BrokenPipeError(), as_json=False, debug=False))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stderr) == (141, "")


def test_version() -> None:
    assert upgrader("--version").stdout.startswith("upgrader 0.")
