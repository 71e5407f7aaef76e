"""A disk that fills in the middle of a real restore: what is named, what stays, and that repeating it ends it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import container, has_server, make_cloud
from tests.cloud_kit.scripts import run_script
from tests.cloud_kit.server import Server, running_server
from upgrader.facts.parse import sections

CI = os.environ.get("UPGRADER_CI") == "1"
TAKE = ("facts/questions.sh", "database/take.sh")
RESTORE = ("facts/questions.sh", "database/restore.sh")
ROWS = 200_000
MIB = 1024 * 1024

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CI and not has_server(), reason="needs mariadb-server"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk"),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def schemas(server: Server) -> None:
    for name in ("cinder", "nova", "octavia"):
        server.sql(
            f"CREATE DATABASE {name}; USE {name}; CREATE TABLE alembic_version (version_num VARCHAR(32));"
            f"INSERT INTO alembic_version VALUES ('{name}'); CREATE TABLE rows_of (id INT PRIMARY KEY, text CHAR(140));"
            f"INSERT INTO rows_of SELECT seq, SHA2(seq, 512) FROM seq_1_to_{ROWS if name == 'nova' else 10};"
        )


def counted(server: Server, schema: str) -> str:
    return server.sql(f"SELECT COUNT(*) FROM {schema}.rows_of").strip()


def test_the_schema_it_happened_in_is_named_and_a_repetition_ends_it(disk: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.mkdir()
    with running_server(disk) as server:
        schemas(server)
        ctl1 = make_cloud(tmp_path / "site", {"mariadb": ["ctl1"]}, server.socket)
        ctl1.put("ctl1", container("mariadb"))
        host = ctl1.host("ctl1")
        assert run_script(host, *TAKE, dir=str(dump), wanted="schemas").returncode == 0
        # since then: the large one was lost, the others got rows, and something else took the disk
        server.sql("DROP DATABASE nova; INSERT INTO octavia.rows_of VALUES (11, 'since'); DELETE FROM cinder.rows_of;")
        room = shutil.disk_usage(disk).free - 8 * MIB
        (disk / "others").write_bytes(b"x" * room)
        done = run_script(host, *RESTORE, dir=str(dump))
        found = sections(done.stdout)
        assert done.returncode != 0
        assert found.failed["disk-full"] == "nova"
        assert found.failed["databases"].startswith("nova: ERROR")
        # nothing is dropped that could not be loaded again
        assert (counted(server, "cinder"), counted(server, "octavia")) == ("10", "11")
        (disk / "others").unlink()
        again = run_script(host, *RESTORE, dir=str(dump))
        assert (again.returncode, sections(again.stdout).failed) == (0, {}), again.stderr
        assert [counted(server, name) for name in ("cinder", "nova", "octavia")] == ["10", str(ROWS), "10"]
