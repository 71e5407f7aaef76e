"""The sandbox's database answers the real question part by part, as a small cloud in good order, or as one is told."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import upgrader
from tests.sandbox_kit import ask, engine, password, sql
from upgrader.facts.host import host_facts
from upgrader.facts.parse import sections
from upgrader.facts.records import observed_records
from upgrader.facts.server import galera_facts
from upgrader.sandbox import nova
from upgrader.sandbox.create import create_sandbox, set_clock, set_system
from upgrader.sandbox.faults import damage_answer, damage_container

FACTS = Path(upgrader.__file__).parent / "facts"


@cache
def question() -> str:
    """The question without its tag, as the host's shell makes it."""
    text = subprocess.run(
        ["/bin/bash", "-c", f". {FACTS}/records.sh; question_records"], capture_output=True, text=True, check=True
    ).stdout
    return text.partition("\n")[2]


def records(root: Path) -> dict[str, Any]:
    done = ask(root, "ctl1", "records", question(), password(root))
    failed = "".join(f"@@failed records/{_part(line)} {line}\n" for line in done.stderr.decode().splitlines())
    return observed_records(sections(f"@@records\n{done.stdout.decode()}{failed}"))


def _part(error: str) -> str:
    number = int(error.partition(" at line ")[2].partition(":")[0])
    return question().splitlines()[number - 2].split(" ", 2)[1]


def test_a_cloud_in_good_order(cloud: Path) -> None:
    seen = records(cloud)
    assert set(seen) == {"cinder", "heat", "neutron", "nova"}
    assert {name: part.error for name, part in seen.items() if part.error} == {}
    told = seen["nova"]
    assert (told.services_down, told.unmigrated, told.computes) == ((), (), ("cmp1",))
    assert (told.hypervisors, told.oldest_service_version) == (("qemu",), 67)
    assert seen["cinder"].backends == ("lvm-1",)
    assert "L3 agent" in seen["neutron"].agent_types


def test_a_stopped_container_is_a_service_that_is_down(cloud: Path) -> None:
    for host, name in (("cmp1", "nova_compute"), ("sto1", "cinder_volume"), ("ctl1", "neutron_l3_agent")):
        engine(cloud, host, "stop", name)
    seen = records(cloud)
    assert seen["nova"].services_down == ("cmp1: nova-compute",)
    assert seen["cinder"].services_down == ("sto1@lvm-1: cinder-volume",)
    assert seen["neutron"].agents_down == ("ctl1: neutron-l3-agent",)
    damage_container(cloud, "cmp1", "nova_compute", image="sandbox/kolla/nova-compute:2025.2-debian-bookworm")
    assert records(cloud)["nova"].oldest_service_version == 70


def test_what_is_planted_is_told(cloud: Path) -> None:
    planted: dict[str, Any] = {"nova.unmigrated/zone": ["instances.availability_zone: 7"], "heat.busy": None}
    damage_answer(cloud, "records", **planted)
    seen = records(cloud)
    assert seen["nova"].unmigrated == ("instances.availability_zone: 7",)
    assert seen["heat"].busy is None
    assert "ERROR 1969" in seen["heat"].error
    damage_answer(cloud, "records")
    assert records(cloud)["heat"].busy == 0


def test_a_server_with_leftovers_and_a_lame_one(tmp_path: Path) -> None:
    create_sandbox(tmp_path / "ha", "2024.1", (3, 0, 0), services=())
    root = tmp_path / "ha"
    whole = galera_facts(sql(root, "ctl2", "galera").splitlines())
    assert (whole.local_index, whole.lost_settings, whole.flow_control_paused) == (1, (), 0.0)
    damage_answer(root, "settings", "ctl2", read_only="ON")
    damage_answer(root, "galera", "ctl3", wsrep_flow_control_paused="0.4")
    assert galera_facts(sql(root, "ctl2", "galera").splitlines()).lost_settings == ("read_only=ON",)
    assert galera_facts(sql(root, "ctl3", "galera").splitlines()).flow_control_paused == 0.4
    assert galera_facts(sql(root, "ctl1", "galera").splitlines()) == whole.model_copy(update={"local_index": 0})


def look(root: Path, host: str) -> Any:
    launcher = "engine() { return 1; }"
    text = (FACTS / "observe.sh").read_text()
    done = subprocess.run(
        ["/bin/sh", "-c", f"{launcher}\nhost_root={root}/hosts/{host}; python=''; asked=$(date +%s)\n{text}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return host_facts(host, [], done.stdout)


def test_a_host_says_what_a_host_would_say(cloud: Path) -> None:
    seen = look(cloud, "ctl1")
    assert ("eth0", "10.20.0.250") in seen.addresses
    assert (seen.legacy_iptables, seen.clock.synchronised) == (0, True)
    assert ("eth0", "10.20.0.250") not in look(cloud, "cmp1").addresses
    set_system(cloud, "ctl1", iptables=["3"], clock=["synchronised\tno"])
    set_clock(cloud, "ctl1", -600)
    seen = look(cloud, "ctl1")
    assert (seen.legacy_iptables, seen.clock.synchronised) == (3, False)
    assert seen.clock.offset_seconds == pytest.approx(-600, abs=60)


def test_images_and_volumes_are_listed(cloud: Path) -> None:
    images = engine(cloud, "ctl1", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.decode().split()
    assert "sandbox/kolla/keystone:2024.1-debian-bookworm" in images
    volumes = engine(cloud, "ctl1", "volume", "ls", "--format", "{{.Name}}").stdout.decode().split()
    assert set(volumes) >= {"keystone_fernet_tokens", "mariadb"}


def test_a_compute_that_was_left_disabled_is_told_with_whose_reason(tmp_path: Path) -> None:
    root = tmp_path / "cloud"
    create_sandbox(root, "2025.1", (1, 2, 0), services=("glance", "placement", "nova", "neutron"))
    with nova.opened(str(root)) as state:
        state["services"] = {
            "cmp1": {"disabled": True, "reason": "upgrader: 2024.2 to 2025.1"},
            "cmp2": {"disabled": True, "reason": "broken disk"},
        }
    seen = records(root)["nova"]
    assert seen.left_disabled == ("cmp1: nova-compute",)
    assert seen.services_disabled == ("cmp1: nova-compute", "cmp2: nova-compute")
    assert {"cmp1: nova-compute: 68", "ctl1: nova-scheduler: 68"} <= set(seen.versions)
