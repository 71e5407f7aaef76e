"""Takes secrets out of a diagnosis: the site's own values in every form, and what is a secret by its shape.

Goes over the finished diagnosis as a whole, so that no part of it can be forgotten. Rather takes out too much: the
file is made to be given away. What a host says is also made harmless to look at: no terminal codes, no controls.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from upgrader.redact import MASK, Redactor
from upgrader.runner.events import visible

Part = TypeVar("Part")
SHORTEST = 4
"""Values of passwords.yml from this length on are taken out wherever they are, also inside of words."""

_WORD = (
    r"(?:passw(?:or)?ds?|passphrase|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|private[_-]?key|credential)"
)
_NO_VALUE = r"(?!(?:yes|no|none|null|true|false|undefined|required|is|was|for|not|and|has|must)\b|\*{8})"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.I if flags else 0), replacement)
    for pattern, replacement, flags in (
        (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", MASK, False),
        # headers: everything up to the end of the value
        (
            r"((?:proxy-)?authorization|x-(?:auth|subject|service|storage)-token|set-cookie|cookie|x-api-key)"
            r"((?:\\*[\"'])?\s*[:=]\s*(?:b?\\*[\"'])?|\\*[\"']\s*,\s*b?\\*[\"'])[^\r\n\"'\\]+",
            rf"\1\2{MASK}",
            True,
        ),
        (r"\b(bearer|basic|digest|negotiate)\s+[A-Za-z0-9+/=._~-]{8,}", rf"\1 {MASK}", True),
        (r"\bgAAAA[A-Za-z0-9_=%-]{16,}", MASK, False),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?", MASK, False),
        # logins of connection URLs, also of the further hosts in a list
        (r"([a-z][a-z0-9+.-]{1,40}://)[^/\s\"'<>,]{1,300}@", rf"\1{MASK}@", True),
        (r"(?<=,)[^/\s\"'<>,@:]{1,100}:[^/\s\"'<>,@]{1,200}@", f"{MASK}@", False),
        (r"(identified\s+(?:by|via\s+\S+\s+using)(?:\s+password)?\s+)(?:'[^']*'|\"[^\"]*\")", rf"\1{MASK}", True),
        # name = value, also quoted, escaped, as an option
        (
            rf"({_WORD}[\w-]{{0,60}}(?:\\*[\"'])?\s*(?:[:=]|=>)\s*(?:u?\\*[\"'])?)"
            rf"{_NO_VALUE}[^\s\"',;}}{{)\]\\]{{3,}}",
            rf"\1{MASK}",
            True,
        ),
        (rf"(--[\w-]{{0,40}}(?:{_WORD}|token)[\w-]{{0,20}}\s+){_NO_VALUE}\S+", rf"\1{MASK}", True),
        (r"(\b(?:mysql|mariadb)\w*\b[^\n]{0,200}?\s-p)[^\s-]\S*", rf"\1{MASK}", False),
        # hashes of passwords, keys of object stores, Fernet keys
        (r"\$(?:2[abxy]|5|6|y|argon2\w*|scrypt|pbkdf2[\w-]*)\$[^\s\"',:]+", MASK, False),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", MASK, False),
        (r"(?<![\w/+-])[A-Za-z0-9_-]{43}=(?![\w=])", MASK, False),
        (r"(?<![*\w])\*[0-9A-F]{40}\b", MASK, False),
    )
)
_UNSEEN = frozenset({"Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CUT = " bytes of this line left out]"
_KEY_BEGINS, _KEY_ENDS = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY"), re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY")
_KEY_BODY = re.compile(r"^\W{0,4}(?![0-9a-f]+\s*$)[A-Za-z0-9+][A-Za-z0-9+/]{59,75}={0,2}\s*$")


def _plain(text: str) -> str:
    """With characters that nobody sees, or that turn the direction of what follows, made visible."""
    if text.isascii():
        return text
    return "".join(f"\\u{ord(char):04x}" if unicodedata.category(char) in _UNSEEN else char for char in text)


class Scrubber:
    """Knows the site's secrets. `values`: those that can be read; fewer than there are when files are locked."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._redactor = Redactor(value for value in values if len(value.strip()) >= SHORTEST)

    def text(self, text: str) -> str:
        """One text without secrets and without terminal codes; its line ends stay."""
        # the site's own values first: a shape may take half of one and leave the other half unrecognisable
        clean = self._redactor.text(_plain(visible(text)))
        if clean.endswith(_CUT):
            whole, dots, rest = clean.rpartition(" ... [")
            clean = f"{whole.rpartition(' ')[0]} …{dots}{rest}"
        for shape, replacement in _SHAPES:
            clean = shape.sub(replacement, clean)
        return clean

    def whole(self, part: Part) -> Part:
        """The same value with every text in it scrubbed, at any depth."""
        return self._value(part)  # type: ignore[no-any-return]

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, tuple):
            return tuple(self._value(item) for item in value)
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{item.name: self._value(getattr(value, item.name)) for item in fields(value)})
        return value


def without_keys(lines: Iterable[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """Lines of a log with private keys taken out, also of one whose first or last line is not among them."""
    found: list[tuple[float, str]] = []
    inside = False
    for at, text in lines:
        if _KEY_BEGINS.search(text):
            inside = not _KEY_ENDS.search(text)
            found.append((at, MASK))
        elif _KEY_ENDS.search(text):
            inside = False
            found.append((at, MASK))
        elif _KEY_BODY.match(text) or (inside and len(text) < 100 and " " not in text.strip()):
            if not found or found[-1][1] != MASK:
                found.append((at, MASK))
        else:
            inside = False
            found.append((at, text))
    return tuple(found)
