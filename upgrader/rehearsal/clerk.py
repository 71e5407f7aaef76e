"""The programs of a service environment, run without any network by one process that has loaded what they share."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any, Self

from upgrader.database.isolation import without_network
from upgrader.durable import make_dir
from upgrader.errors import UpgraderError
from upgrader.graph.migrations import ServiceMigrations
from upgrader.rehearsal import desk as desk_program
from upgrader.rehearsal.environments import Services
from upgrader.rehearsal.programs import By, Cancelled, Ran, RehearsalCanceled, Settings

LOG = "clerk.log"
_OPEN_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_LAST_WORDS = 3


class EnvironmentPrograms:
    """One release's programs out of its service environment. `folder` keeps the log of what could not be run."""

    by: By = "environment"

    def __init__(self, services: Services, folder: Path, cancelled: Cancelled = lambda: False) -> None:
        self.services, self.folder, self.cancelled = services, folder, cancelled
        self.release = services.release
        self._process: subprocess.Popen[str] | None = None
        self._sockets: Path | None = None
        self._count = 0
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        make_dir(self.folder, exist_ok=True)
        # a socket's path must be short, whatever the site's folders are called
        self._sockets = Path(tempfile.mkdtemp(prefix="upgrader-"))
        (self.folder / LOG).touch(mode=0o600)
        with (self.folder / LOG).open("ab") as errors:
            self._process = subprocess.Popen(
                without_network([str(self.services.program("python")), "-P", str(Path(desk_program.__file__))]),
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()
            self._process = None
        if self._sockets is not None:
            rmtree(self._sockets, ignore_errors=True)

    def desk(self, service: ServiceMigrations, folder: Path, socket: Path, settings: Settings) -> EnvironmentDesk:
        """A fork of the clerk for one service. Raises UpgraderError when the environment's Python does not work."""
        return EnvironmentDesk(self, service.name, self._connected(service, folder, settings))

    def _connected(self, service: ServiceMigrations, folder: Path, settings: Settings) -> socket.socket:
        process, sockets = self._process, self._sockets
        assert process is not None and process.stdin is not None and sockets is not None  # noqa: S101 - entered
        with self._turn, socket.socket(socket.AF_UNIX) as listening:
            self._count += 1
            place = sockets / str(self._count)
            listening.bind(str(place))
            listening.listen(1)
            listening.settimeout(_OPEN_SECONDS)
            inside = {"HOME": str(folder), "TMPDIR": str(folder), **settings}
            try:
                asked = {"socket": str(place), "folder": str(folder), "env": inside}
                process.stdin.write(json.dumps(asked) + "\n")
                process.stdin.flush()
                while process.poll() is None:
                    if select.select([listening], [], [], _LOOK_SECONDS)[0]:
                        return listening.accept()[0]
            except OSError:
                pass
        raise self.lost(service.name)

    def lost(self, service: str) -> UpgraderError:
        words = (self.folder / LOG).read_text(errors="replace").strip().splitlines()
        return UpgraderError(
            f"The programs of {service} {self.release} could not be run.",
            cloud="Only the copy was touched.",
            details=[line[:400] for line in words[-_LAST_WORDS:]],
            reason="rehearsal-desk",
        )

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": f"{self.services.bin}:/usr/bin:/bin",
            # what is loaded for all keeps its caches there (stevedore does); they go with it
            "HOME": str(self._sockets),
            "LC_ALL": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
            "COLUMNS": "200",
            # processes of an attempt are found by these
            **{name: value for name, value in os.environ.items() if name.startswith("UPGRADER_")},
        }


class EnvironmentDesk:
    """A connection to the fork that holds one service's programs; lost with whatever it runs."""

    def __init__(self, programs: EnvironmentPrograms, service: str, line: socket.socket) -> None:
        self.programs, self.service = programs, service
        self._line = line
        self._stream = line.makefile("rw", encoding="utf-8")
        self._pid = int(json.loads(self._stream.readline() or "{}").get("pid", 0))

    def run(self, argv: Sequence[str], log: Path, limit: float) -> Ran:
        program, *words = argv
        path = self.programs.services.program(program)
        if not path.exists():
            log.write_text(f"{path.name} is not in the environment of {self.programs.release}\n")
            return Ran(127)
        if self.programs.cancelled():
            raise RehearsalCanceled
        answer = self._ask({"argv": [str(path), *words], "log": str(log), "limit": limit})
        return Ran(answer["code"], float(answer["seconds"]), float(answer["load"]))

    def close(self) -> None:
        """End the fork, with whatever it runs."""
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._pid = 0
        with suppress(OSError):
            self._stream.close()
        self._line.close()

    def _ask(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            self._stream.write(json.dumps(asked) + "\n")
            self._stream.flush()
            while not select.select([self._line], [], [], _LOOK_SECONDS)[0]:
                if self.programs.cancelled():
                    self.close()
                    raise RehearsalCanceled
            answer: Mapping[str, Any] = json.loads(self._stream.readline())
        except (OSError, ValueError):
            self.close()
            raise self.programs.lost(self.service) from None
        return answer
