"""Bad input that only shows when a cloud is looked at: a small sandbox, the real Ansible, the real command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.test_bad_input import Said, fill, tree
from upgrader.kolla.passwords import secret_values
from upgrader.model import Plan
from upgrader.plan_file import read_plan
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import add_fault

pytestmark = pytest.mark.slow

EVIL = "[/x][bold]\x1b[31mred\x1b]0;owned\x07"
ACCEPT = ("--auto-approve", "--accept", "not-rehearsed=a test")


@dataclass
class Cloud:
    root: Path
    site: Path

    def __call__(self, *words: object) -> Said:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "upgrader", "--site", str(self.site), *map(str, words)],
            capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=900,
        )  # fmt: skip
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    @property
    def kolla(self) -> Path:
        return self.site.parent / "kolla"

    @property
    def inventory(self) -> Path:
        return self.site.parent / "inventory"

    def plan(self, *words: object) -> Plan:
        path = self.root / "plan.json"
        said = self("plan", "--to", "2024.2", "--out", path, *words)
        assert said.code == 0, said.err
        return read_plan(path)

    def as_it_is(self) -> dict[str, str]:
        return {**tree(self.root / "hosts"), **tree(self.root / "site"), **tree(self.root / "database")}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.delenv("UPGRADER_SITE", raising=False)
    root = tmp_path / "cloud"
    return Cloud(root, create_sandbox(root, "2024.1", (1, 1, 0), ("glance",)))


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_release_without_quotes_is_that_release(tmp_path: Path) -> None:
    root = tmp_path / "cloud"
    cloud = Cloud(root, create_sandbox(root, "2025.1", (1, 0, 0), ("glance",)))
    replace(cloud.kolla / "globals.yml", 'openstack_release: "2025.1"', "openstack_release: 2025.1")
    said = cloud("plan", "--to", "2025.2", "--out", root / "plan.json")
    assert said.code == 0, said.err
    plan = read_plan(root / "plan.json")
    assert (plan.source, plan.target) == ("2025.1", "2025.2")
    assert plan.hops[0].settings == (("openstack_release", "2025.2"),)


def test_every_kind_of_inventory(cloud: Cloud) -> None:
    hosts = cloud.plan().hosts
    ini = cloud.inventory.read_text()
    replace(cloud.inventory, "ctl1", "ctl[1:1]")
    assert cloud.plan().hosts == hosts, "a range"
    cloud.inventory.unlink()
    cloud.inventory.mkdir()
    (cloud.inventory / "hosts").write_text(ini)
    assert cloud.plan().hosts == hosts, "a folder"
    (cloud.inventory / "hosts").unlink()
    (cloud.root / "copy").write_text(ini)
    listed = subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "-i", cloud.root / "copy", "--list", "--yaml"],
        capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    (cloud.inventory / "hosts.yml").write_text(listed.stdout)
    assert cloud.plan().hosts == hosts, "YAML"


@pytest.mark.parametrize(
    ("content", "words"),
    [("", ("names no host",)), ("[control\nx y\n :::\n", ("cannot be read",)), ("[a]\nh\n[a:children]\na\n", ("",))],
)
def test_a_broken_inventory(cloud: Cloud, content: str, words: tuple[str]) -> None:
    cloud.inventory.write_text(content)
    before = cloud.as_it_is()
    cloud("plan", "--to", "2024.2").is_clear(2, str(cloud.inventory), *words)
    cloud("run", "--to", "2024.2").is_clear(2, str(cloud.inventory), *words)
    assert cloud.as_it_is() == before


def test_vault_passwords(cloud: Cloud) -> None:
    """Missing file, no file named, wrong one; the right one works."""
    right = cloud.root / "right"
    right.write_text("right\n")
    passwords = cloud.kolla / "passwords.yml"
    secrets = secret_values(passwords)
    subprocess.run(
        [Path(sys.executable).with_name("ansible-vault"), "encrypt", "--vault-password-file", right, passwords],
        check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    bare = cloud.site.read_text()
    wrong = cloud.root / "wrong"
    wrong.write_text("canary-wrong\n")
    cases = {"": "no vault password file is named", "gone": "gone", str(wrong): "wrong vault password"}
    for name, words in cases.items():
        cloud.site.write_text(bare + (f'\n[secrets]\nvault_password_file = "{name}"\n' if name else ""))
        before = cloud.as_it_is()
        for verb in ("plan", "run"):
            said = cloud(verb, "--to", "2024.2")
            said.err = said.err[said.err.index("Error: ") :]
            said.is_clear(2, words)
            assert not [secret for secret in {*secrets, "canary-wrong"} if secret in said.err]
        assert cloud.as_it_is() == before
    cloud.site.write_text(bare + f'\n[secrets]\nvault_password_file = "{right}"\n')
    assert cloud("plan", "--to", "2024.2").code == 0


def test_settings_that_are_locked(cloud: Cloud) -> None:
    """globals.yml as a whole in the vault: named where nobody opens it, and a hop with the right password edits it."""
    right, wrong = cloud.root / "right", cloud.root / "wrong"
    right.write_text("right\n")
    wrong.write_text("canary-wrong\n")
    path, bare = cloud.kolla / "globals.yml", cloud.site.read_text()
    vault = [str(Path(sys.executable).with_name("ansible-vault")), "--vault-password-file", str(right), str(path)]
    own = {**os.environ, "LC_ALL": "C.UTF-8"}
    subprocess.run([vault[0], "encrypt", *vault[1:]], check=True, capture_output=True, env=own)
    path.chmod(0o640)
    cases = {"": "no vault password file is named", "gone": "gone", str(wrong): "wrong vault password"}
    for name, words in cases.items():
        cloud.site.write_text(bare + (f'\n[secrets]\nvault_password_file = "{name}"\n' if name else ""))
        before = cloud.as_it_is()
        for verb in ("plan", "run"):
            cloud(verb, "--to", "2024.2").is_clear(2, words)
        if name == "gone":  # Ansible starts nothing then, so there is nothing to find
            cloud("check", "--to", "2024.2").is_clear(2, words)
            assert cloud.as_it_is() == before
            continue
        said = cloud("check", "--to", "2024.2", "--json")
        assert said.code == 3, said.err
        found = {row["id"]: row for row in json.loads(said.out)["findings"]}
        assert words in found["settings-not-read"]["message"] and found["settings-not-read"]["blocks"]
        assert "canary" not in said.out + said.err
        assert cloud.as_it_is() == before
    cloud.site.write_text(bare + f'\n[secrets]\nvault_password_file = "{right}"\n')
    assert cloud("check", "--to", "2024.2").code == 0
    said = cloud("run", "--to", "2024.2", *ACCEPT)
    assert said.code == 0, said.err
    assert path.read_bytes().startswith(b"$ANSIBLE_VAULT;") and path.stat().st_mode & 0o777 == 0o640
    shown = subprocess.run([vault[0], "view", *vault[1:]], check=True, capture_output=True, env=own)
    assert b'openstack_release: "2024.2"' in shown.stdout


def test_no_engine_on_the_hosts(cloud: Cloud) -> None:
    lines = [line for line in cloud.site.read_text().splitlines() if not line.startswith("engine_command")]
    cloud.site.write_text("\n".join(lines).replace('engine = "docker"', 'engine = "docker"\nengine_command = "/no/x"'))
    before = cloud.as_it_is()
    for verb in ("plan", "run"):
        said = cloud(verb, "--to", "2024.2")
        said.err = said.err[said.err.index("Refused: ") :]
        said.is_clear(3, "ctl1: not read", "/no/x: not found")
    assert cloud("status", "--observe").code == 0
    assert cloud.as_it_is() == before


def test_drift_is_refused_with_the_differences(cloud: Cloud) -> None:
    cloud.plan()
    replace(cloud.kolla / "globals.yml", "eth0", "eth1")
    cloud.inventory.write_text(cloud.inventory.read_text() + "\n[more]\nctl1\n")
    state = next((cloud.root / "hosts").glob("ctl1/containers/keystone.json"))
    replace(state, "2024.1-debian-bookworm", "2024.1-debian-bookworm-mine")
    before = cloud.as_it_is()
    said = cloud("run", cloud.root / "plan.json", *ACCEPT)
    said.is_clear(
        4, "the configuration folder has changed", "the inventory has changed", "ctl1: container keystone runs",
        f"plan --to 2024.2 --out {cloud.root / 'plan.json'}",
    )  # fmt: skip
    assert cloud.as_it_is() == before
    assert cloud("resume").code == 3, "no run was begun"


def test_an_image_with_markup_and_escape_codes_is_shown(cloud: Cloud) -> None:
    state = next((cloud.root / "hosts").glob("ctl1/containers/keystone.json"))
    image = json.dumps(f"sandbox{EVIL}/kolla/keystone:v9")
    state.write_text(re.sub(r'"sandbox/kolla/keystone:[^"]*"', lambda _: image, state.read_text()))
    said = cloud("status", "--observe")
    refused = cloud("plan", "--to", "2024.2")
    run = cloud("run", "--to", "2024.2")
    refused.err = refused.err[refused.err.index("Refused: ") :]
    refused.is_clear(3)
    assert run.code == 3
    for words in (said.out + said.err, refused.err, run.err):
        assert "[/x][bold]\\x1b[31mred" in words
        assert "Traceback" not in words
        assert not {"\x1b", "\x07"} & set(words)


@pytest.fixture
def backup_disk(cloud: Cloud) -> Iterator[Path]:
    if os.geteuid():
        pytest.skip("needs root, to mount a small disk")
    folder = cloud.root / "backups"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", folder]
    done = subprocess.run(mount, check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_for_backups(cloud: Cloud, backup_disk: Path) -> None:
    replace(cloud.site, 'min_free = "10G"', 'min_free = "0"')
    filler = fill(backup_disk)
    before = {**tree(cloud.root / "hosts"), **tree(cloud.root / "site")}
    said = cloud("run", "--to", "2024.2", *ACCEPT)
    assert said.code == 6, said.err
    assert "No space left on device" in said.err
    assert "It runs 2024.1; no running service was changed on this hop." in said.err
    assert "upgrader --site" in said.err.rstrip().splitlines()[-1]
    assert "Traceback" not in said.err
    after = {**tree(cloud.root / "hosts"), **tree(cloud.root / "site")}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert not {name for name in changed if "containers" in name or name.endswith(("globals.yml", "passwords.yml"))}
    filler.unlink()
    assert cloud("abort").code == 0


def test_an_error_of_a_host_with_escape_codes_and_a_secret(cloud: Cloud) -> None:
    secrets = secret_values(cloud.kolla / "passwords.yml")
    add_fault(cloud.root, "leak", secret="database_password", action="pull", task="")
    said = cloud("run", "--to", "2024.2", *ACCEPT)
    again = cloud("resume")
    for words in (said.out, said.err, again.out, again.err):
        assert not [secret for secret in secrets if secret in words]
        assert "\x1b" not in words
        assert "Traceback" not in words
