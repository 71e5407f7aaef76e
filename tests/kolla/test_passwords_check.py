"""passwords.yml judged against a path: each way it can be unfit fires once, its near miss stays silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kolla.test_passwords import sealed_value
from tests.runner_kit import sealed
from upgrader.graph import load_graph
from upgrader.kolla.passwords import names
from upgrader.kolla.passwords_check import VALKEY_ACTION, judge_passwords
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import Vault
from upgrader.model import Code, Finding

GRAPH = load_graph()
HOPS = GRAPH.path("2025.1", "2025.2")
WHOLE = b"database_password: canary-database\nredis_master_password: canary-redis\n"
APART = WHOLE + b"valkey_master_password: canary-valkey\n"


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    path = tmp_path / "kolla" / "passwords.yml"
    path.parent.mkdir()
    path.write_bytes(WHOLE)
    path.chmod(0o640)
    return path


def judged(path: Path, toolchain: Toolchain | None, **more: object) -> list[Finding]:
    built = {toolchain.release: toolchain} if toolchain else {}
    found = judge_passwords(path, HOPS, built, **{"running": {"redis"}} | more)  # type: ignore[arg-type]
    assert not any("canary" in str(finding.document()) for finding in found), "no value is ever told"
    return list(found)


def test_a_whole_file_is_silent_and_untouched(passwords: Path, toolchain: Toolchain) -> None:
    assert judged(passwords, toolchain) == []
    assert passwords.read_bytes() == WHOLE and list(passwords.parent.iterdir()) == [passwords]


@pytest.mark.parametrize(("mode", "ids"), [(0o600, []), (0o640, []), (0o644, ["passwords-readable-by-others"])])
def test_who_may_read_it(passwords: Path, toolchain: Toolchain, mode: int, ids: list[str]) -> None:
    passwords.chmod(mode)
    assert [finding.id for finding in judged(passwords, toolchain)] == ids


def test_empty_values_block_by_name(passwords: Path, toolchain: Toolchain) -> None:
    passwords.write_bytes(
        WHOLE + b"docker_registry_password:\nnova_ssh_key:\n  private_key:\n  public_key: x\nb_password:\n"
    )
    (found,) = judged(passwords, toolchain)
    assert (found.id, found.code, found.evidence) == (
        "passwords-empty",
        Code.FAILURE,
        "nova_ssh_key.private_key, b_password",
    )


def test_a_tool_that_leaves_a_new_key_empty(passwords: Path, toolchain: Toolchain) -> None:
    body = (toolchain.bin / "kolla-genpwd").read_text().replace('!= "docker_registry_password"', '== "nothing"')
    (toolchain.bin / "kolla-genpwd").write_text(body)
    (found,) = judged(passwords, toolchain)
    assert found.id == "passwords-merge" and found.code is Code.FAILURE
    assert "designate_pool_id would stay empty" in found.message


def test_a_toolchain_that_is_not_built_leaves_it_unproved(passwords: Path) -> None:
    hops = GRAPH.path("2024.2", "2025.1")
    assert hops[0].passwords.added
    (found,) = judge_passwords(passwords, hops, {})
    assert (found.id, found.unknown, found.code) == ("passwords-merge", True, Code.WARNING)
    assert found.fix == ("upgrader toolchain build 2025.1",)


@pytest.mark.slow
def test_a_locked_vault_is_unknown_and_blocks(passwords: Path, toolchain: Toolchain, vault: Vault) -> None:
    passwords.write_bytes(sealed(vault.password_file.read_bytes(), WHOLE))
    (found,) = judged(passwords, toolchain)
    assert (found.id, found.unknown, found.code) == ("passwords-not-read", True, Code.FAILURE)
    assert judged(passwords, toolchain, vault_password_file=vault.password_file) == []


def test_the_valkey_trap_is_mended_by_the_upgrade_where_it_can_be(passwords: Path, toolchain: Toolchain) -> None:
    passwords.write_bytes(APART)
    (found,) = judged(passwords, toolchain)
    assert (found.id, found.code) == (VALKEY_ACTION, Code.WARNING)
    assert found.hop == "2025.1→2025.2"
    assert judged(passwords, toolchain, running={"keystone"}) == [], "no Redis, no move"


@pytest.mark.parametrize(("running", "unknown"), [({"redis", "valkey_server"}, False), (None, True)])
def test_the_valkey_trap_blocks_where_it_is_for_a_person(
    passwords: Path, toolchain: Toolchain, running: set[str] | None, unknown: bool
) -> None:
    passwords.write_bytes(APART)
    (found,) = judged(passwords, toolchain, running=running)
    assert (found.id, found.code, found.unknown) == (VALKEY_ACTION, Code.FAILURE, unknown)


@pytest.mark.slow
def test_the_valkey_trap_in_values_sealed_one_by_one(passwords: Path, toolchain: Toolchain, vault: Vault) -> None:
    values = [("redis_master_password", "canary-redis"), ("valkey_master_password", "canary-valkey")]
    passwords.write_text("".join(sealed_value(vault, *pair) + "\n" for pair in values))
    (found,) = judged(passwords, toolchain, vault_password_file=vault.password_file)
    assert (found.id, found.code) == (VALKEY_ACTION, Code.FAILURE)
    assert names(passwords, vault).equal == ()


def test_equal_passwords_are_named(passwords: Path, toolchain: Toolchain) -> None:
    passwords.write_bytes(APART.replace(b"canary-valkey", b"canary-redis"))
    assert names(passwords).equal == ("valkey_master_password = redis_master_password",)
    assert judged(passwords, toolchain) == []
