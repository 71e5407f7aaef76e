"""A parsed TOML file that collects every fault with section and key, so that an operator mends them in one go.

Knows shapes (text, path, choice, number), not what the keys mean. A section may lie in another: `backup.offbox`.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from upgrader.errors import ConfigError

_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")


def endless(value: object) -> bool:
    """TOML knows inf and nan, JSON does not."""
    return isinstance(value, float) and not math.isfinite(value)


_MISSING: Final = object()


class Table:
    """The parsed file with every fault collected, so that an operator mends them in one go."""

    def __init__(self, file: Path, data: dict[str, Any]) -> None:
        self.file, self.data = file, data
        self.faults: list[str] = []
        self.seen: set[tuple[str, str]] = set()
        self.lists: set[str] = set()

    def section(self, name: str) -> Mapping[str, Any]:
        """What stands in a section, `backup.offbox` too; empty when it is not there, or no section."""
        found: Any = self.data
        for word in name.split("."):
            found = found.get(word, {}) if isinstance(found, dict) else {}
        return found if isinstance(found, dict) else {}

    def value(self, section: str, key: str, default: Any) -> Any:
        self.seen.add((section, key))
        found = self.section(section).get(key, _MISSING)
        if found is _MISSING:
            return default
        if isinstance(found, bool | date | datetime | time | dict):
            self.faults.append(f"[{section}] {key}: wants text, has {type(found).__name__}")
            return default
        return found

    def text(self, section: str, key: str, default: str | None, shape: re.Pattern[str] | None = None) -> str:
        found = self.value(section, key, default)
        if found is None:
            self.faults.append(f"[{section}] {key}: missing")
        elif not isinstance(found, str) or (not found and default != ""):
            self.faults.append(f"[{section}] {key}: wants text, has {found!r}")
        elif shape and not shape.match(found):
            self.faults.append(f"[{section}] {key}: {found!r} has characters other than letters, digits, . _ -")
        else:
            return found
        return ""

    def choice(self, section: str, key: str, choices: tuple[str, ...], default: str) -> str:
        found = self.value(section, key, default)
        if found not in choices:
            self.faults.append(f"[{section}] {key}: {found!r} is none of {', '.join(choices)}")
            return default
        return str(found)

    def path(self, section: str, key: str, default: str | None) -> Path | None:
        found = self.value(section, key, default)
        if found is None:
            return None
        if not isinstance(found, str) or not found:
            self.faults.append(f"[{section}] {key}: wants a path, has {found!r}")
            return None
        return self.absolute(found)

    def required_path(self, section: str, key: str) -> Path:
        found = self.path(section, key, None)
        if found is None and not any(fault.startswith(f"[{section}] {key}:") for fault in self.faults):
            self.faults.append(f"[{section}] {key}: missing")
        return found or self.file.parent

    def paths(self, section: str, key: str) -> tuple[Path, ...]:
        found = self.value(section, key, [])
        if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
            self.faults.append(f"[{section}] {key}: wants a list of paths")
            return ()
        return tuple(self.absolute(item) for item in found)

    def texts(self, section: str, key: str) -> tuple[str, ...]:
        found = self.value(section, key, [])
        if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
            self.faults.append(f"[{section}] {key}: wants a list of texts")
            return ()
        return tuple(found)

    def flag(self, section: str, key: str, default: bool) -> bool:
        self.seen.add((section, key))
        found = self.section(section).get(key, default)
        if not isinstance(found, bool):
            self.faults.append(f"[{section}] {key}: wants true or false, has {found!r}")
            return default
        return found

    def parsed(self, section: str, key: str, parse: Callable[[Any], int], default: int, wants: str) -> int:
        found = self.value(section, key, _MISSING)
        if found is _MISSING:
            return default
        try:
            number = parse(found)
        except (ValueError, TypeError, AttributeError):
            number = -1
        if number < 0 or isinstance(found, float):
            self.faults.append(f"[{section}] {key}: {found!r} is not {wants}")
            return default
        return number

    def answers(self, section: str) -> tuple[tuple[str, str], ...]:
        """A section whose keys are the operator's to choose: names with a truth value, a text or a number each."""
        part = self.section(section)
        self.seen.add((section, ""))
        for key, value in part.items():
            self.seen.add((section, key))
            if not _VARIABLE.match(key):
                self.faults.append(f"[{section}] {key}: {key!r} has characters other than letters, digits and _")
            elif not isinstance(value, bool | str | int | float) or endless(value):
                self.faults.append(f"[{section}] {key}: wants true, false, text or a number, has {value!r}")
        return tuple(sorted((key, json.dumps(value)) for key, value in part.items() if not self.faults))

    def entries(self, name: str) -> Iterator[tuple[Table, str]]:
        """The entries of a list of sections `[[name]]`: each as a table of its own, with the section to ask it for.

        Keys that were not asked for until the next entry is taken are faults, as elsewhere.
        """
        self.seen.add((name, ""))
        self.lists.add(name)
        found = self.data.get(name, [])
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            self.faults.append(f"{name}: wants sections [[{name}]], each with two brackets")
            return
        for number, entry in enumerate(found, start=1):
            label = f"{name} {number}"
            part = Table(self.file, {label: entry})
            part.faults = self.faults
            yield part, label
            self.faults.extend(part._unknown(label, entry, {label}))

    def finish(self) -> None:
        """Raises ConfigError naming every fault, unknown sections and keys among them."""
        known = {section for section, _ in self.seen}
        for section, part in self.data.items():
            if section in self.lists:
                continue
            if section not in known:
                self.faults.append(f"[{section}]: no such section (known: {', '.join(sorted(known))})")
            else:
                self.faults.extend(self._unknown(section, part, known))
        if self.faults:
            raise ConfigError(
                f"{self.file} has {len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}.",
                cloud="Nothing was looked at or changed.",
                details=self.faults,
                reason="broken-site",
            )

    def _unknown(self, section: str, part: object, known: set[str]) -> Iterator[str]:
        if not isinstance(part, dict):
            yield f"{section}: wants a section [{section}], has a value"
            return
        for key, value in part.items():
            if f"{section}.{key}" in known:
                yield from self._unknown(f"{section}.{key}", value, known)
            elif (section, key) not in self.seen:
                yield f"[{section}] {key}: no such key"

    def absolute(self, text: str) -> Path:
        return Path(os.path.normpath(self.file.parent / Path(text).expanduser()))
