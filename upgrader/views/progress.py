"""Services and hosts in words: what is done in one line, and a line for each that is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from upgrader.progress.services import ServiceLine, Services
from upgrader.views.page import Piece, Span, Tone

MOST = 10
"""Services that are not done and get a line each."""
_MARKS: dict[str, tuple[str, Tone]] = {
    "now": ("→ ", "strong"), "part": ("· ", "warn"), "stopped": ("✗ ", "bad"), "done": ("✓ ", "good"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    spans: tuple[Piece, ...]
    indent: int = 0
    hang: int = 2


def service_lines(services: Services, most: int = MOST, newest: int = 0) -> Iterator[Line]:
    """The first says how many are done, and which (the `newest` alone, where given); each of the others one that is
    not."""
    done = [line.name for line in services.lines if line.state == "done" and not line.failed]
    rest = [line for line in services.lines if line.state != "done" or line.failed]
    where = "containers are of the new release everywhere" if services.source == "images" else "services are done"
    count = f"{len(done)} of {len(services.lines)}" if services.source == "images" else str(len(done))
    shown = ["…", *done[-newest:]] if newest and len(done) > newest else done
    names = f": {' '.join(shown)}" if done and services.source == "plays" else ""
    yield Line((f"Services: {count} {where}{names}",), hang=4)
    for line in sorted(rest, key=lambda one: one.state != "now")[:most]:
        mark, tone = _MARKS[line.state]
        yield Line((Span(mark, tone), Span(line.name, "strong"), _words(line)), indent=2, hang=4)
    if len(rest) > most:
        yield Line((f"… {len(rest) - most} more: upgrader status --json",), indent=2)


def _words(line: ServiceLine) -> str:
    hosts = f"{line.total} host{'' if line.total == 1 else 's'}"
    if line.state == "now":
        words = f" under way on {hosts}"
    elif line.state == "stopped":
        words = f" was under way on {hosts} when the work ended"
    else:
        words = f" on {line.done} of {hosts}"
    if line.failed:
        words += "; failed: " + ", ".join(f"{host} ({task})" if task else host for host, task in line.failed)
    if line.left:
        words += f"; not on {', '.join(line.left)}"
    return words + (f" and {line.more} more" if line.more and (line.failed or line.left) else "")
