"""The addresses of notices: read from a file or a variable, checked, and never shown.

One per line; `#` begins a comment line. `NAME = ADDRESS` names one; otherwise it is called by its kind and its place
(`mailto-2`). `webhook+https://…` is ours (see `webhook.py`); everything else is Apprise's own notation. An address
holds tokens or passwords, in Slack's notation even where its host would be, so messages speak of names and kinds alone.
"""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from upgrader.errors import ConfigError
from upgrader.notice_rules import SECTION, NoticeRules

WEBHOOK = frozenset({"webhook+https", "webhook+http"})
_LINE = re.compile(
    r"^(?:(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]{0,39})\s*=\s*)?(?P<url>(?P<kind>[A-Za-z][A-Za-z0-9+.-]{1,30})://\S.*)$"
)
_MOST = 50
_LARGEST = 64 * 1024
NEEDS_APPRISE = "pip install 'upgrader[notices]'"


@dataclass(frozen=True, slots=True)
class Address:
    """One place notices go to."""

    name: str
    """For people; unique within a site."""
    url: str = field(repr=False)

    @property
    def kind(self) -> str:
        return self.url.partition("://")[0].lower()

    @property
    def ours(self) -> bool:
        return self.kind in WEBHOOK


def read_addresses(rules: NoticeRules, variable: str | None = None) -> tuple[Address, ...]:
    """The site's addresses. `variable`: the value of `urls_environment` where it was read already.

    Raises ConfigError, naming lines and never what is in them: not there, readable by others, not an address, none.
    """
    if rules.urls_file is not None:
        where = str(rules.urls_file)
        text = read_secret(rules.urls_file, "file of addresses")
    else:
        where = f"${rules.urls_environment}"
        text = os.environ.get(rules.urls_environment, "") if variable is None else variable
        if not text.strip():
            raise ConfigError(
                f"The variable {rules.urls_environment} ([{SECTION}] urls_environment) is not set.",
                next_command=f"export {rules.urls_environment}",
                reason="bad-notice-address",
            )
    return parse_addresses(text, where)


def parse_addresses(text: str, where: str) -> tuple[Address, ...]:
    """The addresses in a text. Raises ConfigError naming every line that is none."""
    found: dict[str, Address] = {}
    faults = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None or not line.isprintable():
            faults.append(f"line {number}: no address (KIND://…, or NAME = KIND://…)")
            continue
        name = match["name"] or f"{match['kind'].lower()}-{len(found) + 1}"
        if name in found:
            faults.append(f"line {number}: {name} is the name of another line")
        found[name] = Address(name, match["url"])
    if not found and not faults:
        faults.append("it holds no address")
    if len(found) > _MOST:
        faults.append(f"it holds {len(found)} addresses, at most {_MOST} are told")
    if faults:
        raise ConfigError(
            f"{where} is no list of addresses for notices.", details=faults, next_command="upgrader notices test",
            reason="bad-notice-address",
        )  # fmt: skip
    return tuple(found.values())


def read_secret(path: Path, what: str) -> str:
    """A file that only its owner may read. Raises ConfigError saying why it is not used; never what it holds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise _unusable(path, what, "is not there", f"(umask 077; touch {path})") from None
    except OSError as error:
        raise _unusable(path, what, f"cannot be read: {error.strerror}") from None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise _unusable(path, what, "is no regular file")
        if about.st_mode & 0o077:
            mode = f"can be read by others (mode {stat.S_IMODE(about.st_mode):04o})"
            raise _unusable(path, what, mode, f"chmod 600 {path}")
        data = os.read(descriptor, _LARGEST + 1)
    except OSError as error:
        raise _unusable(path, what, f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > _LARGEST:
        raise _unusable(path, what, f"is larger than {_LARGEST // 1024} KiB")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _unusable(path, what, "is not UTF-8 text") from None


def _unusable(path: Path, what: str, why: str, command: str = "") -> ConfigError:
    return ConfigError(
        f"The {what} {path} ([{SECTION}]) {why}.", next_command=command or f"ls -l {path}", reason="bad-notice-file"
    )


def lacking(addresses: Iterable[Address]) -> str:
    """What is not installed for these addresses; empty when nothing is missing."""
    names = [address.name for address in addresses if not address.ours]
    if not names or importlib.util.find_spec("apprise") is not None:
        return ""
    return f"Apprise is not installed for {sys.executable}, so {', '.join(names)} cannot be told: {NEEDS_APPRISE}"
