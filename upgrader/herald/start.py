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

from upgrader.config import Site
from upgrader.durable import make_dir
from upgrader.errors import UpgraderError
from upgrader.herald.place import LOG, folder_of, works
from upgrader.metrics.textfile import why_not
from upgrader.notices.addresses import lacking, read_addresses
from upgrader.notices.ledger import Ledger
from upgrader.notices.sender import outward
from upgrader.processes import ATTEMPT

_PATIENCE = 3.0
"""Seconds to wait for a new herald to be at work."""


class Call:
    """One command's hold on the herald: starts it, and hears what went wrong since the command began."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.wanted = site.notices.wanted or site.metrics.textfile is not None
        self._said: set[str] = set()
        self._ledger: Ledger | None = None
        self._known: dict[tuple[str, str], str] = {}

    def ensure(self, after: int) -> tuple[str, ...]:
        """Lines for people; empty where nothing has to be said. `after`: number of the journal's last event."""
        if not self.wanted:
            return ()
        try:
            found = [*self.news(), *self._beforehand()]
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
        first = self._ledger is None
        if self._ledger is None:
            self._ledger = Ledger.of(self.site.state_dir)
        before = len(self._ledger.troubles)
        if not first:
            self._ledger.read()
        lines = [] if first else [words for _, words in self._ledger.troubles[before:]]
        for entry in self._ledger.entries.values():
            for one in entry.deliveries.values():
                key = (entry.notice.id, one.name)
                if self._known.get(key) != one.state:
                    self._known[key] = one.state
                    if not first and one.state in ("failed", "given up"):
                        again = "; it is tried once more" if one.state == "failed" else ""
                        lines.append(f"{one.name} was not told of {entry.notice.event}: {one.why}{again}.")
        return lines

    def _beforehand(self) -> list[str]:
        """What can be told without trying."""
        found = []
        if self.site.metrics.textfile is not None and (why := why_not(self.site.metrics.textfile)):
            found.append(f"No metrics are written: {why}.")
        if self.site.notices.wanted:
            try:
                addresses = read_addresses(self.site.notices)
            except UpgraderError as error:
                found.append(" ".join(["No notice can be sent:", error.message, "; ".join(error.details)]).rstrip())
            else:
                missing = lacking(addresses)
                found += [f"{missing}"] if missing else []
        return found

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
