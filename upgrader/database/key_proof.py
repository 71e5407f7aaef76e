"""Do a set's keys open what they have to: a token issued when it was taken, and the credentials in its database.

Works offline, as Keystone itself would: keys by number, the highest first; for credentials the null key last, which
Keystone uses where nobody set up keys (keystone/common/fernet_utils.py: load_keys, NULL_KEY;
keystone/credential/providers/fernet/core.py: decrypt). What is decrypted is looked at and forgotten, never shown.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upgrader import durable
from upgrader.database import manifest as parts
from upgrader.database.manifest import Manifest
from upgrader.model import Code, Finding

NULL_KEY = base64.urlsafe_b64encode(b"\x00" * 32)
KEYS = "proof-keys"
TOKEN = "proof-token"  # noqa: S105 - names of findings
CREDENTIAL = "proof-credential"
_STAGED = 0
_LARGEST_TIME = 1 << 35


@dataclass(frozen=True)
class Repository:
    """The keys of one host, the primary one (the highest number) first."""

    host: str
    keys: tuple[tuple[int, bytes], ...]


def repositories(folder: Path, manifest: Manifest, name: str) -> tuple[Repository, ...]:
    """The saved keys of part `name`, host by host; empty when the set has no such part."""
    part = manifest.part(name)
    found = []
    for entry in part.files if part else ():
        keys: dict[int, bytes] = {}
        with tarfile.open(folder / entry.path) as tar:
            for member in tar:
                number = member.name.rpartition("/")[2]
                stream = tar.extractfile(member) if member.isfile() and number.isdecimal() else None
                if stream is not None:
                    keys[int(number)] = stream.read().strip()
        host = Path(entry.path).name.removesuffix(f".{name}.tar")
        found.append(Repository(host, tuple(sorted(keys.items(), reverse=True))))
    return tuple(found)


def key_findings(folder: Path, manifest: Manifest, *, now: datetime | None = None) -> tuple[Finding, ...]:
    """Every saved key has the form of one, and the token of the set is opened by the Fernet keys of every host."""
    fernet = repositories(folder, manifest, parts.FERNET_KEYS)
    credential = repositories(folder, manifest, parts.CREDENTIAL_KEYS)
    bad = [*_forms(fernet, "Fernet keys"), *_forms(credential, "credential keys")]
    if bad:
        return tuple(bad)
    kept = durable.read_json(folder / "token.json").document or {}
    text = str(kept.get("token", ""))
    if manifest.part(parts.TOKEN) is None or not text:
        words = (
            "the set holds no token that was issued before, so nothing shows that its Fernet keys are the right ones"
        )
        return (_finding(TOKEN, Code.WARNING, words),)
    return tuple(_token(text, str(kept.get("expires_at", "")), fernet, now or datetime.now(UTC)))


def _finding(identifier: str, code: Code, message: str, host: str = "", then: str = "") -> Finding:
    return Finding(id=identifier, code=code, message=message, host=host, next=then)


def _forms(found: Sequence[Repository], what: str) -> list[Finding]:
    bad = []
    for repository in found:
        for number, key in repository.keys:
            try:
                right = len(base64.urlsafe_b64decode(key)) == 32
            except (binascii.Error, ValueError):
                right = False
            if not right:
                words = f"key {number} of the {what} of {repository.host} is no Fernet key"
                bad.append(_finding(KEYS, Code.FAILURE, words, repository.host))
    return bad


def _token(text: str, expires: str, fernet: Sequence[Repository], now: datetime) -> Iterable[Finding]:
    opened = {repository.host: _opened_by(text, repository) for repository in fernet}
    shut = sorted(host for host, found in opened.items() if found is None)
    if shut or not opened:
        words = f"the Fernet keys of {', '.join(shut) or 'no host'} do not open the token that was issued before"
        yield _finding(TOKEN, Code.FAILURE, words, ", ".join(shut), "upgrader backup")
        return
    number, payload = next(found for found in opened.values() if found is not None)
    ends = _expiry(payload)
    if ends is None:
        yield _finding(TOKEN, Code.FAILURE, "what the Fernet keys make of the token is no token of Keystone")
        return
    said = _time(expires)
    if said is not None and abs((said - ends).total_seconds()) > 2:
        yield _finding(
            TOKEN, Code.FAILURE, f"the token says it ends {ends:%Y-%m-%dT%H:%M:%SZ}, Keystone said {expires}"
        )
        return
    primary = max(number for repository in fernet for number, _ in repository.keys)
    by = "the primary key" if number == primary else f"key {number} ({primary} is the primary one)"
    words = f"the token issued before is opened by {by} on {', '.join(sorted(opened))}"
    if number == _STAGED and primary != _STAGED:
        yield _finding(TOKEN, Code.WARNING, f"{words}: a staged key has issued no token yet, the numbers are mixed up")
    elif ends < now:
        yield _finding(TOKEN, Code.SUCCESS, f"{words}; it expired {ends:%Y-%m-%dT%H:%M:%SZ}")
    else:
        yield _finding(TOKEN, Code.SUCCESS, f"{words}; it is good until {ends:%Y-%m-%dT%H:%M:%SZ}")


def _opened_by(text: str, repository: Repository) -> tuple[int, bytes] | None:
    """The number of the key that opens the token, and what is in it."""
    from cryptography.fernet import Fernet, InvalidToken

    token = text.encode() + b"=" * (-len(text) % 4)  # Keystone leaves the padding out
    for number, key in repository.keys:
        try:
            return number, Fernet(key).decrypt(token)
        except (InvalidToken, ValueError, TypeError):
            continue
    return None


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _expiry(payload: bytes) -> datetime | None:
    """When the token ends: each kind of payload is a list with one time in it, a float (keystone: token_formatters)."""
    try:
        value, _ = _unpacked(payload, 0)
    except (IndexError, struct.error, ValueError):
        return None
    times = [item for item in value if isinstance(item, float)] if isinstance(value, list) else []
    if not times or not isinstance(value[0], int) or not 0 < times[0] < _LARGEST_TIME:
        return None
    return datetime.fromtimestamp(times[0], UTC)


_FIXED = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h",
          0xD2: ">i", 0xD3: ">q"}  # fmt: skip
_LENGTHS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I"}
_PLAIN: Mapping[int, Any] = {0xC0: None, 0xC2: False, 0xC3: True}


def _unpacked(data: bytes, at: int) -> tuple[Any, int]:
    """A value in MessagePack's form and where it ends: numbers, texts, bytes and lists, all that a token is made of.

    Raises ValueError for anything else (format: github.com/msgpack/msgpack/blob/master/spec.md).
    """
    first = data[at]
    at += 1
    if first < 0x80 or first >= 0xE0:
        return (first if first < 0x80 else first - 256), at
    if first in _PLAIN:
        return _PLAIN[first], at
    if first in _FIXED:
        size = struct.calcsize(_FIXED[first])
        return struct.unpack(_FIXED[first], data[at : at + size])[0], at + size
    if first in _LENGTHS:
        size = struct.calcsize(_LENGTHS[first])
        length, at = struct.unpack(_LENGTHS[first], data[at : at + size])[0], at + size
    elif first & 0xF0 == 0x90:
        length = first & 0x0F
    elif first & 0xE0 == 0xA0:
        length = first & 0x1F
    else:
        raise ValueError(f"type {first:#x}")
    if first & 0xF0 == 0x90 or first in (0xDC, 0xDD):
        items = []
        for _ in range(length):
            item, at = _unpacked(data, at)
            items.append(item)
        return items, at
    if at + length > len(data):
        raise ValueError("cut off")
    return data[at : at + length], at + length


def credential_findings(
    rows: Iterable[Sequence[str]], saved: Sequence[Repository], *, total: int = 0
) -> tuple[Finding, ...]:
    """Stored credentials (id, hash of the key, encrypted text) are opened by the saved keys, else by the null key."""
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet

    rows = list(rows)
    if not rows:
        return (_finding(CREDENTIAL, Code.SUCCESS, "no credential is stored, so no key is needed for any"),)
    found = []
    for repository in saved or (Repository("", ()),):
        keys = [*(key for _, key in repository.keys), NULL_KEY]
        crypto = MultiFernet([Fernet(key) for key in keys])
        closed = []
        for identifier, _, blob in rows:
            try:
                crypto.decrypt(blob.encode())
            except (InvalidToken, ValueError, TypeError):
                closed.append(identifier)
        if closed:
            whose = (
                f"the credential keys of {repository.host}" if repository.keys else "the null key (the set has none)"
            )
            words = (
                f"{len(closed)} of {len(rows)} stored credentials are not opened by {whose}; the first is {closed[0]}"
            )
            found.append(_finding(CREDENTIAL, Code.FAILURE, words, repository.host, "upgrader backup"))
    if found:
        return tuple(found)
    hashes = {hashlib.sha1(key, usedforsecurity=False).hexdigest() for r in saved for _, key in r.keys}
    null = sum(1 for row in rows if row[1] not in hashes)
    how = "with the saved keys" if not null else f"({null} with the null key that Keystone uses where none was set up)"
    of = f"{len(rows)} of {total} stored" if total > len(rows) else f"all {len(rows)} stored"
    return (_finding(CREDENTIAL, Code.SUCCESS, f"{of} credentials are opened {how}"),)
