"""`upgrader notices` and `status --metrics`: what was told, a test to real servers, refusals in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.notices_kit import Hooks, a_notice, free_port, hooks
from upgrader.cli.main import main
from upgrader.notices.ledger import Ledger

SITE = '[site]\nname = "prod"\n[kolla]\nconfig_dir = "."\ninventory = "inventory"\n'
WANTED = SITE + '[notices]\nurls_file = "urls"\ntitle = "Köln"\nwebhook_secret_file = "key"\ntimeout = 20\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "upgrader.toml").write_text(SITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UPGRADER_SITE", raising=False)
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[Hooks]:
    with hooks() as made:
        yield made


def secret(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def test_a_test_to_every_address(place: Path, receiver: Hooks, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "upgrader.toml").write_text(WANTED)
    secret(place / "key", "0123456789abcdef0123456789abcdef")
    secret(place / "urls", f"chat = {receiver.url('/TOKEN')}\ndead = webhook+http://127.0.0.1:{free_port()}/TOKEN\n")
    assert main(["notices", "test"]) == 3
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()] == [["chat", "sent"], ["dead", "failed"]]
    assert "connection refused" in out and "1 of 2 addresses could not be told: dead." in err
    assert "TOKEN" not in out + err
    (got,) = receiver.got
    assert got.document["title"] == "Köln: a test of upgrader's notices" and got.document["event"] == "test"
    assert "webhook-signature" in got.headers
    assert not (place / "state").exists(), "a test leaves nothing behind"

    secret(place / "urls", f"chat = {receiver.url()}\n")
    assert main(["notices", "test", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["results"] == [{"name": "chat", "state": "sent", "why": ""}]


@pytest.mark.parametrize(
    ("site", "urls", "mode", "words", "code"),
    [
        (SITE, "", 0o600, "names no addresses", 3),
        (WANTED, "json://TOKEN", 0o644, "can be read by others (mode 0644)", 2),
        (WANTED, "TOKEN", 0o600, "line 1: no address", 2),
        (WANTED, None, 0o600, "is not there", 2),
        (SITE + '[notices]\nurls_environment = "NOT_SET_ANYWHERE"\n', "", 0o600, "is not set", 2),
    ],
    ids=["none", "mode", "line", "gone", "variable"],
)
def test_refusals(
    place: Path, capsys: pytest.CaptureFixture[str], site: str, urls: str | None, mode: int, words: str, code: int
) -> None:
    (place / "upgrader.toml").write_text(site)
    if urls is not None:
        (place / "urls").write_text(urls)
        (place / "urls").chmod(mode)
    assert main(["notices", "test"]) == code
    out, err = capsys.readouterr()
    assert words in err and out == "" and "TOKEN" not in err and "Next:" in err


def test_what_was_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notices"]) == 0
    assert "tells nobody" in capsys.readouterr().out
    (place / "upgrader.toml").write_text(WANTED)
    assert main(["notices"]) == 0
    assert "Nothing was told yet." in capsys.readouterr().out
    ledger = Ledger.of(place / "state")
    ledger.open(a_notice(title="x\x1b[2J"), ["chat", "mail"])
    ledger.note(a_notice().id, "chat", 1, "sent")
    ledger.note(a_notice().id, "mail", 2, "failed", "the server answered 500")
    ledger.trouble("The file of addresses is not there")
    assert main(["notices"]) == 0
    out = capsys.readouterr().out
    assert "sent      chat  x\\x1b[2J" in out and "given up  mail" in out and "answered 500" in out
    assert "trouble   The file of addresses is not there" in out
    assert main(["notices", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["state"], row["tries"]) for row in document["sent"]] == [
        ("chat", "sent", 1), ("mail", "given up", 2),
    ]  # fmt: skip
    assert document["working"] is False and document["troubles"][0]["words"].startswith("The file")


def test_words_that_are_none(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notices", "tset"]) == 2
    assert "no notices tset" in capsys.readouterr().err


def test_metrics_on_demand(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--metrics"]) == 0
    names = {family.name for family in text_string_to_metric_families(capsys.readouterr().out)}
    assert {"upgrader_state", "upgrader_needs_person", "upgrader_written_timestamp_seconds"} <= names
    assert main(["status", "--metrics", "--json"]) == 2
    assert "neither --json nor --watch" in json.loads(capsys.readouterr().out)["message"]
