"""What the change document tells people to type where secrets are not in a file."""

from __future__ import annotations

import pytest

from tests.secret_sources.conftest import Make
from upgrader.secret_sources import typed


@pytest.mark.parametrize(
    ("text", "file", "line"),
    [
        ("", "", ""),
        ('vault_password_file = "/k"\n', "/k", ""),
        ('vault_password_file = "/k-client"\nvault_id = "a"\n', "/k-client", ""),
        ('vault_ids = ["a@/k"]\n', "/k", ""),
        ('vault_password_env = "KEY"\n', typed.CLIENT, "printf '%s\\n' \"$KEY\""),
        ('vault_password_command = ["pass", "show", "a b"]\n', typed.CLIENT, "exec pass show 'a b'"),
        (
            'vault_password_kv = "kv/a/b#c"\nkv_program = "bao"\nkv_address = "https://v"\n',
            typed.CLIENT,
            "VAULT_ADDR=https://v bao kv get -mount=kv -field=c a/b",
        ),
        ('passwords_kv = "kv/kolla_passwords/"\n', "", "kolla-readpwd"),
    ],
)
def test_by_hand(site: Make, text: str, file: str, line: str) -> None:
    made = site(text)
    assert typed.password_file(made) == file
    assert line in "\n".join(typed.notes(made)) and bool(line) == bool(typed.notes(made))
