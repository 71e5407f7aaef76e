"""The process that sends: every address gets its own end, and none holds up another, or whoever waits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notices_kit import Hooks, a_notice, free_port, hooks
from tests.process_kit import wait_until
from upgrader import durable
from upgrader.notice_rules import NoticeRules
from upgrader.notices.addresses import Address
from upgrader.notices.ledger import Ledger
from upgrader.notices.sender import Sending, order_for, outward
from upgrader.notices.sending import Order, Round

NOTICE = a_notice()
KEY = "0123456789abcdef"


@pytest.fixture
def receiver() -> Iterator[Hooks]:
    with hooks() as made:
        yield made


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.of(tmp_path)
    made.open(NOTICE, ["good", "bad"])
    return made


def order(ledger: Ledger, *to: Address, timeout: float = 5, **more: str) -> Order:
    return Order(NOTICE, tuple((one, 1) for one in to), timeout, str(ledger.path), **more)


def run(given: Order) -> tuple[bool, dict[str, dict[str, Any]]]:
    said: list[dict[str, Any]] = []
    through = Round(given, said.append).run()
    return through, {line["name"]: line for line in said}


def test_each_has_its_own_end(receiver: Hooks, ledger: Ledger) -> None:
    bad = Address("bad", f"webhook+http://127.0.0.1:{free_port()}/TOKEN")
    through, said = run(order(ledger, bad, Address("good", receiver.url()), key=KEY))
    assert through and said["good"]["state"] == "sent"
    assert said["bad"] == {"name": "bad", "state": "failed", "why": "nobody listens there (connection refused)"}
    ledger.read()
    found = {name: (one.state, one.tries) for name, one in ledger.entries[NOTICE.id].deliveries.items()}
    assert found == {"good": ("sent", 1), "bad": ("failed", 1)}
    assert "webhook-signature" in receiver.got[0].headers
    text = ledger.path.read_text()
    assert "TOKEN" not in text and KEY not in text and str(receiver.port) not in text


def test_one_that_hangs_is_left_behind(receiver: Hooks, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr("upgrader.notices.by_apprise.send", lambda _url, _notice: held.wait(30))
    good = Address("good", receiver.url())
    through, said = run(order(ledger, Address("bad", "json://h"), good, timeout=0.3))
    held.set()
    assert not through
    assert (said["good"]["state"], said["bad"]["why"]) == ("sent", "no answer within 0.3 s")


def test_a_defect_is_not_quoted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str, _notice: object) -> None:
        raise RuntimeError(url)

    monkeypatch.setattr("upgrader.notices.by_apprise.send", fail)
    _, said = run(order(ledger, Address("bad", "json://TOKEN")))
    assert said["bad"]["why"] == "could not be sent (RuntimeError)"


def test_what_wants_a_signature_is_not_sent_without(receiver: Hooks, ledger: Ledger) -> None:
    _, said = run(order(ledger, Address("good", receiver.url()), key_fault="the key is not there"))
    assert said["good"]["why"] == "the key is not there" and receiver.got == []


def test_the_key_is_read_where_it_is_needed(tmp_path: Path) -> None:
    key = tmp_path / "key"
    rules = NoticeRules(webhook_secret_file=key)
    ours, theirs = ((Address("a", "webhook+https://h/"), 1),), ((Address("b", "json://h"), 1),)
    assert "is not there" in order_for(rules, NOTICE, ours).key_fault
    assert order_for(rules, NOTICE, theirs).key_fault == ""
    key.write_text("secret")
    key.chmod(0o644)
    assert "can be read by others" in order_for(rules, NOTICE, ours).key_fault
    key.chmod(0o600)
    found = order_for(rules, NOTICE, ours)
    assert found.key == "secret" and "secret" not in repr(found)
    key.write_text("\n")
    assert "is empty" in order_for(rules, NOTICE, ours).key_fault


def test_the_way_out_is_passed_and_nothing_else() -> None:
    found = outward({"HTTPS_PROXY": "http://proxy:1", "SECRET": "x", "HOME": "/h", "no_proxy": ""})
    assert found["HTTPS_PROXY"] == "http://proxy:1" and found["HOME"] == "/h"
    assert not {"SECRET", "no_proxy"} & set(found)


def test_the_process(receiver: Hooks, ledger: Ledger) -> None:
    """Nothing secret in its arguments or its environment; its results come back."""
    receiver.answer = "hang"
    sending = Sending(order(ledger, Address("good", receiver.url("/TOKEN")), timeout=60, key=KEY))
    wait_until(lambda: receiver.got, "its question")
    place = Path("/proc") / str(sending.pid)
    seen = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
    assert b"upgrader.notices" in seen and b"TOKEN" not in seen and KEY.encode() not in seen
    assert not sending.over
    receiver.answer = "200"
    receiver.released.set()
    assert set(sending.results(30)) == {"good"} and sending.over


def test_killed_between_sending_and_noting(receiver: Hooks, ledger: Ledger) -> None:
    """It may have gone out: whoever comes after does not send it again."""
    given = order(ledger, Address("good", receiver.url()))
    environment = {**os.environ, durable.FAILPOINT: "notices.sent"}
    done = subprocess.run(
        [sys.executable, "-m", "upgrader.notices"], input=json.dumps(given.document()).encode(), env=environment,
        check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL and len(receiver.got) == 1
    ledger.read()
    assert ledger.entries[NOTICE.id].deliveries["good"].state == "trying"
