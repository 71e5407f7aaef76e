"""Known secrets are found in every form they usually turn up in."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.redact import MASK, RedactedStream, Redactor

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30)
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="*"), min_size=6, max_size=40)


@given(SECRETS, TEXTS, TEXTS)
def test_no_form_of_a_secret_survives(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    forms = [
        secret,
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps({"k": secret}))[1:-1],
        quote(secret),
        secret.replace("'", "'\"'\"'"),
    ]
    for form in forms:
        assert secret not in redactor.text(before + form + after).replace(MASK, "\0")
        assert redactor.holds(before + form + after)


@given(SECRETS.filter(lambda secret: len(secret.encode()) >= 9), st.binary(max_size=7), st.binary(max_size=7))
def test_base64_of_a_longer_text_around_it(secret: str, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    masked = Redactor([secret]).text(encoded)
    assert MASK in masked
    left = masked.replace(MASK, "")
    assert len(left) <= len(encoded) - (len(secret.encode()) * 4 // 3 - 4)


def test_longest_first_leaves_no_rest() -> None:
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh abcd") == f"{MASK} {MASK}"


def test_a_secret_folded_over_lines_is_found() -> None:
    text = "[WARNING]: could not log in with 0123456789ab\n  cdefghijkl to the\nbase"
    assert Redactor(["0123456789abcdefghijkl"]).text(text) == f"[WARNING]: could not log in with {MASK} to the\nbase"


def test_the_lines_of_a_key_are_secrets_too() -> None:
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nQUFBQUFBQUFBQUFBQUFBQUFB\n-----END"
    assert "b3BlbnNzaC1rZXktdjE" not in Redactor([key]).text(json.dumps({"stdout_lines": key.splitlines()}))


def test_short_values_do_not_destroy_the_text() -> None:
    assert Redactor(["a", "no", "", "   "]).text("a normal line") == "a normal line"


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ('{"password": "unknown-one"}', "unknown-one"),
        ("db_password='unknown-one'", "unknown-one"),
        (r"{\"admin_secret\": \"unknown-one\"}", "unknown-one"),
        ("mysql+pymysql://nova:unknown-one@10.0.0.1/nova", "unknown-one"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- tail", "MIIE"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "MIIE"),
    ],
)
def test_what_looks_like_a_secret_is_one(text: str, gone: str) -> None:
    assert gone not in Redactor().text(text)


def test_ordinary_text_stays() -> None:
    text = "TASK [nova : Running bootstrap] at https://docs.openstack.org/a?b=c user@host 2025.1 password file: missing"
    assert Redactor(["canary-4711"]).text(text) == text


def test_values_are_redacted_through_and_through() -> None:
    value = {"canary-4711": ["x canary-4711", {"a": ("canary-4711", 1, None, True)}]}
    assert Redactor(["canary-4711"]).value(value) == {MASK: [f"x {MASK}", {"a": [MASK, 1, None, True]}]}


def test_streams_learn_secrets_later() -> None:
    heard: list[str] = []
    redactor = Redactor()
    print("one", file=RedactedStream(heard.append, redactor), end="")
    redactor.add(["canary-4711"])
    print("canary-4711", file=RedactedStream(heard.append, redactor), end="")
    assert "".join(heard) == f"one{MASK}"


def test_a_secret_quoted_for_a_shell_and_shown_as_json() -> None:
    """As Ansible shows the command line of a failed task."""
    import json
    import shlex

    from upgrader.redact import Redactor

    secret = "canary ' and \" and \u00e4"
    for ascii_only in (True, False):
        once = json.dumps({"cmd": f"echo {shlex.quote(secret)}"}, ensure_ascii=ascii_only)
        for shown in (once, json.dumps(once, ensure_ascii=ascii_only)):
            assert "canary" not in Redactor([secret]).text(shown)
