"""What is answered to whom, without a socket."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from upgrader.errors import ConfigError, UsageError
from upgrader.serve.access import Token, must_be_guarded, read_token
from upgrader.serve.address import Address, ours, parse
from upgrader.serve.app import POLICY, App, Request, Response, asset
from upgrader.serve.feed import Feed, Frame, following
from upgrader.status import Choice, Report, Verdict
from upgrader.watch.model import Happening, Hosts, StageLine, Trouble, Watched

HERE = Address("127.0.0.1", 8620)
EVERYWHERE = Address("0.0.0.0", 8620)  # noqa: S104
SECRET = "a-token-that-is-long-enough-0"
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{plain}}\u202e"
SEEN = Watched(
    "2026-11-22T14:00:00+00:00",
    Report(
        site="prod", verdict=Verdict.RUNNING, run="r", hop=1, hops=(("2024.1", "2024.2", "upgrade"),),
        source="2024.1", target="2024.2", state="upgrade", choices=(Choice("upgrader status", "look"),),
    ),
    hosts=Hosts(2, 1, 1, troubled=(Trouble(HOSTILE, "failed", "pull", "</script>" + HOSTILE),)),
    events=(Happening(1, "2026-11-22T14:00:00+00:00", HOSTILE),),
)  # fmt: skip
FRAME = following(None, SEEN, "boot", 1.0)


LOCAL = App(HERE)


def get(path: str = "/", app: App = LOCAL, frame: Frame | None = FRAME, **headers: str) -> Response:
    named = {"host": "127.0.0.1:8620", **{name.replace("_", "-"): value for name, value in headers.items()}}
    answer = app.answer(Request("GET", path, named), frame)
    assert isinstance(answer, Response)
    return answer


def header(response: Response, name: str) -> str:
    return next((value for key, value in response.headers if key.lower() == name), "")


@pytest.mark.parametrize(
    "path", ["/", "/page.js", "/page.css", "/icon.svg", "/status.json", "/status.txt", "/events", "/no"]
)
def test_every_answer_has_the_headers(path: str):
    response = get(path)
    assert response.status == (404 if path == "/no" else 200)
    assert header(response, "cache-control") == "no-store"
    assert header(response, "content-security-policy") == POLICY
    assert header(response, "x-content-type-options") == "nosniff"
    assert not [name for name, _ in response.headers if name.lower().startswith(("access-control", "set-cookie"))]


def test_the_policy_allows_nothing_inline_and_nothing_foreign():
    assert "unsafe" not in POLICY and "default-src 'none'" in POLICY and "frame-ancestors 'none'" in POLICY
    page = asset("index.html").decode()
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=|(src|href)=\"(https?:)?//", page)
    code = asset("page.js").decode()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|https?://|\.style\b", code)
    assert "http" not in re.sub(r"/\*.*?\*/", "", asset("page.css").decode())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "get"])
def test_only_reading(method: str):
    response = App(HERE).answer(Request(method, "/", {"host": "localhost"}), FRAME)
    assert isinstance(response, Response) and response.status == 405 and header(response, "allow") == "GET, HEAD"


def test_head_has_no_body():
    for path in ("/", "/events", "/page.js"):
        response = App(HERE).answer(Request("HEAD", path, {"host": "localhost"}), FRAME)
        assert isinstance(response, Response) and response.body == b"" and not response.stream


def test_hostile_words_stay_words():
    page = get().body.decode()
    assert "<img src=x" not in page and "&lt;img src=x" in page
    assert page.count("{{plain}}") >= 1 and "{{title}}" not in page, "a host's words are not filled in again"
    assert "\u202e" not in page
    data = get("/events").body
    assert b"</script>" not in data or data.isascii()
    assert data.count(b"\ndata: ") == 1, "a line break in a host's words would end the event"


def test_a_site_name_cannot_break_the_title():
    frame = following(None, replace(SEEN, report=replace(SEEN.report, site="</title><script>")), "b", 1.0)
    assert "</title><script>" not in get(frame=frame).body.decode()


def test_the_stream_begins_with_everything_unless_it_is_known():
    first = get("/events")
    assert first.stream and header(first, "content-type") == "text/event-stream"
    assert b"retry: 1000" in first.body and b"event: all\nid: boot-1\n" in first.body
    again = get("/events", last_event_id="boot-1")
    assert b"event: beat" in again.body and b"event: all" not in again.body
    assert b"event: all" in get("/events", last_event_id="other-1").body, "a number from before a restart means nothing"


def test_without_a_look_it_waits_and_assets_do_not():
    request = Request("GET", "/status.json", {"host": "localhost"})
    assert App(HERE).answer(request, None) == "later"
    assert get("/page.js", frame=None).status == 200


@pytest.mark.parametrize(("query", "width"), [("", 440), ("?width=390", 390), ("?width=9", 320), ("?width=99999", 1000),
                                              ("?width=x&width=5", 440), ("?" + "a=1&" * 50, 440)])  # fmt: skip
def test_the_picture(query: str, width: int):
    stages = (StageLine("backup", "done", 1, 41.0, 60.0), StageLine("upgrade", "now", 1, None, 1680.0))
    response = get("/hop.svg" + query, frame=following(None, replace(SEEN, stages=stages), "b", 1.0))
    assert response.status == 200 and header(response, "content-type") == "image/svg+xml"
    assert "script" not in response.body.decode() and f'width="{width}' in response.body.decode()
    policy = header(response, "content-security-policy")
    assert "default-src 'none'" in policy and "script-src" not in policy


def test_json_is_the_model():
    assert json.loads(get("/status.json").body) == json.loads(json.dumps(SEEN.document()))


def test_a_token_is_asked_for_and_opens():
    app = App(EVERYWHERE, Token(SECRET))
    refused = get("/status.json", app)
    assert refused.status == 401 and header(refused, "www-authenticate").startswith("Basic realm=")
    assert SECRET not in repr((app, refused))
    basic = base64.b64encode(f"anybody:{SECRET}".encode()).decode()
    for given in (f"Bearer {SECRET}", f"bearer  {SECRET}", f"Basic {basic}"):
        assert get("/status.json", app, authorization=given).status == 200
    for given in ("", "Bearer", f"Bearer {SECRET}x", f"Bearer {SECRET[:-1]}", f"Digest {SECRET}", "Basic %%%", SECRET,
                  "Basic " + base64.b64encode(SECRET.encode()).decode(), "Bearer \udcff"):  # fmt: skip
        assert get("/page.js", app, authorization=given).status == 401, given
    assert get(f"/?token={SECRET}", app).status == 401, "never in an address"


@pytest.mark.parametrize(
    ("host", "loopback", "everywhere"),
    [
        ("127.0.0.1:8620", True, True), ("localhost", True, True), ("[::1]:1", True, True),
        ("LOCALHOST.:8620", True, True), ("256.0.0.1", False, False),
        ("10.0.0.5:8620", False, True), ("[fe80::1]", False, True), ("evil.example", False, False), ("", False, False),
        ("127.0.0.1.evil.example", False, False), ("localhost.evil.example:8620", False, False), ("[::1", False, False),
        ("proxy.example", True, True), ("PROXY.example:443", True, True), ("127.0.0.1:x", False, False),
        ("::", False, False), ("2130706433", False, False), ("[evil]", False, False), ("a b", False, False),
    ],
)  # fmt: skip
def test_names_that_are_ours(host: str, loopback: bool, everywhere: bool):
    names = frozenset({"proxy.example"})
    assert (ours(host, HERE, names), ours(host, EVERYWHERE, names)) == (loopback, everywhere)


def test_another_name_is_misdirected():
    assert get(app=App(HERE), host="evil.example").status == 421


def test_pages_of_other_sites_may_link_and_not_read():
    assert get("/status.json", sec_fetch_site="cross-site", sec_fetch_mode="cors").status == 403
    assert get("/events", sec_fetch_site="same-site").status == 403
    assert get("/", sec_fetch_site="cross-site", sec_fetch_mode="navigate").status == 200
    assert get("/events", sec_fetch_site="same-origin", sec_fetch_mode="cors").status == 200


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8620", "127.0.0.1:8620"), ("[::1]:8620", "[::1]:8620"), (":80", "127.0.0.1:80"),
        ("8620", "127.0.0.1:8620"), ("localhost:0", "127.0.0.1:0"), ("0.0.0.0:65535", "0.0.0.0:65535"),
    ],
)  # fmt: skip
def test_addresses(text: str, address: str):
    assert str(parse(text)) == address


@pytest.mark.parametrize(
    "text",
    ["", ":", "::1:80", "host.example:80", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1", "1.2.3:80", "[::1]:", "1:٣"],
)
def test_addresses_that_are_none(text: str):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.next_command


def test_others_need_a_token(tmp_path: Path):
    must_be_guarded(HERE, None)
    must_be_guarded(Address("::1", 1), None)
    for host in ("0.0.0.0", "::", "10.1.2.3"):  # noqa: S104
        with pytest.raises(ConfigError, match="no token guards"):
            must_be_guarded(Address(host, 8620), None)
        must_be_guarded(Address(host, 8620), tmp_path / "token")


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (b"short", 0o600, "holds 5 characters"), (SECRET.encode(), 0o644, "read by others"),
        (b"\xff" * 40, 0o600, "not text"),
        (b"two words that are long enough", 0o600, "more than one word"), (b"", 0o600, "holds 0"),
        (b"x" * 5000, 0o600, "more than one word"), (SECRET.encode() + b"\n" + SECRET.encode(), 0o600, "more than one"),
    ],
)  # fmt: skip
def test_token_files_that_are_refused(tmp_path: Path, content: bytes, mode: int, says: str):
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=says) as caught:
        read_token(file)
    assert caught.value.next_command and SECRET not in str(vars(caught.value))


def test_token_files(tmp_path: Path):
    file = tmp_path / "token"
    for missing in (file, tmp_path):
        with pytest.raises(ConfigError):
            read_token(missing)
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    assert read_token(file).opens(f"Bearer {SECRET}")


def test_only_what_differs_is_sent():
    later = replace(SEEN, at="2026-11-22T14:00:01+00:00", trouble="disk")
    second = following(FRAME, later, "boot", 2.0)
    sent = json.loads(second.part.split(b"data: ")[1])
    assert second.id == "boot-2" and sent == {"at": later.at, "trouble": "disk"}
    third = following(second, replace(later, at="2026-11-22T14:00:02+00:00"), "boot", 3.0)
    assert third.number == 2 and third.part == b""


def test_nobody_reads_nobody_looks():
    looked: list[int] = []
    feed = Feed(lambda: (looked.append(1), SEEN)[1], lambda: None, interval=0.01)
    feed.start()
    try:
        assert feed.frame is None and looked == []
        assert feed.fresh() is None
        while feed.frame is None:
            pass
        assert feed.fresh() is not None
    finally:
        feed.stop()
