"""Events of ansible-runner become ours; the shapes here were taken from real runs of ansible-core 2.19."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from upgrader.redact import Redactor
from upgrader.runner import events
from upgrader.runner.base import Play
from upgrader.runner.events import Account

PLAY = Play(
    "p", Path("/t"), Path("/b"), (Path("/i"),), expected_hosts=("a", "b"), collect=("look",), watch=("^Running .* db",)
)
STATS: dict[str, Any] = {
    "ok": {"a": 2, "b": 1}, "changed": {}, "failures": {"b": 1}, "dark": {}, "processed": {"a": 1, "b": 1},
    "skipped": {}, "rescued": {}, "ignored": {},
}  # fmt: skip


def event(kind: str, stdout: str = "", **data: Any) -> dict[str, Any]:
    return {"event": kind, "created": "2026-01-01T00:00:00+00:00", "stdout": stdout, "event_data": data}


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(PLAY, tmp_path, Redactor(["canary-4711"]))


def test_a_failure_with_its_words_and_without_the_secret(account: Account, tmp_path: Path) -> None:
    account.take(event("playbook_on_task_start", task="Running nova db sync", name="nova : Running nova db sync"))
    res = {"msg": "non-zero return code", "stderr": "a\nb\nlogin with canary-4711 refused", "rc": 1}
    account.take(
        event("runner_on_failed", "fatal: canary-4711\x1b[0m\x07", task="Running nova db sync", host="b", res=res)
    )
    account.take(event("playbook_on_stats", **STATS))
    result = account.result("failed", 2, 1.0)
    assert result.watched == ("Running nova db sync",)
    assert result.failed[0].host == "b" and "login with ******** refused" in result.failed[0].message
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "canary-4711" not in written
    assert (tmp_path / events.OUTPUT).read_text() == "fatal: ********\\x07\n"
    seen, end = events.read(tmp_path)
    assert [(item.kind, item.watched) for item, _ in seen] == [
        ("task_start", True), ("host_failed", False), ("stats", False),
    ]  # fmt: skip
    assert events.read(tmp_path, end) == ([], end)
    again = events.reconstruct(PLAY, tmp_path)
    assert again.status == "lost" and not again.verdict
    assert (again.stats, again.failed, again.watched) == (result.stats, result.failed, result.watched)


def test_a_secret_is_not_cut_in_two_by_the_length_limit(account: Account, tmp_path: Path) -> None:
    text = "x" * (events.LONGEST_MESSAGE - 6) + "canary-4711"
    account.take(event("runner_on_unreachable", task="t", host="a", res={"msg": text}))
    assert "canary" not in (tmp_path / events.EVENTS).read_text()


def test_collected_results_have_no_arguments_and_no_secrets(account: Account) -> None:
    res = {"stdout": "[canary-4711]", "invocation": {"module_args": {"x": 1}}, "nested": [{"k": "canary-4711"}]}
    account.take(event("runner_on_ok", task="look", host="a", res=res))
    account.take(event("runner_on_ok", task="other", host="a", res=res))
    collected = account.result("successful", 0, 1.0).collected
    assert collected == {"look": {"a": {"stdout": "[********]", "nested": [{"k": "********"}]}}}


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"event": "playbook_on_stats"},
        {"event": "playbook_on_stats", "event_data": {"ok": 3}},
        {"event": "runner_on_ok", "event_data": {"res": "text", "host": None}},
        {"event": "runner_on_failed", "event_data": {"res": {"results": 7}}, "stdout": 5},
        {"event": "runner_on_ok", "event_data": 7},
    ],
    ids=json.dumps,
)
def test_nothing_an_event_holds_can_end_the_play(account: Account, raw: dict[str, Any]) -> None:
    account.take(raw)
    assert not account.result("successful", 0, 1.0).verdict


def test_our_own_notes_failing_is_reported_and_no_more(account: Account, tmp_path: Path) -> None:
    (tmp_path / events.OUTPUT).mkdir()
    for _ in range(3):
        account.take(event("runner_on_ok", "ok: [a]", task="look", host="a", res={"x": 1}))
    result = account.result("successful", 0, 1.0)
    assert "while listening: IsADirectoryError" in result.error


def test_loops_name_the_items_that_failed() -> None:
    res = {
        "msg": "One or more items failed",
        "results": [
            {"item": "glance", "msg": "fine"},
            {"item": "nova", "_ansible_item_label": "nova", "failed": True, "msg": "no image"},
        ],
    }
    assert events.words(res) == "One or more items failed\nnova: no image"


def test_half_a_line_is_left_for_the_next_time_and_rubbish_passed_over(tmp_path: Path) -> None:
    file = tmp_path / events.EVENTS
    file.write_text('{"counter":1,"kind":"play_start"}\nrubbish\n{"counter":2,"kind":"ta')
    first, offset = events.read(tmp_path)
    assert [item.counter for item, _ in first] == [1]
    with file.open("a") as stream:
        stream.write('sk_start"}\n')
    second, _ = events.read(tmp_path, offset)
    assert [item.counter for item, _ in second] == [2]


def test_every_expected_host_must_have_been_worked_on(account: Account) -> None:
    account.take(event("playbook_on_stats", **{**STATS, "failures": {}, "ok": {"a": 1}, "processed": {"a": 1}}))
    result = account.result("successful", 0, 1.0)
    assert result.missing == ("b",) and result.hosts_seen == ("a",)
    assert not result.verdict and "never worked on: b" in result.message


@pytest.mark.parametrize("where", ["failures", "dark"])
def test_ansibles_own_account_decides_who_is_in_trouble(account: Account, where: str) -> None:
    """Also when the event that told of it was lost, and also when the exit code is 0."""
    account.take(event("playbook_on_stats", **{**STATS, "failures": {}, where: {"b": 1}}))
    result = account.result("successful", 0, 1.0)
    assert not result.verdict
    assert [trouble.host for trouble in (*result.failed, *result.unreachable)] == ["b"]


def test_a_rescued_failure_is_none(account: Account) -> None:
    account.take(event("runner_on_failed", task="t", host="b", res={"msg": "no"}))
    account.take(event("playbook_on_stats", **{**STATS, "failures": {}, "rescued": {"b": 1}}))
    assert account.result("successful", 0, 1.0).verdict
