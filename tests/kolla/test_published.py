"""Against the published packages themselves: builds real toolchains, or takes those in UPGRADER_TEST_TOOLCHAINS."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
import yaml

from upgrader.errors import EnvironmentMissingError, RefusedError
from upgrader.graph import load_graph
from upgrader.kolla.build import build_toolchain, fetch_wheels
from upgrader.kolla.commands import FIRST_PYTHON_CLI, Action, command, play
from upgrader.kolla.galaxy import ANSIBLE_PACKAGE, required_collections
from upgrader.kolla.inventory import missing_groups, read_inventory
from upgrader.kolla.passwords import apply_merge, keys, plan_merge
from upgrader.kolla.pins import pins_of
from upgrader.kolla.toolchain import Toolchain, environment, verify
from upgrader.kolla.vault import Vault, decrypt_values, encrypt_values

pytestmark = pytest.mark.slow

RELEASES = ("2024.1", "2024.2", "2025.1", "2025.2", "2026.1")
RECORDER = """#!{python}
import json, sys
json.dump(sys.argv[1:], open({out!r}, "w"))
"""


@pytest.fixture(scope="session", params=RELEASES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    ready = os.environ.get("UPGRADER_TEST_TOOLCHAINS")
    if ready and (Path(ready) / request.param).exists():
        return Toolchain(request.param, Path(ready) / request.param)
    return build_toolchain(pins_of(request.param), tmp_path_factory.mktemp("toolchains"))


@dataclass(frozen=True)
class Cloud:
    config_dir: Path
    inventory: Path
    passwords: Path
    vault_password_file: Path
    extra_vars: tuple[Path, ...] = ()
    forks: int = 5


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    config = tmp_path / "kolla"
    (config / "globals.d").mkdir(parents=True)
    for name in ("globals.yml", "passwords.yml", "globals.d/b.yml", "globals.d/a.yml", "globals.d/c.yaml", "more.yml"):
        (config / name).write_text("{}\n")
    (tmp_path / "inventory").write_text("[all]\nlocalhost ansible_connection=local\n")
    (tmp_path / "vault").write_text("x\n")
    return Cloud(config, tmp_path / "inventory", config / "passwords.yml", tmp_path / "vault", (config / "more.yml",))


def test_it_is_as_pinned_and_starts(built: Toolchain) -> None:
    assert verify(built) == ()
    assert built.manifest["kolla_ansible"] == load_graph().release(built.release).kolla_ansible.newest


def test_the_collections_are_those_it_asks_for(built: Toolchain) -> None:
    from packaging.specifiers import SpecifierSet

    asked = yaml.safe_load((built.share / "requirements-core.yml").read_text())["collections"]
    assert required_collections(built.share / "requirements-core.yml") == {c["name"]: c["version"] for c in asked}
    unpacked = built.manifest["collections"]
    assert all(SpecifierSet(item["version"]).contains(unpacked[item["name"]]) for item in asked)
    assert built.manifest["collections_from"]["ansible"] == ANSIBLE_PACKAGE[built.release]


@pytest.mark.parametrize("action", get_args(Action))
def test_the_play_is_what_kolla_ansible_starts(built: Toolchain, cloud: Cloud, tmp_path: Path, action: Action) -> None:
    """Types the command at the real kolla-ansible, with a recorder in place of ansible-playbook."""
    try:
        words = command(
            action,
            built.release,
            inventory=str(cloud.inventory),
            config_dir=str(cloud.config_dir),
            vault_password_file=str(cloud.vault_password_file),
            extra_vars_files=[str(path) for path in cloud.extra_vars],
            tags=("common", "nova"),
            limit="localhost",
        )
    except RefusedError:
        assert (action, built.release) in {("check", "2024.1"), ("check", "2024.2")}
        return
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    (fakes / "ansible-playbook").write_text(RECORDER.format(python=built.python, out=str(tmp_path / "argv")))
    (fakes / "ansible-playbook").chmod(0o755)
    variables = environment(built) | {"VIRTUAL_ENV": str(built.dir)}
    variables["PATH"] = f"{fakes}:{variables['PATH']}"
    run = subprocess.run(
        [built.bin / words[0], *words[1:]], env=variables, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert run.returncode == 0, run.stdout + run.stderr
    started = json.loads((tmp_path / "argv").read_text())
    given = [started[number + 1] for number, word in enumerate(started) if word == "-e"]
    made = play(action, built, cloud, tags=("common", "nova"), limit="localhost")
    files = [f"@{path}" for path in made.extra_vars_files]
    values = [f"{key}={value}" for key, value in made.extra_vars]
    if built.release >= FIRST_PYTHON_CLI:
        assert given == [*files, *values]
    else:  # the script lists globals.d as the disk does, and puts CONFIG_DIR before what the operator adds
        globals_d = [f"@{cloud.config_dir}/globals.d/{name}.yml" for name in ("a", "b")]
        assert sorted(given[1:3]) == globals_d
        assert files == [given[0], *globals_d, given[3], f"@{cloud.extra_vars[0]}"]
        assert sorted(values) == sorted(word for word in given if not word.startswith("@"))
    assert str(made.playbook.resolve()) == str(Path(next(word for word in started if "/ansible/" in word)).resolve())
    assert made.playbook.is_file()
    for option, value in (("--tags", "common,nova"), ("--limit", "localhost")):
        assert started[started.index(option) + 1] == value
    assert started[started.index("--vault-password-file") + 1] == str(cloud.vault_password_file)


def test_its_own_programs_fill_the_new_passwords(built: Toolchain, tmp_path: Path) -> None:
    listed = keys(built.example_passwords)
    left_out = {"nova_ssh_key", "designate_pool_id", "barbican_crypto_key", "osprofiler_secret"} | {
        "valkey_master_password"
    }
    path = tmp_path / "passwords.yml"
    path.write_text("".join(f"{key}: canary-{key}\n" for key in listed if key not in left_out))
    merge = plan_merge(path, built)
    assert set(merge.added) == left_out & set(listed)
    apply_merge(merge, tmp_path / "keep")
    values = yaml.safe_load(path.read_text())
    assert values["nova_ssh_key"]["private_key"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert len(values["designate_pool_id"]) == 36
    if "valkey_master_password" in listed and "redis_master_password" in listed:
        assert values["valkey_master_password"] == "canary-redis_master_password"


def test_its_vault_is_understood(built: Toolchain, tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("open sesame\n")
    vault = Vault(built, tmp_path / "vault")
    plain = ["one", "zwei\n", "drei ünïcode"]
    assert decrypt_values(encrypt_values(plain, tmp_path, vault), tmp_path, vault) == plain


def test_its_own_inventory_has_the_groups_the_hop_adds(built: Toolchain) -> None:
    """The sample inventory of the target must not lack a group that the graph says the hop adds."""
    sample = read_inventory(built, built.example_inventory)
    graph = load_graph()
    earlier = [release for release in RELEASES if release < built.release]
    if earlier:
        assert missing_groups(sample, graph.hop(earlier[-1], built.release)) == {}


def test_a_wheelhouse_is_enough_and_an_empty_one_is_not(tmp_path: Path) -> None:
    pins = pins_of("2025.2")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EnvironmentMissingError, match="not everything is in the wheelhouse") as caught:
        build_toolchain(pins, tmp_path / "toolchains", wheelhouse=tmp_path / "empty")
    assert any("kolla-ansible" in line for line in caught.value.details)
    assert fetch_wheels(pins, tmp_path / "wheels")
    made = build_toolchain(pins, tmp_path / "toolchains", wheelhouse=tmp_path / "wheels")
    assert verify(made) == ()
    first = made.dir.resolve()
    assert build_toolchain(pins, tmp_path / "toolchains", wheelhouse=tmp_path / "empty").dir.resolve() == first
    (made.collections / "ansible_collections" / "community" / "docker" / "MANIFEST.json").unlink()
    assert any("community.docker" in line for line in verify(made))
    again = build_toolchain(pins, tmp_path / "toolchains", wheelhouse=tmp_path / "wheels")
    assert again.dir.resolve() != first
    assert verify(again) == ()
