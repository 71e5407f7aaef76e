"""`[secrets]` of upgrader.toml: what holds, and every fault named without repeating a secret somebody put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from upgrader.config import Site, load_site
from upgrader.errors import ConfigError

HEAD = '[site]\nname = "x"\n[kolla]\nconfig_dir = "kolla"\ninventory = "hosts"\n[secrets]\n'


def site(folder: Path, text: str) -> Site:
    file = folder / "upgrader.toml"
    file.write_text(HEAD + text)
    return load_site(file)


def test_a_plain_password_file_is_given_to_ansible_as_it_is(tmp_path: Path) -> None:
    made = site(tmp_path, 'vault_password_file = "key"\n')
    assert made.secrets.plain and made.vault_password_file == tmp_path / "key"
    assert site(tmp_path, "").vault_password_file is None


@pytest.mark.parametrize(
    "text",
    [
        'vault_password_env = "X"\n',
        'vault_password_command = ["pass", "show", "kolla"]\n',
        'vault_password_kv = "kv/kolla/ansible#password"\n',
        'vault_password_file = "prod-client"\nvault_id = "prod"\n',
        'vault_ids = ["dev@key"]\n',
        'passwords_kv = "kv/kolla_passwords/"\n',
        'passwords_env = "KOLLA_PASSWORD_"\n',
        "lookups = true\n",
        'age_key_file = "keys.txt"\n',
    ],
)
def test_whoever_needs_the_key_is_given_the_site_file_where_it_says_more(tmp_path: Path, text: str) -> None:
    made = site(tmp_path, text)
    assert made.vault_password_file == made.file and not made.secrets.plain


def test_what_the_keys_mean(tmp_path: Path) -> None:
    rules = site(
        tmp_path,
        'vault_password_kv = "kv/kolla/ansible#password"\npasswords_kv = "kv/kolla_passwords/"\n'
        'vault_ids = ["dev@dev-client", "old@/root/old"]\nkv_program = "bin/bao"\ntimeout = "2min"\n'
        'environment = ["AWS_PROFILE"]\n',
    ).secrets
    assert rules.password_kv == ("kv", "kolla/ansible", "password")
    assert rules.passwords_kv == ("kv", "kolla_passwords/")
    assert rules.more_ids == (("dev", tmp_path / "dev-client"), ("old", Path("/root/old")))
    assert rules.kv_program == str(tmp_path / "bin" / "bao") and rules.timeout_seconds == 120
    assert rules.environment == ("AWS_PROFILE",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('vault_password_file = "a"\nvault_password_env = "B"\n', "the vault has one password"),
        ('vault_password_env = "canary s3cret"\n', "never a value"),
        ('environment = ["canary=x"]\n', "never a value"),
        ('vault_password_kv = "kv/kolla"\n', "is not MOUNT/PATH#FIELD"),
        ('vault_password_kv = "kolla#x"\n', "is not MOUNT/PATH#FIELD"),
        ('passwords_kv = "kv"\n', "is not MOUNT/PATH"),
        ('passwords_kv = "kv/a"\nlookups = true\n', "passwords have one source"),
        ('vault_ids = ["nothing"]\n', "is not LABEL@FILE"),
        ('vault_ids = ["a@prompt"]\n', "nobody is there to be asked"),
        ('vault_ids = ["a@x", "a@y"]\n', "a is there twice"),
        ('vault_id = "prod"\n', "names a password, and none of"),
        ('vault_id = "pr od"\nvault_password_env = "A"\n', "characters other than"),
        ('kv_program = "consul"\n', "none of vault, bao"),
        ('timeout = "0s"\n', "at least one second"),
        ('timeout = "soon"\n', "is not a duration"),
        ('password = "x"\n', "no such key"),
        ('lookups = "yes"\n', "wants true or false"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site(tmp_path, text)
    said = "\n".join(caught.value.details)
    assert words in said and "[secrets]" in said and caught.value.exit_code == 2
    assert "canary" not in said
