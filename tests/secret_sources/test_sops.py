"""A passwords.yml encrypted with SOPS (a stand-in with the real format, keys by the real age): read, extended."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests import secrets_kit
from tests.secret_sources.conftest import Make
from upgrader.errors import ConfigError, EnvironmentMissingError, UpgraderError
from upgrader.kolla.passwords import apply_merge, names, plan_merge, secret_values
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import Vault, encrypted
from upgrader.kolla.yaml_text import parse, value_of
from upgrader.secret_rules import SecretRules
from upgrader.secret_sources import sops

PLAIN = "database_password: canary-database\nredis_master_password: 'canary: redis'\nnumber: 5\n"
Seal = Callable[[str], bytes]


@pytest.fixture
def passwords(site: Make, sealed_by_sops: Seal) -> Path:
    path = site("").passwords
    path.write_bytes(sealed_by_sops(PLAIN))
    path.chmod(0o640)
    return path


def test_what_sops_wrote_is_known_by_its_marks(passwords: Path) -> None:
    data = passwords.read_bytes()
    assert b"canary" not in data and encrypted(data) and sops.is_sops(data)
    for other in (b"", b"sops: 1\n", b"a: ENC[AES256_GCM,x]\n", PLAIN.encode(), b"$ANSIBLE_VAULT;1.1;AES256\n00\n"):
        assert not sops.is_sops(other)


def test_a_key_file_of_the_site_or_a_variable_of_the_shell_opens_it(
    passwords: Path, age: tuple[Path, str], site: Make, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site(f'age_key_file = "{age[0]}"\n')
    for vault in (Vault(toolchain, made.file), None):
        if vault is None:
            monkeypatch.setenv("SOPS_AGE_KEY", age[0].read_text())
        assert {"canary-database", "canary: redis"} <= secret_values(passwords, vault)
        assert names(passwords, vault).encrypted
    for call in secrets_kit.calls(Path(os.environ["PATH"].split(":")[0]) / "sops"):
        assert "canary" not in str(call) and "AGE-SECRET" not in str(call["words"])


def test_new_passwords_are_encrypted_for_the_same_keys(
    passwords: Path,
    age: tuple[Path, str],
    site: Make,
    toolchain: Toolchain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOPS_AGE_RECIPIENTS", "age1-of-somebody-else")
    monkeypatch.setenv("SOPS_PGP_FP", "F")
    made = site(f'age_key_file = "{age[0]}"\n')
    before = passwords.read_bytes()
    merge = plan_merge(passwords, toolchain, made.file)
    assert passwords.read_bytes() == before and merge.valkey == "copied"
    apply_merge(merge, tmp_path / "keep")
    after = passwords.read_bytes()
    assert b"canary" not in after and b"fresh" not in after and passwords.stat().st_mode & 0o777 == 0o640
    opened = yaml.safe_load(sops.decrypt(after, passwords, made.secrets))
    assert {**yaml.safe_load(PLAIN), "valkey_master_password": "canary: redis"}.items() <= opened.items()
    assert opened["designate_pool_id"] == "freshdesignate_pool_id" and "sops" not in opened
    assert plan_merge(passwords, toolchain, made.file).added == ()
    for call in secrets_kit.calls(Path(os.environ["PATH"].split(":")[0]) / "sops")[1:]:
        assert not {"SOPS_AGE_RECIPIENTS", "SOPS_PGP_FP"} & set(call["names"])  # type: ignore[call-overload]
    held = [path for path in tmp_path.rglob("*") if path.is_file() and b"canary-" in path.read_bytes()]
    assert held == [], "plain text lies on a disk"


def test_which_values_are_encrypted_stays_as_it_was(passwords: Path) -> None:
    own = value_of(parse(passwords.read_bytes(), passwords).get("sops").tree)  # type: ignore[union-attr]
    recipient = own["age"][0]["recipient"]
    assert sops.options(own, passwords) == ("--age", recipient, "--unencrypted-suffix", "_unencrypted")
    more = own | {"pgp": [{"fp": "A"}, {"fp": "B"}], "encrypted_regex": "^x", "unencrypted_suffix": ""}
    assert sops.options(more, passwords) == ("--age", recipient, "--pgp", "A,B", "--encrypted-regex", "^x")


@pytest.mark.parametrize("name", ["kms", "azure_kv", "hc_vault", "key_groups", "shamir_threshold"])
def test_keys_that_cannot_be_set_up_again_are_left_to_people(name: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        sops.options({"age": [{"recipient": "age1"}], name: [{"arn": "x"}]}, Path("/p.yml"))
    assert caught.value.next_command == "sops /p.yml"


def test_wrong_keys_damage_and_missing_programs(
    passwords: Path, age: tuple[Path, str], programs: Path, tmp_path: Path, site: Make
) -> None:
    data, rules = passwords.read_bytes(), SecretRules(age_key_file=age[0])
    other = tmp_path / "other.txt"
    other.write_text("AGE-SECRET-KEY-1QQQQQQ\n")
    changed = data.replace(b"number: ENC", b"nummer: ENC", 1)
    plain = data.replace(b"number: ENC", b"number: 7 # ENC", 1)
    troubles: list[tuple[bytes, SecretRules, str]] = [
        (data, SecretRules(), "no key that is at hand opens it"),
        (data, SecretRules(age_key_file=other), "no key that is at hand opens it"),
        (data, SecretRules(age_key_file=tmp_path / "gone"), "does not exist"),
        (changed, rules, "sops ended with 25"),
        (plain, rules, "changed without sops"),
        (data + b"\xff\xfe\x00", rules, "sops ended with 6"),
    ]
    for content, chosen, words in troubles:
        with pytest.raises(UpgraderError, match=words) as caught:
            sops.decrypt(content, passwords, chosen)
        assert caught.value.exit_code == 2 and caught.value.next_command
        assert "canary" not in caught.value.message
    (programs / "sops").unlink()
    with pytest.raises(EnvironmentMissingError, match="no program sops") as missing:
        sops.decrypt(data, passwords, rules)
    assert missing.value.exit_code == 3
