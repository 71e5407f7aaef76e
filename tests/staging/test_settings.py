"""Settings are compared by digest; what says where a cloud is may differ, production's addresses count as staging's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine_kit.place import site_of
from upgrader.config import Site
from upgrader.staging.settings import addresses_of, differences, fingerprint, moved, moved_bytes, named, parse


def site(folder: Path, text: str, **files: str) -> Site:
    (folder / "config").mkdir(parents=True)
    (folder / "globals.yml").write_text(text)
    for name, content in files.items():
        (folder / "config" / f"{name}.conf").write_text(content)
    return site_of(folder)


def test_only_what_matters_is_compared(tmp_path: Path) -> None:
    ours = 'kolla_internal_vip_address: "10.0.0.250"\nnetwork_interface: eth0\nopenstack_release: "2024.1"\n'
    ours += 'nova_console: novnc\nmy_url: "http://10.0.0.250:99/"\nfoo_password: x\n'
    theirs = ours.replace("10.0.0.250", "10.9.0.250").replace("eth0", "ens3").replace("2024.1", "2024.2")
    here = site(tmp_path / "a", ours, nova="a = 10.0.0.250:1\n")
    there = site(tmp_path / "b", theirs.replace("_password: x", "_password: y"), nova="a = 10.9.0.250:1\n")
    read_as = {"10.0.0.250": "10.9.0.250"}
    assert differences(fingerprint(here, read_as=read_as), fingerprint(there), ()) == ()
    assert "foo_password" not in fingerprint(here).settings
    assert "10.0.0.250" not in fingerprint(here).text()


def test_each_difference_is_named_and_overrides_are_meant(tmp_path: Path) -> None:
    here = site(tmp_path / "a", "a: 1\nb: 2\nc: 3\n", nova="x", glance="y")
    there = site(tmp_path / "b", "a: 1\nb: 9\nd: 4\n", nova="z", heat="y")
    lines = differences(fingerprint(here), fingerprint(there), ())
    assert lines == (
        "setting b: staging says something else", "setting c: not set on staging", "setting d: only set on staging",
        "file config/glance.conf: not there on staging", "file config/heat.conf: only there on staging",
        "file config/nova.conf: staging says something else",
    )  # fmt: skip
    left = differences(fingerprint(here), fingerprint(there), ("b", "c", "d", "config/nova.conf"))
    assert [line.split(":")[0] for line in left] == ["file config/glance.conf", "file config/heat.conf"]


def test_a_kept_fingerprint_is_read_again(tmp_path: Path) -> None:
    made = fingerprint(site(tmp_path / "a", "a: 1\n", nova="x"))
    assert parse(made.text()) == made
    assert parse("") is None
    assert parse('{"settings": 3}') is None


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("http://10.0.0.1:80/", "http://X:80/"),
        ("10.0.0.10 10.0.0.1", "10.0.0.10 X"),
        ("110.0.0.1", "110.0.0.1"),
        ("cloud.example.com, api.cloud.example.com", "Y, api.cloud.example.com"),
        ("cloud.example.com.", "Y."),
        ("10.0.0.1.nip.io", "10.0.0.1.nip.io"),
    ],
)
def test_whole_addresses_only(text: str, after: str) -> None:
    assert moved(text, {"10.0.0.1": "X", "cloud.example.com": "Y"}) == after


def test_two_addresses_change_places_at_once() -> None:
    assert moved("a-b is 10.0.0.1 and 10.0.0.2", {"10.0.0.1": "10.0.0.2", "10.0.0.2": "10.0.0.1"}) == (
        "a-b is 10.0.0.2 and 10.0.0.1"
    )


@given(st.binary())
def test_a_file_that_names_nothing_keeps_every_byte(data: bytes) -> None:
    assert moved_bytes(data, {"cloud.example.com": "x"}) == data


def test_names_in_a_line() -> None:
    assert named("host: ctl1.example.com ctl11", ["ctl1", "ctl11", "example"]) == ("ctl11",)


def test_pairs_come_from_what_both_say() -> None:
    ours = {"kolla_internal_vip_address": "1", "kolla_external_fqdn": "{{ x }}", "kolla_internal_fqdn": "a"}
    theirs = {"kolla_internal_vip_address": "2", "kolla_external_fqdn": "b", "kolla_internal_fqdn": "a"}
    assert addresses_of(ours, theirs) == {"1": "2"}
