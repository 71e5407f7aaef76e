"""One service's place of work on the copy: what its programs get to see, and what is read from what they say.

Owns the configuration (nothing in it but the copy's address, and keys where the set has them) and the placeholders of
commands. Of what is believed of a program its exit code is only one witness, which is why it is returned, not judged.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from upgrader.database.throwaway import Server
from upgrader.durable import make_dir
from upgrader.graph.migrations import Option, ServiceMigrations
from upgrader.rehearsal.keys import NO_KEYS, Keys
from upgrader.rehearsal.programs import Desk, Programs
from upgrader.rehearsal.report import CommandResult

LAST_WORDS = 12
_ROW = re.compile(r"^\|\s*([A-Za-z0-9_.]+)\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|$")
_URL = re.compile(r"\$URL\((\w+)\)")
_NOISE = re.compile(r"DeprecationWarning|pkg_resources|^\s*warnings\.warn|^\s*import pkg_resources|INFO ")


class Workplace:
    """A folder for one service's programs of one release: its configuration, its scratch files, its logs.

    On leaving it configuration and keys are removed; the logs stay.
    """

    def __init__(
        self, folder: Path, server: Server, programs: Programs, service: ServiceMigrations, keys: Keys = NO_KEYS
    ) -> None:
        self.folder, self.server, self.programs, self.service = folder, server, programs, service
        make_dir(folder, exist_ok=True)
        self._inside = folder / "inside"
        shutil.rmtree(self._inside, ignore_errors=True)
        make_dir(self._inside)
        self._desk: Desk | None = None
        self._count = 0
        self._keys = keys.unpacked(service, self._inside)
        self._conf = self._write("service.conf", service.config)
        self._cell = self._write("cell.conf", service.config_cell or service.config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, name: str, options: Sequence[Option]) -> Path:
        sections: dict[str, list[str]] = {"DEFAULT": [f"state_path = {self._inside}", "use_stderr = true"]}
        for item in options:
            sections.setdefault(item.section, []).append(f"{item.option} = {self.server.url(item.database)}")
        for section, option, value in self._keys:
            sections.setdefault(section, []).append(f"{option} = {value}")
        sections["oslo_concurrency"] = [f"lock_path = {self._inside}"]
        path = self._inside / name
        path.write_text("".join(f"[{section}]\n" + "\n".join(lines) + "\n\n" for section, lines in sections.items()))
        path.chmod(0o600)
        return path

    def run(self, phase: str, command: Sequence[str], *, limit: float) -> CommandResult:
        """Run `command` (with its placeholders) once. Returns when nothing of it is left.

        Raises UpgraderError when no program can be run at all, RehearsalCanceled when the operator wants to stop.
        """
        return self.told(phase, command, limit=limit)[0]

    def told(self, phase: str, command: Sequence[str], *, limit: float) -> tuple[CommandResult, str]:
        """As `run`, with everything the program said."""
        self._desk = self._desk or self._open_desk()
        self._count += 1
        log = self.folder / f"{self._count:02}-{command[0]}.log"
        log.touch(mode=0o600)
        ran = self._desk.run([command[0], *map(self.filled, command[1:])], log, limit)
        text = log.read_text(errors="replace")
        result = CommandResult(
            phase=phase,
            command=tuple(command),
            code=ran.code,
            seconds=ran.seconds,
            load_seconds=ran.load,
            batches=batches(text),
            last_words=_last_words(text),
        )
        return result, text

    def _open_desk(self) -> Desk:
        # beside the configuration file, for a program that asks for its keys before it reads one
        settings = {f"OS_{section}__{option}".upper(): value for section, option, value in self._keys}
        return self.programs.desk(self.service, self._inside, self.server.socket, settings)

    def close(self) -> None:
        """End what the programs were run from; nothing but logs is left."""
        if self._desk is not None:
            self._desk.close()
            self._desk = None
        shutil.rmtree(self._inside, ignore_errors=True)

    def filled(self, word: str) -> str:
        """A command's word with what its placeholder stands for here."""
        if word == "$CONF":
            return str(self._conf)
        if word == "$CELL":
            return str(self._cell)
        return _URL.sub(lambda match: self.server.url(match[1]), word)


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
