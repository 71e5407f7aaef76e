from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml

from tests.runner_kit import sealed
from upgrader.errors import ConfigError, EnvironmentMissingError, StaleError
from upgrader.kolla.passwords import apply_merge, keys, plan_merge, secret_values
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import Vault

OLD = b"# mine\r\ndatabase_password:   'canary-database'  # as set in 2021\r\nredis_master_password: canary-redis"


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    path = tmp_path / "kolla" / "passwords.yml"
    path.parent.mkdir()
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def sealed_value(vault: Vault, name: str, value: str) -> str:
    """As `ansible-vault encrypt_string` writes it."""
    lines = sealed(vault.password_file.read_bytes(), value.encode()).decode().splitlines()
    return "\n".join([f"{name}: !vault |", *(f"{'':10}{line}" for line in lines)]) + "\n"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_keys_are_added_and_old_bytes_kept(passwords: Path, toolchain: Toolchain, tmp_path: Path) -> None:
    merge = plan_merge(passwords, toolchain)
    assert passwords.read_bytes() == OLD, "planning writes nothing"
    assert merge.added == ("docker_registry_password", "valkey_master_password", "nova_ssh_key", "designate_pool_id")
    apply_merge(merge, tmp_path / "keep")
    after = passwords.read_bytes()
    assert after.startswith(OLD + b"\r\n")
    assert b"\n" not in after.replace(b"\r\n", b"")
    values = yaml.safe_load(after)
    assert values["designate_pool_id"] == "freshdesignate_pool_id"
    assert values["nova_ssh_key"]["private_key"].splitlines()[1] == "abcdefghij"
    assert values["docker_registry_password"] is None
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o640
    copy = tmp_path / "keep" / "kolla.passwords.yml"
    assert copy.read_bytes() == OLD
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert files(passwords.parent) == ["passwords.yml"]


def test_a_second_merge_has_nothing_to_do(passwords: Path, toolchain: Toolchain, tmp_path: Path) -> None:
    merge = plan_merge(passwords, toolchain)
    apply_merge(merge, tmp_path / "keep")
    apply_merge(merge, tmp_path / "keep")
    again = plan_merge(passwords, toolchain)
    assert (again.added, again.before) == ((), again.after)
    passwords.write_text("a: b\n")
    with pytest.raises(StaleError):
        apply_merge(merge, tmp_path / "keep")


def test_nothing_of_the_values_is_shown(passwords: Path, toolchain: Toolchain) -> None:
    merge = plan_merge(passwords, toolchain)
    assert "canary" not in repr(merge)
    assert "fresh" not in repr(merge)


def test_a_new_valkey_password_is_the_redis_one(passwords: Path, toolchain: Toolchain) -> None:
    merge = plan_merge(passwords, toolchain)
    assert merge.valkey == "copied"
    assert yaml.safe_load(merge.after)["valkey_master_password"] == "canary-redis"


def test_a_different_valkey_password_is_told_and_only_aligned_when_asked(passwords: Path, toolchain: Toolchain) -> None:
    passwords.write_text("redis_master_password: canary-redis\nvalkey_master_password: other  # merged at 2025.1\n")
    told = plan_merge(passwords, toolchain)
    assert told.valkey == "differs"
    assert yaml.safe_load(told.after)["valkey_master_password"] == "other"
    aligned = plan_merge(passwords, toolchain, align_valkey=True)
    assert aligned.valkey == "aligned"
    assert b'valkey_master_password: "canary-redis"  # merged at 2025.1\n' in aligned.after


def test_without_redis_valkey_gets_its_own(passwords: Path, toolchain: Toolchain) -> None:
    passwords.write_text("database_password: x\n")
    merge = plan_merge(passwords, toolchain)
    assert merge.valkey == ""
    assert yaml.safe_load(merge.after)["valkey_master_password"] == "freshvalkey_master_password"


def test_empty_values_are_told_not_filled(passwords: Path, toolchain: Toolchain) -> None:
    passwords.write_text("database_password:\ndocker_registry_password:\n")
    merge = plan_merge(passwords, toolchain)
    assert merge.empty == ("database_password",)
    assert yaml.safe_load(merge.after)["database_password"] is None


def test_failing_programs_leave_nothing_behind(passwords: Path, toolchain: Toolchain) -> None:
    (toolchain.bin / "kolla-mergepwd").write_text('#!/bin/sh\ncat "$2" >&2\nexit 3\n')
    with pytest.raises(EnvironmentMissingError) as caught:
        plan_merge(passwords, toolchain)
    assert "exit code 3" in caught.value.message
    assert "canary" not in str(caught.value.__dict__)
    assert files(passwords.parent) == ["passwords.yml"]


def test_the_programs_see_only_the_redis_password_and_only_in_memory(passwords: Path, toolchain: Toolchain) -> None:
    seen = toolchain.dir / "seen"
    original = (toolchain.bin / "kolla-mergepwd").read_text().splitlines()
    spy = f'import os, sys; files = sys.argv[2:7:2]; open({str(seen)!r}, "w").write(repr([[os.readlink(f) for f in files], [oct(os.stat(f).st_mode) for f in files], open(files[0]).read()]))'  # noqa: E501
    (toolchain.bin / "kolla-mergepwd").write_text("\n".join([original[0], spy, *original[1:]]))
    plan_merge(passwords, toolchain)
    nowhere, private = "/memfd:upgrader (deleted)", "0o100600"
    assert seen.read_text() == repr([[nowhere] * 3, [private] * 3, 'redis_master_password: "canary-redis"\n'])


def test_leftovers_of_a_killed_merge_are_swept(passwords: Path, toolchain: Toolchain, tmp_path: Path) -> None:
    dead = passwords.parent / ".upgrader-passwords-4194999-x"
    dead.mkdir()
    (dead / "final.yml").write_text("a: canary\n")
    mine = passwords.parent / f".upgrader-passwords-{os.getpid()}-x"
    mine.mkdir()
    half = passwords.parent / ".passwords.yml.99.0.tmp"
    half.write_text("canary")
    apply_merge(plan_merge(passwords, toolchain), tmp_path / "keep")
    assert files(passwords.parent) == [mine.name, "passwords.yml"]


def test_a_toolchain_without_its_programs_is_named(passwords: Path, toolchain: Toolchain) -> None:
    (toolchain.bin / "kolla-genpwd").unlink()
    with pytest.raises(EnvironmentMissingError, match=r"no kolla-genpwd"):
        plan_merge(passwords, toolchain)


@pytest.mark.parametrize("content", ["a: 1\na: 2\n", "- a\n", "a: [\n", "{a: 1}\n", "a: |\n  text"])
def test_files_that_cannot_be_extended_are_refused(passwords: Path, toolchain: Toolchain, content: str) -> None:
    passwords.write_text(content)
    with pytest.raises(ConfigError) as caught:
        plan_merge(passwords, toolchain)
    assert str(passwords) in caught.value.message
    assert passwords.read_text() == content


# ---------------------------------------------------------------- vault


@pytest.mark.slow
def test_an_encrypted_file_stays_encrypted_with_its_label(passwords: Path, vault: Vault, tmp_path: Path) -> None:
    passwords.write_bytes(sealed(vault.password_file.read_bytes(), OLD, "prod"))
    merge = plan_merge(passwords, vault.toolchain, vault.password_file)
    apply_merge(merge, tmp_path / "keep")
    assert passwords.read_bytes().startswith(b"$ANSIBLE_VAULT;1.2;AES256;prod\n")
    assert set(keys(passwords, vault)) > {"database_password", "designate_pool_id"}
    assert "canary-redis" in secret_values(passwords, vault)
    assert plan_merge(passwords, vault.toolchain, vault.password_file).added == ()


def test_wrong_and_missing_vault_passwords_change_nothing(passwords: Path, vault: Vault, tmp_path: Path) -> None:
    passwords.write_bytes(sealed(vault.password_file.read_bytes(), OLD))
    before = passwords.read_bytes()
    wrong = tmp_path / "wrong"
    wrong.write_text("nope\n")
    for file, words in (
        (wrong, "wrong vault password for"),
        (None, "no vault password file"),
        (tmp_path / "x", "does not exist"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            plan_merge(passwords, vault.toolchain, file)
        assert str(passwords) in caught.value.message or file == tmp_path / "x"
    with pytest.raises(ConfigError, match="wrong vault password for"):
        secret_values(passwords, Vault(vault.toolchain, wrong))
    assert passwords.read_bytes() == before
    assert files(passwords.parent) == ["passwords.yml"]


@pytest.mark.slow
def test_values_encrypted_one_by_one(passwords: Path, vault: Vault, tmp_path: Path) -> None:
    passwords.write_text(
        "plain: canary-plain\n" + sealed_value(vault, "redis_master_password", "canary-redis").rstrip()
    )
    before = passwords.read_bytes()
    merge = plan_merge(passwords, vault.toolchain, vault.password_file)
    assert b"fresh" not in merge.after
    assert b"abcdefghij" not in merge.after
    assert merge.valkey == "copied"
    apply_merge(merge, tmp_path / "keep")
    assert passwords.read_bytes().startswith(before)
    again = plan_merge(passwords, vault.toolchain, vault.password_file)
    assert (again.valkey, again.added) == ("same", ())
    known = secret_values(passwords, vault)
    assert known >= {"canary-plain", "canary-redis", "freshdesignate_pool_id", "abcdefghij"}
    with pytest.raises(ConfigError, match="no vault password file"):
        secret_values(passwords)


# ---------------------------------------------------------------- redaction


def test_secret_values_have_the_lines_of_keys_but_no_public_ones(passwords: Path) -> None:
    passwords.write_text(
        "short: abc12\nlong: abc123\nnumber: 1234567\nempty:\n"
        "key:\n  private_key: |\n    -----BEGIN KEY-----\n    line-one\n    line-two\n    -----END KEY-----\n"
        "  public_key: ssh-rsa AAAApublic\n"
    )
    known = secret_values(passwords)
    assert {"abc123", "1234567", "line-one", "line-two"} <= known
    assert not any("BEGIN" in value and "\n" not in value for value in known)
    assert not any("AAAApublic" in value for value in known)
    assert "abc12" not in known
    assert keys(passwords) == ("short", "long", "number", "empty", "key")
