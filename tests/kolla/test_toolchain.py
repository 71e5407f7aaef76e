from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from upgrader.errors import ConfigError, DataError, EnvironmentMissingError, LockedError
from upgrader.kolla import build
from upgrader.kolla.build import BUILDS, build_toolchain
from upgrader.kolla.galaxy import required_collections, unpack
from upgrader.kolla.pins import Choice, Interpreter, Pins
from upgrader.kolla.toolchain import Toolchain, environment, installed_versions, locate, verify

PINS = Pins("2025.2", "21.3.0", ">=2.18,<2.20", ("2.18", "2.19"), ">=3.11", ("3.11", "3.12"), ">=7.0.0")


@dataclass(frozen=True)
class Place:
    toolchains_dir: Path


# ---------------------------------------------------------------- finding and checking


def test_a_missing_or_incomplete_toolchain_names_the_command(tmp_path: Path, toolchain: Toolchain) -> None:
    with pytest.raises(EnvironmentMissingError, match="is not built yet") as caught:
        locate(Place(tmp_path / "none"), "2025.1")
    assert caught.value.next_command == "upgrader toolchain build 2025.1"
    place = Place(toolchain.dir.parent)
    with pytest.raises(EnvironmentMissingError, match=r"is incomplete: .*site\.yml is missing"):
        locate(place, "2025.2")
    toolchain.site_yml.parent.mkdir(parents=True)
    toolchain.site_yml.write_text("[]\n")
    assert locate(place, "2025.2") == toolchain


def test_an_environment_without_lock_is_only_started(toolchain: Toolchain) -> None:
    assert verify(toolchain) == ()
    toolchain.ansible_playbook.write_text("#!/bin/sh\necho broken >&2; exit 1\n")
    assert "does not start: broken" in verify(toolchain)[0]
    toolchain.ansible_playbook.unlink()
    assert "does not start" in verify(toolchain)[0]


@pytest.fixture
def locked(toolchain: Toolchain) -> Toolchain:
    """The environment with the true versions of some installed packages as its lock."""
    found = installed_versions(toolchain.python)
    lock = "".join(f"{name}=={found[name]} --hash=sha256:00\n" for name in ("ansible-core", "packaging"))
    toolchain.lock.write_text(lock)
    digest = hashlib.sha256(lock.encode()).hexdigest()
    core = found["ansible-core"]
    collection = toolchain.collections / "ansible_collections" / "ansible" / "posix"
    collection.mkdir(parents=True)
    (collection / "MANIFEST.json").write_text(json.dumps({"collection_info": {"version": "2.1.0"}}))
    manifest = {"lock_sha256": digest, "ansible_core": core, "collections": {"ansible.posix": "2.1.0"}}
    (toolchain.dir / "toolchain.json").write_text(json.dumps(manifest))
    return toolchain


def test_an_environment_as_it_was_built_has_no_fault(locked: Toolchain) -> None:
    assert verify(locked) == ()


def test_every_difference_is_named(locked: Toolchain) -> None:
    text = locked.lock.read_text().replace("packaging==", "packaging==0.")
    locked.lock.write_text(text + "absent==1.0\n")
    assert "is not the lock" in verify(locked)[0]
    manifest = json.loads((locked.dir / "toolchain.json").read_text())
    manifest |= {"lock_sha256": locked.lock_sha256, "ansible_core": "1.2.3", "collections": {"ansible.posix": "9"}}
    (locked.dir / "toolchain.json").write_text(json.dumps(manifest))
    problems = " | ".join(verify(locked))
    for words in (
        "absent is missing, pinned 1.0",
        "packaging is",
        "ansible.posix is 2.1.0",
        "built with ansible-core 1.2.3",
    ):
        assert words in problems


def test_programs_do_not_see_the_users_ansible_settings(toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "/somewhere")
    monkeypatch.setenv("OS_PASSWORD", "canary")
    assert not {"ANSIBLE_VAULT_PASSWORD_FILE", "OS_PASSWORD"} & environment(toolchain).keys()
    assert environment(toolchain)["PATH"].startswith(f"{toolchain.bin}:")


# ---------------------------------------------------------------- building


@pytest.fixture
def filling(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Stands in for the minutes of pip: notes where it was asked to build."""
    asked: list[Path] = []

    def fill(
        toolchain: Toolchain, pins: Pins, _choice: Choice, _wheels: Path | None, _say: Callable[[str], None]
    ) -> None:
        asked.append(toolchain.dir)
        toolchain.bin.mkdir(parents=True)
        manifest = {"release": pins.release, "kolla_ansible": pins.kolla_ansible}
        (toolchain.dir / "toolchain.json").write_text(json.dumps(manifest))

    monkeypatch.setattr(build, "_fill", fill)
    monkeypatch.setattr(build, "verify", lambda toolchain: () if toolchain.bin.is_dir() else ("no bin",))
    monkeypatch.setattr(build, "find_interpreters", lambda: (Interpreter(Path("/usr/bin/python3.11"), "3.11"),))
    return asked


def built_folders(target: Path) -> list[str]:
    return sorted(path.name for path in (target / BUILDS).iterdir() if path.is_dir())


def test_a_build_becomes_visible_whole(tmp_path: Path, filling: list[Path]) -> None:
    made = build_toolchain(PINS, tmp_path)
    assert made.dir == tmp_path / "2025.2"
    assert made.dir.resolve() == filling[0]
    assert made.manifest["kolla_ansible"] == "21.3.0"


def test_a_fitting_environment_is_kept_and_another_one_replaced(tmp_path: Path, filling: list[Path]) -> None:
    build_toolchain(PINS, tmp_path)
    build_toolchain(PINS, tmp_path)
    assert len(filling) == 1
    newer = Pins("2025.2", "21.4.0", *(getattr(PINS, name) for name in Pins.__slots__[2:]))
    build_toolchain(newer, tmp_path)
    assert len(filling) == 2
    assert (tmp_path / "2025.2").resolve() == filling[1]
    assert len(built_folders(tmp_path)) == 2, "the one before stays for plays that still use it"
    build_toolchain(newer, tmp_path, rebuild=True)
    assert filling[0].name not in built_folders(tmp_path)


def test_a_killed_build_is_neither_found_nor_kept(tmp_path: Path, filling: list[Path]) -> None:
    half = tmp_path / BUILDS / "2025.2-dead"
    half.mkdir(parents=True)
    with pytest.raises(EnvironmentMissingError):
        locate(Place(tmp_path), "2025.2")
    build_toolchain(PINS, tmp_path)
    assert built_folders(tmp_path) == [filling[0].name]


def test_a_failed_build_leaves_what_was_there(
    tmp_path: Path, filling: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    build_toolchain(PINS, tmp_path)

    def fail(*_arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(build, "_fill", fail)
    with pytest.raises(EnvironmentMissingError, match="No space left on device"):
        build_toolchain(PINS, tmp_path, rebuild=True)
    monkeypatch.setattr(build, "_fill", lambda toolchain, *_more: toolchain.dir.mkdir())
    with pytest.raises(EnvironmentMissingError, match="does not work") as caught:
        build_toolchain(PINS, tmp_path, rebuild=True)
    assert caught.value.details == ("no bin",)
    assert (tmp_path / "2025.2").resolve() == filling[0]
    assert built_folders(tmp_path) == [filling[0].name]


def test_a_folder_made_by_hand_is_left_alone(tmp_path: Path, filling: list[Path]) -> None:
    (tmp_path / "2025.2").mkdir()
    with pytest.raises(ConfigError, match="was not made by this command"):
        build_toolchain(PINS, tmp_path)
    assert filling == []


def test_two_builds_at_once_are_refused(tmp_path: Path, filling: list[Path]) -> None:
    (tmp_path / BUILDS).mkdir()
    with (tmp_path / BUILDS / "2025.2.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="Another process"):
            build_toolchain(PINS, tmp_path)
    assert filling == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, filling: list[Path]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentMissingError, match="cannot be written to"):
        build_toolchain(PINS, tmp_path / "file" / "below")
    assert filling == []


def test_too_little_space_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "find_interpreters", lambda: (Interpreter(Path("/usr/bin/python3.11"), "3.11"),))
    monkeypatch.setattr(build, "NEEDED_BYTES", 2**62)
    with pytest.raises(EnvironmentMissingError, match="MB free"):
        build_toolchain(PINS, tmp_path)
    assert built_folders(tmp_path) == []


def test_addresses_with_credentials_are_not_repeated() -> None:
    line = "Looking in indexes: https://user:canary@index.example/simple"
    assert build._without_credentials(line) == "Looking in indexes: https://index.example/simple"


# ---------------------------------------------------------------- collections

REQUIREMENTS = """---
collections:
  - name: ansible.posix
    source: https://galaxy.example
    version: <3
  - name: community.docker
    source: https://galaxy.example
    version: '>=4,<5'  # why
"""


def parcel(path: Path, **versions: str) -> Path:
    needs = {"community.docker": {"community.lib": ">=1"}}
    with zipfile.ZipFile(path, "w") as archive:
        for key, version in versions.items():
            name = key.replace("_", ".")
            root = f"ansible_collections/{name.replace('.', '/')}"
            info = {"collection_info": {"version": version, "dependencies": needs.get(name, {})}}
            archive.writestr(f"{root}/MANIFEST.json", json.dumps(info))
            archive.writestr(f"{root}/plugins/modules/x.py", "x")
            archive.writestr(f"{root}/tests/big.bin", "x")
            archive.writestr(f"{root}/plugins/../../../../../evil", "x")
        archive.writestr("ansible_collections/other/thing/plugins/y.py", "y")
    return path


def test_what_a_release_asks_for(tmp_path: Path) -> None:
    (tmp_path / "requirements-core.yml").write_text(REQUIREMENTS)
    asked = required_collections(tmp_path / "requirements-core.yml")
    assert asked == {"ansible.posix": "<3", "community.docker": ">=4,<5"}
    (tmp_path / "requirements-core.yml").write_text("---\n")
    with pytest.raises(DataError):
        required_collections(tmp_path / "requirements-core.yml")


def test_only_what_is_needed_is_unpacked_with_its_dependencies(tmp_path: Path) -> None:
    wheel = parcel(tmp_path / "a.whl", ansible_posix="2.1.0", community_docker="4.8", community_lib="1.1", a_b="1")
    versions = unpack(wheel, {"ansible.posix": "<3", "community.docker": ">=4,<5"}, tmp_path / "c")
    assert versions == {"ansible.posix": "2.1.0", "community.docker": "4.8", "community.lib": "1.1"}
    files = {str(path.relative_to(tmp_path / "c")) for path in (tmp_path / "c").rglob("*") if path.is_file()}
    assert "ansible_collections/ansible/posix/plugins/modules/x.py" in files
    assert not any("tests" in name or "other" in name or "evil" in name or "/a/" in name for name in files)
    assert not list(tmp_path.rglob("evil"))


def test_a_wrong_or_missing_collection_is_named(tmp_path: Path) -> None:
    wheel = parcel(tmp_path / "a.whl", ansible_posix="3.0.0")
    with pytest.raises(EnvironmentMissingError) as caught:
        unpack(wheel, {"ansible.posix": "<3", "community.docker": "<5"}, tmp_path / "c")
    assert caught.value.details == ("ansible.posix 3.0.0, needed <3", "community.docker missing, needed <5")
