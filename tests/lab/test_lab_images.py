"""The images as data: nothing forgotten, parents first, and a digest that notices every change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from upgrader.errors import UsageError
from upgrader.lab import recipes
from upgrader.lab.recipes import IMAGES, images

BOTH = ("2025.1", "2025.2")
SERVICES = {"kolla-toolbox", "cron", "mariadb-server", "memcached", "keystone", "keystone-fernet", "keystone-ssh"}


INSTANCES = {"placement-api", "glance-api", "nova-api", "nova-scheduler", "nova-conductor", "nova-compute"}


def references(*, cluster: bool = False, computes: bool = False) -> set[str]:
    return {image.reference for image in images(BOTH, cluster=cluster, computes=computes)}


def test_every_service_exists_once_per_release_under_kollas_own_name() -> None:
    expected = {f"kolla/{name}:{release}-debian-bookworm" for name in SERVICES for release in BOTH}
    assert expected <= references()


def test_images_of_load_balancers_and_brokers_only_for_a_cluster() -> None:
    extra = {reference.split(":")[0] for reference in references(cluster=True) - references()}
    assert extra == {"kolla/haproxy", "kolla/keepalived", "kolla/rabbitmq", "lab/os-rabbitmq", "lab/os-balancer"}


def test_images_for_instances_only_where_there_are_hosts_for_them() -> None:
    extra = {reference.split(":")[0] for reference in references(computes=True) - references()}
    services = {f"kolla/{name}" for name in INSTANCES}
    assert extra == services | {"kolla/openstack-base", "kolla/rabbitmq", "lab/os-rabbitmq"}
    both = references(cluster=True, computes=True)
    assert both == references(cluster=True) | references(computes=True)


def test_services_for_instances_share_one_environment() -> None:
    made = {image.key: image for image in images(BOTH, cluster=False, computes=True)}
    for release in BOTH:
        assert {made[f"{name}-{release}"].parent for name in INSTANCES} == {made[f"openstack-base-{release}"]}


def test_a_lock_changes_only_the_images_that_are_made_from_it() -> None:
    used = {
        image.key: {path.name for path in image.inputs if path.parent.name == "locks"}
        for image in images(BOTH, cluster=True, computes=True)
    }
    assert {key: names for key, names in used.items() if names} == {
        f"{image}-{release}": {f"{lock}-{release}.txt"}
        for image, lock in (
            ("keystone-base", "keystone"),
            ("kolla-toolbox", "toolbox"),
            ("openstack-base", "openstack"),
        )
        for release in BOTH
    }


def test_the_toolbox_can_speak_to_a_broker_where_there_is_one() -> None:
    def ancestors(*, cluster: bool = False, computes: bool = False) -> set[str]:
        made = images(BOTH, cluster=cluster, computes=computes)
        image = next(image for image in made if image.key == "kolla-toolbox-2025.2")
        found = set()
        while image.parent is not None:
            image = image.parent
            found.add(image.name)
        return found

    assert "os-rabbitmq" in ancestors(cluster=True)
    assert "os-rabbitmq" in ancestors(computes=True)
    assert "os-rabbitmq" not in ancestors()


def test_parents_come_before_their_children() -> None:
    seen = set()
    for image in images(BOTH, cluster=True, computes=True):
        assert image.parent is None or image.parent.key in seen
        seen.add(image.key)


def test_layers_that_do_not_differ_are_shared_by_the_releases() -> None:
    made = {image.key: image for image in images(BOTH, cluster=False)}
    assert made["mariadb-server-2025.1"].parent is made["mariadb-server-2025.2"].parent
    assert made["keystone-2025.1"].parent is not made["keystone-2025.2"].parent
    keystones = {made[f"{name}-2025.1"].parent for name in ("keystone", "keystone-fernet", "keystone-ssh")}
    assert len(keystones) == 1


def test_images_of_a_release_carry_the_labels_a_release_is_read_from() -> None:
    for image in images(BOTH, cluster=True, computes=True):
        version = image.labels.get("kolla_version", "")
        expected = {"2025.1": r"20\.", "2025.2": r"21\."}[image.release.name] if image.release else "$"
        assert re.match(expected, version), image.key
        assert image.labels["name"] == image.name


def test_digest_is_stable_and_follows_inputs_and_parents(tmp_path: Path) -> None:
    first, again = (images(BOTH, cluster=False) for _ in range(2))
    assert [image.digest for image in first] == [image.digest for image in again]
    keystone = next(image for image in first if image.key == "keystone-2025.2")
    changed = tmp_path / keystone.inputs[0].name
    changed.write_text(keystone.inputs[0].read_text() + "# another line\n")
    edited = replace(keystone, inputs=(changed, *keystone.inputs[1:]))
    assert edited.digest != keystone.digest
    assert keystone.parent is not None
    moved = replace(keystone, parent=replace(keystone.parent, env=(("A", "b"),)))
    assert moved.digest != keystone.digest
    assert replace(keystone, user="nobody").digest != keystone.digest


def test_a_release_the_lab_cannot_build_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"2023\.1.*2025\.1, 2025\.2"):
        recipes.release("2023.1")


def test_scripts_are_valid_shell_and_all_of_them_are_used() -> None:
    made = images(BOTH, cluster=True, computes=True)
    used = {path for image in made for path in image.inputs if path.suffix == ".sh"}
    scripts = set((IMAGES / "scripts").glob("*.sh"))
    assert used == scripts
    for script in (*scripts, IMAGES / "node/lab-init", IMAGES / "mariadb/galera-health", IMAGES / "uwsgi/uwsgi"):
        subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("release", BOTH)
@pytest.mark.parametrize("lock", ["keystone", "openstack", "toolbox"])
def test_locks_pin_every_package_exactly(lock: str, release: str) -> None:
    lines = (IMAGES / f"locks/{lock}-{release}.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 40
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in pins)
    # pkg_resources left setuptools with 81; services of these releases still import it
    assert next(int(line.split("==")[1].split(".")[0]) for line in pins if line.startswith("setuptools")) < 81


def _runc(tmp_path: Path, *arguments: str) -> list[str]:
    """Runs the wrapper with a runc that writes down how it was called."""
    runc = tmp_path / "bin" / "runc"
    runc.parent.mkdir(exist_ok=True)
    runc.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.seen"\n')
    runc.chmod(0o755)
    env = {**os.environ, "PATH": f"{runc.parent}:{os.environ['PATH']}"}
    wrapper = str(IMAGES / "node/runc-without-resource")
    subprocess.run([sys.executable, wrapper, *arguments], env=env, check=True, cwd=tmp_path)
    return Path(f"{runc}.seen").read_text().splitlines()


PROCESS = {
    "args": ["sleep"],
    "oomScoreAdj": -500,
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1048576, "soft": 1048576}],
    "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE", "CAP_KILL"]},
}
LIGHT = {"args": ["sleep"], "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_KILL"]}}


def test_runc_wrapper_takes_the_missing_capability_out_of_a_new_container(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"ociVersion": "1.0.2", "process": PROCESS}))
    words = ["--root", "/r", "create", "--bundle", str(tmp_path), "--pid-file", "p", "id"]
    assert _runc(tmp_path, *words) == words
    assert json.loads((tmp_path / "config.json").read_text()) == {"ociVersion": "1.0.2", "process": LIGHT}


def test_runc_wrapper_takes_it_out_of_a_process_started_in_a_container(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(PROCESS))
    words = ["exec", "--process", str(tmp_path / "p.json"), "--detach", "id"]
    assert _runc(tmp_path, *words) == words
    assert json.loads((tmp_path / "p.json").read_text()) == LIGHT


def test_runc_wrapper_leaves_other_commands_alone(tmp_path: Path) -> None:
    assert _runc(tmp_path, "state", "id") == ["state", "id"]


@pytest.mark.parametrize(
    ("state", "donor", "code"),
    [("4", "", 0), ("", "", 0), ("2", "1", 0), ("2", "", 1), ("1", "1", 1), ("down", "", 1)],
)
def test_galera_health(tmp_path: Path, state: str, donor: str, code: int) -> None:
    mysql = tmp_path / "mysql"
    answer = "exit 1" if state == "down" else f'[ -z "{state}" ] || printf "wsrep_local_state\\t{state}\\n"'
    mysql.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/seen\n{answer}\n')
    mysql.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "AVAILABLE_WHEN_DONOR": donor, "MYSQL_USERNAME": "monitor"}
    script = str(IMAGES / "mariadb/galera-health")
    assert subprocess.run(["bash", script], env=env, check=False, capture_output=True).returncode == code
    assert "--user=monitor" in (tmp_path / "seen").read_text()
    if state == "4":
        words = ["--defaults-file", "/etc/health.cnf", "--connect", "--galera_online"]
        subprocess.run(["bash", script, *words], env=env, check=True)
        assert "--defaults-file=/etc/health.cnf" in (tmp_path / "seen").read_text()
