"""The cloud as a whole: what may be told of all hosts when one of them was not read."""

from __future__ import annotations

import pytest

from tests.cloud_kit.facts import SYNCED, container, host
from upgrader.facts.host import unreachable_host
from upgrader.facts.server import DatabaseAnswer, galera_facts
from upgrader.facts.whole import host_system, observed_database, observed_hosts, oldest

ALL = {"os": "debian-12", "volumes": ("a",), "images": ("i:1",), "legacy_iptables": 0}


def test_a_host_that_was_not_read_may_have_what_the_others_have_not() -> None:
    one, two = host("a", container("cron"), **ALL), host("b", container("keystone"), **ALL | {"volumes": ("b", "c")})
    whole = observed_hosts((one, two))
    assert whole["containers"] == ("cron", "keystone")
    assert whole["volumes"] == ("a", "b", "c")
    assert whole["legacy_iptables"] == ()
    assert observed_hosts((one, unreachable_host("c", [], "no route"))) == {}
    assert "containers" not in observed_hosts((one, host("b", error="inspect: gone", **ALL)))
    assert "volumes" not in observed_hosts((one, host("b", **ALL | {"volumes": None})))
    assert "host_systems" not in observed_hosts((one, host("b", **ALL | {"os": ""})))


def test_legacy_rules_that_were_found_count_whatever_else_was_not_read() -> None:
    found = observed_hosts((host("a", legacy_iptables=4), unreachable_host("b", [], "")))
    assert found["legacy_iptables"] == ("a",)


@pytest.mark.parametrize(
    ("os", "system"),
    [
        ("ubuntu-22.04", "ubuntu-jammy"), ("debian-13", "debian-trixie"), ("rocky-9.4", "rocky-9"),
        ("centos-9", "centos-stream9"), ("openEuler-22.03", "openEuler-22.03"), ("plan9", "plan9"),
    ],
)  # fmt: skip
def test_systems_have_the_graphs_names(os: str, system: str) -> None:
    assert host_system(os) == system


GROUP = ("mariadb",)


def test_the_cluster_is_judged_from_every_servers_own_answer() -> None:
    paused = SYNCED.model_copy(update={"flow_control_paused": 0.25, "lost_settings": ("read_only=ON",)})
    behind = SYNCED.model_copy(update={"size": 2, "state": "Joining", "server_version": "10.6.22-MariaDB"})
    seen = observed_database((host("a", groups=GROUP, galera=paused), host("b", groups=GROUP, galera=behind)), {})
    assert seen is not None
    assert (seen.expected, seen.size, seen.synced, seen.version) == (2, 2, 1, "10.6.22")
    assert (seen.flow_control_paused, seen.lost_settings) == (0.25, ("a: read_only=ON",))
    assert observed_database((host("a"),), {}) is None


def test_a_silent_server_is_named_and_no_clean_bill_is_given() -> None:
    fine = host("a", groups=GROUP, galera=SYNCED.model_copy(update={"lost_settings": ()}))
    silent = host("b", groups=GROUP)
    answers = {"b": DatabaseAnswer(galera_facts([]), None, "galera: ERROR 2002")}
    seen = observed_database((fine, silent), answers)
    assert seen is not None
    assert seen.error == "b: galera: ERROR 2002"
    assert (seen.synced, seen.expected, seen.lost_settings) == (1, 2, None)
    alone = observed_database((silent,), {})
    assert alone is not None
    assert (alone.size, alone.synced, alone.version) == (None, None, None)


def test_a_container_that_would_form_a_cluster_of_its_own() -> None:
    seen = container("mariadb").model_copy(update={"labels": (("BOOTSTRAP", ""),)})
    whole = observed_database((host("a", seen, groups=GROUP, galera=SYNCED),), {})
    assert whole is not None
    assert whole.lost_settings == ("a: wsrep_new_cluster=ON",)


@pytest.mark.parametrize(
    ("row", "lost"),
    [
        ("read_only\tON\tSQL", ("read_only=ON",)),
        ("read_only\tON\tCONFIG", ()),
        ("wsrep_desync\tON\tCONFIG", ("wsrep_desync=ON",)),
        ("wsrep_sst_method\trsync\tSQL", ("wsrep_sst_method=rsync",)),
        ("wsrep_sst_method\trsync\tCONFIG", ("wsrep_sst_method=rsync",)),
        ("wsrep_sst_method\trsync\tCOMPILE-TIME", ()),
        ("wsrep_sst_method\tmariabackup\tSQL", ()),
        ("innodb_fast_shutdown\t0\tSQL", ("innodb_fast_shutdown=0",)),
        ("wsrep_on\tOFF\tCOMPILE-TIME", ()),
    ],
)
def test_what_an_interrupted_role_leaves_behind(row: str, lost: tuple[str, ...]) -> None:
    assert galera_facts([f"setting\t{row}"]).lost_settings == lost
    assert galera_facts([]).lost_settings is None


def test_figures_that_are_none() -> None:
    assert galera_facts(["wsrep_flow_control_paused\tnan"]).flow_control_paused is None
    assert galera_facts(["wsrep_local_index\t18446744073709551615"]).local_index is None
    assert oldest(["10.11.13-MariaDB-log", "10.6.2-MariaDB", "odd", ""]) == "10.6.2"
    assert oldest(["", "x.y"]) is None
