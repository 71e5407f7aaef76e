"""Through Apprise, to real servers: mail and JSON. What it says of a failure holds nothing of the address."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.notices_kit import Hooks, Mails, a_notice, free_port, hooks, mails
from upgrader.notices.by_apprise import send, without
from upgrader.notices.notice import NotSent

NOTICE = a_notice()


@pytest.fixture(scope="module")
def server() -> Iterator[Mails]:
    with mails() as made:
        yield made


@pytest.fixture(scope="module")
def receiver() -> Iterator[Hooks]:
    with hooks() as made:
        yield made


def json_url(receiver: Hooks, more: str = "") -> str:
    return f"json://user:s3cretWord@127.0.0.1:{receiver.port}/t0kenPath{more}"


def test_a_mail(server: Mails) -> None:
    server.refuses = False
    send(server.url(), NOTICE)
    mail = server.got.pop()
    assert mail["Subject"] == NOTICE.title and mail["To"] == "ops@example.net"
    plain = mail.get_body(("plain",))  # some versions of Apprise send HTML beside it
    assert plain is not None and plain.get_content().strip().splitlines() == NOTICE.text.splitlines()


def test_a_mail_that_is_refused(server: Mails) -> None:
    server.refuses = True
    with pytest.raises(NotSent) as caught:
        send(server.url("&user=anna&pass=s3cretWord"), NOTICE)
    assert "s3cretWord" not in str(caught.value)


def test_json(receiver: Hooks) -> None:
    receiver.answer = "200"
    send(json_url(receiver), NOTICE)
    got = receiver.got.pop()
    assert got.path == "/t0kenPath"
    assert (got.document["title"], got.document["message"]) == (NOTICE.title, NOTICE.text)
    assert got.document["type"] == "success"


@pytest.mark.parametrize(("answer", "words"), [("500", "error=500"), ("hang", "did not answer in time")])
def test_servers_that_misbehave(receiver: Hooks, answer: str, words: str) -> None:
    receiver.answer = answer
    with pytest.raises(NotSent) as caught:
        send(json_url(receiver, "?rto=0.2"), NOTICE)
    said = str(caught.value)
    assert words in said
    assert "s3cretWord" not in said and "t0kenPath" not in said


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("json://u:s3cretWord@127.0.0.1:{port}/t0kenPath", "connection refused"),
        ("nosuch://s3cretWord/t0kenPath", "Apprise knows no address nosuch://… of this form"),
        ("slack://s3cretWord", "Apprise knows no address slack://… of this form"),
        ("mailto://s3cretWord:t0kenPath@", "Apprise knows no address mailto://… of this form"),
    ],
)
def test_addresses_that_lead_nowhere(url: str, words: str) -> None:
    with pytest.raises(NotSent) as caught:
        send(url.format(port=free_port()), NOTICE)
    said = str(caught.value)
    assert words in said
    assert "s3cretWord" not in said and "t0kenPath" not in said


def test_without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(NotSent, match="Apprise is not installed"):
        send("json://h", NOTICE)


def test_nothing_is_kept_on_disk(receiver: Hooks, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    receiver.answer = "200"
    send(json_url(receiver), NOTICE)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    "said",
    [
        "could not reach slack://TokenAAAA/TokenBBBB/TokenCCCC",
        "POST https://hooks.slack.com/services/TokenAAAA/TokenBBBB/TokenCCCC failed",
        "host TokenAAAA unknown",
        "path: /TokenBBBB/TokenCCCC",
    ],
)
def test_no_part_of_an_address_is_said(said: str) -> None:
    found = without(said, "slack://TokenAAAA/TokenBBBB/TokenCCCC")
    assert "Token" not in found


def test_short_and_quoted_parts() -> None:
    url = "mailto://anna:p%40w@mail.example.net?key=xy&name=ops"
    assert "p@w" not in without("the login anna/p@w was refused", url)
    assert "p%40w" not in without("the login p%40w was refused", url)
    assert without("key xy, but xylophone", url) == "key ********, but xylophone"
    assert "mail.example.net" in without("no route to mail.example.net", url), "a mail server's name is no secret"
