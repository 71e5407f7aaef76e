"""Keystone of the sandbox: tokens signed with the host's Fernet key files.

A token is payload and HMAC; it is good as long as one of the keys on the host made it. So a lost or replaced key
repository really makes old tokens invalid, and a restored one makes them valid again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from typing import Any

from upgrader.sandbox import schemas, world

KEYS = "keystone_fernet_tokens"
LIFETIME_SECONDS = 86400
_BROKEN = "An unexpected error prevented the server from fulfilling your request"


def new_key() -> bytes:
    return base64.urlsafe_b64encode(os.urandom(32))


def secret_hash(password: str, salt: str) -> str:
    return f"{salt}${hashlib.sha256((salt + password).encode()).hexdigest()}"


def issue(host: world.Host, url: str, user: str, password: str) -> dict[str, Any]:
    """What `POST /v3/auth/tokens` comes to."""
    refused = _unavailable(host) or _login(host.root, user, password)
    if refused:
        return refused
    keys = _keys(host)
    if not keys:
        return {"ok": False, "status": 500, "error": _BROKEN}
    expires = int(time.time()) + LIFETIME_SECONDS
    payload = json.dumps({"user": user, "expires": expires, "nonce": os.urandom(6).hex()}).encode()
    body = b"\x80" + int(time.time()).to_bytes(8, "big") + payload
    token = base64.urlsafe_b64encode(body + _mac(keys[0], body)).decode()
    return {"ok": True, "status": 201, "token": token, "expires_at": _utc(expires), "url": url}


def validate(host: world.Host, url: str, user: str, password: str, token: str) -> dict[str, Any]:
    """What `GET /v3/auth/tokens` with the caller's own fresh token comes to."""
    own = issue(host, url, user, password)
    if not own["ok"]:
        return own
    payload = _open(host, token)
    if payload is None:
        return {"ok": False, "status": 404, "error": "Could not recognize Fernet token"}
    if payload["expires"] < time.time():
        return {"ok": False, "status": 404, "error": "Could not find token: it has expired"}
    if payload["user"] not in _users(host.root):
        return {"ok": False, "status": 404, "error": f"Could not find user: {payload['user']}."}
    return {"ok": True, "status": 200, "user": payload["user"]}


def _keys(host: world.Host) -> list[bytes]:
    """Primary key first: the highest number; 0 is staged."""
    folder = host.volume(KEYS)
    try:
        numbers = sorted((int(name) for name in os.listdir(folder) if name.isdigit()), reverse=True)  # noqa: PTH208
    except FileNotFoundError:
        return []
    found = []
    for number in numbers:
        with open(f"{folder}/{number}", "rb") as stream:  # noqa: PTH123
            found.append(stream.read().strip())
    return found


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()


def _open(host: world.Host, token: str) -> dict[str, Any] | None:
    return payload_of(token, _keys(host))


def payload_of(token: str, keys: list[bytes]) -> dict[str, Any] | None:
    """What is in a token that one of the keys made; None when none did."""
    try:
        raw = base64.urlsafe_b64decode(token.encode())
    except (ValueError, UnicodeEncodeError):
        return None
    body, mac = raw[:-32], raw[-32:]
    if not any(hmac.compare_digest(_mac(key, body), mac) for key in keys):
        return None
    payload: dict[str, Any] = json.loads(body[9:])
    return payload


def _unavailable(host: world.Host) -> dict[str, Any] | None:
    fronts = any(world.Host(host.root, name).running("haproxy") for name in world.hosts(host.root))
    if not fronts:
        return {"ok": False, "status": 0, "error": "Connection refused"}
    keystones = [world.Host(host.root, name) for name in world.hosts(host.root)]
    if not any(item.running("keystone") for item in keystones):
        return {"ok": False, "status": 503, "error": "No server is available to handle this request"}
    if world.galera_size(host.root) == 0 or schemas.load(host.root, "keystone") is None:
        return {"ok": False, "status": 500, "error": _BROKEN}
    return None


def _users(root: str) -> dict[str, str]:
    tables = (schemas.load(root, "keystone") or {"tables": {}})["tables"]
    return {row[1]: row[2] for row in tables.get("user", {"rows": []})["rows"]}


def _login(root: str, user: str, password: str) -> dict[str, Any] | None:
    stored = _users(root).get(user, "")
    if not stored or secret_hash(password, stored.split("$")[0]) != stored:
        return {"ok": False, "status": 401, "error": "The request you have made requires authentication."}
    return None


def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
