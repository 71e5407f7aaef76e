"""A throwaway MariaDB server: real SQL for tests that would otherwise believe their own samples."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.process_kit import wait_until

from .hosts import PASSWORD


@dataclass(frozen=True)
class Server:
    socket: Path

    def sql(self, text: str, database: str = "") -> str:
        done = subprocess.run(
            [
                "mariadb",
                "--no-defaults",
                f"--socket={self.socket}",
                "-uroot",
                "-N",
                "--default-character-set=utf8mb4",
                "-B",
                *([database] if database else []),
            ],
            input=text,
            env={"MYSQL_PWD": PASSWORD, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """A server on a socket in `folder`, gone afterwards. Its root password is the site's."""
    user = getpass.getuser()
    data, socket = folder / "data", folder / "s.sock"
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={user}",
         "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True, capture_output=True, env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    process = subprocess.Popen(
        ["mariadbd", "--no-defaults", f"--user={user}", f"--datadir={data}", f"--socket={socket}", "--skip-networking",
         f"--pid-file={folder}/pid", f"--log-error={folder}/err.log", f"--tmpdir={folder}", "--skip-log-bin",
         "--performance-schema=OFF", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
         "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"],
    )  # fmt: skip
    try:
        ping = ["mariadb-admin", "--no-defaults", f"--socket={socket}", "-uroot", "ping"]

        def answers() -> bool:
            return subprocess.run(ping, capture_output=True, check=False).returncode == 0

        wait_until(lambda: process.poll() is not None or answers(), "the database server's first answer")
        assert process.poll() is None, (folder / "err.log").read_text()
        quoted = PASSWORD.replace("'", "''")
        subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={socket}", "-uroot"],
            input=f"ALTER USER root@localhost IDENTIFIED BY '{quoted}';", text=True, check=True,
        )  # fmt: skip
        yield Server(socket)
    finally:
        process.terminate()
        process.wait()
