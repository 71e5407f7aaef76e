"""Services and how many hosts they are done on: the values that `status` shows, made from counts or from images.

Pure and light. Names only of hosts that are not done; a thousand that are cost one number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from upgrader.progress.tally import Tally

MOST = 8
"""Hosts that are named of one service; `more` counts the rest."""
State = Literal["done", "now", "part", "stopped"]


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service (role, where plays told; container, where images did)."""

    name: str
    state: State
    """`part`: not on all hosts; `stopped`: was under way when the work on it ended."""
    done: int
    total: int
    failed: tuple[tuple[str, str], ...] = ()
    """(host, task it broke off at); the first MOST."""
    left: tuple[str, ...] = ()
    """Hosts it is not done on, besides the failed ones; the first MOST, and only where some are done."""
    more: int = 0
    """Hosts that are neither done nor named."""


@dataclass(frozen=True, slots=True)
class Services:
    """Progress by service."""

    source: Literal["plays", "images"]
    at: str = ""
    """When it was seen; empty: now, or in the attempt."""
    lines: tuple[ServiceLine, ...] = ()

    @property
    def done(self) -> int:
        return sum(line.state == "done" for line in self.lines)


def from_plays(tallies: Sequence[Tally], *, running: bool) -> Services | None:
    """Of an attempt's plays, each of which may have worked on other hosts; None where none was counted."""
    order: dict[str, None] = {}
    for tally in tallies:
        order.update(dict.fromkeys(name for name, known in tally.roles.items() if known.hosts or name == tally.now))
    if not order:
        return None
    last = tallies[-1]
    return Services("plays", lines=tuple(_line(name, tallies, last, running=running) for name in order))


def _line(name: str, tallies: Sequence[Tally], last: Tally, *, running: bool) -> ServiceLine:
    done: set[str] = set()
    every: set[str] = set()
    broken: dict[str, str] = {}
    for tally in tallies:
        known = tally.roles.get(name)
        if known is None:
            continue
        every |= known.hosts
        fine = known.hosts - set(known.broken)
        if known.ended:
            done |= fine
            broken = {host: task for host, task in broken.items() if host not in fine}
        else:
            done -= fine  # worked on once more
        broken |= known.broken
        done -= set(known.broken)
    state: State = "done" if len(done) == len(every) else "part"
    if last.now == name:
        state = "now" if running else "stopped"
    left = sorted(every - done - set(broken)) if done and state != "now" else []
    failed = sorted(broken.items())
    hidden = max(0, len(failed) - MOST) + max(0, len(left) - MOST)
    return ServiceLine(name, state, len(done), len(every), tuple(failed[:MOST]), tuple(left[:MOST]), hidden)


def from_images(rows: Iterable[tuple[str, str, Sequence[str]]], target: str, at: str) -> Services | None:
    """Of what was seen on the hosts: (container, release, hosts). None where no container runs `target`."""
    seen: dict[str, dict[str, set[str]]] = {}
    for name, release, hosts in rows:
        seen.setdefault(name, {}).setdefault(release, set()).update(hosts)
    if not any(target in releases for releases in seen.values()):
        return None
    lines = []
    for name, releases in sorted(seen.items()):
        done = releases.get(target, set())
        every = set().union(*releases.values())
        left = sorted(every - done)
        state: State = "part" if left else "done"
        named = tuple(left[:MOST]) if done else ()
        lines.append(ServiceLine(name, state, len(done), len(every), left=named, more=len(left) - len(named)))
    return Services("images", at, tuple(lines))
