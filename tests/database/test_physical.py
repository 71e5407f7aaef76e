"""A physical copy is made ready, put in place and run on a real cluster of three; the others take over its state.

Servers, mariadb-backup and the provider of Galera are real; containers are processes that see a volume at its place.
"""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cloud_kit.galera import PROVIDER, Node, cluster
from tests.cloud_kit.hosts import PASSWORD, FolderCloud, container, make_cloud
from tests.cloud_kit.scripts import PACKAGE, run_script
from tests.offbox_kit import absent, need
from upgrader.database.manifest import sha256_of
from upgrader.facts.parse import Sections, sections

pytestmark = pytest.mark.slow

BEGIN = ("facts/questions.sh", "database/physical_begin.sh", "database/rejoin.sh")
REJOIN = ("facts/questions.sh", "database/rejoin.sh")
IMAGE = "registry:4000/kolla/mariadb-server:2025.1-debian-bookworm"
ROWS = 5000
COPY = "mariadb_copy_a1"
MADE = f"""
CREATE DATABASE nova; USE nova;
CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('aaa');
CREATE TABLE instances (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200));
INSERT INTO instances (name) SELECT CONCAT(REPEAT(MD5(seq), 4), seq) FROM seq_1_to_{ROWS};
CREATE USER 'nova'@'%' IDENTIFIED BY 'x'; GRANT ALL ON nova.* TO 'nova'@'%';
"""
HOOK = """
set -u
folder={folder} conf={conf}
pid=$(cat "$folder/pid" 2>/dev/null) && grep -qs '^State:.[^Z]' "/proc/$pid/status" && exit 0
address=$(sed -n 's/^wsrep_cluster_address *= *//p' "$conf")
rm -f "$folder/err.log" "$folder/recover.log"
# as mariadbd-safe does: where InnoDB's own data stand in a history, whatever grastate.dat says
{words} --wsrep-cluster-address=gcomm:// --wsrep-recover --skip-networking --log-error="$folder/recover.log" 2>/dev/null
position=$(sed -n 's/.*Recovered position:* *//p' "$folder/recover.log" | tail -n 1)
exec >/dev/null 2>&1 </dev/null
setsid {words} --wsrep-cluster-address="$address" ${{position:+--wsrep-start-position=$position}} &
"""
STOP = """
pid=$(cat {pid} 2>/dev/null) || exit 0
kill "$pid" 2>/dev/null
# one whose parent is this test stays as a zombie
while grep -qs '^State:.[^Z]' "/proc/$pid/status"; do sleep 0.1; done
"""


@dataclass
class Lab:
    nodes: list[Node]
    cloud: FolderCloud
    stream: Path

    @property
    def sha(self) -> str:
        return sha256_of(self.stream)

    def host(self, name: str) -> Path:
        return self.cloud.host(name)

    def stop(self, name: str) -> None:
        self.engine(name, "stop", "mariadb")

    def engine(self, name: str, *words: str) -> None:
        run_script(self.host(name), tail=f"engine {shlex.join(words)}")

    def start(self, name: str) -> None:
        self.engine(name, "start", "mariadb")
        done = run_script(self.host(name), *REJOIN, limit="120", pause="0.2")
        assert done.returncode == 0, done.stdout + self.node(name).log()[-2000:]

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.folder.name == name)

    def whole(self) -> None:
        """Every server runs and is of one cluster."""
        if not any(node.status("wsrep_cluster_status") == "Primary" for node in self.nodes):
            done = self.begin()
            assert done.returncode == 0, done.stdout
        for node in self.nodes:
            self.start(node.folder.name)

    def copy(self, *, alone: bool = False, **changes: str) -> subprocess.CompletedProcess[str]:
        work = self.cloud.root / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        shutil.copy(self.stream, work / "stream.gz")
        values = {
            "dir": str(work), "stream": "", "sha": self.sha, "copy": COPY, "image": IMAGE,
            "inside": (PACKAGE / "database/physical_inside.sh").read_text(),
            "questions": (PACKAGE / "facts/questions.sh").read_text(),
        }  # fmt: skip
        return run_script(self.host("ctl1"), "database/physical_copy.sh", alone=alone, **(values | changes))

    def place(self, *, alone: bool = False) -> subprocess.CompletedProcess[str]:
        return run_script(self.host("ctl1"), "database/physical_place.sh", alone=alone, copy=COPY, sha=self.sha)

    def begin(self, *, alone: bool = False) -> subprocess.CompletedProcess[str]:
        tail = "ask heads && ask rows && ask schemas"
        return run_script(
            self.host("ctl1"), *BEGIN, alone=alone, tail=tail, host_root="x", limit="120", pause="0.2"
        )  # fmt: skip

    def answers(self) -> Sections:
        return sections((self.host("ctl1") / "volumes" / COPY / "answers").read_text())

    def conf(self, name: str) -> str:
        return (self.host(name) / "config" / "galera.cnf").read_text()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    need("mariadbd", "mariadb-install-db", "mariadb-backup", "mbstream", "rsync", "ss", "unshare")
    if PROVIDER is None:
        absent("galera-4 not installed")
    if os.geteuid() != 0:
        absent("mounting a volume needs root")
    with cluster(3) as nodes:
        nodes[0].server.sql(MADE)
        names = [node.folder.name for node in nodes]
        made = make_cloud(nodes[0].folder.parent / "site", {"mariadb": names})
        for node in nodes:
            _as_container(made, node, nodes)
        stream = made.root / "stream.gz"
        taken = subprocess.run(
            ["mariadb-backup", "--no-defaults", "--backup", "--stream=xbstream", "--user=root",
             f"--password={PASSWORD}", f"--socket={nodes[0].folder}/s", f"--datadir={nodes[0].folder}/data",
             f"--target-dir={made.root / 'taken'}"], capture_output=True, check=True,
        )  # fmt: skip
        stream.write_bytes(gzip.compress(taken.stdout, 1))
        made_lab = Lab(nodes, made, stream)
        yield made_lab
        for name in names:
            made_lab.stop(name)


def _as_container(made: FolderCloud, node: Node, nodes: list[Node]) -> None:
    """From now on the engine starts and stops this server, whose data are a volume of the host."""
    host = made.host(node.folder.name)
    (host / "socket").write_text(str(node.folder / "s"))
    (host / "galera").unlink(missing_ok=True)
    made.put(node.folder.name, container("mariadb", IMAGE))
    peers = ",".join(f"127.0.0.1:{peer.ports[1]}" for peer in nodes)
    (host / "config").mkdir()
    (host / "config" / "galera.cnf").write_text(f"[mysqld]\nwsrep_cluster_address=gcomm://{peers}\nwsrep_on = ON\n")
    (host / "hooks").mkdir()
    words, conf = shlex.join(node.words()), host / "config" / "galera.cnf"
    (host / "hooks" / "running").write_text(HOOK.format(folder=node.folder, conf=conf, words=words))
    (host / "hooks" / "exited").write_text(STOP.format(pid=node.folder / "pid"))
    (host / "volumes").mkdir()
    # renamed under a running server, which has its data folder open; its own path leads there
    (node.folder / "data").rename(host / "volumes" / "mariadb")
    (node.folder / "data").symlink_to(host / "volumes" / "mariadb")


def test_made_ready_beside_a_running_cluster(lab: Lab) -> None:
    before = lab.nodes[0].status("wsrep_last_committed")
    done = lab.copy()
    assert done.returncode == 0, done.stdout + done.stderr
    said = sections(done.stdout)
    assert said.get("heads") == ["nova\talembic_version\taaa"]
    assert f"nova\tinstances\t{ROWS}" in said.get("rows")
    assert said.get("schemas") == ["nova"]
    assert [node.status("wsrep_local_state_comment") for node in lab.nodes] == ["Synced"] * 3
    assert lab.nodes[0].status("wsrep_last_committed") == before
    again = lab.copy(sha=lab.sha, dir="/nowhere")
    assert again.returncode == 0 and again.stdout == done.stdout, "it is there already, and nothing is sent"


def test_put_in_place_and_taken_over(lab: Lab) -> None:
    lab.whole()
    assert lab.copy().returncode == 0
    lab.nodes[1].server.sql("INSERT INTO nova.instances (name) VALUES ('since')")
    old = lab.nodes[0].status("wsrep_cluster_state_uuid")
    for node in lab.nodes:
        lab.stop(node.folder.name)
    done = lab.place()
    assert done.returncode == 0, done.stdout
    done = lab.begin()
    assert done.returncode == 0, done.stdout + lab.nodes[0].log()[-3000:]
    said = sections(done.stdout)
    assert f"nova\tinstances\t{ROWS}" in said.get("rows")
    node = lab.nodes[0]
    assert (node.status("wsrep_cluster_size"), node.status("wsrep_cluster_status")) == ("1", "Primary")
    assert node.status("wsrep_cluster_state_uuid") != old, "another history: whoever joins takes everything over"
    assert "wsrep_cluster_address=gcomm://127" in lab.conf("ctl1"), "its configuration is what it was"
    for name in ("ctl2", "ctl3"):
        lab.start(name)
        assert "SST" in lab.node(name).log()
    answers = {node.server.sql("SELECT COUNT(*), SUM(name = 'since') FROM nova.instances") for node in lab.nodes}
    assert answers == {f"{ROWS}\t0\n"}
    # and the first one is no special one any more
    lab.stop("ctl1")
    lab.start("ctl1")
    assert {node.status("wsrep_cluster_size") for node in lab.nodes} == {"3"}
