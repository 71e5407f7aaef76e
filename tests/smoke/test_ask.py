"""What comes back from the play of the trial: an answer, one that was lost, one that came too late."""

from __future__ import annotations

import json
from typing import Any

import pytest

from upgrader.runner.base import PlayResult
from upgrader.smoke.ask import TRIED, _steps


def said(**values: Any) -> PlayResult:
    return PlayResult("try", "successful", 0, stats={"ctl1": {}}, hosts_seen=("ctl1",),
                      collected={TRIED: {"ctl1": {"msg": values}}})  # fmt: skip


def test_an_answer() -> None:
    row = {"step": "token", "who": "admin", "ok": True, "words": "issued", "seconds": 0.2}
    (step,), error, lost = _steps(said(stdout="trial " + json.dumps({"steps": [row]}), rc="0"), "ctl1")
    assert (step.name, step.ok, error, lost) == ("token", True, "", False)


@pytest.mark.parametrize(
    ("values", "words", "lost"),
    [
        ({"stdout": "trial ", "rc": "0", "error": ""}, "ctl1: no words, code 0", True),
        ({"stdout": "", "rc": "1", "error": "Error response from daemon"}, "ctl1: Error response from daemon", True),
        ({"stdout": '{"ste', "rc": "137", "error": ""}, "ctl1: it took too long", False),
    ],
)
def test_what_is_no_answer(values: dict[str, str], words: str, lost: bool) -> None:
    assert _steps(said(**values), "ctl1") == ((), words, lost)


def test_a_play_that_never_came_to_it() -> None:
    result = PlayResult("try", "failed", 4, error="no host was worked on")
    assert _steps(result, "ctl1") == ((), result.message, False)
