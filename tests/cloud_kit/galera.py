"""Real Galera nodes on loopback: own data folders, own ports, nothing of them left afterwards."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .hosts import PASSWORD
from .server import Server

PROVIDER = next(
    (path for path in map(Path, ("/usr/lib/galera/libgalera_smm.so", "/usr/lib/libgalera_smm.so")) if path.exists()),
    None,
)
_FIRST_SECONDS, _SECONDS = 120.0, 180.0


@dataclass
class Node:
    """One server. `socket` is where its client finds it."""

    folder: Path
    user: str
    ports: tuple[int, int, int]
    """SQL, group communication, incremental state transfer; the whole state comes by the next free one."""
    process: subprocess.Popen[bytes] | None = None
    peers: list[Node] = field(default_factory=list)
    recovered: int = -1
    """How far in the cluster's history its data stood when it was last started."""

    @property
    def server(self) -> Server:
        return Server(self.folder / "s")

    def start(self, *, first: bool = False, wait: bool = True) -> None:
        """Join the peers, or begin a cluster anew. With `wait` it is Synced when this returns."""
        address = "" if first else ",".join(f"127.0.0.1:{peer.ports[1]}" for peer in self.peers)
        log = self.folder / "err.log"
        position = self._position()
        log.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*self.words(), f"--wsrep-cluster-address=gcomm://{address}", *position],
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        if wait:
            self.synced()

    def words(self) -> list[str]:
        """The server's command line without the address of its cluster."""
        sql, group, ist = self.ports
        return [
            "mariadbd", "--no-defaults", f"--user={self.user}", f"--datadir={self.folder}/data",
            f"--socket={self.folder}/s", f"--port={sql}", "--bind-address=127.0.0.1", f"--pid-file={self.folder}/pid",
            f"--log-error={self.folder}/err.log", f"--tmpdir={self.folder}", "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2", "--wsrep-on=ON", f"--wsrep-provider={PROVIDER}",
            "--wsrep-cluster-name=upgrader", f"--wsrep-node-name={self.folder.name}",
            f"--wsrep-node-address=127.0.0.1:{group}", "--wsrep-sst-method=rsync",
            f"--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{group};ist.recv_addr=127.0.0.1:{ist};"
            "gcache.size=4M",
            f"--wsrep-sst-receive-address=127.0.0.1:{_free()}", "--performance-schema=OFF", "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
        ]  # fmt: skip

    def _position(self) -> list[str]:
        """Where its data stand in the cluster's history, asked of them as mariadbd-safe does that Kolla starts."""
        if not (self.folder / "data" / "grastate.dat").exists():
            return []
        subprocess.run(
            ["mariadbd", "--no-defaults", f"--user={self.user}", f"--datadir={self.folder}/data", "--wsrep-recover",
             f"--log-error={self.folder}/recover.log", f"--tmpdir={self.folder}", "--innodb-log-file-size=16M",
             f"--socket={self.folder}/r", "--skip-networking", f"--pid-file={self.folder}/recover.pid", "--wsrep-on=ON",
             f"--wsrep-provider={PROVIDER}", "--wsrep-cluster-address=gcomm://", "--binlog-format=ROW"],
            check=False, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        log = self.folder / "recover.log"
        text = log.read_text(errors="replace")
        log.unlink()
        found = re.findall(r"Recovered position:? *(\S+)", text)
        assert found, text[-3000:]
        self.recovered = int(found[-1].partition(":")[2].partition(",")[0])
        return [f"--wsrep-start-position={found[-1]}"]

    def synced(self) -> None:
        ends = time.monotonic() + _SECONDS
        while self.status("wsrep_local_state_comment") != "Synced":
            assert self.process is not None
            assert self.process.poll() is None, self.log()[-3000:]
            assert time.monotonic() < ends, self.log()[-3000:]
            time.sleep(0.1)

    def status(self, name: str) -> str:
        done = subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self.folder}/s", "-uroot", "-NB", "-e",
             f"SHOW GLOBAL STATUS LIKE '{name}'"],
            env={"MYSQL_PWD": PASSWORD, "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip().partition("\t")[2]

    def stop(self) -> None:
        """Leave the cluster in good order, as a container does that is stopped."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def bootstrap(self) -> None:
        """Begin the cluster anew from this node's data, as recover_cluster.yml of kolla-ansible's mariadb role does."""
        state = self.folder / "data" / "grastate.dat"
        lines = [line for line in state.read_text().splitlines() if not line.startswith("safe_to_bootstrap")]
        state.write_text("\n".join([*lines, "safe_to_bootstrap: 1", ""]))
        self.start(first=True)

    def log(self) -> str:
        return (self.folder / "err.log").read_text(errors="replace")


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def cluster(size: int) -> Iterator[list[Node]]:
    """A cluster of `size` Synced nodes whose root password is the site's."""
    user = getpass.getuser()
    if os.geteuid() == 0:
        # rsync's daemon gives its rights away when it is root's, and cannot write then
        user = "mysql"
    root = Path(tempfile.mkdtemp(prefix="upgrader-galera-"))
    with ExitStack() as ended:
        ended.callback(shutil.rmtree, root, ignore_errors=True)
        root.chmod(0o755)
        nodes = [Node(root / f"ctl{number}", user, (_free(), _free(), _free())) for number in range(1, size + 1)]
        for node in nodes:
            node.peers = nodes
            ended.callback(node.kill)
            _install(node)
        nodes[0].start(first=True, wait=False)
        ends = time.monotonic() + _FIRST_SECONDS
        text = f"ALTER USER root@localhost IDENTIFIED BY '{PASSWORD.replace(chr(39), chr(39) * 2)}';"
        client = ["mariadb", "--no-defaults", f"--socket={nodes[0].folder}/s", "-uroot"]
        while subprocess.run(client, input=text.encode(), capture_output=True, check=False).returncode:
            assert time.monotonic() < ends, nodes[0].log()[-3000:]
            time.sleep(0.1)
        for node in nodes:
            if node is not nodes[0]:
                node.start()
        nodes[0].synced()
        yield nodes


def _install(node: Node) -> None:
    node.folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(node.folder, node.user)
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={node.folder}/data", f"--user={node.user}",
         "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True, capture_output=True, env={**os.environ, "TMPDIR": str(node.folder)},
    )  # fmt: skip
