"""The table of what to check next, and which of its rules hold. The knowledge is in rules.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from upgrader.diagnose.model import Check, Match

SHOWN = 3
_FILE = Path(__file__).parent / "rules.toml"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. Empty conditions are none; `either`: states or says are enough."""

    id: str
    weight: int
    means: str
    checks: tuple[tuple[str, str, str], ...]
    """(title, command, what to expect), with names in braces."""
    states: frozenset[str] = frozenset()
    says: tuple[re.Pattern[str], ...] = ()
    roles: frozenset[str] = frozenset()
    either: bool = False
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line that may say something, and where it stands."""

    text: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the rules are held against."""

    states: Mapping[str, Mapping[str, str]]
    """State → what it is about (`host`, `container`, `database`)."""
    lines: tuple[Line, ...]
    """The failure's own words first, then the logs, nearest to the moment first."""
    roles: frozenset[str]
    about: Mapping[str, str]
    """What names in braces stand for where the rule does not say better."""


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, heaviest first."""
    with _FILE.open("rb") as stream:
        rows = tomllib.load(stream)["rules"]
    found = [
        Rule(
            id=row["id"],
            weight=row["weight"],
            means=row["means"],
            checks=tuple((check["title"], check["command"], check.get("expect", "")) for check in row["checks"]),
            states=frozenset(row.get("states", ())),
            says=tuple(re.compile(pattern) for pattern in row.get("says", ())),
            roles=frozenset(row.get("roles", ())),
            either=row.get("either", False),
            source=tuple(row["source"]),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda rule: -rule.weight))


@dataclass(frozen=True, slots=True)
class Held:
    """A rule that holds, the line that says so, and what it is about."""

    rule: Rule
    line: str
    about: Mapping[str, str]


def holding(seen: Seen) -> tuple[Held, ...]:
    """The rules that hold, heaviest first."""
    return tuple(held for rule in rules() if (held := _hold(rule, seen)) is not None)


def _hold(rule: Rule, seen: Seen) -> Held | None:
    if rule.roles and not rule.roles & seen.roles:
        return None
    state = next((name for name in sorted(rule.states) if name in seen.states), None)
    line = next((line for line in seen.lines if any(pattern.search(line.text) for pattern in rule.says)), None)
    wanted = [found for asked, found in ((rule.states, state), (rule.says, line)) if asked]
    if wanted and not (any if rule.either else all)(found is not None for found in wanted):
        return None
    about = {**seen.about, **({"host": line.host} if line and line.host else {})}
    if state is not None:
        about |= {key: value for key, value in seen.states[state].items() if value}
    return Held(rule, line.text if line else "", about)


def checks(held: Iterable[Held]) -> tuple[Check, ...]:
    """The three checks to do next, each command once. A rule gives its second check only after every first one."""
    rows = [*held]
    firsts = [row for row in rows if row.rule.weight > 1]
    found: dict[str, Check] = {}
    for check in (*_nth(firsts, 0), *_nth(firsts, 1), *(c for n in range(3) for c in _nth(rows, n))):
        found.setdefault(check.command, check)
    return tuple(found.values())[:SHOWN]


def _nth(rows: Iterable[Held], number: int) -> Iterator[Check]:
    for row in rows:
        if number < len(row.rule.checks):
            title, command, expect = (_filled(text, row.about) for text in row.rule.checks[number])
            yield Check(title, command, expect, row.rule.id)


_PLAIN = re.compile(r"^[\w.:/@+~-]+$", re.ASCII)


class _Names(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key.upper()


def _filled(text: str, about: Mapping[str, str]) -> str:
    """With the names filled in; one that a shell could take for more than a word is left to the reader."""
    return text.format_map(_Names({key: value for key, value in about.items() if _PLAIN.match(value)}))


def signs(held: Iterable[Held]) -> tuple[Match, ...]:
    """The rules that a line speaks for, as something known."""
    return tuple(
        Match(row.rule.id, "sign", row.rule.means, row.line, source=row.rule.source) for row in held if row.line
    )
