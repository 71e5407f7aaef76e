"""`[availability]`: defaults, what may stand there, and faults that name themselves without telling a login."""

from __future__ import annotations

from pathlib import Path

import pytest

from upgrader.availability_rules import AvailabilityRules, fault_of
from upgrader.config import load_site
from upgrader.errors import ConfigError

BASE = '[site]\nname = "one"\n[kolla]\nconfig_dir = "."\ninventory = "inventory"\n'


def rules(place: Path, text: str) -> AvailabilityRules:
    (place / "upgrader.toml").write_text(BASE + text)
    return load_site(place / "upgrader.toml").availability


def test_without_the_section(tmp_path: Path) -> None:
    assert rules(tmp_path, "") == AvailabilityRules()


def test_everything(tmp_path: Path) -> None:
    found = rules(
        tmp_path,
        """
[availability]
enabled = true
interval = "250ms"
timeout = 3
token_interval = "10s"
limit = "36h"
keystone = "https://[2001:db8::1]:5000"
token = false
catalogue = false
region = "north"
ca_file = "ca.crt"
insecure = true
[availability.endpoints]
dashboard = "https://cloud.example.org/"
"object store" = "http://198.51.100.7:8080/swift"
""",
    )
    assert (found.interval, found.timeout, found.token_interval, found.limit) == (0.25, 3, 10, 36 * 3600)
    assert found.keystone == "https://[2001:db8::1]:5000"
    assert (found.token, found.catalogue, found.region, found.insecure) == (False, False, "north", True)
    assert found.ca_file == tmp_path / "ca.crt"
    assert found.endpoints == (
        ("dashboard", "https://cloud.example.org/"), ("object store", "http://198.51.100.7:8080/swift"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('interval = "10ms"', "interval: '10ms' is no duration from 100 ms to 1 min"),
        ("interval = inf", "interval: inf is no duration"),
        ('interval = "soon"', "interval: 'soon' is no duration"),
        ("timeout = -1", "timeout: -1 is no duration"),
        ('limit = "99d"', "limit: '99d' is no duration from 1 s to 14 d"),
        ('keystone = "keystone:5000"', "is no http:// or https:// address"),
        ('keystone = "http://host:99999/"', "is no address (Port out of range"),
        ('keystone = "http://host:0/"', "is no address that can be asked"),
        ('keystone = "http://a b/"', "is no address that can be asked"),
        ('token = "yes"', "token: wants true or false"),
        ("colour = 1", "colour: no such key"),
        ('[availability.endpoints]\nx = "ftp://host/"', "endpoints x: 'ftp://host/' is no http"),
        ("[availability.endpoints]\nx = 3", "x: wants an address, has 3"),
        ('[availability.endpoints]\n"a\\nb" = "http://host/"', "has characters other than"),
    ],
)
def test_faults_name_themselves(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(tmp_path, f"[availability]\n{line}\n")
    assert words in "\n".join(caught.value.details)


def test_a_login_in_an_address_is_refused_and_not_repeated() -> None:
    fault = fault_of("https://admin:geheim@cloud.example.org:5000")
    assert "login" in fault and "geheim" not in fault
