"""Takes known secrets out of everything before it is written, shown or raised.

Owns the forms in which a secret can turn up in text (as it is, escaped, quoted, in base64, broken over lines) and
a few shapes that are secret whatever their value. Knows no files: the values come from whoever read them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

MASK = "********"
SHORTEST = 4
"""Values shorter than this are not taken out: they are indistinguishable from ordinary words."""

_SHAPES = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), MASK),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"), rf"\1{MASK}"),
    (
        re.compile(
            r"""((?:passw(?:or)?d|passphrase|secret|api_?key|auth_?token|private_?key)[\w-]*\\*["']?\s*[:=]\s*\\*["'])"""
            r"""[^"'\\\s]{4,}""",
            re.I,
        ),
        rf"\1{MASK}",
    ),
)


def _base64_forms(secret: bytes) -> Iterable[str]:
    """How `secret` looks inside base64 of a longer text, at each of the three places it can begin at."""
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + secret).decode().rstrip("=")
        # the outermost characters also carry bits of the neighbours
        start = 0 if shift == 0 else shift + 1
        end = len(whole) if (shift + len(secret)) % 3 == 0 else len(whole) - 1
        core = whole[start:end]
        if len(core) >= 8:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _forms(secret: str) -> set[str]:
    forms = {secret, repr(secret)[1:-1], quote(secret), quote(secret, safe="")}
    in_shell = secret.replace("'", "'\"'\"'")
    for plain in {secret, repr(secret)[1:-1], in_shell, repr(in_shell)[1:-1]}:
        for ascii_only in (True, False):
            once = json.dumps(plain, ensure_ascii=ascii_only)[1:-1]
            forms |= {once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]}
    forms |= {in_shell, repr(in_shell)[1:-1]}
    forms.add(secret.replace("'", "''"))
    forms.update(_base64_forms(secret.encode()))
    return {form for form in forms if len(form) >= SHORTEST}


class Redactor:
    """Replaces every known secret by a mask. Longest first, so that no rest of a longer one stays behind."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._ordered: list[str] = []
        self._unbroken: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Know more secrets. The lines of a value of several lines (a key) count as secrets of their own."""
        fresh = {secret for secret in secrets if len(secret.strip()) >= SHORTEST} - self._secrets
        if not fresh:
            return
        for secret in tuple(fresh):
            fresh |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= 16}
            fresh.add(secret.strip())
        self._secrets |= fresh
        forms = set[str]().union(*(_forms(secret) for secret in self._secrets))
        self._ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._unbroken = [form for form in self._ordered if len(form) >= 8 and not any(map(str.isspace, form))]

    @property
    def secrets(self) -> frozenset[str]:
        return frozenset(self._secrets)

    def holds(self, text: str) -> bool:
        """Whether a known secret is in the text, in any form."""
        return any(form in text for form in self._ordered)

    def text(self, text: str) -> str:
        """The text without secrets; also without what merely looks like one (`password: "…"`, keys, URL logins)."""
        for form in self._ordered:
            if form in text:
                text = text.replace(form, MASK)
        if "\n" in text:
            text = self._join(text)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text

    def _join(self, text: str) -> str:
        """Take out secrets that were broken over lines: Ansible folds its warnings at the terminal's width."""
        packed = re.sub(r"\s+", "", text)
        for form in self._unbroken:
            if form in packed:
                text = re.sub(r"\s*".join(map(re.escape, form)), MASK, text)
        return text

    def value(self, value: Any) -> Any:
        """The same JSON-like value with every string in it, keys too, without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


class RedactedStream:
    """Stands in for standard output or error, so that a traceback cannot carry a secret into a log file."""

    def __init__(self, write: Callable[[str], object], redactor: Redactor) -> None:
        self._write = write
        self._redactor = redactor

    def write(self, text: str) -> int:
        self._write(self._redactor.text(text))
        return len(text)

    def flush(self) -> None:
        return None
