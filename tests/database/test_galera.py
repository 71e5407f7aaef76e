"""A restore on a real cluster of three: one server is loaded alone, the others rejoin and hold the same.

The scripts are those that Ansible runs, the servers are real ones with a real Galera provider; starting and stopping
is done to processes instead of containers.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud_kit.galera import PROVIDER, Node, cluster
from tests.cloud_kit.hosts import FolderCloud, container, make_cloud
from tests.cloud_kit.scripts import run_script
from tests.offbox_kit import absent, need
from upgrader.database.manifest import BackupSet, Manifest, now
from upgrader.database.staged import stage_dump
from upgrader.facts.parse import sections

pytestmark = pytest.mark.slow

RESTORE = ("facts/questions.sh", "database/restore.sh")
REJOIN = ("facts/questions.sh", "database/rejoin.sh")
ROWS = 60_000
MADE = f"""
CREATE DATABASE nova; USE nova;
CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('aaa');
CREATE TABLE instances (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200));
INSERT INTO instances (name) SELECT CONCAT(REPEAT(MD5(seq), 4), seq) FROM seq_1_to_{ROWS};
CREATE USER 'nova'@'%' IDENTIFIED BY 'x'; GRANT ALL ON nova.* TO 'nova'@'%';
"""


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    need("mariadbd", "mariadb-install-db", "mariadb-dump", "rsync", "ss")
    if PROVIDER is None:
        absent("galera-4 not installed")
    with cluster(3) as made:
        made[0].server.sql(MADE)
        yield made


@pytest.fixture
def made(nodes: list[Node], tmp_path: Path) -> FolderCloud:
    names = [node.folder.name for node in nodes]
    cloud = make_cloud(tmp_path / "site", {"mariadb": names})
    for node in nodes:
        host = cloud.host(node.folder.name)
        (host / "socket").write_text(str(node.folder / "s"))
        (host / "galera").unlink(missing_ok=True)
        cloud.put(node.folder.name, container("mariadb"))
    return cloud


@pytest.fixture(scope="module")
def staged(nodes: list[Node], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the play sends: the set's dump as one tar."""
    from tests.cloud_kit.hosts import PASSWORD

    folder = tmp_path_factory.mktemp("set")
    new = BackupSet.begin(folder / "set", Manifest(site="s", release="2024.1", made_at=now()))
    dump = subprocess.run(
        ["mariadb-dump", "--no-defaults", f"--socket={nodes[0].folder}/s", "-uroot", "--single-transaction",
         "--databases", "nova"],
        env={"MYSQL_PWD": PASSWORD, "PATH": os.environ["PATH"]}, capture_output=True, check=True,
    ).stdout  # fmt: skip
    path = new.folder / "nova.sql.gz"
    path.write_bytes(gzip.compress(dump, 1))
    new.record("databases", [path])
    tar, schemas = stage_dump(new.folder, new.manifest, folder)
    assert schemas == ("nova",)
    return tar.read_bytes()


def load(made: FolderCloud, name: str, staged: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "dump.tar").write_bytes(staged)
    return run_script(made.host(name), *RESTORE, dir=str(folder))


def whole(made: FolderCloud, nodes: list[Node]) -> None:
    """Every node is Synced by the word of the script that waits for it, and all hold the same rows: the set's."""
    for node in nodes:
        done = run_script(made.host(node.folder.name), *REJOIN, limit="120", pause="0.2")
        assert done.returncode == 0, done.stdout + done.stderr + node.log()[-2000:]
    text = "CHECKSUM TABLE nova.instances; SELECT COUNT(*), SUM(name = 'since') FROM nova.instances"
    answers = {node.server.sql(text) for node in nodes}
    assert len(answers) == 1, answers
    assert answers.pop().endswith(f"\n{ROWS}\t0\n")
    assert {node.status("wsrep_cluster_size") for node in nodes} == {"3"}


def since(nodes: list[Node]) -> None:
    nodes[1].server.sql("INSERT INTO nova.instances (name) VALUES ('since')")


def test_one_is_loaded_and_the_others_rejoin(
    nodes: list[Node], made: FolderCloud, staged: bytes, tmp_path: Path
) -> None:
    since(nodes)
    for node in nodes[1:]:
        node.stop()
    assert (nodes[0].status("wsrep_cluster_size"), nodes[0].status("wsrep_cluster_status")) == ("1", "Primary")
    before = int(nodes[0].status("wsrep_last_committed"))
    done = load(made, "ctl1", staged, tmp_path / "work")
    assert done.returncode == 0, done.stdout + done.stderr
    said = sections(done.stdout)
    assert [line.split("\t")[0] for line in said.get("loaded")] == ["nova"]
    assert "wsrep_cluster_size\t1" in said.get("galera")
    assert int(nodes[0].status("wsrep_last_committed")) > before, "the history has to go on, or nobody takes it over"
    for node in nodes[1:]:
        node.start(wait=False)
        done = run_script(made.host(node.folder.name), *REJOIN, limit="120", pause="0.2")
        assert done.returncode == 0, done.stdout
        assert "wsrep_sst_rsync" in node.log() and "SST" in node.log(), "the whole state was taken over"
    whole(made, nodes)


def test_the_loaded_server_is_killed_in_the_middle(
    nodes: list[Node], made: FolderCloud, staged: bytes, tmp_path: Path
) -> None:
    """Nobody is Primary then. Recovered from what is left of it, loaded again, the others rejoin."""
    since(nodes)
    for node in nodes[1:]:
        node.stop()
    before = int(nodes[0].status("wsrep_last_committed"))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "dump.tar").write_bytes(staged)
    pid = os.fork()
    if pid == 0:
        run_script(made.host("ctl1"), *RESTORE, dir=str(tmp_path / "work"))
        os._exit(0)
    ends = time.monotonic() + 60
    while int(nodes[0].status("wsrep_last_committed") or 0) < before + 6:
        assert time.monotonic() < ends, "the load never came so far"
    nodes[0].kill()
    os.waitpid(pid, 0)
    nodes[0].bootstrap()
    assert nodes[0].recovered > before, "by this kolla-ansible finds the one that saw most"
    done = load(made, "ctl1", staged, tmp_path / "work")
    assert done.returncode == 0, done.stdout
    for node in nodes[1:]:
        node.start(wait=False)
    whole(made, nodes)


def test_without_replication_the_others_would_keep_their_rows(nodes: list[Node], made: FolderCloud) -> None:
    """Why the load replicates although nobody listens: what is done with wsrep_on=OFF has no place in the history, so
    a server that was away believes that it missed nothing."""
    nodes[1].stop()
    nodes[0].server.sql("SET SESSION wsrep_on=OFF; INSERT INTO nova.instances (name) VALUES ('only here');")
    nodes[1].start()
    counts = [node.server.sql("SELECT COUNT(*) FROM nova.instances").strip() for node in nodes[:2]]
    nodes[0].server.sql("SET SESSION wsrep_on=OFF; DELETE FROM nova.instances WHERE name = 'only here';")
    assert counts == [str(ROWS + 1), str(ROWS)]


def test_a_server_that_does_not_come_is_named(nodes: list[Node], made: FolderCloud) -> None:
    nodes[2].stop()
    try:
        done = run_script(made.host("ctl3"), *REJOIN, limit="1", pause="0.2")
    finally:
        nodes[2].start()
    assert done.returncode == 1
    assert sections(done.stdout).failed["rejoin"].startswith("not Synced after 1 s: ERROR 2002")
