"""The token: read from a file, held against what a request carries, never shown.

A browser asks for it by itself (HTTP Basic: any user name, the token as password) and sends it again with every
reconnect; scripts send `Authorization: Bearer`. It is no part of any address, argv, page or log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stat
from pathlib import Path

from upgrader.errors import ConfigError
from upgrader.serve.address import Address

SHORTEST = 24
"""Characters: nobody guesses that over a network."""
_LONGEST = 4096
MAKE = "(umask 077; python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > {path})"


class Token:
    """Knows the token's digest only."""

    def __init__(self, text: str) -> None:
        self._digest = _digest(text)

    def opens(self, authorization: str) -> bool:
        """Whether an Authorization header carries it; as quick for a wrong one as for the right one."""
        scheme, _, value = authorization.strip().partition(" ")
        given = value.strip()
        if scheme.lower() == "basic":
            given = _password(given)
        elif scheme.lower() != "bearer":
            given = ""
        return hmac.compare_digest(_digest(given), self._digest)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _password(encoded: str) -> str:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return text.partition(":")[2]


def read_token(path: Path) -> Token:
    """The token in a file. Raises ConfigError: not there, readable by others, too short, or no text."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise _wrong(path, "is no regular file")
        text = path.read_bytes()[: _LONGEST + 1].decode().strip()
    except FileNotFoundError:
        raise _wrong(path, "is not there") from None
    except UnicodeDecodeError:
        raise _wrong(path, "is not text") from None
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror}") from None
    if about.st_mode & 0o077:
        command = f"chmod 600 {path}"
        raise _wrong(path, f"can be read by others (mode {stat.S_IMODE(about.st_mode):04o})", command)
    if not text.isprintable() or " " in text or len(text) > _LONGEST:
        raise _wrong(path, "holds more than one word of printable characters")
    if len(text) < SHORTEST:
        raise _wrong(path, f"holds {len(text)} characters, a token has at least {SHORTEST}")
    return Token(text)


def _wrong(path: Path, why: str, command: str = "") -> ConfigError:
    return ConfigError(
        f"The token file {path} {why}.", next_command=command or MAKE.format(path=path), reason="bad-token-file"
    )


def must_be_guarded(address: Address, token: Path | None) -> None:
    """Raises ConfigError for an address that others can reach, without a token."""
    if address.loopback or token is not None:
        return
    raise ConfigError(
        f"{address} can be reached from other machines, and no token guards the page.",
        details=[f"Make one:  {MAKE.format(path='serve.token')}", "Put TLS before it: your proxy, or an ssh tunnel."],
        next_command=f"upgrader serve --listen {address} --token-file serve.token",
        reason="no-token",
    )
