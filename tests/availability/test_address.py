"""Addresses: what is asked of a catalogue's endpoint, and names that resolve, do not, or never answer."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from upgrader.availability.address import (
    Names,
    address_of,
    from_catalogue,
    keystone_base,
    literal,
    redirected,
    version_document,
)


@pytest.mark.parametrize(
    ("endpoint", "document"),
    [
        ("http://192.0.2.1:8774/v2.1", "http://192.0.2.1:8774/"),
        ("http://192.0.2.1:8776/v3/0123456789abcdef", "http://192.0.2.1:8776/"),
        ("http://192.0.2.1:9696", "http://192.0.2.1:9696/"),
        ("https://cloud.example.org/volume/v3/$(project_id)s", "https://cloud.example.org/volume/"),
        ("http://192.0.2.1:8080/swift/v1/AUTH_%(tenant_id)s", "http://192.0.2.1:8080/swift/"),
        ("http://192.0.2.1:8080/AUTH_0123", "http://192.0.2.1:8080/"),
        ("http://[2001:db8::7]:8000/v1", "http://[2001:db8::7]:8000/"),
        ("https://placement.example.org/placement/", "https://placement.example.org/placement/"),
        ("http://192.0.2.1:8780/version", "http://192.0.2.1:8780/version/"),
    ],
)
def test_version_document(endpoint: str, document: str) -> None:
    assert version_document(endpoint) == document


def test_addresses_taken_apart() -> None:
    address = address_of("https://[2001:db8::7]/a?b=c")
    assert (address.host, address.port, address.tls, address.path) == ("2001:db8::7", 443, True, "/a?b=c")
    assert address.authority == "[2001:db8::7]"
    assert address_of("http://host:8080").authority == "host:8080"
    assert address_of("http://host").url == "http://host/"
    for wrong in ("ftp://host/", "http://", "http://user:geheim@host/", "host", "http://host:x/"):
        with pytest.raises(ValueError, match="address") as caught:
            address_of(wrong)
        assert "geheim" not in str(caught.value)


def test_where_a_redirect_leads() -> None:
    asked = address_of("http://host:8774/v2")
    assert redirected(asked, "/v2.1/").url == "http://host:8774/v2.1/"
    assert redirected(asked, "https://other/x#y").url == "https://other/x"
    with pytest.raises(ValueError, match="no http"):
        redirected(asked, "file:///etc/passwd")


def test_keystone_base() -> None:
    assert {keystone_base(f"http://h:5000{end}") for end in ("", "/", "/v3", "/v3/", "/v2.0")} == {"http://h:5000"}


def entry(name: str, url: str, *, region: str = "one", interface: str = "public", kind: str = "kind") -> dict[str, Any]:
    return {"name": name, "type": kind, "endpoints": [{"interface": interface, "region_id": region, "url": url}]}


def test_a_catalogue() -> None:
    catalogue = [
        entry("nova", "http://h:8774/v2.1"),
        entry("nova_legacy", "http://h:8774/v2/abc"),
        entry("nova", "http://internal:8774/v2.1", interface="internal"),
        entry("glance", "http://h:9292", region="two"),
        entry("", "http://h:9999", kind="odd"),
        entry("neutron", "ws://h:1"),
        entry("swift", "http://h:8080/v1/AUTH_%(project_id)s"),
        {"name": "empty"},
        {"name": "none", "endpoints": None},
    ]
    assert from_catalogue(catalogue, "one") == {
        "nova": "http://h:8774/", "odd": "http://h:9999/", "swift": "http://h:8080/",
    }  # fmt: skip
    assert from_catalogue([entry("glance", "http://h:9292", region="two")], "one") == {"glance": "http://h:9292/"}
    both = from_catalogue([entry("a", "http://x/"), entry("a", "http://y/", region="two")], "three")
    assert both == {"a one": "http://x/", "a two": "http://y/"}
    assert from_catalogue([entry("na\x1b[31mme", "http://h/")], "one") == {"na__31mme": "http://h/"}


def test_digits_need_no_name_server() -> None:
    assert literal("127.0.0.1", 80) == (socket.AF_INET, ("127.0.0.1", 80))
    family, place = literal("::1", 80) or (None, ())
    assert family == socket.AF_INET6 and place[:2] == ("::1", 80)
    assert literal("localhost", 80) is None


def wait_for(names: Names, host: str) -> Any:
    deadline = time.monotonic() + 5
    while (found := names.find(host, 80)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def test_names_are_looked_up_beside() -> None:
    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        if host == "gone":
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    names = Names(5.0, look_up=look_up)
    assert wait_for(names, "there") == ([(socket.AF_INET, ("192.0.2.1", 80))], "")
    assert wait_for(names, "gone") == ((), "gone cannot be resolved: Name or service not known")


def test_a_name_server_that_hangs_holds_nothing_up() -> None:
    release = threading.Event()

    def look_up(*_: Any, **__: Any) -> list[Any]:
        release.wait(10)
        return []

    names = Names(0.05, look_up=look_up)
    assert names.find("slow", 80) is None
    assert wait_for(names, "slow") == ((), "the name server does not answer")
    release.set()
