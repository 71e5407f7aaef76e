"""A sandbox is made whole or not at all, and is a site like any other."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.sandbox_kit import containers
from upgrader.config import load_site
from upgrader.errors import RefusedError, UsageError
from upgrader.graph import load_graph
from upgrader.kolla.toolchain import Toolchain, locate, verify
from upgrader.sandbox import blueprint, inventory, secrets, store
from upgrader.sandbox.create import create_sandbox, is_sandbox, set_free_space
from upgrader.sandbox.demo import describe, effects


def test_the_site_file_is_one_the_tool_accepts(cloud: Path) -> None:
    site = load_site(cloud / "site" / "upgrader.toml")
    assert site.sandbox == cloud
    assert site.engine_command.endswith(f"{cloud}/hosts/{{{{ inventory_hostname }}}}")
    for release in ("2024.1", "2024.2", "2025.1", "2025.2"):
        assert locate(site, release).site_yml.is_file()


def test_every_toolchain_starts_and_is_as_it_was_made(cloud: Path) -> None:
    assert verify(Toolchain("2025.2", cloud / "toolchains" / "2025.2")) == ()


def test_a_new_cloud_is_whole_and_nothing_has_happened_to_it(cloud: Path) -> None:
    assert set(containers(cloud).values()) == {"2024.1"}
    assert effects(cloud) == {}
    assert [state.host for state in describe(cloud)] == ["cmp1", "ctl1", "sto1"]
    assert not any(state.troubled for state in describe(cloud))


def test_ansible_reads_the_inventory_as_the_sandbox_means_it(tmp_path: Path) -> None:
    root, counts = tmp_path / "cloud", (3, 2, 1)
    create_sandbox(root, "2025.2", counts)
    command = [root / "toolchains/2025.2/bin/ansible-inventory", "-i", root / "site/inventory", "--list"]
    data = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=600).stdout)

    def hosts(group: str) -> set[str]:
        entry = data.get(group, {})
        return set(entry.get("hosts", ())).union(*(hosts(child) for child in entry.get("children", ())))

    wanted = inventory.members("2025.2", counts)
    assert {group: hosts(group) for group in wanted} == {group: set(names) for group, names in wanted.items()}
    assert hosts("all") == set(inventory.host_names(counts))


def test_passwords_are_random_private_and_nowhere_else(tmp_path: Path) -> None:
    roots = [tmp_path / "a", tmp_path / "b"]
    for root in roots:
        create_sandbox(root, hosts=(1, 0, 0), services=())
    files = [root / "site/kolla/passwords.yml" for root in roots]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    first, second = (yaml.safe_load(file.read_text()) for file in files)
    assert first.keys() == second.keys() == set(secrets.keys("2024.1"))
    values = [value for value in first.values() if isinstance(value, str)]
    assert all(isinstance(value, str | dict) for value in first.values())
    assert not set(values) & {value for value in second.values() if isinstance(value, str)}
    others = b"".join(path.read_bytes() for path in roots[0].rglob("*") if path.is_file() and path != files[0])
    assert not [value for value in values if value.encode() in others]


def test_an_existing_folder_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    for fresh in (False, True):
        with pytest.raises(RefusedError):
            create_sandbox(tmp_path, fresh=fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_sandbox_is_replaced_only_when_asked(cloud: Path) -> None:
    assert is_sandbox(cloud)
    with pytest.raises(RefusedError):
        create_sandbox(cloud)
    create_sandbox(cloud, "2025.1", (1, 0, 0), services=(), fresh=True)
    assert set(containers(cloud).values()) == {"2025.1"}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"release": "2026.2"}, RefusedError),
        ({"release": "2019.1"}, RefusedError),
        ({"hosts": (0, 1, 1)}, UsageError),
        ({"services": ("swift",)}, UsageError),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        create_sandbox(tmp_path / "cloud", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "cloud").exists()


def test_a_host_can_be_short_of_space(cloud: Path) -> None:
    set_free_space(cloud, "cmp1", 3 * 1024**3)
    assert (cloud / "hosts/cmp1/df").read_text().splitlines()[1].split()[3] == str(3 * 1024**2)


# ---------------------------------------------------------------- toolchains against the graph


@pytest.mark.parametrize("release", blueprint.releases())
def test_roles_and_schema_tasks_follow_the_release_graph(release: str) -> None:
    plan = blueprint.blueprint(release)
    assert plan.kolla == load_graph().release(release).kolla_ansible.newest
    heads = {name: set(rows) for name, rows in blueprint.heads()[release].items()}
    for name, rows in load_graph().heads(release).items():
        assert heads[name] == set(rows)
    tasks = {task.task for task in plan.schema_tasks}
    assert {"Init keystone database upgrade", "Running Neutron database expand container"} <= tasks


def test_nothing_in_the_playbooks_is_worked_out_for_every_host(cloud: Path) -> None:
    """Templates in tasks were most of an upgrade's time; only names of imported files may have one."""
    folder = cloud / "toolchains" / "2025.2" / "share" / "kolla-ansible" / "ansible"
    steps = [path for path in folder.glob("roles/*/*/*.yml") if path.parent.name != "defaults"]
    for path in (*steps, *folder.glob("actions/*.yml"), folder / "site.yml"):
        for entry in yaml.safe_load(path.read_text()):
            kept = {key: value for key, value in entry.items() if key not in ("import_tasks", "name")}
            assert "{{" not in json.dumps(kept), path
            assert "when" not in entry, path


@pytest.mark.slow
@pytest.mark.parametrize("release", [name for name in blueprint.releases() if name >= "2024.1"])
def test_ansible_accepts_every_playbook(cloud: Path, release: str) -> None:
    toolchain = Toolchain(release, cloud / "toolchains" / release)
    for action in (
        "precheck",
        "pull",
        "upgrade",
        "deploy",
        "reconfigure",
        "deploy-containers",
        "stop",
        "check",
        "config",
    ):
        command = [toolchain.ansible_playbook, "-i", cloud / "site/inventory", "--syntax-check"]
        done = subprocess.run(
            [*command, "-e", f"kolla_action={action}", toolchain.site_yml], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- passwords of a later release


def test_a_later_release_gets_its_new_passwords_and_keeps_the_old(cloud: Path) -> None:
    toolchain = cloud / "toolchains" / "2025.1"
    old, new, final = cloud / "site/kolla/passwords.yml", cloud / "new.yml", cloud / "final.yml"
    new.write_text((toolchain / "share/kolla-ansible/etc_examples/kolla/passwords.yml").read_text())
    subprocess.run([toolchain / "bin/kolla-genpwd", "--passwords", new], env={}, check=True)
    merge = [toolchain / "bin/kolla-mergepwd", "--old", old, "--new", new, "--final", final]
    subprocess.run(merge, env={}, check=True)
    before, after = yaml.safe_load(old.read_text()), yaml.safe_load(final.read_text())
    assert {key: after[key] for key in before} == before
    assert after.keys() - before.keys() == {"valkey_master_password", "prometheus_haproxy_password"}
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]{39}", after["valkey_master_password"])


def test_the_engine_starts_without_site_packages(cloud: Path) -> None:
    """What keeps a call at some 30 ms; checked by what is imported, not by a clock."""
    argv = ["engine", str(cloud / "hosts/ctl1"), "ps", "-a", "--no-trunc", "--format", "{{.Names}}"]
    code = (
        "import sys, runpy\n"
        f"sys.argv = {argv}\n"
        "try:\n"
        f"    runpy.run_path({str(cloud / 'bin/engine')!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "heavy = {'tarfile', 'hashlib', 'pathlib', 'typing_extensions', 'pydantic', 'tomllib', 'dataclasses'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-S", "-E", "-c", code], capture_output=True, text=True, check=True)
    assert "keystone" in done.stdout.split()
    # world.py needs hashlib for image ids; runpy itself may bring pathlib
    assert set(json.loads(done.stderr.replace("'", '"'))) <= {"hashlib", "pathlib"}


def test_faults_and_effects_are_files_a_person_can_read(cloud: Path) -> None:
    store.note(str(cloud), "one", host="ctl1")
    assert json.loads((cloud / "effects.log").read_text()) == {"key": "one", "count": 1, "host": "ctl1"}
