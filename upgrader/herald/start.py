"""For the commands that drive a run: see to it that a herald works, and say what it could not do. Never raises.

Addresses out of the environment go to the process over a pipe; argv has the site file alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from upgrader.config import Site
from upgrader.durable import make_dir, read_json, write_json
from upgrader.errors import UpgraderError
from upgrader.herald.place import LOG, SAID, folder_of, works
from upgrader.metrics.textfile import why_not
from upgrader.notices.addresses import NEEDS_APPRISE, lacking, read_addresses
from upgrader.notices.ledger import Ledger
from upgrader.notices.sender import outward
from upgrader.processes import ATTEMPT

_PATIENCE = 3.0
"""Seconds to wait for a new herald to be at work."""


class Lack(NamedTuple):
    """Something that keeps metrics or notices from being told."""

    id: str
    """Stable; `check` names its finding so."""
    words: str
    command: str
    """What mends it; may be empty."""


def beforehand(site: Site) -> tuple[Lack, ...]:
    """What can be said without trying."""
    found = []
    path = site.metrics.textfile
    if path is not None and (why := why_not(path)):
        found.append(Lack("metrics-not-written", f"No metrics are written: {why}.", f"ls -ld {path.parent}"))
    if site.notices.wanted:
        try:
            addresses = read_addresses(site.notices)
        except UpgraderError as error:
            words = " ".join(["No notice can be sent:", error.message, "; ".join(error.details)]).rstrip()
            found.append(Lack("notices-not-sent", words, error.next_command))
        else:
            if missing := lacking(addresses):
                found.append(Lack("notices-not-sent", f"{missing}.", NEEDS_APPRISE))
    return tuple(found)


class Call:
    """One command's hold on the herald: starts it, and hears what went wrong in telling."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.wanted = site.notices.wanted or site.metrics.textfile is not None
        self._said: set[str] = set()

    def ensure(self, after: int) -> tuple[str, ...]:
        """Lines for people; empty where nothing has to be said. `after`: number of the journal's last event."""
        if not self.wanted:
            return ()
        try:
            found = [*self.news(), *(one.words for one in beforehand(self.site))]
            if not works(folder_of(self.site.state_dir)):
                found += self._spawn(after)
        except Exception as error:  # whatever it is, the run goes on
            found = [f"Metrics and notices are not told ({type(error).__name__}: {error})."]
        return self._once(found)

    def news(self) -> tuple[str, ...]:
        """What went wrong in telling since the last asking. Never raises."""
        if not self.wanted:
            return ()
        try:
            return self._once(self._news())
        except OSError:
            return ()

    def _once(self, lines: list[str] | tuple[str, ...]) -> tuple[str, ...]:
        fresh = tuple(dict.fromkeys(line for line in lines if line not in self._said))
        self._said.update(fresh)
        return fresh

    def _news(self) -> list[str]:
        """What went wrong after the moment up to which people were told, whichever command told them."""
        file = folder_of(self.site.state_dir) / SAID
        kept = read_json(file).document
        if kept is None:
            make_dir(file.parent, exist_ok=True)
            write_json(file, {"at": datetime.now(UTC).isoformat(timespec="milliseconds")})
            return []
        before = str(kept.get("at", ""))
        ledger = Ledger.of(self.site.state_dir)
        found = [(at, words) for at, words in ledger.troubles]
        for entry in ledger.entries.values():
            for one in entry.deliveries.values():
                if one.state in ("failed", "given up"):
                    again = "; it is tried once more" if one.state == "failed" else ""
                    found.append((one.at, f"{one.name} was not told of {entry.notice.event}: {one.why}{again}."))
        fresh = sorted((at, words) for at, words in found if at > before)
        if fresh:
            write_json(file, {"at": fresh[-1][0]})
        return [words for _, words in fresh]

    def _spawn(self, after: int) -> list[str]:
        folder = folder_of(self.site.state_dir)
        make_dir(folder, exist_ok=True)
        variable = self.site.notices.urls_environment
        order = {"after": after, "urls": os.environ.get(variable, "") if variable else ""}
        chosen = outward(os.environ)
        chosen.pop(ATTEMPT, None)  # it belongs to the run, not to the attempt of a process that happens to start it
        log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "upgrader.herald", str(self.site.file)],
                env=chosen, cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
        threading.Thread(target=process.wait, daemon=True).start()
        assert process.stdin is not None  # noqa: S101 - asked for
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(json.dumps(order).encode())
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if works(folder):
                return []
            if process.poll() is not None:
                return [f"Metrics and notices are not told: their process ended, see {folder / LOG}."]
            time.sleep(0.02)
        return []
