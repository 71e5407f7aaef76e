"""Saved keys against a token that was issued before and credentials that are stored: real Fernet, Keystone's forms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.database.proof_kit import Keys, damage_key, key_tar
from upgrader.database import manifest as parts
from upgrader.database.key_proof import NULL_KEY, Repository, credential_findings, key_findings
from upgrader.database.manifest import BackupSet, Manifest
from upgrader.durable import write_json
from upgrader.model import Code, Finding

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ENDS = NOW + timedelta(hours=6)


def a_set(
    folder: Path, keys: Keys, *, by: int = 1, ctl2: dict[int, bytes] | None = None, said: datetime = ENDS,
    ends: datetime = ENDS, token: str = "",
) -> BackupSet:  # fmt: skip
    made = BackupSet.begin(folder, Manifest(site="s", release="2025.1", made_at=parts.now()))
    (folder / "keys").mkdir()
    for host, own in (("ctl1", keys.fernet), ("ctl2", ctl2 or keys.fernet)):
        key_tar(folder / "keys" / f"{host}.fernet-keys.tar", "fernet-keys", own)
    made.record(parts.FERNET_KEYS, (folder / "keys").iterdir())
    kept = {"token": token or keys.token(ends, by=by), "expires_at": said.strftime("%Y-%m-%dT%H:%M:%S.000000Z")}
    write_json(folder / "token.json", kept)
    made.record(parts.TOKEN, [folder / "token.json"])
    return made


def judged(made: BackupSet) -> Finding:
    (finding,) = key_findings(made.folder, made.manifest, now=NOW)
    return finding


def test_the_primary_key_opens_the_token(tmp_path: Path) -> None:
    finding = judged(a_set(tmp_path / "set", Keys()))
    assert finding.code is Code.SUCCESS
    assert "by the primary key on ctl1, ctl2; it is good until 2026-11-22T18:00:00Z" in finding.message


def test_a_key_that_was_rotated_away_still_opens_it(tmp_path: Path) -> None:
    keys = Keys()
    made = a_set(tmp_path / "set", Keys({**keys.fernet, 2: Fernet.generate_key()}), by=1)
    finding = judged(made)
    assert (finding.code, "by key 1 (2 is the primary one)" in finding.message) == (Code.SUCCESS, True)


def test_a_staged_key_issues_no_token(tmp_path: Path) -> None:
    finding = judged(a_set(tmp_path / "set", Keys(), by=0))
    assert finding.code is Code.WARNING
    assert "numbers are mixed up" in finding.message


def test_other_keys_on_one_host_are_named(tmp_path: Path) -> None:
    keys = Keys()
    finding = judged(a_set(tmp_path / "set", keys, ctl2={n: damage_key(key) for n, key in keys.fernet.items()}))
    assert (finding.code, finding.host) == (Code.FAILURE, "ctl2")
    assert "Fernet keys of ctl2 do not open" in finding.message


def test_a_time_that_is_not_keystones(tmp_path: Path) -> None:
    finding = judged(a_set(tmp_path / "set", Keys(), said=ENDS + timedelta(hours=1)))
    assert (finding.code, "Keystone said" in finding.message) == (Code.FAILURE, True)


def test_an_expired_token_proves_the_keys_all_the_same(tmp_path: Path) -> None:
    past = NOW - timedelta(hours=1)
    finding = judged(a_set(tmp_path / "set", Keys(), ends=past, said=past))
    assert (finding.code, "it expired 2026-11-22T11:00:00Z" in finding.message) == (Code.SUCCESS, True)


@pytest.mark.parametrize("body", [b"", b"text", b"\x91\xcb", b"\x82\x01\x02", b"\x92\x02\x03", b"\xdd\xff\xff\xff\xff"])
def test_what_is_no_payload_of_keystone(tmp_path: Path, body: bytes) -> None:
    keys = Keys()
    finding = judged(a_set(tmp_path / "set", keys, token=Fernet(keys.fernet[1]).encrypt(body).decode()))
    assert (finding.code, "no token of Keystone" in finding.message) == (Code.FAILURE, True)


def test_a_key_that_is_none_is_named_and_not_shown(tmp_path: Path) -> None:
    keys = Keys()
    finding = judged(a_set(tmp_path / "set", keys, ctl2={**keys.fernet, 1: b"c2VjcmV0"}))
    assert finding.message == "key 1 of the Fernet keys of ctl2 is no Fernet key"
    assert "c2VjcmV0" not in str(finding.document())


def test_without_a_token_nothing_is_claimed(tmp_path: Path) -> None:
    made = a_set(tmp_path / "set", Keys())
    write_json(made.folder / "token.json", {})
    assert judged(made).code is Code.WARNING


def stored(key: bytes, digest: str = "") -> list[str]:
    return ["c1", digest, Fernet(key).encrypt(b"{}").decode()]


def test_credentials_without_keys_are_opened_by_the_null_key() -> None:
    (finding,) = credential_findings([stored(NULL_KEY)], ())
    assert (finding.code, "1 with the null key" in finding.message) == (Code.SUCCESS, True)


def test_saved_keys_open_credentials_and_the_null_key_comes_last() -> None:
    keys = (Repository("ctl1", ((1, Fernet.generate_key()), (0, Fernet.generate_key()))),)
    rows = [stored(keys[0].keys[0][1]), stored(keys[0].keys[1][1]), stored(NULL_KEY)]
    (finding,) = credential_findings(rows, keys, total=5)
    assert (finding.code, "3 of 5 stored" in finding.message) == (Code.SUCCESS, True)


def test_wrong_credential_keys_are_named_host_by_host() -> None:
    right, wrong = Fernet.generate_key(), Fernet.generate_key()
    saved = (Repository("ctl1", ((1, right),)), Repository("ctl2", ((1, wrong),)))
    (finding,) = credential_findings([stored(right), stored(right)], saved)
    assert (finding.code, finding.host) == (Code.FAILURE, "ctl2")
    assert "2 of 2 stored credentials are not opened by the credential keys of ctl2; the first is c1" in finding.message
    (finding,) = credential_findings([stored(right)], ())
    assert "the null key (the set has none)" in finding.message


def test_no_credential_needs_no_key() -> None:
    assert credential_findings([], ())[0].code is Code.SUCCESS
