"""What of a rendered file may be shown: a canary in any form of secret is never in the text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from upgrader.kolla.aside.conceal import FRONT, marker, placeholders, shown

MARK = marker(b"k")
CANARY = "c4nary-5ecret"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nova/nova.conf", f"[database]\nconnection = mysql+pymysql://nova:{CANARY}@192.0.2.1/nova\n"),
        ("nova/nova.conf", f"transport_url = rabbit://o:{CANARY}@a:5672,o:{CANARY}@b:5672//\n"),
        ("nova/nova.conf", f"admin_password={CANARY}\n"),
        ("keystone/domains/x.conf", f"  password = {CANARY}\n"),
        ("glance/a.yaml", f"- secret_key: '{CANARY}'\n"),
        ("horizon/local.py", f'SECRET_KEY = "{CANARY}"\n'),
        ("x/config.json", json.dumps({"auth_token": CANARY}, indent=1)),
        ("keepalived/keepalived.conf", f"    auth_pass {CANARY}\n"),
        ("redis/redis.conf", f"requirepass {CANARY}\nmasterauth {CANARY}\n"),
        ("redis/sentinel.conf", f"sentinel auth-pass kolla {CANARY}\n"),
        ("haproxy/haproxy.cfg", f"  stats auth admin:{CANARY}\n"),
        ("nova/ceph.client.nova.keyring", f"[client.nova]\n key = {CANARY}\n"),
        ("haproxy/haproxy.pem", f"{CANARY}\n"),
        ("k/id_rsa", CANARY),
        ("x/y.conf", f"a\n-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----\nb\n"),
        ("x/binary", f"\0{CANARY}"),
    ],
)
def test_no_form_of_a_secret_is_shown(name: str, text: str) -> None:
    found = shown(name, text.encode(), MARK)
    assert CANARY not in found and "HIDDEN-" in found


def test_a_marked_file_shows_nothing_whatever_it_looks_like() -> None:
    assert "plain" not in shown("x/y.conf", b"plain words\n", MARK, secret=True)


@pytest.mark.parametrize(
    "text",
    [
        "token_expiration = 86400\n",
        "ssl_key_file = /etc/ssl/x.key\n",
        f"password = {FRONT}nova_keystone_password\n",
        f"connection = mysql+pymysql://nova:{FRONT}nova_database_password@192.0.2.1:3306/nova\n",
        "use_secret = true\nadmin_token =\nproject_name = service\n",
        "rpc_workers = 5\n# a comment\n",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert shown("nova/nova.conf", text.encode(), MARK) == text


def test_equal_values_have_equal_marks_and_keys_differ() -> None:
    one, two = shown("a.conf", b"password = aaaaaa\n", MARK), shown("a.conf", b"password = bbbbbb\n", MARK)
    assert one == shown("a.conf", b"password = aaaaaa\n", MARK) and one != two
    assert one != shown("a.conf", b"password = aaaaaa\n", marker(b"other"))


def test_placeholders_name_every_password_and_hold_none(tmp_path: Path) -> None:
    own, example = tmp_path / "passwords.yml", tmp_path / "example.yml"
    own.write_text(
        f"database_password: {CANARY}\nempty_password:\n"
        f"nova_ssh_key:\n  private_key: |\n    {CANARY}\n  public_key: x\n"
        f"prometheus_bcrypt_salt: {CANARY}\nlooked_up: \"{{{{ lookup('pipe', 'x') }}}}\"\n"
    )
    example.write_text("database_password:\nvalkey_master_password:\n")
    text = placeholders(own, example)
    assert CANARY not in text and "lookup(" not in text
    assert yaml.safe_load(text) == {
        "database_password": "PASSWORD_database_password",
        "empty_password": "",
        "nova_ssh_key": {
            "private_key": "PASSWORD_nova_ssh_key_private_key",
            "public_key": "PASSWORD_nova_ssh_key_public_key",
        },
        "prometheus_bcrypt_salt": "." * 22,
        "looked_up": "PASSWORD_looked_up",
        "valkey_master_password": "PASSWORD_valkey_master_password",
    }


@given(
    st.sampled_from(["password", "rabbitmq_password", "secret_key", "auth_token", "db.credential"]),
    st.sampled_from([" = ", "=", ": ", " : "]),
    st.text("abcdefghijklmnopqrstuvwxyzABCXYZ+-!%&*", min_size=7, max_size=30),
    st.sampled_from(["", "  ", "\t"]),
)
def test_any_value_of_a_secret_name_is_hidden(name: str, sign: str, value: str, indent: str) -> None:
    assert value not in shown("x.conf", f"{indent}{name}{sign}{value}\n".encode(), MARK)
