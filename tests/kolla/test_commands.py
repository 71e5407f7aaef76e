from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from upgrader.errors import ConfigError, RefusedError
from upgrader.kolla.commands import Action, command, genpwd, mergepwd, play
from upgrader.kolla.toolchain import Toolchain

GOLDEN = Path(__file__).parent.parent / "golden" / "commands"
RELEASES = ("2024.1", "2024.2", "2025.1", "2025.2", "2026.1")


@dataclass(frozen=True)
class Cloud:
    config_dir: Path
    inventory: Path
    passwords: Path
    extra_vars: tuple[Path, ...] = ()
    vault_password_file: Path | None = None
    forks: int = 10


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    config = tmp_path / "kolla"
    (config / "globals.d").mkdir(parents=True)
    for name in ("globals.yml", "passwords.yml", "globals.d/20-b.yml", "globals.d/10-a.yml", "globals.d/30-c.yaml"):
        (config / name).write_text("{}\n")
    return Cloud(config, tmp_path / "inventory", config / "passwords.yml", (tmp_path / "extra.yml",))


def described(release: str, cloud: Cloud, root: Path) -> str:
    """All actions of a release: what would be typed, and what the play hands to Ansible."""
    toolchain = Toolchain(release, root / "toolchains" / release)
    lines = []
    for action in get_args(Action):
        try:
            typed = shlex.join(command(action, release, tags=("nova",) if action == "reconfigure" else ()))
        except RefusedError as error:
            lines += [action, f"  {error.message}", ""]
            continue
        made = play(action, toolchain, cloud)
        lines += [action, f"  {typed}", f"  {made.playbook.relative_to(root)}"]
        lines += [f"    -e @{path.relative_to(root)}" for path in made.extra_vars_files]
        lines += [f"    -e {key}={str(value).replace(str(root), '.')}" for key, value in made.extra_vars]
        lines.append("")
    lines += [shlex.join(genpwd("NEW")), shlex.join(mergepwd("OLD", "NEW", "FINAL"))]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("release", RELEASES)
def test_commands_and_plays_of_each_release(release: str, cloud: Cloud, tmp_path: Path) -> None:
    golden = GOLDEN / f"{release}.txt"
    text = described(release, cloud, tmp_path)
    if os.environ.get("UPGRADER_WRITE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_options_go_before_the_action_of_the_script_and_after_that_of_the_program() -> None:
    options = {"config_dir": "/etc/k", "passwords": "/p.yml", "vault_password_file": "/v", "limit": "ctl1"}
    assert shlex.join(command("mariadb-backup", "2024.1", **options)) == (
        "kolla-ansible -i INVENTORY --configdir /etc/k --passwords /p.yml --vault-password-file /v --limit ctl1 "
        "mariadb_backup"
    )
    assert shlex.join(command("mariadb-backup", "2024.2", **options)) == (
        "kolla-ansible mariadb-backup -i INVENTORY --configdir /etc/k -e @/p.yml --vault-password-file /v --limit ctl1"
    )


def test_test_images_are_only_a_matter_of_2026_1(cloud: Cloud, tmp_path: Path) -> None:
    assert "--use-test-images" in command("prechecks", "2026.1", test_images=True)
    assert "--use-test-images" not in command("prechecks", "2025.2", test_images=True)
    made = play("prechecks", Toolchain("2026.1", tmp_path), cloud, test_images=True)
    assert ("kolla_test_images", "yes") in made.extra_vars


def test_a_play_carries_the_site_and_what_the_caller_adds(cloud: Cloud, tmp_path: Path) -> None:
    (cloud.config_dir / "ansible.cfg").write_text("[defaults]\n")
    made = play(
        "upgrade", Toolchain("2025.2", tmp_path), cloud, name="upgrade ctl", expected_hosts=["ctl1"], tags=["keystone"],
        limit="ctl1", watch=["bootstrap"], extra_vars=[("x", "1"), ("kolla_action", "destroy")],
    )  # fmt: skip
    assert (made.name, made.expected_hosts, made.tags, made.limit, made.watch) == (
        "upgrade ctl", ("ctl1",), ("keystone",), "ctl1", ("bootstrap",),
    )  # fmt: skip
    assert made.env == (("ANSIBLE_CONFIG", str(cloud.config_dir / "ansible.cfg")),)
    assert dict(made.extra_vars)["kolla_action"] == "upgrade", "kolla-ansible's own variables come last and win"
    assert made.forks == 10


def test_without_globals_there_is_no_play(cloud: Cloud, tmp_path: Path) -> None:
    (cloud.config_dir / "globals.yml").unlink()
    with pytest.raises(ConfigError, match=r"globals\.yml does not exist"):
        play("upgrade", Toolchain("2025.2", tmp_path), cloud)
