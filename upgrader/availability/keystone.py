"""The two questions to Keystone that every client depends on: a token for a password, and whether a token is valid.

Holds the account's password and one token in memory, and gives neither to anything but the request. After a refusal of
the password that never worked nothing more is asked with it, so that no account is locked by asking.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from upgrader.availability.address import Address, address_of, keystone_base
from upgrader.availability.exchange import Outcome, request

TOKEN, VALIDATION = "keystone token", "keystone validation"
_KEPT = 600.0
"""Seconds after which a token is replaced by a fresh one, while tokens are to be had."""
_HARMFUL = 3
"""Refusals of a password in a row after which it is asked for rarely: accounts are locked after some."""
_RARELY = 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks. Its representation holds no secret."""

    user: str
    project: str
    password: str = field(repr=False)
    user_domain: str = "Default"
    project_domain: str = "Default"

    def body(self) -> bytes:
        user = {"name": self.user, "domain": {"name": self.user_domain}, "password": self.password}
        scope = {"project": {"name": self.project, "domain": {"name": self.project_domain}}}
        identity = {"methods": ["password"], "password": {"user": user}}
        return json.dumps({"auth": {"identity": identity, "scope": scope}}).encode()


def account_of(document: Mapping[str, Any]) -> Account:
    """From the form in which it is handed over. Raises KeyError."""
    return Account(
        str(document["user"]), str(document["project"]), str(document["password"]),
        str(document.get("user_domain") or "Default"), str(document.get("project_domain") or "Default"),
    )  # fmt: skip


class Keystone:
    """What is known from Keystone's answers so far, and the next question to it."""

    def __init__(self, base: str, account: Account) -> None:
        self.base = keystone_base(base)
        self._body = account.body()
        self._password = account.password
        self._token = ""
        self._token_at = 0.0
        self._refused = 0
        self.worked = False
        self.catalogue: list[Any] | None = None
        """As the last answer that had one gave it."""
        self.want_catalogue = True

    @property
    def url(self) -> str:
        return f"{self.base}/v3/auth/tokens"

    def _address(self) -> Address:
        return address_of(self.url if self.want_catalogue else f"{self.url}?nocatalog")

    def issue(self) -> tuple[Address, bytes]:
        """The question for a token."""
        address = self._address()
        return address, request(address, "POST", body=self._body)

    def validate(self) -> tuple[Address, bytes] | None:
        """The question whether the token is valid; None while there is none."""
        if not self._token:
            return None
        address = address_of(f"{self.url}?nocatalog")
        lines = f"X-Auth-Token: {self._token}\r\nX-Subject-Token: {self._token}\r\n"
        return address, request(address, headers=lines, keep=address.tls)

    def issued(self, outcome: Outcome, now: float) -> str:
        """Take the answer to `issue`. Returns why it is none; empty when a token was issued."""
        if outcome.status == 201:
            token = outcome.header("X-Subject-Token")
            if not _printable(token):
                return "garbage a token was promised and none was given"
            self._refused, self.worked = 0, True
            if not self._token or now - self._token_at > _KEPT:
                self._token, self._token_at = token, now
            self._learn(outcome)
            return ""
        if outcome.status in (401, 403):
            self._refused += 1
        words = words_of(outcome)
        return f"{outcome.status} {'' if self._password in words else words}".rstrip()

    def validated(self, outcome: Outcome) -> str:
        """Take the answer to `validate`. Returns why the token is not valid; empty when it is."""
        if outcome.status == 200:
            return ""
        if outcome.status in (401, 404):
            # whatever became of it, the next one is fresh: the token of before is refused, and that is recorded
            self._token = ""
        # its words are left out: they repeat the token
        return str(outcome.status)

    @property
    def pause(self) -> float:
        """Seconds to wait before the next request for a token, besides the usual."""
        return _RARELY if self._refused >= _HARMFUL else 0.0

    def _learn(self, outcome: Outcome) -> None:
        if not self.want_catalogue:
            return
        try:
            found = json.loads(body_of(outcome))["token"]["catalog"]
        except (ValueError, KeyError, TypeError):
            return
        if isinstance(found, list):
            self.catalogue, self.want_catalogue = found, False


def _printable(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and len(token) < 16384


def body_of(outcome: Outcome) -> bytes:
    """The answer's body, put together where it came in chunks."""
    if "chunked" not in outcome.header("Transfer-Encoding").lower():
        return outcome.body
    whole, rest = b"", outcome.body
    while match := re.match(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n", rest):
        size = int(match[1], 16)
        whole += rest[match.end() : match.end() + size]
        rest = rest[match.end() + size + 2 :]
        if not size:
            break
    return whole


def words_of(outcome: Outcome) -> str:
    """What Keystone says of a refusal, in one short line; empty when it says nothing."""
    try:
        said = json.loads(body_of(outcome))["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return " ".join(str(said).split())[:120]
