"""A set when something goes wrong half way: a full disk, a lost server, no way to it. And what OVN and RabbitMQ say."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import upgrader
from tests.cloud_kit.hosts import FolderCloud, container, has_server, make_cloud
from tests.cloud_kit.scripts import run_script
from tests.cloud_kit.server import Server, running_server
from upgrader.database.contents import read_contents
from upgrader.facts.parse import sections

TAKE = ("facts/questions.sh", "database/take.sh")
STATE = ("database/take_state.sh",)
MYDUMPER = Path(upgrader.__file__).parent / "database" / "take_mydumper.py"
ROWS = 60_000
PASSWORD = "s\"Ql-9f'sec#ret \\n$HOME;"
CI = os.environ.get("UPGRADER_CI") == "1"

slow = pytest.mark.slow
needs_server = pytest.mark.skipif(not CI and not has_server(), reason="needs mariadb-server")
needs_mydumper = pytest.mark.skipif(not CI and shutil.which("mydumper") is None, reason="needs mydumper")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, FolderCloud]]:
    root = tmp_path_factory.mktemp("troubles")
    with running_server(root) as running:
        name = PASSWORD.replace("\\", "\\\\").replace("'", "''")
        running.sql(
            "CREATE DATABASE nova; USE nova; CREATE TABLE alembic_version (version_num VARCHAR(32));"
            "INSERT INTO alembic_version VALUES ('abc');"
            "CREATE TABLE instances (id INT PRIMARY KEY, name VARCHAR(140));"
            f"INSERT INTO instances SELECT seq, SHA2(seq, 512) FROM seq_1_to_{ROWS};"
            f"CREATE USER 'taker'@'localhost' IDENTIFIED BY '{name}'; GRANT ALL ON *.* TO 'taker'@'localhost';"
        )
        made = make_cloud(root / "site", {"mariadb": ["ctl1"]}, running.socket)
        made.put("ctl1", *(container(name) for name in ("mariadb", "ovn_nb_db", "ovn_sb_db", "rabbitmq")))
        yield running, made


def mydumper(out: Path, where: object, *schemas: str, password: str = PASSWORD, first: str = "") -> tuple[int, str]:
    command = [sys.executable, str(MYDUMPER), str(out), str(where), "1", "taker", *schemas]
    if first:
        script = f'{first}; exec "$@"'
        command = ["unshare", "--map-root-user", "--mount", "bash", "-c", script, "x", *command]
    # it must end by itself: of a full disk the program would wait for ever
    done = subprocess.run(command, input=f"{password}\n", capture_output=True, text=True, check=False, timeout=300)
    assert password not in done.stdout + done.stderr
    return done.returncode, done.stderr.strip()


# ---------------------------------------------------------------- mydumper from this machine


@slow
@needs_server
@needs_mydumper
def test_mydumper_takes_the_schemas_it_is_given_and_no_others(
    server: tuple[Server, FolderCloud], tmp_path: Path
) -> None:
    running, _ = server
    code, words = mydumper(tmp_path / "out", running.socket, "nova")
    assert (code, words) == (0, "")
    assert {path.name.partition(".")[0].partition("-")[0] for path in (tmp_path / "out").iterdir()} == {
        "nova", "metadata",
    }  # fmt: skip
    held = read_contents("mydumper", (tmp_path / "out").iterdir())
    assert {name: one.rows for name, one in held.tables.items()} == {"nova.alembic_version": 1, "nova.instances": ROWS}
    assert held.heads == {"nova": ("abc",)}


@slow
@needs_server
@needs_mydumper
def test_no_way_from_here_is_told_apart_from_a_dump_that_failed(
    server: tuple[Server, FolderCloud], tmp_path: Path
) -> None:
    running, _ = server
    code, words = mydumper(tmp_path / "a", running.socket, "nova", password="wrong")
    assert (code, "Access denied" in words) == (3, True)
    code, words = mydumper(tmp_path / "b", tmp_path / "no.sock", "nova")
    assert (code, "Can't connect" in words) == (3, True)


@slow
@needs_server
@needs_mydumper
def test_a_disk_full_in_the_middle_of_mydumper_is_named(server: tuple[Server, FolderCloud], tmp_path: Path) -> None:
    running, _ = server
    first = f"mount -t tmpfs -o size=3m none {tmp_path}"
    code, words = mydumper(tmp_path / "out", running.socket, "nova", first=first)
    assert (code, words) == (1, f"no space left on this machine in {tmp_path}/out")


# ---------------------------------------------------------------- mariadb-dump on the host


@slow
@needs_server
def test_a_disk_full_in_the_middle_of_the_dump_is_named(server: tuple[Server, FolderCloud], tmp_path: Path) -> None:
    _, made = server
    first = f"mount -t tmpfs -o size=1m none {tmp_path}"
    done = run_script(made.host("ctl1"), *TAKE, dir=str(tmp_path), wanted="schemas", first=first)
    assert done.returncode != 0
    assert sections(done.stdout).failed["databases"] == f"no space left on this host in {tmp_path}"


@slow
@needs_server
def test_a_server_lost_in_the_middle_of_the_dump_is_named(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "out").mkdir()
    with running_server(tmp_path / "server") as running:
        running.sql(
            "CREATE DATABASE nova; USE nova; CREATE TABLE instances (id INT PRIMARY KEY, name VARCHAR(140));"
            f"INSERT INTO instances SELECT seq, SHA2(seq, 512) FROM seq_1_to_{ROWS};"
        )
        made = make_cloud(tmp_path / "site", {"mariadb": ["ctl1"]}, running.socket)
        made.put("ctl1", container("mariadb"))
        (made.host("ctl1") / "lose-server").write_text((tmp_path / "server" / "pid").read_text())
        done = run_script(made.host("ctl1"), *TAKE, dir=str(tmp_path / "out"), wanted="schemas")
    assert done.returncode != 0
    assert "Lost connection" in sections(done.stdout).failed["databases"]
    assert not list((tmp_path / "out").glob("*.tar"))


# ---------------------------------------------------------------- OVN and RabbitMQ


@pytest.fixture
def cloud(tmp_path: Path) -> FolderCloud:
    made = make_cloud(tmp_path / "site", {"control": ["ctl1"]})
    made.put("ctl1", *(container(name) for name in ("ovn_nb_db", "ovn_sb_db", "rabbitmq")))
    (made.host("ctl1") / "programs").mkdir()
    return made


def state(made: FolderCloud, out: Path, wanted: str, **programs: str) -> tuple[dict[str, str], dict[str, str]]:
    """(file → its content, what failed) of the script on ctl1, whose containers have these programs."""
    for name, script in programs.items():
        (made.host("ctl1") / "programs" / name.replace("__", "-")).write_text(script)
    out.mkdir()
    done = run_script(made.host("ctl1"), *STATE, dir=str(out), wanted=wanted, age="0")
    assert done.returncode == 0, done.stderr
    found = sections(done.stdout)
    names = [line.split("\t")[0] for line in found.get("files")]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    return {name: gzip.decompress((out / name).read_bytes()).decode() for name in names}, found.failed


def test_ovn_and_definitions_are_kept(cloud: FolderCloud, tmp_path: Path) -> None:
    ovsdb = 'for last; do :; done; echo "OVSDB JSON $last $*"'
    held, failed = state(
        cloud,
        tmp_path / "out",
        "nb sb definitions",
        ovn_nb_db__ovsdb__client=ovsdb,
        ovn_sb_db__ovsdb__client=ovsdb,
        rabbitmq__rabbitmqctl="""echo '{"users": []}'""",
    )
    assert failed == {}
    assert held["definitions.json.gz"] == '{"users": []}\n'
    assert "backup unix:/var/run/ovn/ovnnb_db.sock OVN_Northbound" in held["OVN_Northbound.db.gz"]
    assert "OVSDB JSON OVN_Southbound" in held["OVN_Southbound.db.gz"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'OVSDB JSON x'; echo 'not the leader' >&2; exit 1", "not the leader"),
        ("echo 'Error: cannot'", "not what it should be"),
        ("true", "not what it should be"),
    ],
)
def test_what_is_no_copy_of_ovn_is_not_kept(cloud: FolderCloud, tmp_path: Path, script: str, words: str) -> None:
    held, failed = state(cloud, tmp_path / "out", "nb", ovn_nb_db__ovsdb__client=script)
    assert held == {}
    assert words in failed["ovn-nb"]


@pytest.mark.parametrize(("role", "kept"), [("leader", True), ("follower", False), ("candidate", False)])
def test_a_follower_of_ovn_gives_nothing(cloud: FolderCloud, tmp_path: Path, role: str, kept: bool) -> None:
    held, failed = state(
        cloud,
        tmp_path / "out",
        "nb",
        ovn_nb_db__ovs__appctl=f"echo Name: OVN_Northbound; echo Role: {role}; echo Leader: self",
        ovn_nb_db__ovsdb__client="echo OVSDB JSON x",
    )
    assert bool(held) == kept
    assert failed == ({} if kept else {"ovn-nb": f"its server here is {role}, not the leader"})


def test_the_youngest_physical_backup_is_copied_and_an_old_one_is_not(cloud: FolderCloud, tmp_path: Path) -> None:
    volume = cloud.host("ctl1") / "volumes" / "mariadb_backup" / "full-22-11-2026"
    volume.mkdir(parents=True)
    old, new = (volume / f"mysqlbackup-{name}.qp.xbc.xbs.gz" for name in ("old", "new"))
    old.write_bytes(gzip.compress(b"XBSTCK01 old"))
    os.utime(old, (1_000_000_000, 1_000_000_000))
    assert state(cloud, tmp_path / "none", "physical") == ({}, {})
    new.write_bytes(gzip.compress(b"XBSTCK01 new"))
    held, failed = state(cloud, tmp_path / "out", "physical")
    assert (held, failed) == ({"mariabackup.xbs.gz": "XBSTCK01 new"}, {})
    assert old.exists()
    assert new.exists()
