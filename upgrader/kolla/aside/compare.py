"""Two renderings of one cloud's configuration → what differs, service by service. Pure, apart from reading the two.

Differences that are the same on several hosts are told once. Texts are bounded, counts are not.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from upgrader.kolla.aside.conceal import Mark, shown
from upgrader.rendered import FileDifference, ServiceDifference

ETC = "/etc/kolla"
MOST_LINES_OF_A_FILE, MOST_LINES_OF_A_SERVICE = 300, 3000
_CONTEXT = 2

Kind = Literal["changed", "added", "removed"]
Texts = Mapping[tuple[str, str], str]
"""(host, file below the configuration folder) → text as it may be shown."""


@dataclass
class Difference:
    """What differs, and one text per service that shows it."""

    services: tuple[ServiceDifference, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)


def read_rendering(root: Path, mark: Mark, secret: Iterable[str] = ()) -> dict[tuple[str, str], str]:
    """Every rendered file below `root/<host>/`, as it may be shown. `secret`: paths whose content must not be."""
    hidden = set(secret)
    found = {}
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        host, _, name = str(file.relative_to(root)).partition("/")
        if name:
            # no release's own folder may make a difference
            data = file.read_bytes().replace(str(root / host).encode(), ETC.encode())
            found[host, name] = shown(name, data, mark, secret=str(file) in hidden)
    return found


def compare(before: Texts, after: Texts) -> Difference:
    """What differs between two renderings of the same hosts, in order of services and files."""
    hosts = sorted({host for host, _ in (*before, *after)})
    by_service: dict[str, list[tuple[FileDifference, list[str]]]] = {}
    for name in sorted({name for _, name in (*before, *after)}):
        for (kind, lines), where in _distinct(name, hosts, before, after).items():
            found = FileDifference(
                path=name,
                kind=kind,
                added=sum(line.startswith("+") for line in lines[2:]),
                removed=sum(line.startswith("-") for line in lines[2:]),
                hosts=tuple(where),
            )
            by_service.setdefault(name.partition("/")[0], []).append((found, list(lines)))
    return Difference(
        tuple(
            ServiceDifference(service=service, files=tuple(found for found, _ in parts))
            for service, parts in by_service.items()
        ),
        {service: _text(parts) for service, parts in by_service.items()},
    )


def _distinct(
    name: str, hosts: Iterable[str], before: Texts, after: Texts
) -> dict[tuple[Kind, tuple[str, ...]], list[str]]:
    """(kind, unified difference) → hosts where it is so."""
    found: dict[tuple[Kind, tuple[str, ...]], list[str]] = {}
    for host in hosts:
        old, new = before.get((host, name)), after.get((host, name))
        if old == new:
            continue
        kind: Kind = "added" if old is None else "removed" if new is None else "changed"
        lines = difflib.unified_diff(
            (old or "").splitlines(),
            (new or "").splitlines(),
            "/dev/null" if old is None else f"a/{name}",
            "/dev/null" if new is None else f"b/{name}",
            n=_CONTEXT,
            lineterm="",
        )
        found.setdefault((kind, tuple(lines)), []).append(host)
    return found


def _text(parts: list[tuple[FileDifference, list[str]]]) -> str:
    lines: list[str] = []
    for found, difference in parts:
        lines.append(f"# {found.path} {found.kind} on {', '.join(found.hosts)}: +{found.added} -{found.removed}")
        lines += difference[:MOST_LINES_OF_A_FILE]
        if len(difference) > MOST_LINES_OF_A_FILE:
            lines.append(f"# … {len(difference) - MOST_LINES_OF_A_FILE} more lines of this file")
    if len(lines) > MOST_LINES_OF_A_SERVICE:
        more = len(lines) - MOST_LINES_OF_A_SERVICE
        lines = [*lines[:MOST_LINES_OF_A_SERVICE], f"# … {more} more lines of this service"]
    return "\n".join(lines) + "\n"
