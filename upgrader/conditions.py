"""Does a condition of the release graph hold for a cloud? Three answers: yes, no, unknown.

The graph states conditions as text (`enable_zun and neutron_plugin_agent == ovn`, `custom playbooks`). Only what can
be decided without interpretation is decided: enable variables and plain comparisons with settings or host systems,
joined by and, or, not. Every other phrase is unknown and is left to the operator; it is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Answer = Literal["yes", "no", "unknown"]

_TOKENS = re.compile(r"(?<![\w])\(|\)|\band\b|\bor\b")
_ENABLE = re.compile(r"^enable_[a-z0-9_]+$")
_GROUP = re.compile(r"^missing_group\(([\w-]+)\)$")
_EQUALS = re.compile(r"^([a-z0-9_]+) == ([\w.-]+)$")
_TRUE, _FALSE = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a cloud: the settings its operator made, the services and host systems that were seen."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Scalars of globals.yml and globals.d, as text."""
    enabled: Callable[[str], bool | None] = lambda _name: None
    """Whether a service was seen to run, by the name in its enable variable; None: cannot be told."""
    host_systems: frozenset[str] | None = None
    """`debian-bookworm` and so on, of every host; None: not all hosts were read."""
    groups: frozenset[str] | None = None
    """Groups of the inventory; None: not read."""


def holds(condition: str, known: Known) -> Answer:
    """Whether the condition holds, as far as it can be decided."""
    parts = _Parts(condition)
    answer = _either(parts, known)
    return answer if parts.done else "unknown"


class _Parts:
    """The condition cut at and, or and grouping parentheses; everything between them is one phrase."""

    def __init__(self, text: str) -> None:
        self._parts: list[str] = []
        at = depth = 0
        for match in _TOKENS.finditer(text):
            mark = match[0]
            if mark == ")":
                # a parenthesis that closes none of ours belongs to a phrase such as count(cinder-volume) > 1
                if depth == 0 or text.count("(", at, match.start()) > text.count(")", at, match.start()):
                    continue
                depth -= 1
            elif mark == "(":
                depth += 1
            self._add(text[at : match.start()])
            self._parts.append(mark)
            at = match.end()
        self._add(text[at:])
        self._at = 0

    def _add(self, text: str) -> None:
        phrase = text.strip()
        while phrase.startswith("not "):
            self._parts.append("not")
            phrase = phrase[4:].strip()
        if phrase == "not":
            self._parts.append("not")
        elif phrase:
            self._parts.append(phrase)

    @property
    def done(self) -> bool:
        return self._at == len(self._parts)

    def take(self, token: str) -> bool:
        if not self.done and self._parts[self._at] == token:
            self._at += 1
            return True
        return False

    def phrase(self) -> str:
        if self.done:
            return ""
        self._at += 1
        return self._parts[self._at - 1]


def _either(parts: _Parts, known: Known) -> Answer:
    answers = [_both(parts, known)]
    while parts.take("or"):
        answers.append(_both(parts, known))
    return "yes" if "yes" in answers else "unknown" if "unknown" in answers else "no"


def _both(parts: _Parts, known: Known) -> Answer:
    answers = [_one(parts, known)]
    while parts.take("and"):
        answers.append(_one(parts, known))
    return "no" if "no" in answers else "unknown" if "unknown" in answers else "yes"


def _one(parts: _Parts, known: Known) -> Answer:
    if parts.take("not"):
        opposite: dict[Answer, Answer] = {"yes": "no", "no": "yes", "unknown": "unknown"}
        return opposite[_one(parts, known)]
    if parts.take("("):
        answer = _either(parts, known)
        return answer if parts.take(")") else "unknown"
    return _phrase(parts.phrase(), known)


def _phrase(phrase: str, known: Known) -> Answer:
    if phrase == "always":
        return "yes"
    if _ENABLE.match(phrase):
        return _enabled(phrase, known)
    group = _GROUP.match(phrase)
    if group:
        return _member(known.groups, group[1], inside="no")
    match = _EQUALS.match(phrase)
    if not match:
        return "unknown"
    name, wanted = match.groups()
    if name == "host_os":
        return _member(known.host_systems, wanted, inside="yes")
    return _setting(known.settings.get(name), wanted)


def _member(names: frozenset[str] | None, name: str, *, inside: Answer) -> Answer:
    if names is None:
        return "unknown"
    return inside if name in names else ("no" if inside == "yes" else "yes")


def _enabled(name: str, known: Known) -> Answer:
    said = known.settings.get(name, "").strip().lower()
    if said in _TRUE:
        return "yes"
    if said in _FALSE:
        return "no"
    if said:  # an expression, which only Ansible can work out
        return "unknown"
    seen = known.enabled(name.removeprefix("enable_"))
    return "unknown" if seen is None else "yes" if seen else "no"


def _setting(said: str | None, wanted: str) -> Answer:
    if said is None or "{{" in said:
        return "unknown"
    said = said.strip()
    if wanted in _TRUE + _FALSE:
        value = said.lower()
        if value not in _TRUE + _FALSE:
            return "unknown"
        return "yes" if (value in _TRUE) == (wanted in _TRUE) else "no"
    return "yes" if said == wanted else "no"
