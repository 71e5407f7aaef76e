"""An OpenSSH server and an object store, started by the test on free ports of loopback and ended with it."""

from __future__ import annotations

import getpass
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.offbox_kit import absent, need

SECONDS = 120.0
STORE_KEY = "canary-of-the-object-store-0815"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def until(true: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    ends = time.monotonic() + SECONDS
    while not true():
        assert process.poll() is None, f"{what} ended with {process.returncode}"
        assert time.monotonic() < ends, f"{what} did not come up"
        time.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(argv: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        yield process
    finally:
        process.kill()
        process.wait(60)


@dataclass(frozen=True)
class SshServer:
    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def repository(self) -> str:
        return f"sftp:{getpass.getuser()}@127.0.0.1:{self.folder / 'store'}"

    def option(self, *, key: str = "client") -> str:
        """restic's option that reaches this server, and knows it."""
        return (
            f"sftp.command=ssh -F none -p {self.port} -i {self.folder / key} -o IdentitiesOnly=yes -o BatchMode=yes "
            f"-o UserKnownHostsFile={self.folder / 'known_hosts'} -o StrictHostKeyChecking=yes "
            f"-l {getpass.getuser()} 127.0.0.1 -s sftp"
        )


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """sshd as the current user, with a host key and an authorized key of its own; SFTP alone."""
    need("sshd", "ssh-keygen", "ssh")
    folder.mkdir(mode=0o700)
    for name in ("host", "client", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    program = str(shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"))
    if os.geteuid() == 0:  # where sshd goes before it knows who is there; packages make it at boot
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    settings = folder / "sshd_config"
    settings.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile {folder / 'pid'}\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
        "MaxStartups 100\n"
    )
    key = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}")
    with running([program, "-D", "-e", "-f", str(settings)], folder / "log") as process:
        until(lambda: answers(port), process, "sshd")
        yield SshServer(folder, port, process)


@dataclass(frozen=True)
class ObjectStore:
    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def s3(self, place: Path, key: str = STORE_KEY) -> tuple[str, Path]:
        """(repository, file with the keys) as S3."""
        where = _secrets(place / "s3.env", f"AWS_ACCESS_KEY_ID=test:tester\nAWS_SECRET_ACCESS_KEY={key}\n")
        return f"s3:http://127.0.0.1:{self.port}/backups", where

    def swift(self, place: Path, key: str = STORE_KEY) -> tuple[str, Path]:
        """(repository, file with the keys) as Swift itself."""
        text = f"# of the store\nexport ST_AUTH=http://127.0.0.1:{self.port}/auth/v1.0\nST_USER='test:tester'\n"
        return "swift:native:/sets", _secrets(place / "swift.env", f'{text}ST_KEY="{key}"\n')


def _secrets(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """OpenStack Swift with its S3 layer; see object_store.py."""
    if importlib.util.find_spec("swift") is None:
        absent("OpenStack Swift not installed (pip install -e '.[objectstore]')")
    folder.mkdir(mode=0o700)
    (folder / "key").write_text(STORE_KEY)
    script = Path(__file__).with_name("object_store.py")
    with running([sys.executable, str(script), str(folder)], folder / "log") as process:
        until((folder / "port").exists, process, f"the object store ({folder / 'log'})")
        yield ObjectStore(folder, int((folder / "port").read_text()), process)
