"""The hosts' operating systems against the hops of a path: which hops cannot be planned, and where the move belongs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.graph import load_graph
from upgrader.model import CloudFacts, Code, Finding, HostFacts, ReleaseReading
from upgrader.policy.host_system import (
    MIXED,
    UNREAD,
    System,
    covered_actions,
    judge_host_systems,
    system_of,
)

GRAPH = load_graph()


def judged(source: str, target: str, **systems: str) -> tuple[Finding, ...]:
    """Keywords: host = os as a host tells it; an empty one was not read."""
    facts = CloudFacts(
        site="t",
        observed_at="",
        hosts=tuple(HostFacts(name=name, os=os, reachable=os != "gone") for name, os in systems.items()),
        reading=ReleaseReading(kind="exact", release=source),
    )
    return judge_host_systems(GRAPH, GRAPH.path(source, target), facts)


def test_jammy_hosts_make_2025_1_unplannable() -> None:
    (found,) = judged("2024.1", "2025.2", ctl1="ubuntu-24.04", cmp2="ubuntu-22.04", cmp1="ubuntu-22.04")[:1]
    assert (found.id, found.code, found.severity) == ("host-os-jammy", Code.FAILURE, "blocker")
    assert (found.hop, found.host, found.unknown, found.overridable) == ("2024.2→2025.1", "cmp1,cmp2", False, False)
    assert found.message == "cmp1 and cmp2 run Ubuntu jammy; 2025.1 needs Ubuntu noble"
    assert found.fix == (
        "jammy → noble, host by host, while the cloud runs 2024.1 or 2024.2 (it does now)",
        "on 2024.1: kolla-ansible 18.7.0 or newer",
    )
    assert found.next == ""


def test_a_window_that_opens_later_is_reached_by_a_shorter_plan() -> None:
    (found,) = judged("2023.2", "2025.1", cmp1="ubuntu-22.04")
    assert found.fix[0] == "jammy → noble, host by host, while the cloud runs 2024.1 or 2024.2"
    assert found.next == "upgrader plan --to 2024.2"


def test_a_window_that_is_over() -> None:
    (found,) = judged("2025.1", "2025.2", cmp1="ubuntu-22.04")
    assert found.id == "host-os-jammy" and found.hop == "2025.1→2025.2"
    assert "this cloud is past it on 2025.1" in found.fix[0] and found.next == ""


def test_el9_hosts_make_2025_2_unplannable_in_one_finding() -> None:
    (found,) = judged("2024.2", "2026.1", a="rocky-9.4", b="centos-9", c="rocky-9")
    assert (found.id, found.hop, found.host) == ("host-os-el9", "2025.1→2025.2", "a,b,c")
    assert "Rocky Linux 10" in found.message and "b run CentOS Stream 9" in found.message
    assert "while the cloud runs 2025.1" in found.fix[0]
    assert found.fix[1] == "on 2025.1: kolla-ansible 20.4.0 or newer"


def test_bookworm_moves_on_2026_1() -> None:
    (found,) = judged("2025.2", "2026.2", a="debian-12")
    assert (found.id, found.hop) == ("host-os-bookworm", "2026.1→2026.2")
    assert found.fix[0] == "bookworm → trixie, host by host, while the cloud runs 2026.1"
    assert found.next == "upgrader plan --to 2026.1"


@pytest.mark.parametrize(
    ("source", "target", "os"),
    [
        ("2024.1", "2024.2", "ubuntu-22.04"),
        ("2024.2", "2025.1", "ubuntu-24.04"),
        ("2024.2", "2025.1", "rocky-9.5"),
        ("2025.1", "2025.2", "rocky-10.0"),
        ("2024.1", "2026.1", "debian-12"),
        ("2026.1", "2026.2", "debian-13"),
    ],
)
def test_near_misses_are_silent(source: str, target: str, os: str) -> None:
    assert judged(source, target, a=os) == ()


def test_a_host_that_was_not_read_blocks() -> None:
    (found,) = judged("2024.1", "2024.2", a="debian-12", b="", c="gone")
    assert (found.id, found.code, found.unknown, found.host) == (UNREAD, Code.FAILURE, True, "b,c")
    assert found.next == "upgrader check"


def test_a_system_that_is_too_new() -> None:
    (found,) = judged("2025.1", "2025.2", a="debian-13")
    assert found.id == "host-os-debian-trixie" and not found.overridable
    assert "accepted by 2026.1 and 2026.2, not by 2025.2" in found.why


def test_a_system_no_release_knows_can_be_accepted_by_name() -> None:
    (found,) = judged("2025.1", "2025.2", a="almalinux-9.4")
    assert found.id == "host-os-almalinux-9.4" and found.overridable
    assert "prechecks_enable_host_os_checks" in found.fix[1]


def test_an_unfinished_move_is_a_warning() -> None:
    (found,) = judged("2024.1", "2024.2", a="ubuntu-22.04", b="ubuntu-24.04", c="ubuntu-24.04")
    assert (found.id, found.code, found.host) == (MIXED, Code.WARNING, "a")
    assert judged("2024.1", "2024.2", a="ubuntu-22.04", b="debian-12") == ()


def test_many_hosts_are_counted_in_the_message_and_named_in_the_finding() -> None:
    (found,) = judged("2024.2", "2025.1", **{f"cmp{n:02}": "ubuntu-22.04" for n in range(7, 25)})
    assert found.message.startswith("cmp07, cmp08, cmp09 and 15 more run Ubuntu jammy")
    assert len(found.host.split(",")) == 18


def test_what_the_graph_says_twice_is_known() -> None:
    """Every action that a window covers exists, blocks, and belongs to the hop the window closes at."""
    covered = covered_actions(GRAPH)
    found = {
        action.id: hop
        for edge in GRAPH.edges
        for hop in [GRAPH.hop(*edge)]
        for action in GRAPH.actions(hop)
        if action.id in covered
    }
    assert set(found) == covered
    deadlines = {action: window.deadline_before for window in GRAPH.host_windows for action in window.actions}
    assert {name: hop.target for name, hop in found.items()} == deadlines


def test_windows_agree_with_what_releases_accept() -> None:
    """Both systems are accepted on every release the move is possible on, the old one no more after it."""
    for window in GRAPH.host_windows:
        closed = GRAPH.release(window.deadline_before).host_os
        for name, versions in window.leave.items():
            assert all(not System(name, version).among(closed) for version in versions), window.id
            for release in window.possible_on:
                assert all(System(name, version).among(GRAPH.release(release).host_os) for version in versions)
        for name, versions in window.become.items():
            for release in window.possible_on:
                accepted = GRAPH.release(release).host_os
                assert any(System(name, version).among(accepted) for version in versions) or name not in closed


SYSTEMS = [
    "ubuntu-22.04",
    "ubuntu-24.04",
    "rocky-9.3",
    "rocky-10.1",
    "centos-10",
    "debian-11",
    "debian-12",
    "debian-13",
]


@given(
    st.dictionaries(st.sampled_from([f"h{n}" for n in range(9)]), st.sampled_from([*SYSTEMS, "", "x-1"]), min_size=1),
    st.sampled_from([(a, b) for a in GRAPH.ids for b in GRAPH.ids if a < b]),
)
def test_a_path_is_free_exactly_when_every_host_fits_every_target(hosts: dict[str, str], ends: tuple[str, str]) -> None:
    found = judged(*ends, **hosts)
    blocked = {name for finding in found if finding.code is Code.FAILURE for name in finding.host.split(",")}
    targets = [GRAPH.release(hop.target).host_os for hop in GRAPH.path(*ends)]
    fits = {
        name
        for name, os in hosts.items()
        if (system := system_of(os)) is not None and all(system.among(accepted) for accepted in targets)
    }
    assert blocked == hosts.keys() - fits


@pytest.mark.parametrize(
    ("os", "name"),
    [
        ("ubuntu-22.04", "ubuntu-jammy"),
        ("debian-12", "debian-bookworm"),
        ("rocky-9.4", "rocky-9"),
        ("centos-9", "centos-stream9"),
        ("openEuler-22.03", "openeuler-22.03"),
        ("ubuntu-26.04", "ubuntu-26.04"),
    ],
)
def test_names_as_conditions_use_them(os: str, name: str) -> None:
    system = system_of(os)
    assert system is not None and system.id == name
