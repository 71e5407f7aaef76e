"""Passwords from a KV store, from variables and by lookups, as the text that stands in place of the file's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests import secrets_kit
from tests.runner_kit import sealed as crypt
from tests.secret_sources.conftest import Make
from upgrader.errors import ConfigError
from upgrader.facts.binding import _passwords
from upgrader.kolla.passwords import names, plan_merge, secret_values
from upgrader.kolla.passwords_check import judge_passwords
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import Vault
from upgrader.secret_sources import values

TREE = {
    "kv/kolla_passwords/database_password": {"password": "canary-db"},
    "kv/kolla_passwords/redis_master_password": {"password": "canary {{ redis }} \"'\\ \u00e4"},
    "kv/kolla_passwords/nova_ssh_key": {"private_key": "-----BEGIN\ncanary-key\n", "public_key": "ssh-rsa x"},
}
ONE = {
    "kv/kolla": {
        "database_password": "canary-db",
        "redis_master_password": "canary {{ redis }} \"'\\ \u00e4",
        "nova_ssh_key": '{"private_key": "-----BEGIN\\ncanary-key\\n", "public_key": "ssh-rsa x"}',
    }
}
FILE = "---\n# kept\ndatabase_password: from-the-file-1\nother_password: 'from-the-file-2'\n"
MEANT = {
    "other_password": "from-the-file-2",
    "database_password": "canary-db",
    "redis_master_password": "canary {{ redis }} \"'\\ \u00e4",
    "nova_ssh_key": {"private_key": "-----BEGIN\ncanary-key\n", "public_key": "ssh-rsa x"},
}


def test_parts_of_a_file_by_name() -> None:
    text = "---\na: 1\nb:\n  c: \"{{ lookup('x') }}\"\n# d: lookup\nd: !vault |\n  00\ne: '{{ query( \"y\") }}'\n"
    assert values.names_with_lookups(text) == ("b", "e")
    assert values.composed(text, {"b": "new", "z": ""}, ansible=False) == (
        '---\na: 1\nd: !vault |\n  00\ne: \'{{ query( "y") }}\'\nb: "new"\nz: \n'
    )
    assert values.composed("", {"b": "x"}, ansible=False) == 'b: "x"\n'
    assert values.composed("a: 1", {"b": "{% x"}, ansible=True) == 'a: 1\nb: !unsafe "{% x"\n'


@pytest.mark.parametrize("where", ["tree", "one", "variables"])
def test_what_comes_from_elsewhere_stands_over_the_file(
    site: Make, programs: Path, monkeypatch: pytest.MonkeyPatch, toolchain: Toolchain, where: str
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "good-token")
    secrets_kit.kv(programs, {**TREE, **ONE})
    for name, value in ONE["kv/kolla"].items():
        monkeypatch.setenv(f"PW_{name.upper()}", value)
    told = {
        "tree": 'passwords_kv = "kv/kolla_passwords/"\n',
        "one": 'passwords_kv = "kv/kolla"\n',
        "variables": 'passwords_env = "PW_"\n',
    }
    made = site(told[where])
    made.passwords.write_text(FILE)
    vault = Vault(toolchain, made.file)
    known = secret_values(made.passwords, vault)
    assert {"canary-db", "canary-key", "from-the-file-2", MEANT["redis_master_password"]} <= known
    found = names(made.passwords, vault)
    assert set(found.all) == set(MEANT) and found.encrypted
    text = values.composed(FILE, values.fetched(made), ansible=False)
    assert yaml.safe_load(text) == MEANT


def test_new_passwords_are_named_where_this_tool_only_reads(
    site: Make, programs: Path, monkeypatch: pytest.MonkeyPatch, toolchain: Toolchain
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "good-token")
    tool = secrets_kit.kv(programs, ONE)
    made = site('passwords_kv = "kv/kolla"\n')
    made.passwords.write_text("---\n")
    with pytest.raises(ConfigError, match="passwords are in kv/kolla") as caught:
        plan_merge(made.passwords, toolchain, made.file)
    wanted = ("docker_registry_password", "valkey_master_password", "designate_pool_id")
    assert set(caught.value.details) == set(wanted) and all(name in caught.value.message for name in wanted)
    assert "canary" not in caught.value.message and made.passwords.read_text() == "---\n"
    full = ONE["kv/kolla"] | {"docker_registry_password": "", "designate_pool_id": "i"}
    secrets_kit.tell(tool, secrets={"kv/kolla": full | {"valkey_master_password": "other"}})
    values._fetched.clear()
    assert plan_merge(made.passwords, toolchain, made.file).valkey == "differs"
    with pytest.raises(ConfigError, match="in kv/kolla by hand"):
        plan_merge(made.passwords, toolchain, made.file, align_valkey=True)


def test_a_plan_is_bound_to_what_is_elsewhere(site: Make, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "good-token")
    tool = secrets_kit.kv(programs, ONE)
    made = site('passwords_kv = "kv/kolla"\n')
    made.passwords.write_text("---\n")
    before = _passwords(made)
    values._fetched.clear()
    assert _passwords(made) == before
    secrets_kit.tell(tool, secrets={"kv/kolla": {**ONE["kv/kolla"], "database_password": "rotated"}})
    values._fetched.clear()
    assert _passwords(made) != before
    assert _passwords(site("")) == b"---\n"


def test_only_a_file_that_holds_passwords_is_to_be_kept_from_others(
    site: Make, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site('passwords_env = "PW_"\n')
    monkeypatch.setenv("PW_DATABASE_PASSWORD", "canary")
    made.passwords.write_text("---\n")
    made.passwords.chmod(0o644)
    found = judge_passwords(made.passwords, (), {"2025.2": toolchain}, vault_password_file=made.file)
    assert "passwords-readable-by-others" not in {one.id for one in found}
    bare = site("")
    found = judge_passwords(bare.passwords, (), {"2025.2": toolchain}, vault_password_file=None)
    assert "passwords-readable-by-others" in {one.id for one in found}


def test_variables_that_are_gone(site: Make, toolchain: Toolchain) -> None:
    made = site('passwords_env = "PW_NOBODY_SETS_"\n')
    made.passwords.write_text("---\n")
    with pytest.raises(ConfigError, match="No variable of this shell begins with PW_NOBODY_SETS_"):
        secret_values(made.passwords, Vault(toolchain, made.file))


def test_an_encrypted_file_has_no_second_source(
    site: Make, toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site('passwords_env = "PW_"\nvault_password_file = "key"\n')
    monkeypatch.setenv("PW_A", "canary")
    (tmp_path / "key").write_text("open sesame\n")
    made.passwords.write_bytes(crypt(b"open sesame", b"a: 1\n"))
    with pytest.raises(ConfigError, match="passwords are elsewhere: one of them"):
        secret_values(made.passwords, Vault(toolchain, made.file))
    made = site("lookups = true\n")
    with pytest.raises(ConfigError, match="names no vault password"):
        secret_values(made.passwords, Vault(toolchain, made.file))


def test_lookups_have_to_be_allowed(site: Make, toolchain: Toolchain, tmp_path: Path) -> None:
    made = site("")
    made.passwords.write_text("database_password: \"{{ lookup('env', 'X') }}\"\n")
    elsewhere = site('vault_password_env = "X"\n').file
    for vault in (None, Vault(toolchain, tmp_path / "key"), Vault(toolchain, elsewhere)):
        with pytest.raises(ConfigError, match=r"database_password by a lookup.*lookups = true"):
            secret_values(made.passwords, vault)


@pytest.mark.slow
def test_lookups_are_answered_by_ansible_itself(
    site: Make, toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site('lookups = true\nenvironment = ["MY_SECRET"]\n')
    monkeypatch.setenv("MY_SECRET", "canary {{ 7 * 7 }} \u00e4")
    (tmp_path / "key").write_text("canary-line-1\ncanary-line-2\n")
    made.passwords.write_text(
        "database_password: \"{{ lookup('ansible.builtin.env', 'MY_SECRET') }}\"\nplain_password: canary-plain\n"
        f"nova_ssh_key:\n  private_key: \"{{{{ lookup('file', '{tmp_path}/key') }}}}\"\n  public_key: x\n"
    )
    _ansible(toolchain)
    known = secret_values(made.passwords, Vault(toolchain, made.file))
    assert {"canary {{ 7 * 7 }} \u00e4", "canary-line-1", "canary-line-2", "canary-plain"} <= known
    assert not any("lookup" in value for value in known)
    with pytest.raises(ConfigError, match="what its lookups ask"):
        plan_merge(made.passwords, toolchain, made.file)
    monkeypatch.delenv("MY_SECRET")
    made.passwords.write_text("database_password: \"{{ lookup('file', '/nowhere/canary') }}\"\n")
    with pytest.raises(ConfigError, match="A lookup in") as caught:
        secret_values(made.passwords, Vault(toolchain, made.file))
    assert "canary" not in caught.value.message


def _ansible(toolchain: Toolchain) -> None:
    path = toolchain.bin / "ansible"
    path.write_text((toolchain.bin / "ansible-vault").read_text().replace("ansible.cli.vault", "ansible.cli.adhoc"))
    path.chmod(0o755)
    assert os.access(path, os.X_OK)
