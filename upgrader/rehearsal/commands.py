"""Run one of a service's own programs against the copy: no network, a time limit, an environment of its own.

Owns what the program gets to see (a configuration with nothing but the copy's address) and what is believed of it:
its exit code is only one of several witnesses, which is why it is returned and not judged here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from upgrader.database.isolation import without_network
from upgrader.database.throwaway import Server
from upgrader.durable import make_dir
from upgrader.errors import UpgraderError
from upgrader.graph.migrations import Option, ServiceMigrations
from upgrader.rehearsal import desk
from upgrader.rehearsal.environments import Services
from upgrader.rehearsal.report import CommandResult

LAST_WORDS = 12
DESK_LOG = "desk.log"
_ROW = re.compile(r"^\|\s*([A-Za-z0-9_.]+)\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|$")
_URL = re.compile(r"\$URL\((\w+)\)")
_NOISE = re.compile(r"DeprecationWarning|pkg_resources|^\s*warnings\.warn|^\s*import pkg_resources|INFO ")


class Workplace:
    """A folder for one service's programs of one release: its configuration, its scratch files, its logs."""

    def __init__(self, folder: Path, server: Server, services: Services, service: ServiceMigrations) -> None:
        self.folder, self.server, self.services, self.service = folder, server, services, service
        make_dir(folder, exist_ok=True)
        self._desk: subprocess.Popen[str] | None = None
        self._count = 0
        self._conf = self._write("service.conf", service.config)
        self._cell = self._write("cell.conf", service.config_cell or service.config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        self._count += 1
        log = self.folder / f"{self._count:02}-{program}.log"
        asked = {"argv": [str(path), *map(self._filled, words)], "log": str(log), "limit": limit}
        code, seconds = self._ask(asked)
        text = log.read_text(errors="replace") if log.exists() else ""
        result = CommandResult(
            phase=phase,
            command=tuple(command),
            code=code,
            seconds=seconds,
            batches=batches(text),
            last_words=_last_words(text),
        )
        return result, text

    def close(self) -> None:
        """End the process that the programs were run from."""
        if self._desk is not None:
            self._desk.kill()
            self._desk.wait()
            self._desk = None

    def _ask(self, asked: Mapping[str, Any]) -> tuple[int | None, float]:
        """Let the desk run one command. A desk that is lost takes its command with it, and the next gets a new one."""
        clerk = self._desk = self._desk or self._open()
        assert clerk.stdin is not None and clerk.stdout is not None  # noqa: S101 - made with pipes
        try:
            clerk.stdin.write(json.dumps(asked) + "\n")
            clerk.stdin.flush()
            answer = json.loads(clerk.stdout.readline())
        except (OSError, ValueError):
            self.close()
            raise UpgraderError(
                f"The programs of {self.service.name} {self.services.release} could not be run.",
                cloud="Only the copy was touched.",
                details=_last_words((self.folder / DESK_LOG).read_text(errors="replace"))[-3:],
                reason="rehearsal-desk",
            ) from None
        return answer["code"], float(answer["seconds"])

    def _open(self) -> subprocess.Popen[str]:
        with (self.folder / DESK_LOG).open("ab") as errors:
            return subprocess.Popen(
                without_network([str(self.services.program("python")), "-P", str(Path(desk.__file__))]),
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

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
