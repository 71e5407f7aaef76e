"""Databases of a release as its own programs make them, and a backup set of them such as the stage takes."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from upgrader.database import manifest as parts
from upgrader.database import questions
from upgrader.database.manifest import BackupSet, Manifest, now
from upgrader.database.throwaway import Server
from upgrader.graph import load_graph
from upgrader.graph.migrations import ServiceMigrations
from upgrader.rehearsal.clerk import EnvironmentPrograms
from upgrader.rehearsal.commands import Workplace
from upgrader.rehearsal.environments import Services

PRODUCTION = "10.77.0.5"
"""The address by which every row below would reach production."""
CELL0, CELL1 = "00000000-0000-0000-0000-000000000000", "11111111-1111-1111-1111-111111111111"
NOVA_ROWS = f"""
INSERT INTO nova_api.cell_mappings (uuid, name, transport_url, database_connection, disabled) VALUES
  ('{CELL0}', 'cell0', 'none:///', 'mysql+pymysql://nova:pw@{PRODUCTION}:3306/nova_cell0', 0),
  ('{CELL1}', 'cell1', 'rabbit://u:p@{PRODUCTION}:5672,u:p@10.77.0.6:5672//',
   'mysql+pymysql://nova:pw@{PRODUCTION}:3306/nova', 0);
"""
KEYSTONE_ROWS = """
INSERT INTO keystone.service (id, type, enabled, extra) VALUES ('s1', 'identity', 1, '{}');
INSERT INTO keystone.endpoint (id, interface, service_id, url, enabled, extra)
  VALUES ('e1', 'public', 's1', 'https://api.example.org:5000/v3', 1, '{}');
"""
NEUTRON_ROWS = """
INSERT INTO neutron.standardattributes (id, resource_type) VALUES (7001, 'networks'), (7002, 'networks');
INSERT INTO neutron.tags (standard_attr_id, tag) VALUES (7001, 'blue'), (7002, 'green');
"""
ROWS = {"nova": NOVA_ROWS, "keystone": KEYSTONE_ROWS, "neutron": NEUTRON_ROWS}


def services(names: Sequence[str] = ()) -> tuple[ServiceMigrations, ...]:
    """Those of the names; all when none is named."""
    return tuple(service for service in load_graph().migrations if not names or service.name in names)


def make_fresh(server: Server, environment: Services, folder: Path, wanted: Sequence[ServiceMigrations]) -> None:
    """Databases of the services at its release, made by its own migrations, with a few rows that name production."""
    for service in wanted:
        for name in service.databases:
            server.sql(f"CREATE DATABASE {name}")
    with EnvironmentPrograms(environment, folder / "programs") as programs:

        def make(service: ServiceMigrations) -> None:
            with Workplace(folder / f"fresh-{service.name}", server, programs, service) as place:
                for step in service.steps:
                    done = place.run(step.phase, step.command, limit=600)
                    assert done.code == 0, (service.name, done.command, done.last_words)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(make, wanted))
    server.sql("".join(ROWS.get(service.name, "") for service in wanted) or "SELECT 1")


def dump(server: Server, database: str) -> bytes:
    """What mariadb-dump says of one database, as the stage `backup` asks it."""
    program = shutil.which("mariadb-dump")
    assert program
    words = ["--no-defaults", f"--socket={server.socket}", "--user=root", "--single-transaction", "--quick"]
    words += ["--routines", "--triggers", "--events", "--hex-blob", "--databases", database]
    return subprocess.run([program, *words], capture_output=True, check=True).stdout


def make_set(server: Server, folder: Path, release: str) -> Path:
    """A finished backup set of everything on the server; its keys are numbered files, its secrets are made up."""
    names = questions.databases(server)
    made = BackupSet.begin(
        folder, Manifest(site="rehearsal", release=release, made_at=now(), server_version=server.programs.version)
    )
    (folder / "database").mkdir()
    (folder / "keys").mkdir()
    files = []
    for name in names:
        path = folder / "database" / f"{name}.sql.gz"
        path.write_bytes(gzip.compress(dump(server, name), 1))
        files.append(path)
    made.record(parts.DATABASES, files)
    grants = folder / "database" / "grants.sql.gz"
    grants.write_bytes(gzip.compress(b"CREATE OR REPLACE USER `keystone`@`%`;\n"))
    made.record(parts.GRANTS, [grants])
    for part in (parts.FERNET_KEYS, parts.CREDENTIAL_KEYS):
        made.record(part, [key_tar(folder / "keys" / f"ctl1.{part}.tar", part)])
    for part in (parts.CONFIGURATION, parts.INVENTORY, parts.PASSWORDS, parts.IMAGES):
        path = folder / f"{part}.tar"
        path.write_bytes(b"nothing that a rehearsal looks at")
        made.record(part, [path])
    made.note(
        server_version=server.programs.version,
        heads=questions.heads(server, names),
        rows={table: count for table, count in questions.row_counts(server, names).items() if "alembic" not in table},
    )
    assert not [finding for finding in made.finish() if finding.blocks]
    return folder


def key_tar(path: Path, part: str) -> Path:
    """Two keys in a folder, as `engine cp` packs them; each a valid Fernet key."""
    with tarfile.open(path, "w") as tar:
        for number in ("0", "1"):
            content = (b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NT" + number.encode())[:43] + b"="
            member = tarfile.TarInfo(f"{part}/{number}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path
