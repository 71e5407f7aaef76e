"""Runs restic, the program that keeps copies of backup sets elsewhere: encrypted, deduplicated, in its own repository.

Owns how it is started, how its words become errors, its locks and its limits of time. Knows nothing of backup sets.
The repository, the password's file and an object store's keys reach it through its environment alone: a command line
is readable by everybody. What it says is cleaned of all of them before it goes anywhere. Written for restic 0.14 to
0.16, whose exit code is 1 for almost everything, so that its words have to be read; later ones say the same words.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from upgrader import processes
from upgrader.config import Offbox
from upgrader.database.restic_process import TooLongError, Watched, dies_with_us, end, ended, tail
from upgrader.database.restic_words import LOCAL_STAYS, trouble
from upgrader.durable import make_dir
from upgrader.errors import ConfigError, EnvironmentMissingError, LockedError, UpgraderError
from upgrader.model import Code, Finding
from upgrader.redact import Redactor

INSTALL = "apt-get install --no-install-recommends restic"
STALL_SECONDS = 1800.0
"""Copying and reading back may take hours, but not without a byte for this long: restic gives up trying after 15
minutes on its own."""
WORK_SECONDS = 6 * 3600.0
_PATIENT_WITH_LOCKS = 3.0
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "UPGRADER_ATTEMPT", "UPGRADER_PLAY")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_VARIABLE = re.compile(r"^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$")
T = TypeVar("T")
_STALE = timedelta(minutes=30)
"""restic renews its locks every five minutes and calls one that is older than this stale."""


class Lock(NamedTuple):
    host: str
    user: str
    pid: int
    since: datetime | None
    exclusive: bool

    @property
    def left_behind(self) -> bool:
        """Its process was one of ours on this machine, and is dead; a lock of another machine is never judged."""
        if self.host != socket.gethostname() or self.pid <= 0:
            return False
        silent = self.since is not None and datetime.now(UTC) - self.since > _STALE
        return silent or not processes.alive(self.pid)

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"process {self.pid} of {self.user} on {self.host}{since}"


class Restic:
    """One repository, as restic reaches it. Making one reads the secrets' files and starts nothing.

    Raises EnvironmentMissingError without restic, ConfigError naming the key whose file is missing or wrong.
    """

    def __init__(self, offbox: Offbox, cache: Path) -> None:
        program = shutil.which("restic")
        if program is None:
            raise EnvironmentMissingError(
                "restic is not installed on this machine, so no copy of a backup can be made elsewhere.",
                cloud="The set on this machine is not touched by that.",
                next_command=INSTALL,
                reason="restic-missing",
            )
        self.offbox, self._cache = offbox, cache
        password = _secret(offbox.password_file, "password_file").strip()
        if not password:
            raise ConfigError(
                f"[backup.offbox] password_file: {offbox.password_file} is empty.", reason="offbox-password"
            )
        keys = _variables(offbox.environment_file) if offbox.environment_file else {}
        self._redactor = Redactor([password, *keys.values()])
        self._environment = self._surroundings(keys)
        self._words = [*dies_with_us(), program]

    def _surroundings(self, keys: Mapping[str, str]) -> dict[str, str]:
        names = (*_PASSED_ON, *_PROXIES, *(name.upper() for name in _PROXIES))
        return {
            **{name: os.environ[name] for name in names if name in os.environ},
            **keys,
            "LC_ALL": "C.UTF-8",
            "RESTIC_REPOSITORY": self.offbox.repository,
            "RESTIC_PASSWORD_FILE": str(self.offbox.password_file),
            "RESTIC_CACHE_DIR": str(self._cache),
            "RESTIC_PROGRESS_FPS": "0.2",
        }

    @property
    def shown(self) -> str:
        """The repository's name without a login in it."""
        return self.clean(self.offbox.repository)

    def clean(self, text: str) -> str:
        return self._redactor.text(text)

    def open_rights(self) -> tuple[Finding, ...]:
        """Files with secrets that others can read."""
        files = (self.offbox.password_file, self.offbox.environment_file)
        return tuple(
            Finding(
                id="offbox-secret-open",
                code=Code.WARNING,
                message=f"others can read {path}, which holds secrets of the off-box repository",
                next=f"chmod 0600 {path}",
            )
            for path in files
            if path and stat.S_IMODE(path.stat().st_mode) & 0o077
        )

    # ------------------------------------------------------------ running

    def run(self, *words: str, cwd: Path | None = None, seconds: float = WORK_SECONDS) -> str:
        """What restic writes to standard output, waiting for locks as `patiently` does."""
        return self.patiently(lambda: self._once(words, cwd, seconds))

    def patiently(self, work: Callable[[], T]) -> T:
        """Do it, again while the repository is locked: by others a while, by a dead process of ours not at all."""
        until = time.monotonic() + self.offbox.timeout_seconds
        unlocked = False
        while True:
            try:
                return work()
            except LockedError:
                unlocked = self.await_lock(until, unlocked=unlocked) or unlocked

    def documents(self, *words: str) -> Any:
        """The JSON that a reading command writes, within the time that is for finding the repository."""
        text = self.run(*words, "--json", seconds=self.offbox.timeout_seconds)
        try:
            return json.loads(text or "null")
        except ValueError:
            raise UpgraderError(f"restic's answer to {words[0]!r} is not understood.", reason="offbox-answer") from None

    def _once(self, words: Sequence[str], cwd: Path | None, seconds: float) -> str:
        with self.reading(*words, cwd=cwd, seconds=seconds) as stream:
            return stream.read().decode(errors="replace")

    @contextmanager
    def reading(
        self,
        *words: str,
        cwd: Path | None = None,
        seconds: float = WORK_SECONDS,
        stall: float = STALL_SECONDS,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[IO[bytes]]:
        """restic's standard output as it comes; afterwards restic has ended in any case.

        What the block leaves unread is read to the end. Raises CancelledError, or what `trouble` makes of restic's
        words when it failed.
        """
        make_dir(self._cache, exist_ok=True)
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [*self._words, *self._options(), *words],
                cwd=cwd,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # no terminal: ssh must not stop to ask, Ctrl-C is ours to pass on
            )
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            watched = Watched(process.stdout.fileno(), seconds, stall, cancelled)
            try:
                with io.BufferedReader(watched, 1 << 18) as stream:
                    yield stream
                    while stream.read(1 << 18):
                        pass
                code = ended(process)
            except TooLongError as error:
                end(process)
                raise self._too_long(words, error, tail(errors)) from None
            finally:
                end(process)
                process.stdout.close()
            if code:
                raise trouble(self.offbox.repository, words[0], tail(errors), self.clean)

    def _options(self) -> list[str]:
        words = [word for option in self.offbox.options for word in ("-o", option)]
        return [*words, *(["--cacert", str(self.offbox.ca_file)] if self.offbox.ca_file else [])]

    def _too_long(self, words: Sequence[str], error: TooLongError, said: str) -> UpgraderError:
        # newer ones try again for a long time what cannot come right, and say all the while what it is
        known = trouble(self.offbox.repository, words[0], said, self.clean)
        if known.reason in ("offbox-denied", "offbox-no-repository", "offbox-full"):
            return known
        return EnvironmentMissingError(
            f"The off-box repository {self.shown} does not answer: {error} ({words[0]}).",
            cloud=LOCAL_STAYS,
            details=known.details,
            reason="offbox-unreachable",
        )

    # ------------------------------------------------------------ locks

    def locks(self) -> tuple[Lock, ...]:
        found = []
        for name in self._once(("list", "locks", "--no-lock"), None, self.offbox.timeout_seconds).split():
            # one that was just given back is not there any more
            with suppress(UpgraderError, ValueError):
                text = self._once(("cat", "lock", name, "--no-lock"), None, self.offbox.timeout_seconds)
                found.append(_lock(json.loads(text)))
        return tuple(found)

    def await_lock(self, until: float, *, unlocked: bool = False) -> bool:
        """Take away locks of our own dead processes (True; once is enough), else wait a little.

        Raises LockedError when time is up.
        """
        locks = self.locks()
        if locks and not unlocked and all(lock.left_behind for lock in locks):
            self._once(("unlock",), None, self.offbox.timeout_seconds)
            if self.locks() == locks:
                # restic takes a process that ended and was never waited for to be alive; these are all judged already
                self._once(("unlock", "--remove-all"), None, self.offbox.timeout_seconds)
            return True
        if time.monotonic() > until:
            raise LockedError(
                f"The off-box repository {self.shown} is locked by {'; '.join(map(str, locks)) or 'somebody'}.",
                cloud=LOCAL_STAYS,
                next_command="wait until that process has ended; where it is dead: restic unlock",
                details=[str(lock) for lock in locks],
                reason="offbox-locked",
            )
        time.sleep(min(_PATIENT_WITH_LOCKS, max(0.1, until - time.monotonic())))
        return False


# ---------------------------------------------------------------- files


def _secret(path: Path, key: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(
            f"[backup.offbox] {key}: {path} cannot be read: {why}.",
            cloud="The set on this machine is not touched by that.",
            reason=f"offbox-{key.split('_', maxsplit=1)[0]}",
        ) from None


def _variables(path: Path) -> dict[str, str]:
    """KEY=VALUE of every line. Values are taken as they stand; quotes around a whole value are taken off."""
    found: dict[str, str] = {}
    for number, line in enumerate(_secret(path, "environment_file").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _VARIABLE.match(text)
        # the line itself is never shown: it may be a key without its name
        if match is None or match[1].startswith("RESTIC_"):
            why = "is decided by upgrader.toml" if match else "is not KEY=VALUE"
            name = f" ({match[1]})" if match else ""
            raise ConfigError(
                f"[backup.offbox] environment_file: line {number} of {path}{name} {why}.",
                reason="offbox-environment",
            )
        value = match[2]
        quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
        found[match[1]] = value[1:-1] if quoted else value
    return found


def _lock(document: Mapping[str, Any]) -> Lock:
    return Lock(
        str(document.get("hostname", "")),
        str(document.get("username", "")),
        int(document.get("pid", 0)),
        moment(str(document.get("time", ""))),
        bool(document.get("exclusive", False)),
    )


def moment(text: str) -> datetime | None:
    """A time as Go writes it (nanoseconds), in UTC."""
    with suppress(ValueError):
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    return None
