"""Run one of a service's own programs against the copy: no network, a time limit, an environment of its own.

Owns what the program gets to see (a configuration with nothing but the copy's address) and what is believed of it:
its exit code is only one of several witnesses, which is why it is returned and not judged here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from upgrader.database.isolation import without_network
from upgrader.database.throwaway import Server
from upgrader.durable import make_dir
from upgrader.graph.migrations import Option, ServiceMigrations
from upgrader.rehearsal.environments import Services
from upgrader.rehearsal.report import CommandResult

LAST_WORDS = 12
_ROW = re.compile(r"^\|\s*([A-Za-z0-9_.]+)\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|$")
_URL = re.compile(r"\$URL\((\w+)\)")
_NOISE = re.compile(r"DeprecationWarning|pkg_resources|^\s*warnings\.warn|^\s*import pkg_resources|INFO ")


class Workplace:
    """A folder for one service's programs of one release: its configuration, its scratch files, its logs."""

    def __init__(self, folder: Path, server: Server, services: Services, service: ServiceMigrations) -> None:
        self.folder, self.server, self.services, self.service = folder, server, services, service
        make_dir(folder, exist_ok=True)
        self._conf = self._write("service.conf", service.config)
        self._cell = self._write("cell.conf", service.config_cell or service.config)

    def _write(self, name: str, options: Sequence[Option]) -> Path:
        sections: dict[str, list[str]] = {"DEFAULT": [f"state_path = {self.folder}", "use_stderr = true"]}
        for item in options:
            sections.setdefault(item.section, []).append(f"{item.option} = {self.server.url(item.database)}")
        sections["oslo_concurrency"] = [f"lock_path = {self.folder}"]
        path = self.folder / name
        path.write_text("".join(f"[{section}]\n" + "\n".join(lines) + "\n\n" for section, lines in sections.items()))
        path.chmod(0o600)
        return path

    def run(self, phase: str, command: Sequence[str], *, limit: float) -> CommandResult:
        """Run `command` (with its placeholders) once. Returns when nothing of it is left."""
        return self.told(phase, command, limit=limit)[0]

    def told(self, phase: str, command: Sequence[str], *, limit: float) -> tuple[CommandResult, str]:
        """As `run`, with everything the program said."""
        program, *words = command
        path = self.services.program(program)
        if not path.exists():
            lost = CommandResult(phase=phase, command=tuple(command), code=127, last_words=(f"{path} is not there",))
            return lost, ""
        argv = without_network([str(path), *map(self._filled, words)])
        log = self.folder / f"{time.time_ns()}.log"
        began = time.monotonic()
        with log.open("wb") as stream:
            process = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = _await(process, limit)
        seconds = time.monotonic() - began
        text = log.read_text(errors="replace")
        result = CommandResult(
            phase=phase,
            command=tuple(command),
            code=code,
            seconds=round(seconds, 3),
            batches=batches(text),
            last_words=_last_words(text),
        )
        return result, text

    def _filled(self, word: str) -> str:
        if word == "$CONF":
            return str(self._conf)
        if word == "$CELL":
            return str(self._cell)
        return _URL.sub(lambda match: self.server.url(match[1]), word)

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": f"{self.services.bin}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
            "COLUMNS": "200",
            # processes of an attempt are found by these
            **{name: value for name, value in os.environ.items() if name.startswith("UPGRADER_")},
        }


def _await(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """Exit code; None when it had to be ended at its limit."""
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def batches(text: str) -> tuple[tuple[str, int, int], ...]:
    """Rows of the table an online data migration prints: (migration, needed, completed); the last run's, summed up.

    The programs print one table at their end. Their exit code says nothing of work that was left undone.
    """
    return tuple(
        (match[1], int(match[2]), int(match[3])) for line in text.splitlines() if (match := _ROW.match(line.strip()))
    )


def _last_words(text: str) -> tuple[str, ...]:
    lines = [line.rstrip()[:400] for line in text.splitlines() if line.strip() and not _NOISE.search(line)]
    return tuple(lines[-LAST_WORDS:])
