"""Errors counted on a host, in two times, and what their number means."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from upgrader.model import Code
from upgrader.probes.logs_rate import Counted, Told, logs_rate
from upgrader.smoke.count_errors import answer, kind_of

HOP = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
END = HOP + 600


class Host:
    """A host that is a folder, with an engine that has no volume."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "var/log/kolla").mkdir(parents=True)

    def log(self, path: str, *lines: tuple[float, str]) -> Path:
        """Lines as oslo.log writes them, seconds after the hop began."""
        place = self.root / "var/log/kolla" / path
        place.parent.mkdir(exist_ok=True)
        with place.open("a") as stream:
            for at, text in lines:
                stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(HOP + at))
                stream.write(f"{stamp}.{int(at * 1000) % 1000:03d} 7 {text}\n")
        os.utime(place, (END + 300, END + 300))
        return place

    def asked(self, **changes: Any) -> dict[str, Any]:
        question = {"begin": HOP - 3600, "hop": HOP, "end": END, "seconds": 20, "engine": "false", "host_root": ""}
        return answer({**question, "host_root": str(self.root), **changes})


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_each_time_has_its_errors(host: Host) -> None:
    host.log(
        "nova/nova-compute.log",
        (-4000, "ERROR nova.x [-] too long ago"),
        (-1800, "INFO nova.x [-] well"),
        (-900, "ERROR nova.x [-] instance 7 is odd"),
        (300, "ERROR nova.x [-] in mid-upgrade"),
        (700, "ERROR nova.x [-] instance 8 is odd"),
        (701, "CRITICAL nova.x [-] quite new 12"),
        (702, "CRITICAL nova.x [-] quite new 13"),
        (703, "INFO nova.x [-] the server is in ERROR now"),
        (704, "WARNING nova.x [-] ERROR in a warning"),
    )
    said = host.asked()["services"]["nova"]
    assert (said["before"], said["after"], said["from"]) == (1, 3, HOP - 1800)
    assert said["new"] == [["nova.x [-] quite new #", 2]]


def test_a_traceback_is_one_error(host: Host) -> None:
    trace = [(800.5, f"ERROR nova.y {line}") for line in ("Boom", "Traceback (most recent call last):", "  File x", "")]
    host.log("nova/nova-api.log", *trace, (801.0, "ERROR nova.y Boom"))
    assert host.asked()["services"]["nova"]["after"] == 2


def test_other_writers_and_rotated_files(host: Host) -> None:
    later = time.strftime("%a %b %d %H:%M:%S.000001 %Y", time.localtime(END + 5))
    path = host.log("keystone/keystone-apache-public-error.log")
    path.write_text(f"[{later}] [wsgi:error] [pid 22] mod_wsgi: broken\n[{later}] [ssl:info] fine\n")
    other = host.log("mariadb/mariadb.log")
    other.write_text(time.strftime("%Y-%m-%d %H:%M:%S 0 [ERROR] InnoDB: no\n", time.localtime(END + 9)))
    host.log("glance/glance-api.log.1", (-60, "ERROR glance [-] old one"))
    host.log("glance/glance-api.log", (900, "INFO glance [-] fine"))
    said = host.asked()["services"]
    assert {name: (one["before"], one["after"]) for name, one in said.items()} == {
        "keystone": (0, 1), "mariadb": (0, 1), "glance": (1, 0),
    }  # fmt: skip


def test_a_long_file_is_not_read_from_its_beginning(host: Host) -> None:
    many = [(-50000 + at, "INFO nova.z [-] " + "x" * 200) for at in range(0, 46000, 5)]
    host.log("nova/nova-api.log", *many, (-3000, "ERROR nova.z [-] a"), (700, "ERROR nova.z [-] b"))
    said = host.asked()["services"]["nova"]
    assert (said["before"], said["after"]) == (1, 1)


def test_what_cannot_be_read_is_said(host: Host) -> None:
    host.log("nova/nova-api.log", (700, "ERROR nova.z [-] b"))
    assert host.asked(seconds=-1)["unread"] == [["nova/nova-api.log", "the time for this host was used up"]]
    assert host.asked(host_root="/nowhere", engine="sh -c 'echo no daemon >&2; exit 1'")["unread"] == [
        ["files of services", "no daemon"]
    ]
    none = host.asked(host_root="/nowhere", engine="sh -c 'echo Error: no such volume >&2; exit 1'")
    assert (none["unread"], none["absent"]) == ([], True)


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("ERROR x [-] password=hunter2secret in it", "hunter2"),
        ("ERROR x [-] {'auth_token': 'gAAAAABn-abcdefghijklmnopqrstuv0123456789'}", "abcdefgh"),
        ("ERROR x [-] amqp://openstack:s3cr3tpw@10.0.0.1:5672//", "s3cr3t"),
        ("ERROR x [None req-0a1b2c3d-1111-2222-3333-444455556666 u p - - d d] said", "req-"),
        ("ERROR x [-] header X-Auth-Token: gAAAAABlongtokenwithdigits1234567890", "longtoken"),
    ],
)
def test_lines_travel_without_secrets_and_ids(line: str, lacks: str) -> None:
    assert lacks not in kind_of(f"2026-11-22 12:00:00.123 7 {line}")


# ---------------------------------------------------------------- what it means


def judged(**services: list[Told]) -> list[tuple[str, str]]:
    told = {name: {f"ctl{at}": one for at, one in enumerate(rows, 1)} for name, rows in services.items()}
    return [(finding.id, finding.message) for finding in logs_rate(Counted(told), least=10, factor=3)]


def test_a_rise_is_a_warning_with_the_new_line() -> None:
    told = Told(2, 3600, 12, 240, (("nova.x: new #", 9),))
    counted = Counted({"nova": {"ctl1": told, "ctl2": Told(0, 3600, 4, 240, (("nova.x: new #", 3),))}})
    (finding,) = logs_rate(counted, least=10, factor=3)
    assert (finding.id, finding.code, finding.host) == ("errors-rise", Code.WARNING, "ctl1, ctl2")
    assert finding.message == "nova logs more errors than before the hop: 16 in 4 min, 2 in the 60 min before"
    assert finding.evidence == "new, 12 times: nova.x: new #"


@pytest.mark.parametrize(
    ("told", "rises"),
    [
        (Told(2, 3600, 9, 240), False),  # few
        (Told(0, 0.0, 10, 240), True),  # nothing to compare with
        (Told(600, 3600, 40, 240), False),  # ten a minute, as ever
        (Told(600, 3600, 121, 240), True),  # more than thirty a minute
        (Told(60, 3600, 10, 5), True),
        (Told(240, 3600, 12, 5), False),  # a few seconds count as a minute
    ],
)
def test_what_a_rise_is(told: Told, rises: bool) -> None:
    assert [name for name, _ in judged(nova=[told])] == (["errors-rise"] if rises else ["errors"])


def test_silence_of_hosts_is_never_good() -> None:
    assert judged()[0][0] == "errors-unread"
    (finding,) = logs_rate(Counted(absent={"ctl1"}), least=10, factor=3)
    assert finding.unknown
    (finding,) = logs_rate(Counted({}, {"ctl1": "no answer"}), least=10, factor=3)
    assert finding.unknown
    found = logs_rate(Counted({"nova": {"ctl2": Told(0, 3600, 0, 60)}}, {"ctl1": "no answer"}), least=10, factor=3)
    assert [finding.id for finding in found] == ["errors-unread"]
