"""A throwaway MariaDB server: own data folder, own socket, no network; gone afterwards, whatever happens.

Owns starting, waiting, ending and the settings: durability is switched off because nothing in it has to survive.
Root has no password there; the socket lies in a folder that only its owner can enter. Figures it rests on: ready
within a second or two, 55 MB with the smallest pool (MariaDB 10.11, measured).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from upgrader.database.isolation import without_network
from upgrader.durable import make_dir
from upgrader.errors import EnvironmentMissingError, UpgraderError

_PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-admin")
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?=-MariaDB|[-+\s]|$)")
_READY_SECONDS = 60.0
_END_SECONDS = 30.0
_LARGEST_PACKET = "1G"
PREFIX, _SHORT, _LOCK = "throwaway-", "upgrader-", "lock"


@dataclass(frozen=True)
class Programs:
    """MariaDB's programs on this machine; `series` is `10.11`."""

    paths: Mapping[str, str]
    version: str

    @property
    def series(self) -> str:
        return series(self.version)

    def __getitem__(self, name: str) -> str:
        return self.paths[name]


def series(version: str) -> str:
    """`10.11` of `10.11.19-MariaDB-deb12`: what MariaDB calls a major version. Empty when it is no version."""
    found = _VERSION.search(version)
    return f"{found[1]}.{found[2]}" if found else ""


def programs(folder: Path | None = None, *, like: str = "") -> Programs:
    """The server's programs, from `folder` or the usual places.

    Raises EnvironmentMissingError when one is missing, or when `like` (a server's version) is of another series: a
    restore into another series would prove nothing about this one.
    """
    where = os.pathsep.join([str(folder)] if folder else [os.environ.get("PATH", ""), *_PLACES])
    found = {name: path for name in _PROGRAMS if (path := shutil.which(name, path=where))}
    missing = [name for name in _PROGRAMS if name not in found]
    if missing:
        raise EnvironmentMissingError(
            f"No MariaDB server to restore into: {', '.join(missing)} not found{f' in {folder}' if folder else ''}.",
            cloud="Nothing was restored.",
            next_command="apt-get install --no-install-recommends mariadb-server",
            reason="mariadb-missing",
        )
    said = subprocess.run(
        [found["mariadbd"], "--no-defaults", "--version"], capture_output=True, text=True, check=False
    )
    match = _VERSION.search(said.stdout)
    here = Programs(found, match[0] if match else "")
    if like and series(like) and here.series != series(like):
        raise EnvironmentMissingError(
            f"MariaDB {here.version or 'of an unknown version'} is installed here, but the cloud runs {like}.",
            cloud="Nothing was restored: another series would prove nothing.",
            next_command=f"install the programs of MariaDB {series(like)} on this machine",
            reason="mariadb-other-series",
        )
    return here


@dataclass(frozen=True)
class Server:
    """A running throwaway server. Reached through `socket` alone."""

    folder: Path
    socket: Path
    programs: Programs

    def client(self, *words: str, database: str = "") -> list[str]:
        """Command line of the client, without statements; they come on standard input."""
        return [
            self.programs["mariadb"],
            "--no-defaults",
            f"--socket={self.socket}",
            "--user=root",
            "--default-character-set=utf8mb4",
            f"--max-allowed-packet={_LARGEST_PACKET}",
            *words,
            *([database] if database else []),
        ]

    def sql(self, statements: str, *, database: str = "", seconds: float = 600) -> list[list[str]]:
        """Rows of the answer, as text. Raises UpgraderError with the server's own words."""
        done = subprocess.run(
            self.client("--batch", "--skip-column-names", database=database),
            input=statements.encode(),
            capture_output=True,
            check=False,
            timeout=seconds,
        )
        if done.returncode:
            words = [line for line in done.stderr.decode(errors="replace").splitlines() if line.startswith("ERROR")]
            raise UpgraderError(
                f"The throwaway server refused: {words[0] if words else 'no words were given'}.", reason="throwaway-sql"
            )
        return [line.split("\t") for line in done.stdout.decode(errors="replace").splitlines()]

    def url(self, database: str, driver: str = "mysql+pymysql") -> str:
        """Where SQLAlchemy finds one database of this server. `charset=utf8`: the one name that every release knows."""
        return f"{driver}://root@localhost/{database}?unix_socket={self.socket}&charset=utf8"


@contextmanager
def throwaway(
    parent: Path,
    found: Programs,
    *,
    pool: str = "128M",
    redo: str = "64M",
    options: Sequence[str] = (),
    data: Path | None = None,
) -> Iterator[Server]:
    """A server below `parent`, ended and removed afterwards. `data`: a prepared data folder to run on (it is used up).

    Raises EnvironmentMissingError when it does not start (with the last words of its log) or cannot be cut off.
    """
    make_dir(parent, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    # a socket's path must be short, whatever the site's folders are called
    short = Path(tempfile.mkdtemp(prefix=_SHORT))
    server = Server(folder, short / "s", found)
    process: subprocess.Popen[bytes] | None = None
    lock = held(folder, short)
    try:
        process = _start(server, _data(server, data), pool, redo, options)
        yield server
    finally:
        if process is not None:
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(short, ignore_errors=True)
        os.close(lock)


def held(folder: Path, short: Path | None = None) -> int:
    """A lock that lasts as long as this process: so what a killed one left can be told from what is used."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, str(short or "").encode())
    return descriptor


def sweep(parent: Path) -> tuple[str, ...]:
    """Remove what killed processes left of their servers below `parent`; returns the names. Those in use stay.

    The servers themselves died with their processes.
    """
    gone = []
    for lock in parent.glob(f"{PREFIX}*/{_LOCK}"):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            short = Path(os.read(descriptor, 4096).decode(errors="replace"))
            if short.name.startswith(_SHORT) and short.parent == Path(tempfile.gettempdir()):
                shutil.rmtree(short, ignore_errors=True)
            shutil.rmtree(lock.parent, ignore_errors=True)
            gone.append(lock.parent.name)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
    return tuple(sorted(gone))


def _data(server: Server, given: Path | None) -> Path:
    folder = server.folder / "data"
    if given is not None:
        given.rename(folder)
        return folder
    words = [server.programs["mariadb-install-db"], "--no-defaults", f"--datadir={folder}", *_user()]
    done = subprocess.run(
        [*words, "--auth-root-authentication-method=normal", "--skip-test-db"],
        # a server that starts removes every temporary table in its folder, also those of another one that lives
        env={**os.environ, "TMPDIR": str(_temporary(server))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise _did_not_start((done.stderr or done.stdout).strip().splitlines())
    return folder


def _temporary(server: Server) -> Path:
    folder = server.folder / "tmp"
    folder.mkdir(exist_ok=True)
    return folder


def _user() -> list[str]:
    # mariadbd refuses to run as root unless told so
    return ["--user=root"] if os.geteuid() == 0 else []


def _start(server: Server, data: Path, pool: str, redo: str, options: Sequence[str]) -> subprocess.Popen[bytes]:
    log = server.folder / "error.log"
    words = [
        server.programs["mariadbd"], "--no-defaults", *_user(), f"--datadir={data}", f"--socket={server.socket}",
        "--skip-networking", f"--pid-file={server.folder / 'pid'}", f"--log-error={log}",
        f"--tmpdir={_temporary(server)}", "--skip-log-bin",
        "--skip-name-resolve", "--performance-schema=OFF", "--event-scheduler=OFF",
        f"--max-allowed-packet={_LARGEST_PACKET}", "--character-set-server=utf8mb3",
        "--collation-server=utf8mb3_general_ci", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
        f"--innodb-buffer-pool-size={pool}", f"--innodb-log-file-size={redo}", *options,
    ]  # fmt: skip
    process = subprocess.Popen(
        without_network(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ends = time.monotonic() + _READY_SECONDS
    ping = [server.programs["mariadb-admin"], "--no-defaults", f"--socket={server.socket}", "--user=root", "ping"]
    while time.monotonic() < ends and process.poll() is None:
        if server.socket.exists() and subprocess.run(ping, capture_output=True, check=False).returncode == 0:
            return process
        time.sleep(0.05)
    _end(process)
    raise _did_not_start(log.read_text(errors="replace").splitlines() if log.exists() else [])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server. What it holds is thrown away, so it need not end cleanly, only surely."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)


def _did_not_start(lines: Sequence[str]) -> EnvironmentMissingError:
    # its last word is that it gives up; why, it said before
    errors = [line for line in lines if "ERROR" in line and not line.rstrip().endswith("Aborting")] or list(lines)
    full = next((line for line in errors if "No space left" in line or "Errcode: 28" in line), "")
    return EnvironmentMissingError(
        f"The throwaway database server did not start: {full or (errors[-1] if errors else 'it said nothing')}.",
        cloud="Nothing outside its own folder was touched.",
        next_command="free space, then try again" if full else "",
        details=errors[-3:],
        reason="throwaway-did-not-start",
    )
