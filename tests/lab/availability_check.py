"""A second opinion on how long Keystone was away: another process, other code, another clock's beat.

    with measured(lab.api, tmp_path) as opinion:
        ...                                   # the hop
    compare(state_dir, run, opinion)          # raises AssertionError where the two cannot both be right

The other process asks one question after the other with the standard library's HTTP client and writes what it heard.
Both sides give bounds for every outage; the truth lies within both, so they have to overlap.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from upgrader.availability import downtime, folder_of

PATIENCE = 5.0
"""Seconds after which the other process gives a question up: the probe's own default, or the two could not agree."""
_LOOP = f"""
import http.client, sys, time
host, port = sys.argv[1], int(sys.argv[2])
while True:
    began = time.time()
    try:
        connection = http.client.HTTPConnection(host, port, timeout={PATIENCE})
        connection.request("GET", "/")
        reply = connection.getresponse()
        reply.read()
        code = reply.status
    except Exception as error:
        code = 0
    finally:
        connection.close()
    print(f"{{began:.3f}} {{time.time():.3f}} {{code}}", flush=True)
    time.sleep(0.2)
"""


@dataclass(frozen=True)
class Away:
    """One outage as the other process saw it: bounds in seconds, and the moments of its failing questions."""

    began: float
    ended: float
    low: float
    high: float


@dataclass(frozen=True)
class Opinion:
    """What the other process heard, line by line: asked, answered, status."""

    file: Path

    def rows(self) -> list[tuple[float, float, int]]:
        found = [line.split() for line in self.file.read_text().splitlines()]
        return [(float(asked), float(answered), int(code)) for asked, answered, code in found]

    def outages(self) -> list[Away]:
        """Every stretch of failing questions that has a good one before and behind it."""
        found: list[Away] = []
        before: tuple[float, float, int] | None = None
        failing: list[tuple[float, float, int]] = []
        for row in self.rows():
            if not 0 < row[2] < 500:
                failing.append(row)
                continue
            if failing and before is not None:
                low = max(0.0, failing[-1][0] - failing[0][1])
                found.append(Away(failing[0][0], failing[-1][1], low, row[1] - before[0]))
            before, failing = row, []
        return found


@contextmanager
def measured(api: str, folder: Path) -> Iterator[Opinion]:
    """Ask Keystone from a process of its own for as long as the block lasts."""
    parts = urlsplit(api)
    opinion = Opinion(folder / "second-opinion.txt")
    with opinion.file.open("w") as stream:
        words = [sys.executable, "-c", _LOOP, str(parts.hostname), str(parts.port or 80)]
        process = subprocess.Popen(words, stdout=stream)
        try:
            yield opinion
            time.sleep(1)
        finally:
            process.kill()
            process.wait()


def compare(state_dir: Path, run: str, opinion: Opinion, api: str = "keystone", least: float = 2.0) -> list[str]:
    """Hold what the probe recorded of `api` against the second opinion, outage by outage. Lines for people.

    An outage of at least `least` seconds has to be known to both. Raises AssertionError where one is not, or where the
    bounds of the two do not overlap.
    """
    (found,) = [one for one in downtime(folder_of(state_dir, run)) if one.api == api]
    assert found.asked, "nothing was recorded"
    told = []
    seen = opinion.outages()
    first = found.first.timestamp() if found.first else 0.0
    last = found.last.timestamp() if found.last else 0.0
    for outage in found.outages:
        began = outage.began.timestamp()
        ended = (outage.ended or datetime.fromtimestamp(last, UTC)).timestamp()
        other = [away for away in seen if away.began < ended + 1 and began - 1 < away.ended]
        if not other:
            assert outage.seconds < least or outage.edge, f"nobody else saw {outage}"
            continue
        low, high = sum(away.low for away in other), sum(away.high for away in other)
        told.append(
            f"{api} away at {outage.began:%H:%M:%S}: probe {outage.seconds:.2f} s ({outage.low:.2f} to "
            f"{outage.high:.2f}), second opinion {low:.2f} to {high:.2f} s, {outage.error}"
        )
        if not outage.edge:
            assert outage.low <= high + 0.1 and low <= outage.high + 0.1, told[-1]
    for away in seen:
        if away.low < least or not first < away.began < away.ended < last:
            continue
        assert any(
            outage.began.timestamp() < away.ended + 1
            and away.began - 1 < (outage.ended.timestamp() if outage.ended else last)
            for outage in found.outages
        ), f"the probe missed {away}"
    return told
