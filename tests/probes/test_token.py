"""The script that runs inside Keystone's container, against the two requests it makes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud_kit.hosts import ADMIN_PASSWORD
from tests.cloud_kit.keystone import Keystone, running_keystone
from upgrader.probes.keystone import ANSWER, PROBES, token_findings
from upgrader.runner.base import PlayResult

SCRIPT = PROBES / "token.py"


@pytest.fixture
def keystone() -> Iterator[Keystone]:
    with running_keystone() as state:
        yield state


def asked(
    action: str, url: str, *, password: str = ADMIN_PASSWORD, token: str = "", patience: str = "0.01"
) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-", action, url, "admin", "admin"],
        input=SCRIPT.read_text(),
        env={
            "OS_PASSWORD": password,
            "OS_TOKEN": token,
            "http_proxy": "http://127.0.0.1:9",
            "PYTHONUTF8": "1",
            "UPGRADER_PATIENCE": patience,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert password not in done.stdout
    return dict(json.loads(done.stdout))


def test_issue_and_validate(keystone: Keystone) -> None:
    issued = asked("issue", keystone.url)
    assert (issued["ok"], issued["status"], issued["url"]) == (True, 201, keystone.url)
    valid = asked("validate", keystone.url + "/v3/", token=issued["token"])
    assert valid == {"ok": True, "status": 200, "user": "admin"}


def test_lost_keys_show_in_the_old_token_only(keystone: Keystone) -> None:
    issued = asked("issue", keystone.url)
    keystone.tokens.clear()
    answer = asked("validate", keystone.url, token=issued["token"])
    assert answer == {"ok": False, "status": 404, "error": "Could not recognize Fernet token", "step": "validate"}


def test_refusals_and_silence_are_answers(keystone: Keystone) -> None:
    assert asked("issue", keystone.url, password="wrong")["status"] == 401
    assert asked("issue", "http://127.0.0.1:1")["status"] == 0
    assert "no URL" in asked("issue", "")["error"]
    assert asked("issue", "file:///etc/passwd")["ok"] is False


def test_a_keystone_that_is_just_starting_is_waited_for(keystone: Keystone) -> None:
    keystone.away = 2
    assert asked("issue", keystone.url)["status"] == 503
    assert asked("issue", keystone.url, patience="60")["status"] == 201
    assert asked("issue", keystone.url, password="wrong", patience="600")["status"] == 401


def play(said: object) -> PlayResult:
    return PlayResult("p", "successful", 0, collected={ANSWER: {"ctl1": {"msg": said}}})


def codes(result: PlayResult, action: str) -> dict[str, str]:
    return {finding.id: finding.code.value for finding in token_findings(result, action)}


def test_what_the_answers_mean() -> None:
    assert codes(play({"ok": True}), "issue") == {"token-issue": "success"}
    assert codes(play({"ok": "True"}), "validate") == {"token-issue": "success", "token-old": "success"}
    refused = play({"ok": False, "status": 404, "step": "validate", "error": "unknown"})
    assert codes(refused, "validate") == {"token-issue": "success", "token-old": "failure"}
    assert codes(play({"ok": False, "step": "issue"}), "validate") == {"token-issue": "failure"}
    assert codes(play("a template error"), "issue") == {"token-issue": "failure"}
    assert codes(PlayResult("p", "failed", 2), "issue") == {"token-issue": "failure"}


def test_the_script_needs_nothing_but_the_standard_library() -> None:
    code = Path(SCRIPT).read_text()
    assert "upgrader" not in code.replace("`upgrader`", "")
