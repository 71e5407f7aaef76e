"""Looking at hosts with real Ansible, and what becomes of hosts that do not answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cloud_kit.facts import names
from tests.cloud_kit.hosts import FolderCloud, container, make_cloud
from upgrader.errors import EnvironmentMissingError
from upgrader.facts.observe import ANSWER, LOOK, facts_of, observe
from upgrader.facts.plays import cloud_hosts, host_vars, variable_files
from upgrader.model import CloudFacts
from upgrader.runner.ansible import AnsibleRunner
from upgrader.runner.base import HostTrouble, PlayResult
from upgrader.runner.recording import RecordingRunner


@pytest.fixture
def made(tmp_path: Path) -> FolderCloud:
    return make_cloud(tmp_path / "site", {"baremetal": ["a", "b", "c"], "deployment": ["localhost"]})


def look(made: FolderCloud, folder: Path) -> CloudFacts:
    return observe(made.site, made.toolchain, AnsibleRunner(), folder, names(), inventory=made.inventory, heads=False)


@pytest.mark.skipif(not shutil.which("ssh"), reason="needs an ssh client: without one a host is not even tried")
def test_hosts_that_answer_and_hosts_that_do_not(made: FolderCloud, tmp_path: Path) -> None:
    made.put("a", container("keystone", health="healthy"), container("mariadb", status="exited"))
    (made.host("b") / "dead").touch()
    text = made.site.inventory.read_text()
    made.site.inventory.write_text(
        text.replace(
            "[baremetal]\na\nb\nc", "[baremetal]\na\nb\nc ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1"
        )
    )
    (made.host("a") / "df").write_text(
        "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 100 60 40 60% /\n"
    )
    facts = look(made, tmp_path / "play")
    a, b, c = facts.hosts
    assert [seen.name for seen in facts.hosts] == ["a", "b", "c"]
    assert [(seen.name, seen.state, seen.health) for seen in a.containers] == [
        ("keystone", "running", "healthy"),
        ("mariadb", "exited", ""),
    ]
    assert (a.os, a.disks[0].free_bytes) == ("debian-12", 40 << 10)
    assert b.reachable
    assert "Cannot connect to the engine" in b.error
    assert not c.reachable
    assert "onnect" in c.error
    assert facts.reading.release == "2025.1"
    assert len(facts.reading.evidence) == 2
    assert all(call[0] in {"info", "ps", "inspect"} or call[1] == "ls" for call in made.argv("a"))
    assert (a.volumes, len(a.images or ())) == (("kolla_logs",), 2)
    assert facts.observed.volumes is None, "a host that was not read may have more"


def test_no_host_at_all_is_an_error_in_ansibles_words(made: FolderCloud, tmp_path: Path) -> None:
    made.site.inventory.write_text("[broken\n")
    with pytest.raises(EnvironmentMissingError, match="could not be looked at") as caught:
        look(made, tmp_path / "play")
    assert caught.value.cloud == "Nothing was changed."


@pytest.mark.parametrize(
    ("asked", "services", "hosts"),
    [({}, True, "b"), ({"services": False}, False, "upgrader_none"), ({"heads": False}, False, "upgrader_none")],
)
def test_services_are_asked_only_where_somebody_judges_their_answers(
    tmp_path: Path, asked: dict[str, bool], services: bool, hosts: str
) -> None:
    made = make_cloud(tmp_path / "site", {"baremetal": ["a", "b"], "mariadb": ["a"], "keystone": ["a", "b"]})
    runner = RecordingRunner(
        {"observe": PlayResult("observe", "failed", 4, unreachable=(HostTrouble("a", LOOK, "no route"),))}
    )
    observe(made.site, made.toolchain, runner, tmp_path / "x", names(), inventory=made.inventory, **asked)
    given = dict(runner.plays[0].extra_vars)
    assert (given["upgrader_services"], given["upgrader_service_hosts"]) == (services, hosts)


def test_the_play_names_passwords_only_by_their_file(made: FolderCloud, tmp_path: Path) -> None:
    runner = RecordingRunner(
        {"observe": PlayResult("observe", "failed", 4, unreachable=(HostTrouble("a", LOOK, "no route"),))}
    )
    facts = observe(made.site, made.toolchain, runner, tmp_path / "x", names(), inventory=made.inventory)
    (play,) = runner.plays
    assert made.site.passwords in play.extra_vars_files
    assert json.loads(made.site.passwords.read_text())["database_password"] not in str(play.document())
    assert [seen.error for seen in facts.hosts] == [
        "no route",
        "Ansible never worked on it",
        "Ansible never worked on it",
    ]
    assert facts.heads_error == "the inventory has no host in group mariadb"


def answers(*rows: tuple[str, str, str]) -> PlayResult:
    """(host, state, heads section)"""
    shown = {
        host: {
            "msg": {"stdout": f"@@galera\nwsrep_local_state_comment\t{state}\nwsrep_cluster_status\tPrimary\n{heads}"}
        }
        for host, state, heads in rows
    }
    looked = {host: {"stdout": "@@info\n{}\n@@containers\n"} for host, _, _ in rows}
    return PlayResult("observe", "successful", 0, collected={LOOK: looked, ANSWER: shown})


def test_heads_come_from_a_server_that_is_synced(tmp_path: Path) -> None:
    made = make_cloud(tmp_path, {"mariadb": ["a", "b"]})
    stale = ("a", "Joining", "@@heads\nheat\talembic_version\told\n")
    right = ("b", "Synced", "@@heads\nheat\talembic_version\tnew\n")
    assert facts_of(made.site, answers(stale, right), made.inventory, names()).heads[0].heads == ("new",)
    assert facts_of(made.site, answers(stale), made.inventory, names()).heads[0].heads == ("old",)
    refused = ("a", "", "@@heads\n@@failed heads ERROR 1045\n")
    facts = facts_of(made.site, answers(refused), made.inventory, names())
    assert (facts.heads, facts.heads_error) == ((), "a: heads: ERROR 1045")


def test_records_come_from_a_server_that_is_synced(made: FolderCloud, tmp_path: Path) -> None:
    made = make_cloud(tmp_path / "ha", {"mariadb": ["a", "b", "c"], "compute": ["d"]})
    records = "@@records\n@database\theat\nheat.busy\t{}\n@read\theat.busy\n"
    joining, synced = ("a", "Joining", records.format(1)), ("b", "Synced", records.format(2))
    nothing = ("c", "Synced", "@@failed rabbitmq not asked\n")
    observed = facts_of(made.site, answers(joining, synced, nothing), made.inventory, names()).observed
    assert observed.heat is not None
    assert (observed.heat.busy, observed.nova) == (2, None)
    assert observed.database is not None
    assert (observed.database.synced, observed.database.error) == (2, ""), "others' troubles are not the server's"
    assert observed.containers is None, "d never answered"
    alone = facts_of(made.site, answers(joining), made.inventory, names()).observed
    assert alone.heat is not None
    assert alone.heat.busy == 1
    refused = ("a", "Synced", "@@records\n@@failed records ERROR 1045\n")
    heat = facts_of(made.site, answers(refused, joining), made.inventory, names()).observed.heat
    assert heat is not None
    assert heat.busy == 1
    heat = facts_of(made.site, answers(refused), made.inventory, names()).observed.heat
    assert heat is not None
    assert (heat.busy, heat.error) == (None, "ERROR 1045")


def test_hosts_of_the_cloud(made: FolderCloud) -> None:
    assert cloud_hosts(made.inventory) == ("a", "b", "c")

    class Plain:
        hosts = {"localhost": ["deployment"], "x": ["compute"]}  # noqa: RUF012

    assert cloud_hosts(Plain()) == ("x",)


def test_a_sandbox_never_touches_this_machines_own_system(made: FolderCloud) -> None:
    values = dict(host_vars(made.site))
    assert values["ansible_become"] is False
    assert values["upgrader_host_root"] == f"{made.site.sandbox}/hosts/{{{{ inventory_hostname }}}}"


def test_variables_in_kolla_ansibles_order(made: FolderCloud) -> None:
    folder = made.site.config_dir / "globals.d"
    folder.mkdir()
    for name in ("b.yaml", "a.yml", "c.json", "d.txt"):
        (folder / name).write_text("{}")
    assert [path.name for path in variable_files(made.site)] == [
        "globals.yml",
        "passwords.yml",
        "a.yml",
        "b.yaml",
        "c.json",
    ]
