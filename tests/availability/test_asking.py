"""Asked over real sockets: what counts as up, what as away, and what is nobody's fault."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.availability_kit.certificate import certificate
from tests.availability_kit.cloud import PASSWORD, TOKEN, Cloud, Port, boottime
from upgrader.availability.address import Names
from upgrader.availability.asking import Asking
from upgrader.availability.exchange import context_of
from upgrader.availability.keystone import TOKEN as ISSUE
from upgrader.availability.keystone import VALIDATION, Account, Keystone
from upgrader.availability.records import Answer, Api

TIMEOUT, SHORT = 20.0, 0.25
"""Machines that run tests are busy; the short one is for what never answers."""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    yield made
    made.over()


class Ask:
    """Asks until every API has so many answers."""

    def __init__(self, apis: list[tuple[str, str]], keystone: Keystone | None = None, **more: Any) -> None:
        self.heard: dict[str, list[Answer]] = {name: [] for name, _ in apis}
        self.apis = [Api(name, url, 0.05) for name, url in apis]
        values: dict[str, Any] = {"context": lambda: context_of((), insecure=False), "timeout": TIMEOUT, **more}
        self.asking = Asking(self._told, interval=0.05, clock=boottime, **values)
        self.asking.set(self.apis, keystone)

    def _told(self, answer: Answer) -> None:
        self.heard[self.apis[answer.api].name].append(answer)

    def turn(self, seconds: float = 0.06) -> None:
        self.asking.ask()
        self.asking.listen(boottime() + seconds)

    def once(self, name: str, count: int = 1) -> list[Answer]:
        """So many questions to one API, each after the answer to the one before."""
        (asked,) = [one for one in self.asking.asked if one.api.name == name]
        begun = len(self.heard[name])
        for one in self.asking.asked:
            one.due = float("inf")
        for number in range(count):
            deadline = time.monotonic() + 60
            while len(self.heard[name]) == begun + number:
                assert time.monotonic() < deadline
                asked.due = float("inf") if asked.open else 0.0
                self.turn(0.01)
        return self.heard[name][begun:]

    def until(self, count: int = 1) -> dict[str, list[Answer]]:
        deadline = time.monotonic() + 60
        while any(len(answers) < count for answers in self.heard.values()):
            assert time.monotonic() < deadline, self.heard
            self.turn()
        self.asking.close()
        return self.heard


def asked(cloud: Cloud, **values: Any) -> Answer:
    port = cloud.port(**values)
    timeout = SHORT if port.mode == "hang" else TIMEOUT
    return Ask([("api", cloud.url(port))], timeout=timeout).until()["api"][0]


@pytest.mark.parametrize("status", [200, 204, 300, 400, 401, 403, 404, 405, 429])
def test_an_api_that_answers_is_up(cloud: Cloud, status: int) -> None:
    answer = asked(cloud, status=status)
    assert (answer.up, answer.words) == (True, "" if status == 200 else str(status))


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_what_a_load_balancer_says_of_no_server_is_away(cloud: Cloud, status: int) -> None:
    assert asked(cloud, mode=str(status))[3:] == (False, str(status))


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("closed", "refused Connection refused"),
        ("reset", "reset Connection reset by peer"),
        ("garbage", "garbage no HTTP answer"),
        ("cut", "reset cut off in the middle of its answer"),
        ("hang", "timeout no answer within 0.25 s"),
    ],
)
def test_trouble_is_away_and_named(cloud: Cloud, mode: str, words: str) -> None:
    answer = asked(cloud, mode=mode)
    assert (answer.up, answer.words) == (False, words)
    if mode == "hang":
        assert answer.answered - answer.asked >= SHORT


def test_chunked_answers_are_whole(cloud: Cloud) -> None:
    assert asked(cloud, chunked=True).up


def test_ipv6(cloud: Cloud) -> None:
    assert asked(cloud, host="::1").up


def test_redirects_are_followed_to_what_they_lead_to(cloud: Cloud) -> None:
    end, gone = cloud.port(status=200), cloud.port(mode="closed")
    there = cloud.port(status=302, location=cloud.url(end, "/v3/"))
    dead = cloud.port(status=307, location=cloud.url(gone))
    loop = cloud.port(status=301, location="/")
    odd = cloud.port(status=302, location="gopher://x/")
    ports = {"there": there, "dead": dead, "loop": loop, "odd": odd}
    found = Ask([(name, cloud.url(port)) for name, port in ports.items()]).until()
    assert found["there"][0].up and end.asked[0].startswith(b"GET /v3/ HTTP/1.1")
    assert not found["dead"][0].up
    assert found["loop"][0][3:] == (True, "301") and found["odd"][0][3:] == (True, "302")


def test_questions_do_not_wait_for_one_that_hangs(cloud: Cloud) -> None:
    ask = Ask([("api", cloud.url(cloud.port(mode="hang")))], timeout=1.0)
    while ask.asking.asked[0].open < 3:
        ask.turn()
    assert ask.until(3)["api"][2].asked < ask.heard["api"][0].answered


def test_one_dead_api_delays_no_other(cloud: Cloud) -> None:
    apis = [("dead", cloud.url(cloud.port(mode="hang"))), ("alive", cloud.url(cloud.port()))]
    ask = Ask(apis)
    while len(ask.heard["alive"]) < 3:
        ask.turn()
    assert all(answer.up for answer in ask.heard["alive"]) and ask.heard["dead"] == []
    ask.asking.close()


def test_a_second_address_is_tried(cloud: Cloud) -> None:
    port = cloud.port()
    rows = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 1)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", port.number))]
    names = Names(5, look_up=lambda *_, **__: rows)
    assert Ask([("api", f"http://name:{port.number}/")], names=names).until()["api"][0].up


def test_a_name_that_cannot_be_resolved(cloud: Cloud) -> None:
    def look_up(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    answer = Ask([("api", "http://name/")], names=Names(5, look_up=look_up)).until()["api"][0]
    assert answer[3:] == (False, "name name cannot be resolved: Temporary failure in name resolution")


def test_trouble_of_this_machine_is_no_verdict(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(*_: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    url = cloud.url(cloud.port())
    monkeypatch.setattr("upgrader.availability.exchange.socket.socket", no_more)
    assert Ask([("api", url)]).until()["api"][0][3:] == (None, "local Too many open files")


def test_a_process_that_slept_blames_nobody(cloud: Cloud) -> None:
    ask = Ask([("api", cloud.url(cloud.port(mode="hang")))])
    late = [0.0]
    ask.asking._clock = lambda: boottime() + late[0]
    ask.asking.ask()
    real = ask.asking._poll

    class Sleepy:
        def poll(self, timeout: float) -> list[Any]:
            late[0] += 60
            return []

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    ask.asking._poll = Sleepy()  # type: ignore[assignment]
    ask.asking.listen(boottime() + 0.1)
    assert ask.heard["api"][0][3:] == (None, "local this machine was too busy to listen")
    ask.asking.close()


def test_tls_is_checked(tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    cloud = Cloud((str(public), str(private)))
    plain = Cloud()
    try:
        url = cloud.url(cloud.port(status=200))
        mute = cloud.url(cloud.port(mode="hang"))
        wrong = cloud.url(plain.port(mode="banner")).replace("http://", "https://")
        trusting = {"context": lambda: context_of((str(public),), insecure=False)}
        blind = {"context": lambda: context_of((), insecure=True)}
        assert Ask([("api", url)], **trusting).until(3)["api"][2].up
        assert Ask([("api", url)], **blind).until()["api"][0].up
        assert Ask([("api", url)]).until()["api"][0][3:] == (False, "tls self-signed certificate")
        assert Ask([("api", mute)], timeout=SHORT, **trusting).until()["api"][0].words.startswith("timeout")
        assert Ask([("api", wrong)], **trusting).until()["api"][0].words.startswith("tls")
        with pytest.raises((OSError, ssl.SSLError)):
            context_of((str(tmp_path / "nothing.pem"),), insecure=False)
    finally:
        cloud.over()
        plain.over()


# ---------------------------------------------------------------- tokens


def keystone(cloud: Cloud, port: Port, password: str = PASSWORD) -> tuple[Keystone, Ask]:
    made = Keystone(cloud.url(port, "/v3"), Account("admin", "admin", password))
    return made, Ask([(ISSUE, made.url), (VALIDATION, made.url)], made)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_token_is_asked_for_and_validated(cloud: Cloud, chunked: bool) -> None:
    port = cloud.port(keystone=True, chunked=chunked)
    cloud.catalogue = [entry := {"name": "nova", "endpoints": []}]
    made, ask = keystone(cloud, port)
    found = ask.until(2)
    assert all(answer.up for answers in found.values() for answer in answers)
    assert made.catalogue == [entry] and not made.want_catalogue
    assert any(head.startswith(b"POST /v3/auth/tokens?nocatalog ") for head in port.asked)


def test_a_token_is_asked_for_rarely_while_it_is_up_and_often_while_it_is_not(cloud: Cloud) -> None:
    port = cloud.port(keystone=True)
    made, ask = keystone(cloud, port)
    ask.apis[0] = Api(ISSUE, made.url, 3600.0)
    ask.asking.set(ask.apis, made)
    token = ask.asking.asked[0]
    ask.once(ISSUE)
    assert token.due > boottime() + 3000
    port.mode = "503"
    token.due = 0.0
    while len(ask.heard[ISSUE]) < 4:
        ask.turn()
    assert token.due < boottime() + 1
    ask.asking.close()


def test_a_wrong_password_is_tried_once(cloud: Cloud) -> None:
    """Accounts are locked after some refusals; and a wrong password is no outage."""
    port = cloud.port(keystone=True)
    _, ask = keystone(cloud, port, "not-the-password")
    while not ask.asking.note:
        ask.turn()
    for _ in range(4):
        ask.turn()
    assert [answer[3:] for answer in ask.heard[ISSUE]] == [(None, "401")]
    assert ask.heard[VALIDATION] == [] and len(port.asked) == 1
    assert "refused the account" in ask.asking.note and "not-the-password" not in ask.asking.note
    ask.asking.close()


def test_a_password_that_worked_and_does_no_more_is_away_and_asked_rarely(cloud: Cloud) -> None:
    port = cloud.port(keystone=True)
    made, ask = keystone(cloud, port)
    ask.once(ISSUE)
    ask.once(VALIDATION)
    port.mode = "401"
    refused = ask.once(ISSUE, 3)
    assert [answer[3:] for answer in refused] == [(False, "401")] * 3
    assert ask.asking.asked[0].due > boottime() + 30 and made.worked
    assert ask.once(VALIDATION)[0][3:] == (False, "401")
    ask.asking.close()


def test_no_secret_is_told(cloud: Cloud) -> None:
    port = cloud.port(keystone=True)
    made, ask = keystone(cloud, port)
    ask.once(ISSUE)
    made._token = "another-token"
    assert ask.once(VALIDATION)[0][3:] == (False, "404")
    ask.once(ISSUE)
    assert ask.once(VALIDATION)[0].up, "the next token is fresh"
    told = repr(ask.heard) + repr(made) + ask.asking.note + repr(Account("admin", "admin", PASSWORD))
    assert PASSWORD not in told and TOKEN not in told and "another-token" not in told
    ask.asking.close()


def test_no_password_goes_where_a_redirect_leads(cloud: Cloud) -> None:
    thief = cloud.port(keystone=True)
    port = cloud.port(keystone=True, mode="302", location=cloud.url(thief, "/v3/auth/tokens"))
    _, ask = keystone(cloud, port)
    ask.once(ISSUE)
    assert thief.asked == [] and ask.heard[ISSUE][0].up is False
    ask.asking.close()


# ---------------------------------------------------------------- connections that stay


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Cloud, Ask, Port]]:
    public, private = certificate(tmp_path)
    cloud = Cloud((str(public), str(private)))
    port = cloud.port(status=200)
    ask = Ask([("api", cloud.url(port))], context=lambda: context_of((str(public),), insecure=False))
    yield cloud, ask, port
    ask.asking.close()
    cloud.over()


def test_a_tls_connection_serves_for_a_while(
    secure: tuple[Cloud, Ask, Port], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    _, ask, port = secure
    monkeypatch.setattr("upgrader.availability.asking.KEPT", 3600.0)
    assert all(answer.up for answer in ask.once("api", 5)) and port.greeted == 1
    monkeypatch.setattr("upgrader.availability.asking.KEPT", 0.0)
    assert all(answer.up for answer in ask.once("api", 3)) and port.greeted == 4


def test_http_connections_never_stay(cloud: Cloud) -> None:
    port = cloud.port(status=200)
    ask = Ask([("api", cloud.url(port))])
    assert len(ask.once("api", 4)) == port.greeted == 4
    ask.asking.close()


def test_a_server_that_wants_no_second_question_is_not_put_one(secure: tuple[Cloud, Ask, Port]) -> None:
    _, ask, port = secure
    port.lasting = False
    assert len(ask.once("api", 4)) == port.greeted == 4


def test_a_used_connection_that_was_closed_is_no_verdict(secure: tuple[Cloud, Ask, Port]) -> None:
    """A load balancer that was started anew between two questions: nobody was turned away."""
    cloud, ask, port = secure
    ask.once("api", 2)
    with cloud._lock:
        for key in [key for key in list(cloud._poll.get_map().values()) if isinstance(key.data, tuple)]:
            cloud._poll.unregister(key.fileobj)
            key.data[1].close()
    assert [answer.up for answer in ask.once("api", 3)] == [True] * 3 and port.greeted == 2


def test_a_used_connection_that_hangs_is_no_verdict(
    secure: tuple[Cloud, Ask, Port], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The address moved to another host: the old connection is mute, a fresh one is served."""
    monkeypatch.setattr("upgrader.availability.asking._IMPATIENCE", 0.1)
    _, ask, port = secure
    ask.once("api", 2)
    port.mute = True
    assert [answer.up for answer in ask.once("api", 2)] == [True] * 2 and port.greeted == 3


def test_away_is_judged_by_fresh_connections(secure: tuple[Cloud, Ask, Port]) -> None:
    cloud, ask, port = secure
    ask.once("api", 2)
    cloud.close(port)
    assert ask.once("api", 2)[-1][3:] == (False, "refused Connection refused")
    cloud.open(port)
    assert ask.once("api")[-1].up
