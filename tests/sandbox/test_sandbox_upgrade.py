"""Whole plays with the real ansible-core on a cloud of three hosts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.sandbox_kit import ONE_OF_EACH, configure, containers, dump, kill_play_when, password, play, sql
from upgrader.sandbox import store, world
from upgrader.sandbox.blueprint import OPTIONAL, blueprint
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.demo import effects, migrations
from upgrader.sandbox.faults import add_fault, clear_faults


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Control and compute host with as few services as the story needs."""
    root = tmp_path / "small"
    create_sandbox(root, "2024.1", (1, 1, 0), services=("neutron",))
    return root


def recap(output: str) -> dict[str, dict[str, int]]:
    """Host → counts of the play recap."""
    lines = re.findall(r"^(\S+)\s+: (ok=.*)$", output, re.MULTILINE)
    return {host: {key: int(count) for key, count in re.findall(r"(\w+)=(\d+)", rest)} for host, rest in lines}


@pytest.mark.parametrize(
    "services", [("neutron", "glance"), pytest.param(OPTIONAL, marks=pytest.mark.slow)], ids=["few", "all"]
)
def test_a_cloud_goes_to_the_next_release_and_a_second_run_changes_nothing(
    tmp_path: Path, services: Collection[str]
) -> None:
    cloud = tmp_path / "cloud"
    create_sandbox(cloud, "2024.1", ONE_OF_EACH, services=services)
    configure(cloud, "2024.2")
    for action in ("precheck", "pull", "upgrade"):
        done = play(cloud, "2024.2", action)
        assert done.returncode == 0, done.stdout[-3000:]
        assert set(recap(done.stdout)) == {"ctl1", "cmp1", "sto1"}
    assert set(containers(cloud).values()) == {"2024.2"}
    counted = effects(cloud)
    assert {key for key in counted if key.startswith("migrate:")} == {"migrate:neutron:2024.2:expand"}
    assert max(counted.values()) == 1
    restarts = {key for key in counted if key.startswith("restart:")}
    again = play(cloud, "2024.2", "upgrade")
    assert again.returncode == 0, again.stdout[-3000:]
    after = effects(cloud)
    assert {key: after[key] for key in restarts} == {key: counted[key] for key in restarts}
    assert after["migrate:neutron:2024.2:expand"] == 1
    assert after["schema:neutron:expand:2024.2"] == 2, "a second run of the migration tool has to show"


def test_watched_tasks_have_the_names_of_the_release_graph(cloud: Path) -> None:
    configure(cloud, "2024.2")
    output = play(cloud, "2024.2", "upgrade", "--list-tasks").stdout
    names = {line.strip().partition(" : ")[2].partition("\tTAGS")[0] for line in output.splitlines() if " : " in line}
    roles = {"glance", "cinder", "placement", "nova", "nova-cell", "neutron", "heat"}
    wanted = {item.task for item in blueprint("2024.2").schema_tasks if item.role in roles}
    # a release that migrates step by step has its whole-at-once task in `deploy`
    wanted -= {"Running Glance bootstrap container", "Running Neutron bootstrap container"}
    assert wanted <= names
    deploy = play(cloud, "2024.2", "deploy", "--list-tasks").stdout
    assert "Running Neutron bootstrap container" in deploy
    assert "Running Neutron database expand container" not in deploy


@pytest.mark.slow
def test_killed_in_the_middle_the_cloud_is_mixed_and_a_second_run_converges(small: Path) -> None:
    configure(small, "2024.2")
    add_fault(small, "slow", task="Restart neutron-server container", host="ctl1", seconds=900, times=1)

    def ready() -> bool:
        counted = effects(small)
        return "schema:neutron:expand:2024.2" in counted and "restart:ctl1:keystone:2024.2" in counted

    kill_play_when(small, "2024.2", "upgrade", ready)
    left = containers(small)
    assert set(left.values()) == {"2024.1", "2024.2"}
    assert left["ctl1", "keystone"] == "2024.2"
    assert left["ctl1", "neutron_server"] == "2024.1"
    killed = effects(small)
    clear_faults(small)  # which of the two plays came to it, nobody knows
    again = play(small, "2024.2", "upgrade")
    assert again.returncode == 0, again.stdout[-3000:]
    assert set(containers(small).values()) == {"2024.2"}
    assert len(migrations(small, "neutron")) == 1
    after = effects(small)
    assert after["schema:neutron:expand:2024.2"] == killed["schema:neutron:expand:2024.2"] + 1
    assert after["restart:ctl1:keystone:2024.2"] == 1
    assert not any(key.startswith("overlap") for key in after)


@pytest.mark.slow
def test_redeploying_the_old_release_fails_on_a_changed_schema_and_works_on_a_restored_one(small: Path) -> None:
    kept = dump(small, "ctl1", "neutron").stdout.decode()
    configure(small, "2024.2")
    assert play(small, "2024.2", "upgrade").returncode == 0
    configure(small, "2024.1")
    refused = play(small, "2024.1", "deploy")
    assert refused.returncode != 0
    assert "Can't locate revision identified by '5bcb7b31ec7d'" in refused.stdout
    assert containers(small)["ctl1", "neutron_server"] == "2024.2", "handlers of the failed role never ran"
    sql(small, "ctl1", "restore-schema neutron", kept)
    done = play(small, "2024.1", "deploy")
    assert done.returncode == 0, done.stdout[-3000:]
    assert set(containers(small).values()) == {"2024.1"}


@pytest.mark.slow
def test_what_only_the_new_release_has_stays_behind_when_the_old_one_is_deployed(tmp_path: Path) -> None:
    root = tmp_path / "cloud"
    create_sandbox(root, "2025.1", (1, 0, 0), services=())
    configure(root, "2025.2")
    assert play(root, "2025.2", "upgrade").returncode == 0
    configure(root, "2025.1")
    assert play(root, "2025.1", "deploy").returncode == 0
    newer = {name for (_, name), release in containers(root).items() if release == "2025.2"}
    assert newer == {"keystone_httpd"}, "kolla-ansible of the old release does not know it, so it does not remove it"


@pytest.mark.slow
def test_a_failed_task_takes_its_host_out_and_leaves_the_others_to_go_on(cloud: Path) -> None:
    configure(cloud, "2024.2")
    add_fault(cloud, "fail", task="Restart nova-compute container", host="cmp1", message="no space left on device")
    done = play(cloud, "2024.2", "upgrade")
    assert done.returncode == 2
    counts = recap(done.stdout)
    assert (counts["cmp1"]["failed"], counts["ctl1"]["failed"]) == (1, 0)
    found = containers(cloud)
    assert found["cmp1", "nova_compute"] == "2024.1"
    assert found["ctl1", "heat_api"] == "2024.2"


@pytest.mark.slow
def test_a_host_out_of_reach_is_unreachable_for_these_plays_and_for_any_other(small: Path, tmp_path: Path) -> None:
    add_fault(small, "unreachable", host="cmp1")
    configure(small, "2024.2")
    counts = recap(play(small, "2024.2", "pull").stdout)
    assert counts["cmp1"]["unreachable"] == 1
    assert counts["ctl1"]["unreachable"] == 0
    other = tmp_path / "other.yml"
    other.write_text("- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.raw: echo here\n")
    toolchain = small / "toolchains" / "2024.2" / "share" / "kolla-ansible" / "ansible"
    (toolchain / "other.yml").write_bytes(other.read_bytes())
    counts = recap(play(small, "2024.2", "pull", playbook="other.yml").stdout)
    assert counts["cmp1"]["unreachable"] == 1
    assert counts["ctl1"]["ok"] == 1
    clear_faults(small)
    counts = recap(play(small, "2024.2", "pull", playbook="other.yml").stdout)
    assert counts["cmp1"]["ok"] == 1


@pytest.mark.slow
def test_servers_are_replaced_one_after_the_other(ha_cloud: Path) -> None:
    configure(ha_cloud, "2024.2")
    output = play(ha_cloud, "2024.2", "upgrade").stdout
    plays = re.findall(r"^PLAY \[Restart mariadb services\]", output, re.MULTILINE)
    assert len(plays) == 3
    assert world.galera_size(str(ha_cloud)) == 3


@pytest.mark.slow
def test_a_stopped_cluster_needs_the_recovery_playbook(ha_cloud: Path) -> None:
    assert play(ha_cloud, "2024.1", "stop").returncode == 0
    assert containers(ha_cloud) == {}
    assert world.galera_size(str(ha_cloud)) == 0
    refused = play(ha_cloud, "2024.1", "precheck")
    assert "mariadb-recovery" in refused.stdout
    assert play(ha_cloud, "2024.1", "deploy", playbook="mariadb_recovery.yml").returncode == 0
    assert world.galera_size(str(ha_cloud)) == 3
    assert play(ha_cloud, "2024.1", "deploy").returncode == 0
    assert set(containers(ha_cloud).values()) == {"2024.1"}


def test_kollas_own_backup_leaves_a_file_on_the_first_server_only(ha_cloud: Path) -> None:
    done = play(ha_cloud, "2024.1", "backup", playbook="mariadb_backup.yml")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Taking full database backup via Mariabackup" in done.stdout
    volume = "volumes/mariadb_backup/mysqlbackup-*.qp.xbc.xbs.gz"
    assert [len(list((ha_cloud / "hosts" / host).glob(volume))) for host in ("ctl1", "ctl2", "ctl3")] == [1, 0, 0]


@pytest.mark.slow
def test_a_service_that_is_switched_off_is_left_alone(small: Path) -> None:
    path = small / "site" / "kolla" / "globals.d" / "services.yml"
    path.write_text(path.read_text() + 'enable_neutron: "no"\n')
    configure(small, "2024.2")
    assert play(small, "2024.2", "upgrade").returncode == 0
    found = containers(small)
    assert found["ctl1", "neutron_server"] == "2024.1"
    assert found["ctl1", "keystone"] == "2024.2"
    assert migrations(small, "neutron") == []


@pytest.mark.slow
def test_a_private_tag_is_used_as_it_is_given(small: Path) -> None:
    path = small / "site" / "kolla" / "globals.d" / "services.yml"
    path.write_text(path.read_text() + "openstack_tag: golden-7\n")
    configure(small, "2024.2")
    assert play(small, "2024.2", "upgrade").returncode == 0
    container = world.Host(str(small), "ctl1").container("keystone")
    assert container is not None
    assert container["image"] == "sandbox/kolla/keystone:golden-7"
    image = world.Host(str(small), "ctl1").image(container["image"])
    assert image is not None
    assert image["labels"]["kolla_version"] == "19.8.0", "the label still says which release it is"


@pytest.mark.slow
def test_secrets_stay_out_of_output_and_of_the_cloud_unless_a_task_leaks_them(small: Path) -> None:
    configure(small, "2024.2")
    secret = password(small)
    assert secret not in play(small, "2024.2", "upgrade", "-vvv").stdout
    written = [path for path in small.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert written == [small / "site" / "kolla" / "passwords.yml"]
    add_fault(small, "leak", task="Gather facts", secret="database_password")
    assert secret in play(small, "2024.2", "pull", "-v").stdout


@pytest.mark.slow
def test_an_upgrade_of_nine_hosts_can_be_measured(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Records the seconds of each play; nothing is asserted about them."""
    root = tmp_path / "nine"
    create_sandbox(root)
    for release in ("2024.2", "2025.1", "2025.2"):
        configure(root, release)
        for action in ("precheck", "pull", "upgrade"):
            begun = time.monotonic()
            assert play(root, release, action, "-f", "10").returncode == 0
            record_property(f"{release} {action}", round(time.monotonic() - begun, 1))
    assert set(containers(root).values()) == {"2025.2"}
    assert store.read(f"{root}/database/neutron.json")["history"][-1]["release"] == "2025.2"
