"""A physical copy is made ready, put in place and run on a real cluster of three; the others take over its state.

Servers, mariadb-backup and the provider of Galera are real; containers are processes that see a volume at its place.
"""

from __future__ import annotations

import gzip
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cloud_kit.galera import PROVIDER, Node, cluster
from tests.cloud_kit.hosts import PASSWORD, FolderCloud, container, make_cloud
from tests.cloud_kit.scripts import PACKAGE, run_script
from tests.offbox_kit import absent, need
from upgrader.database import physical_copy
from upgrader.database.manifest import FileEntry, Manifest, now, sha256_of
from upgrader.facts.parse import Sections, sections
from upgrader.runner.ansible import AnsibleRunner
from upgrader.runner.base import Play, PlayResult

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
pid=$(cat "$folder/pid" 2>/dev/null) && grep -qs '^State:.[^Z]' "/proc/$pid/status" &&
  grep -qsF "$folder" "/proc/$pid/cmdline" && exit 0
address=$(sed -n 's/^wsrep_cluster_address *= *//p' "$conf")
rm -f "$folder/err.log" "$folder/recover.log"
# as mariadbd-safe does: where InnoDB's own data stand in a history, whatever grastate.dat says
{words} --wsrep-cluster-address=gcomm:// --wsrep-recover --skip-networking --log-error="$folder/recover.log" 2>/dev/null
position=$(sed -n 's/.*Recovered position:* *//p' "$folder/recover.log" | tail -n 1)
exec >/dev/null 2>&1 </dev/null
setsid {words} --wsrep-cluster-address="$address" ${{position:+--wsrep-start-position=$position}} &
"""
STOP = """
pid=$(cat {folder}/pid 2>/dev/null) || exit 0
# the number of one that was killed may be another's by now; one whose parent is this test stays as a zombie
runs() {{ grep -qs '^State:.[^Z]' "/proc/$pid/status" && grep -qsF {folder} "/proc/$pid/cmdline"; }}
runs && kill "$pid"
# as an engine does: a server that is told to end while it begins may go on for ever
for _ in $(seq 300); do runs || exit 0; sleep 0.1; done
kill -9 "$pid"
while runs; do sleep 0.1; done
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
    (host / "hooks" / "exited").write_text(STOP.format(folder=node.folder))
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


# ---------------------------------------------------------------- killed anywhere


def killed(lab: Lab, moment: str, number: int) -> None:
    (lab.host("ctl1") / "argv.log").unlink(missing_ok=True)
    (lab.host("ctl1") / "die").write_text(f"{moment} {number}")


def mended(lab: Lab) -> None:
    (lab.host("ctl1") / "die").unlink()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(2, 7))
def test_killed_while_it_is_made_ready(lab: Lab, moment: str, number: int) -> None:
    """Calls of the engine: volume, volume, rm, then a container for unpacking, preparing and trying."""
    shutil.rmtree(lab.host("ctl1") / "volumes" / COPY, ignore_errors=True)
    (lab.host("ctl1") / "volumes" / COPY).mkdir()
    killed(lab, moment, number)
    assert lab.copy(alone=True).returncode != 0
    mended(lab)
    done = lab.copy()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"nova\tinstances\t{ROWS}" in lab.answers().get("rows")


@pytest.mark.parametrize("names", [(), ("ibdata1", "nova"), ("mysql", "sys", "ibdata1")])
@pytest.mark.parametrize("which", ["aside", "in"])
def test_broken_off_while_data_are_moved(lab: Lab, which: str, names: tuple[str, ...]) -> None:
    shutil.rmtree(lab.host("ctl1") / "volumes" / COPY, ignore_errors=True)
    assert lab.copy().returncode == 0
    for node in lab.nodes:
        lab.stop(node.folder.name)
    volume, data = lab.host("ctl1") / "volumes" / COPY, lab.host("ctl1") / "volumes" / "mariadb"
    (volume / "aside").mkdir()
    if which == "in":
        for path in list(data.iterdir()):
            path.rename(volume / "aside" / path.name)
        (volume / "upgrader-step").write_text(f"aside {lab.sha}\n")
    for name in names:
        source, target = (volume / "data", data) if which == "in" else (data, volume / "aside")
        (source / name).rename(target / name)
    for _ in range(2):
        done = lab.place()
        assert done.returncode == 0, done.stdout
    assert (volume / "aside" / "ibdata1").exists() and not list((volume / "data").iterdir())
    done = lab.begin()
    assert done.returncode == 0, done.stdout
    assert f"nova\tinstances\t{ROWS}" in sections(done.stdout).get("rows")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 7))
def test_killed_while_the_first_server_begins(lab: Lab, moment: str, number: int) -> None:
    for node in lab.nodes:
        lab.stop(node.folder.name)
    killed(lab, moment, number)
    lab.begin(alone=True)
    mended(lab)
    done = lab.begin()
    assert done.returncode == 0, done.stdout
    assert lab.nodes[0].status("wsrep_cluster_status") == "Primary"
    assert "wsrep_cluster_address=gcomm://127" in lab.conf("ctl1")


# ---------------------------------------------------------------- what it says


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("checksum", "does not have the checksum"), ("cut", "unexpected end of file"),
        ("foreign", "xb_stream_read_chunk"), ("empty", "no whole stream"),
        ("password", "ERROR 1045"), ("image", "Unable to find image"),
    ],
)  # fmt: skip
def test_what_cannot_become_a_server_is_named(lab: Lab, trouble: str, words: str, tmp_path: Path) -> None:
    shutil.rmtree(lab.host("ctl1") / "volumes" / COPY, ignore_errors=True)
    whole, other = lab.stream.read_bytes(), tmp_path / "stream.gz"
    content = {"cut": whole[: len(whole) // 2], "empty": gzip.compress(b"")}.get(trouble, gzip.compress(b"what"))
    other.write_bytes(content)
    instead = {"sha": sha256_of(other), "stream": str(other)}
    changes: dict[str, Any] = {
        "checksum": {"sha": "0" * 64}, "image": {"image": "r/none:1"}, "cut": instead, "foreign": instead,
        "empty": instead,
        "password": {"password": "another"},
    }[trouble]  # fmt: skip
    done = lab.copy(**changes)
    assert done.returncode == 1
    assert words in " ".join(sections(done.stdout).failed.values()), done.stdout + done.stderr


# ---------------------------------------------------------------- by Ansible


def test_the_plays_from_room_to_the_end(lab: Lab, tmp_path: Path) -> None:
    """The same by Ansible, from a set; nothing that is written or passed on holds the password."""
    runner, site, toolchain = AnsibleRunner(secrets=[PASSWORD]), lab.cloud.site, lab.cloud.toolchain
    shutil.rmtree(lab.host("ctl1") / "volumes" / COPY, ignore_errors=True)
    entry = FileEntry(path=lab.stream.name, bytes=lab.stream.stat().st_size, sha256=lab.sha)
    stream = physical_copy.Stream(lab.stream, entry, 200 << 20, "ctl1")
    names = [node.folder.name for node in lab.nodes]
    plays = iter(range(99))

    def run(play: Play) -> PlayResult:
        result = runner.run(play, tmp_path / f"play{next(plays)}")
        assert result.verdict, result.message
        return result

    result = run(physical_copy.room_play(site, toolchain, names, stream, COPY, ["r/none:1", IMAGE]))
    found = physical_copy.rooms(result, names)
    assert {room.images for room in found.values()} == {(IMAGE,)}
    assert [room.lacks(stream, chosen=True) for room in found.values()] == [""] * 3
    assert "MiB are needed" in found["ctl1"].lacks(replace(stream, plain=1 << 60), chosen=True)
    manifest = Manifest(site="s", release="2025.1", made_at=now(), heads=(("nova", ("aaa",)),),
                        rows=(("nova.instances", ROWS),))  # fmt: skip
    result = run(physical_copy.copy_play(site, toolchain, found["ctl1"], stream, COPY, IMAGE, None))
    said = physical_copy.answer(result, physical_copy.TRIED, "ctl1", manifest)
    assert (said.error, said.wrong, said.databases) == ("", (), 1)
    assert said.version
    for name in names:
        lab.stop(name)
    run(physical_copy.place_play(site, toolchain, "ctl1", stream, COPY))
    # a process that a play starts is waited for by it, which a container's is not
    assert lab.begin().returncode == 0
    result = run(physical_copy.begin_play(site, toolchain, "ctl1", 120))
    said = physical_copy.answer(result, physical_copy.BEGUN, "ctl1", manifest)
    assert (said.error, said.wrong) == ("", ())
    run(physical_copy.end_play(site, toolchain, "ctl1", COPY))
    assert not (lab.host("ctl1") / "volumes" / COPY).exists()
    for path in (*tmp_path.glob("play*/**/*"), *lab.cloud.root.glob("hosts/*/*.log")):
        if path.is_file():
            content = path.read_bytes()
            assert not any(form.encode() in content for form in (PASSWORD, json.dumps(PASSWORD)[1:-1])), path
