"""Where an inventory written as INI sets variables, line by line.

Which variables a group or host really has is Ansible's answer; this finds the place of it in the operator's file.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_SECTION = re.compile(r"^\[([^\]:]+)(?::(\w+))?\]")
_RANGE = re.compile(r"\[([A-Za-z0-9]+):([A-Za-z0-9]+)(?::(\d+))?\]")


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable as one line sets it for a group, or for hosts (`entity` may be a range such as `cmp[01:40]`)."""

    kind: Literal["group", "host"]
    entity: str
    name: str
    text: str
    line: int


def settings_of(text: str) -> Iterator[Setting]:
    """Everything an INI inventory sets, in its order. A line that cannot be read is passed over.

    Source: ansible/plugins/inventory/ini.py of ansible-core 2.19: comments only at the beginning of a line in
    `:vars` sections, anywhere after hosts.
    """
    section, kind = "ungrouped", ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if match := _SECTION.match(line):
            section, kind = match[1], match[2] or ""
        elif kind == "vars":
            name, found, value = line.partition("=")
            if found:
                yield Setting("group", section, name.strip(), value.strip(), number)
        elif kind == "":
            yield from _host_settings(line, number)


def _host_settings(line: str, number: int) -> Iterator[Setting]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    for word in words[1:]:
        name, found, value = word.partition("=")
        if found:
            yield Setting("host", words[0], name, value, number)


def names_host(entity: str, host: str) -> bool:
    """Whether the first word of a host's line means `host`; ranges count, a port does not."""
    entity = re.sub(r":\d+$", "", entity)
    if entity == host:
        return True
    parts: list[str] = []
    position = 0
    for match in _RANGE.finditer(entity):
        parts += [re.escape(entity[position : match.start()]), _choices(match[1], match[2], int(match[3] or 1))]
        position = match.end()
    return bool(parts) and re.fullmatch("".join([*parts, re.escape(entity[position:])]), host) is not None


def _choices(first: str, last: str, step: int) -> str:
    if first.isdigit() and last.isdigit():
        width = len(first) if first.startswith("0") else 0
        found = [str(number).zfill(width) for number in range(int(first), int(last) + 1, max(step, 1))]
    else:
        letters = string.ascii_letters
        found = list(letters[letters.find(first) : letters.find(last) + 1 : max(step, 1)])
    return "(?:" + "|".join(found) + ")"
