"""The lab's site folder: what the tool reads is what an operator would have written."""

from __future__ import annotations

import configparser
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from upgrader.config import load_site
from upgrader.errors import FailedCleanError
from upgrader.kolla.toolchain import Toolchain
from upgrader.lab import deploy, sitefolder
from upgrader.lab.engine import Docker
from upgrader.lab.folder import LabFolder, LabRecord
from upgrader.lab.steps import Steps

MULTINODE = """# text
[control]
# names to be replaced
control01
control02

[network]
network01

[compute]
compute01

[monitoring]
monitoring01

[storage]
storage01

[deployment]
localhost       ansible_connection=local

[baremetal:children]
control
network

[mariadb:children]
control

[outward]
[common:children]
control
"""


def record(controllers: int = 1, computes: int = 0) -> LabRecord:
    made = LabRecord("2025.1", "2025.2", controllers, "10.213.77.0/24", 5000, "uplab-x", "/nowhere/toolchains")
    return replace(made, computes=computes)


def toolchain(tmp_path: Path) -> Toolchain:
    made = Toolchain("2025.1", tmp_path / "toolchain")
    made.example_inventory.parent.mkdir(parents=True)
    made.example_inventory.write_text(MULTINODE)
    made.example_passwords.parent.mkdir(parents=True)
    made.example_passwords.write_text("---\ndatabase_password:\nkeystone_admin_password:\n")
    made.bin.mkdir(parents=True)
    genpwd = made.bin / "kolla-genpwd"
    genpwd.write_text('#!/bin/sh\nprintf "database_password: made\\nkeystone_admin_password: \'ad min\'\\n" > "$2"\n')
    genpwd.chmod(0o755)
    return made


def written(tmp_path: Path, controllers: int = 1, computes: int = 0) -> LabFolder:
    folder = LabFolder(tmp_path / "lab")
    sitefolder.write_site(folder, record(controllers, computes), Docker(folder), toolchain(tmp_path))
    return folder


def test_the_tool_can_read_the_site(tmp_path: Path) -> None:
    folder = written(tmp_path)
    site = load_site(folder.site / "upgrader.toml")
    assert site.name == "lab"
    assert site.config_dir == folder.site / "kolla"
    assert site.inventory == folder.site / "inventory"
    assert site.toolchains_dir == Path("/nowhere/toolchains")


def test_globals_say_the_release_as_a_string_and_both_places_are_used(tmp_path: Path) -> None:
    folder = written(tmp_path)
    main = YAML(typ="safe").load(folder.site / "kolla/globals.yml")
    more = YAML(typ="safe").load(folder.site / "kolla/globals.d/50-lab.yml")
    assert main["openstack_release"] == "2025.1"
    assert main["docker_registry"] == "10.213.77.1:5000"
    assert main["kolla_internal_vip_address"] == "10.213.77.11"
    assert main["enable_haproxy"] == "no"
    assert not set(main) & set(more)


def test_a_cluster_has_its_own_address_and_load_balancers(tmp_path: Path) -> None:
    kolla = written(tmp_path, 3).site / "kolla"
    main = YAML(typ="safe").load(kolla / "globals.yml")
    served = (kolla / "config/haproxy-config/mariadb.cfg").read_text()
    assert "bind 10.213.77.250:3306" in served
    assert [line.endswith("backup") for line in served.splitlines() if line.startswith("    server ")] == [
        False,
        True,
        True,
    ]
    assert main["kolla_internal_vip_address"] == "10.213.77.250"
    assert main["enable_haproxy"] == main["enable_rabbitmq"] == "yes"


def test_hosts_for_instances_bring_nova_and_a_broker(tmp_path: Path) -> None:
    kolla = written(tmp_path, 1, 2).site / "kolla"
    main = YAML(typ="safe").load(kolla / "globals.yml")
    for service in ("glance", "placement", "nova", "rabbitmq"):
        assert main[f"enable_{service}"] == "yes"
    assert main["enable_neutron"] == main["enable_haproxy"] == main["enable_nova_libvirt_container"] == "no"
    assert YAML(typ="safe").load(kolla / "globals.d/50-lab.yml")["modules"] == []
    nova, compute = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    nova.read(kolla / "config/nova.conf")
    compute.read(kolla / "config/nova/nova-compute.conf")
    assert nova["neutron"]["endpoint_override"] == "http://10.213.77.1:9696"
    assert nova["neutron"]["password"] == "{{ nova_keystone_password }}"
    # the plain fake driver gives its node another id at every start, and Nova refuses to run on
    assert compute["DEFAULT"]["compute_driver"] == "fake.FakeDriverWithoutFakeNodes"


def test_without_hosts_for_instances_nothing_is_said_of_nova(tmp_path: Path) -> None:
    kolla = written(tmp_path, 3).site / "kolla"
    assert "nova" not in (kolla / "globals.yml").read_text()
    assert not (kolla / "config/nova.conf").exists()


def test_instances_run_on_hosts_of_their_own(tmp_path: Path) -> None:
    text = (written(tmp_path, 3, 2).site / "inventory").read_text()
    parser = configparser.ConfigParser(allow_no_value=True, delimiters=("\0",), strict=True, interpolation=None)
    parser.read_string(text)
    assert [line.split()[0] for line in parser["compute"]] == ["compute1", "compute2"]
    for place in ("control", "network", "monitoring", "storage"):
        assert list(parser[place]) == ["control1", "control2", "control3"]


def test_inventory_keeps_every_group_and_puts_only_the_labs_nodes_in(tmp_path: Path) -> None:
    folder = written(tmp_path, 3)
    text = (folder.site / "inventory").read_text()
    parser = configparser.ConfigParser(allow_no_value=True, delimiters=("\0",), strict=True, interpolation=None)
    parser.read_string(text)
    groups = {section.partition(":")[0] for section in parser.sections()}
    original = {line.strip("[]").partition(":")[0] for line in MULTINODE.splitlines() if line.startswith("[")}
    assert groups - {"all"} == original
    assert list(parser["control"]) == ["control1", "control2", "control3"]
    assert "01" not in text.replace("10.213", "")
    assert f"-H {folder.docker_host}" in text


def test_passwords_are_private_and_made_once(tmp_path: Path) -> None:
    folder = written(tmp_path)
    path = folder.site / "kolla/passwords.yml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert sitefolder.password(folder, "keystone_admin_password") == "ad min"
    path.write_text("database_password: changed\n")
    sitefolder.write_site(folder, record(), Docker(folder), Toolchain("2025.1", tmp_path / "toolchain"))
    assert sitefolder.password(folder, "database_password") == "changed"


def test_what_a_run_changed_is_kept_by_the_next_up(tmp_path: Path) -> None:
    folder = written(tmp_path)
    path = folder.site / "kolla/globals.yml"
    path.write_text(path.read_text().replace('"2025.1"', '"2025.2"'))
    sitefolder.write_site(folder, record(), Docker(folder), Toolchain("2025.1", tmp_path / "toolchain"))
    assert '"2025.2"' in path.read_text()


def test_variables_are_given_in_kolla_ansibles_order(tmp_path: Path) -> None:
    folder = written(tmp_path)
    words = deploy.playbook_command(folder, Toolchain("2025.1", tmp_path / "toolchain"), "upgrade", "kolla_serial=0")
    given = [words[place + 1] for place, word in enumerate(words) if word == "--extra-vars"]
    kolla = folder.site / "kolla"
    assert given == [
        f"@{kolla}/globals.yml",
        f"@{kolla}/passwords.yml",
        f"@{kolla}/globals.d/50-lab.yml",
        "kolla_action=upgrade",
        "kolla_serial=0",
        f"CONFIG_DIR={kolla}",
    ]
    assert "made" not in " ".join(words)


RECAP = "PLAY RECAP ****\n{host} : ok=5 changed=1 unreachable={unreachable} failed={failed} skipped=0\n"


@pytest.mark.parametrize(
    ("host", "unreachable", "failed", "code", "passes"),
    [
        ("control1", 0, 0, 0, True),
        ("control1", 0, 1, 0, False),
        ("control1", 1, 0, 0, False),
        ("control1", 0, 0, 2, False),
        ("another", 0, 0, 0, False),
    ],
)
def test_a_deployment_counts_only_when_every_node_came_through(
    tmp_path: Path, host: str, unreachable: int, failed: int, code: int, passes: bool
) -> None:
    folder = written(tmp_path)
    folder.log.mkdir(parents=True)
    made = Toolchain("2025.1", tmp_path / "toolchain")
    text = RECAP.format(host=host, unreachable=unreachable, failed=failed)
    made.ansible_playbook.write_text(
        f"#!/bin/sh\ncat <<'E'\nTASK [x : y] ***\nfatal: [control1]: no\n{text}E\nexit {code}\n"
    )
    made.ansible_playbook.chmod(0o755)
    steps = Steps(folder.log, folder.timings, again="upgrader lab up")
    if passes:
        deploy.run_playbook(folder, made, steps, "deploy", ("control1",))
        return
    with pytest.raises(FailedCleanError, match="deploy failed") as caught:
        deploy.run_playbook(folder, made, steps, "deploy", ("control1",))
    assert "fatal: [control1]: no" in caught.value.details
    assert caught.value.next_command == "upgrader lab up"


def test_steps_keep_times_and_show_the_end_of_a_failed_log(tmp_path: Path) -> None:
    steps = Steps(tmp_path / "log", tmp_path / "timings.json", again="again")
    with steps.step("one"):
        pass
    assert "one" in (tmp_path / "timings.json").read_text()
    with pytest.raises(FailedCleanError, match=r"thing failed \(exit 3\).*log/thing\.log") as caught:
        steps.run("thing", ["sh", "-c", "echo first; echo last words; exit 3"])
    assert caught.value.details[-1] == "last words"
    assert "one" in Steps(tmp_path / "log", tmp_path / "timings.json", again="again").timings
