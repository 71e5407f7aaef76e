"""No secret leaves in a diagnosis: canaries in every form and shape, and what must stay readable."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.diagnose_kit import AT
from upgrader.diagnose.model import Excerpt
from upgrader.diagnose.scrub import Scrubber, without_keys
from upgrader.redact import MASK

CANARY = "k9#Zz'tail\"%w"
SHAPED = "ZanzibarCanary77"
"""A secret that nobody knows: it has to go by its shape."""


@pytest.mark.parametrize(
    "line",
    [
        f"connecting with {CANARY} failed",
        json.dumps({"x": CANARY}),
        json.dumps(json.dumps({"x": CANARY})),
        f"url mysql+pymysql://root:{quote(CANARY, safe='')}@10.0.0.1/keystone",
        f"basic {base64.b64encode(f'admin:{CANARY}'.encode()).decode()}",
        f"{CANARY[:4]}\x1b[0m{CANARY[4:]}",
        repr({"x": CANARY}),
    ],
)
def test_a_value_of_the_site_is_out_in_every_form(line):
    clean = Scrubber([CANARY]).text(line)
    assert CANARY not in clean
    assert base64.b64encode(CANARY.encode()).decode()[:12] not in clean
    assert quote(CANARY, safe="") not in clean


@pytest.mark.parametrize("value", ["abcd", "1234", "ümläut", "a b c d"])
def test_values_from_four_characters_on(value):
    assert value not in Scrubber([value]).text(f"said x{value}y and '{value}'")


def test_three_characters_are_a_word():
    assert Scrubber(["abc"]).text("abc") == "abc"


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {SHAPED}",
        f"'Authorization': 'Basic {SHAPED}='",
        f"-H 'X-Auth-Token: {SHAPED}'",
        f'"X-Subject-Token": "{SHAPED}"',
        f"(b'x-auth-token', b'{SHAPED}')",
        f"Set-Cookie: session={SHAPED}; Path=/",
        f"gAAAAABn{SHAPED}xxxxxxxx_-",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{SHAPED}",
        f"transport_url = rabbit://openstack:{SHAPED}@10.0.0.1:5672,openstack:{SHAPED}@10.0.0.2:5672//",
        f"connection = mysql+pymysql://nova:{SHAPED}@10.0.0.250:3306/nova",
        f"https://{SHAPED}@github.com/x",
        f"redis://:{SHAPED}@10.0.0.1:26379?sentinel=kolla",
        f"database_password={SHAPED}",
        f"memcache_secret_key: {SHAPED}",
        f"'admin_pass_password': u'{SHAPED}'",
        f'\\"password\\": \\"{SHAPED}\\"',
        f"mysql -uroot -p{SHAPED} -e 'x'",
        f"openstack --os-password {SHAPED} token issue",
        f"MYSQL_PWD={SHAPED} mariadb",
        f"CREATE USER x IDENTIFIED BY '{SHAPED}'",
        f"aws_secret_access_key = {SHAPED}",
        f"$2b$12${SHAPED}abcdefghijkl",
        f"-----BEGIN RSA PRIVATE KEY-----\\n{SHAPED}\\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN OPENSSH PRIVATE KEY----- {SHAPED}",
    ],
)
def test_what_is_a_secret_by_its_shape_is_out(line):
    clean = Scrubber().text(line)
    assert SHAPED not in clean, clean
    assert MASK in clean


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-22 03:12:05.1 7 ERROR nova [req-0446d6f4-573c-4aac-887f-9e14fce49737 - - - - -] x",
        "Access denied for user 'keystone'@'10.0.0.1' (using password: YES)",
        "(1050, \"Table 'keystone.user' already exists\")",
        "http://10.0.0.250:5000/v3 returned 503",
        "image registry:4000/kolla/keystone@sha256:" + "0a" * 32,
        "Running upgrade 47147121 -> 99de9f4cafda",
        "/etc/kolla/passwords.yml cannot be read",
        "WSREP: Synchronized with group, ready for connections",
        "a login as user@host failed",
        "a cookie, a name that does not resolve, or a disk that is full",
    ],
)
def test_what_helps_stays(line):
    assert Scrubber(["some-password-of-the-site"]).text(line) == line


def test_a_line_that_was_cut_loses_its_last_word():
    """Half a secret would not be recognised."""
    cut = f"ERROR value {CANARY[:6]} ... [900 bytes of this line left out]"
    assert CANARY[:6] not in Scrubber([CANARY]).text(cut)


def test_nothing_of_a_terminal_and_nothing_unseen_stays():
    clean = Scrubber().text("\x1b[31mred\x1b[0m \x07 \u202egnorts\u200b \x9b2J")
    assert "\x1b" not in clean and "\u202e" not in clean and "\u200b" not in clean and "\x9b" not in clean
    assert "red" in clean and "\\u202e" in clean


KEY = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEowIBAAKCAQEA" + "b" * 48, "q" * 64, "-----END RSA PRIVATE KEY-----"]


@pytest.mark.parametrize("lines", [KEY, KEY[1:], KEY[:-1], KEY[1:3]])
def test_a_private_key_is_out_whatever_of_it_was_read(lines):
    clean = without_keys([(AT, text) for text in ("before", *lines, "after it")])
    told = [text for _, text in clean]
    assert told[0] == "before" and told[-1] == "after it"
    assert not any("MIIE" in text or "qqq" in text for text in told)


def test_digests_are_no_keys():
    assert without_keys([(AT, "0a" * 32)])[0][1] == "0a" * 32


def test_every_text_of_a_value_is_gone_over():
    excerpt = Excerpt(f"ctl-{CANARY}", CANARY, f"/{CANARY}", CANARY, ((AT, f"x {CANARY}"),))
    assert CANARY not in repr(Scrubber([CANARY]).whole(excerpt))


@settings(max_examples=40)
@given(st.text(min_size=4, max_size=40).filter(lambda text: len(text.strip()) >= 4 and text.isprintable()), st.text())
def test_no_value_survives_any_surroundings(secret, around):
    clean = Scrubber([secret]).text(f"{around[:20]}{secret}{around[20:]}")
    assert secret not in clean.replace(MASK, "") or secret in MASK


@settings(max_examples=40)
@given(st.text())
def test_scrubbing_twice_is_scrubbing_once_in_what_it_hides(text):
    once = Scrubber([CANARY]).text(text + CANARY)
    assert CANARY not in once and CANARY not in Scrubber([CANARY]).text(once)
