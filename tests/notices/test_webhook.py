"""Our own webhook against a real server: the body, the signature, and servers that misbehave."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import time
from collections.abc import Iterator

import pytest

from tests.notices_kit import Hooks, a_notice, free_port, hooks
from upgrader.notices.notice import Notice, NotSent
from upgrader.notices.webhook import key_of, post, words_of

NOTICE = a_notice()
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def receiver() -> Iterator[Hooks]:
    with hooks() as made:
        yield made


@pytest.fixture
def server(receiver: Hooks) -> Hooks:
    receiver.got.clear()
    receiver.answer = "204"
    return receiver


def verified(headers: dict[str, str], body: bytes, key: bytes) -> bool:
    """As a receiver does it, from the specification's words."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return headers["webhook-signature"] == f"v1,{wanted}"


def test_the_body_and_its_signature(server: Hooks) -> None:
    post(server.url("/a/b?c=d"), NOTICE, KEY, 5)
    (got,) = server.got
    assert got.path == "/a/b?c=d" and got.headers["content-type"] == "application/json"
    assert Notice.of(got.document) == NOTICE
    assert (got.document["schema_version"], got.document["kind"]) == (1, "notice")
    assert verified(got.headers, got.body, KEY)
    assert not verified(got.headers, got.body.replace(b"done", b"gone"), KEY)
    assert not verified(got.headers, got.body, KEY[::-1])
    assert got.headers["webhook-id"] == NOTICE.id
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60


def test_the_published_example_of_the_specification() -> None:
    """standard-webhooks/webhooks, libraries: the vector its implementations share."""
    from upgrader.notices.webhook import signature

    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    said = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_key_it_is_not_signed(server: Hooks) -> None:
    post(server.url(), NOTICE, None, 5)
    assert "webhook-signature" not in server.got[0].headers


def test_a_login_goes_into_its_header(server: Hooks) -> None:
    post(server.url().replace("//", "//an%40na:p%3Aw@"), NOTICE, None, 5)
    assert base64.b64decode(server.got[0].headers["authorization"].removeprefix("Basic ")) == b"an@na:p:w"
    assert "@" not in server.got[0].headers["host"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [("500", "the server answered 500"), ("404", "the server answered 404"), ("garbage", "does not speak HTTP"),
     ("redirect", "the server answered 302 (a redirect, which is not followed)"), ("hang", "did not answer in time")],
)  # fmt: skip
def test_servers_that_misbehave(server: Hooks, answer: str, words: str) -> None:
    server.answer = answer
    with pytest.raises(NotSent) as caught:
        post(server.url("/TOKEN"), NOTICE, KEY, 0.2)
    assert words in str(caught.value) and "TOKEN" not in str(caught.value)
    assert len(server.got) == 1, "nothing went anywhere else"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("webhook+http://127.0.0.1:{port}/TOKEN", "connection refused"),
        ("webhook+http://", "names no host"),
        ("webhook+http://127.0.0.1:TOKEN/", "its address is none"),
        ("webhook+https://127.0.0.1:{plain}/TOKEN", "no TLS connection"),
    ],
)
def test_addresses_that_lead_nowhere(server: Hooks, url: str, words: str) -> None:
    with pytest.raises(NotSent) as caught:
        post(url.format(port=free_port(), plain=server.port), NOTICE, None, 2)
    assert words in str(caught.value) and "TOKEN" not in str(caught.value)


def test_a_name_that_nobody_knows() -> None:
    assert words_of(socket.gaierror(-2, "TOKEN.example")) == "the name of its host is not known"
    assert words_of(OSError(101, "TOKEN")) == "OSError 101"


@pytest.mark.parametrize(
    ("text", "words"), [("short", "5 bytes"), ("whsec_!!", "not base64"), ("whsec_YWJj", "3 bytes"), ("", "0 bytes")]
)
def test_what_is_no_key(text: str, words: str) -> None:
    with pytest.raises(NotSent, match=words):
        key_of(text)


def test_keys() -> None:
    assert key_of("  a-long-enough-key \n") == b"a-long-enough-key"
    assert key_of("whsec_" + base64.b64encode(KEY).decode()) == KEY
