"""Vault passwords from files, programs, variables and KV stores; what is wrong is said with a command to type."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import secrets_kit
from tests.secret_sources.conftest import Make
from upgrader.errors import ConfigError, EnvironmentMissingError, UpgraderError
from upgrader.secret_sources import carried, standing
from upgrader.secret_sources import identities as identities_module
from upgrader.secret_sources.identities import identities, named, offered, vault_words

CANARY = "canary-vault-password-4c1d"
KV = 'vault_password_kv = "kv/kolla/ansible#password"\n'


def test_a_file_of_the_operators_stays_what_ansible_is_given(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(CANARY)
    with vault_words(key) as words:
        assert words == ["--vault-password-file", str(key)]
    with vault_words(None) as words:
        assert words == []


def test_a_password_file_may_have_the_ending_of_a_site_file(tmp_path: Path) -> None:
    key = tmp_path / "key.toml"
    key.write_text("it is [not] a site\n")
    with vault_words(key) as words:
        assert words == ["--vault-password-file", str(key)]


def test_programs_are_named_with_their_vault_ids(site: Make, tmp_path: Path) -> None:
    made = site('vault_password_file = "prod-client"\nvault_id = "prod"\nvault_ids = ["dev@dev-client"]\n')
    for name in ("prod-client", "dev-client"):
        (tmp_path / name).write_text("#!/bin/sh\n")
    with vault_words(made.vault_password_file) as words:
        assert words == ["--vault-id", f"prod@{tmp_path}/prod-client", "--vault-id", f"dev@{tmp_path}/dev-client"]


def test_a_variable_is_offered_as_a_file_in_memory_that_nobody_would_execute(
    site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site('vault_password_env = "KOLLA_VAULT"\nvault_id = "prod"\n')
    monkeypatch.setenv("KOLLA_VAULT", f" {CANARY}\n")
    with offered(made.vault_password_file) as (item,):
        label, _, path = item.partition("@")
        assert label == "prod" and Path(path).read_text() == Path(path).read_text() == CANARY
        assert Path(path).stat().st_mode & 0o777 == 0o400 and "memfd" in str(Path(path).readlink())
    assert not Path(path).exists()
    assert CANARY not in repr(identities(made.vault_password_file)) + named(made.vault_password_file)


def test_a_variable_that_is_not_set_says_so_before_anything_begins(site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a `resume` in another shell."""
    made = site('vault_password_env = "KOLLA_VAULT"\n')
    monkeypatch.delenv("KOLLA_VAULT", raising=False)
    with pytest.raises(ConfigError, match="KOLLA_VAULT is not set in this shell") as caught:
        standing.at_hand(made)
    assert caught.value.next_command == "read -rs KOLLA_VAULT && export KOLLA_VAULT" and caught.value.exit_code == 2


def test_a_program_is_started_once_with_nothing_of_the_shell_but_what_it_needs(
    site: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, tool = tmp_path / "seen", tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\nenv | cut -d= -f1 >> {seen}\necho run >> {seen}\necho {CANARY}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("OPERATORS_TOKEN", "x")
    monkeypatch.setenv("NEEDED", "y")
    made = site(f'vault_password_command = ["{tool}"]\nenvironment = ["NEEDED"]\n')
    for _ in range(2):
        assert identities(made.vault_password_file)[0].password == CANARY
    names = seen.read_text().split()
    assert names.count("run") == 1 and "NEEDED" in names and "OPERATORS_TOKEN" not in names


def test_a_client_script_that_needs_variables_is_not_left_to_ansible(
    site: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plays have an environment of their own, without the operator's token."""
    client = tmp_path / "prod-client"
    client.write_text('#!/bin/sh\n[ "$1 $2" = "--vault-id prod" ] && echo "$NEEDED"\n')
    client.chmod(0o755)
    (tmp_path / "plain").write_text("x")
    monkeypatch.setenv("NEEDED", CANARY)
    made = site(
        'vault_password_file = "prod-client"\nvault_id = "prod"\nvault_ids = ["b@plain"]\nenvironment = ["NEEDED"]\n'
    )
    main, more = identities(made.vault_password_file)
    assert (main.label, main.file, main.password) == ("prod", None, CANARY)
    assert (more.label, more.file, more.password) == ("b", tmp_path / "plain", "")
    identities_module._said.clear()
    monkeypatch.delenv("NEEDED")
    with pytest.raises(ConfigError, match=r"gave no vault password \(\[secrets\] vault_password_file"):
        identities(made.vault_password_file)


@pytest.mark.parametrize(
    ("body", "words", "kind"),
    [
        ("exit 3", "ended with 3", ConfigError),
        ("echo 'password: \"canary-said\"' >&2; exit 1", "ended with 1", ConfigError),
        ("true", "gave no vault password", ConfigError),
        (r"printf '\377\376'", "gave an unreadable vault password", ConfigError),
        ("exec sleep 60", "gave no answer within 1 s", ConfigError),
        (None, "There is no program", EnvironmentMissingError),
    ],
)
def test_programs_that_give_no_password(
    site: Make, tmp_path: Path, body: str | None, words: str, kind: type[UpgraderError]
) -> None:
    tool = tmp_path / "tool"
    if body is not None:
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
    made = site(f'vault_password_command = ["{tool}"]\ntimeout = "1s"\n')
    with pytest.raises(kind, match=words) as caught:
        identities(made.vault_password_file)
    assert "vault_password_command" in caught.value.message and "canary" not in caught.value.message
    assert caught.value.cloud == "Nothing was changed."


def test_a_kv_field_with_a_token_that_a_login_left(site: Make, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = secrets_kit.kv(programs, {"kv/kolla/ansible": {"password": CANARY}})
    Path(os.environ["HOME"], ".vault-token").write_text("good-token\n")
    monkeypatch.setenv("OPERATORS_TOKEN", "x")
    made = site(KV + 'kv_address = "https://vault.example.net:8200"\n')
    assert identities(made.vault_password_file)[0].password == CANARY
    (call,) = secrets_kit.calls(tool)
    assert call["words"] == ["kv", "get", "-format=json", "-mount=kv", "kolla/ansible"]
    assert "VAULT_ADDR" in str(call["names"]) and "OPERATORS_TOKEN" not in str(call["names"])


@pytest.mark.parametrize(
    ("state", "words", "command", "code"),
    [
        ({"sealed": True}, "is sealed", "operator unseal", 3),
        ({"away": True}, "cannot be reached", "status", 3),
        ({"untrusted": True}, "is not trusted", "status", 3),
        ({"tokens": []}, "the token has expired", "token lookup", 2),
        ({"secrets": {}}, "There is nothing at kv/kolla/ansible", "kv list -mount=kv kolla", 2),
        ({"secrets": {"kv/kolla/ansible": {"other": "x"}}}, "has no field 'password'", "kv get", 2),
        ({"v1": True}, "no KV mount of version 2", "secrets list", 2),
        ({"garbage": True}, "is not what `kv` answers", "version", 2),
        ({"secrets": {"kv/kolla/ansible": None}}, "was deleted", "kv metadata get", 2),
    ],
)
def test_a_kv_store_that_gives_nothing(
    site: Make,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: dict[str, object],
    words: str,
    command: str,
    code: int,
) -> None:
    name = "bao" if "sealed" in state else "vault"
    tool = secrets_kit.kv(programs, {"kv/kolla/ansible": {"password": CANARY}}, name)
    secrets_kit.tell(tool, **state)
    monkeypatch.setenv("VAULT_TOKEN", "good-token")
    made = site(KV + f'kv_program = "{name}"\n')
    with pytest.raises(UpgraderError) as caught:
        identities(made.vault_password_file)
    assert words in caught.value.message and caught.value.exit_code == code
    assert caught.value.next_command.startswith(name) and command in caught.value.next_command
    assert CANARY not in caught.value.message


def test_without_a_token_or_without_the_program(site: Make, programs: Path) -> None:
    made = site(KV)
    with pytest.raises(EnvironmentMissingError, match="no program vault") as missing:
        identities(made.vault_password_file)
    assert missing.value.next_command == "command -v vault"
    secrets_kit.kv(programs, {"kv/kolla/ansible": {"password": CANARY}})
    with pytest.raises(ConfigError, match="got no token") as caught:
        identities(made.vault_password_file)
    assert caught.value.next_command == "vault login"


def test_what_a_supervisor_is_handed_is_what_its_sources_need(
    site: Make, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets_kit.kv(programs, {"kv/kolla/ansible": {"password": CANARY}})
    for name, value in {"VAULT_TOKEN": "good-token", "VAULT_ADDR": "https://a", "AWS_KEY": "k", "OTHER": "o"}.items():
        monkeypatch.setenv(name, value)
    made = site(KV + 'environment = ["AWS_KEY"]\n')
    assert standing.at_hand(made) == {"VAULT_TOKEN": "good-token", "VAULT_ADDR": "https://a", "AWS_KEY": "k"}
    assert standing.at_hand(site("")) == {}


def test_what_is_handed_on_is_taken_over_once_and_never_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with carried.handed({"VAULT_TOKEN": CANARY}) as (descriptors, more):
        assert CANARY not in str(more)
        monkeypatch.setenv(carried.DESCRIPTOR, str(os.dup(descriptors[0])))
        carried.unpack()
    assert carried.environ()["VAULT_TOKEN"] == CANARY and "VAULT_TOKEN" not in os.environ
    assert carried.DESCRIPTOR not in os.environ
