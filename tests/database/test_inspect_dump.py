"""Releases read from dumps that the real programs wrote, and everything that is no dump."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import has_server
from upgrader.database.inspect_dump import Inspection, inspect
from upgrader.database.throwaway import Server, programs, throwaway
from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.graph import load_graph

GRAPH = load_graph()


def need(program: str) -> None:
    """A test's program: one that CI installs has to be there in CI."""
    if shutil.which(program) is None:
        if os.environ.get("UPGRADER_CI"):
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")


def dump(database: str, *rows: str, tables: tuple[str, ...] = ("things",), end: bool = True) -> bytes:
    """A dump as mariadb-dump writes it for one database."""
    text = [
        "-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
        f"-- Host: localhost    Database: {database}\n-- Server version\t10.11.6-MariaDB\n"
        "/*!40101 SET NAMES utf8mb4 */;\n"
    ]
    for table in ("alembic_version", *tables):
        text.append(f"CREATE TABLE `{table}` (\n  `id` varchar(32)\n) ENGINE=InnoDB;\n")
    text += [f"INSERT INTO `alembic_version` VALUES ('{row}');\n" for row in rows]
    text.append("INSERT INTO `things` VALUES (1);\n" + ("-- Dump completed on 2026-11-22\n" if end else ""))
    return "".join(text).encode()


def look(tmp_path: Path, **dumps: bytes) -> Inspection:
    names = []
    for name, text in dumps.items():
        path = tmp_path / f"{name}.sql"
        path.write_bytes(text)
        names.append(str(path))
    return inspect(names, GRAPH)


def kinds(found: Inspection) -> list[str]:
    return [trouble.kind for trouble in found.troubles]


NEUTRON_2025_1 = ("5c85685d616d", "ad80a9f07c5c")
KEYSTONE = ("47147121", "c88cdce8f248")


# ---------------------------------------------------------------- verdicts


def test_the_release_that_fits_all(tmp_path: Path) -> None:
    found = look(tmp_path, a=dump("neutron", *NEUTRON_2025_1), b=dump("keystone", *KEYSTONE))
    assert (found.verdict, found.releases, found.troubles) == ("release", ("2025.1",), ()) and found.sound
    found = look(tmp_path, b=dump("keystone", *KEYSTONE))
    assert found.releases == ("2024.1", "2024.2", "2025.1", "2025.2") and found.sound


def test_names_of_databases_do_not_matter(tmp_path: Path) -> None:
    found = look(tmp_path, a=dump("copy_of_friday", *NEUTRON_2025_1), b=dump("neutron", *KEYSTONE))
    assert [(known.database, known.schema_name) for known in found.databases] == [
        ("neutron", "keystone"),
        ("copy_of_friday", "neutron"),
    ]
    assert found.releases == ("2025.1",)


def test_mixed(tmp_path: Path) -> None:
    found = look(tmp_path, a=dump("neutron", *NEUTRON_2025_1), b=dump("nova", "13863f4e1612"))
    assert (found.verdict, found.releases, found.sound) == ("mixed", (), False)


@pytest.mark.parametrize(
    ("database", "rows", "tables", "words"),
    [
        ("keystone", ("742c857f1dfb", "c88cdce8f249x"[:12]), ("things",), "742c857f1dfb"),
        ("keystone", ("11c3b243b4cb", "e25ffa003242"), ("things",), "complete at 2023.2"),
        ("glance", ("2023_1_contract01", "2024_1_expand01"), ("things",), "complete at 2024.1"),
        ("neutron", ("ad80a9f07c5c",), ("things",), "complete at 2025.1 would be 5c85685d616d + ad80a9f07c5c"),
        ("neutron", ("5c85685d616d", "6f1145bff34c"), ("things",), "6f1145bff34c"),
        ("anything", (), ("ports", "ml2_port_bindings", "standardattributes"), "version table is empty, but 3 tables"),
        ("octavia", ("db2a73e82626",), ("vip_security_group",), "table vip_security_group of 3097e55493ae is there"),
        ("heat", ("c6214ca60943",), ("resource_snapshot",), "table resource_snapshot of 88be64598c0f is there already"),
    ],
)
def test_half_migrated(
    tmp_path: Path, database: str, rows: tuple[str, ...], tables: tuple[str, ...], words: str
) -> None:
    found = look(tmp_path, a=dump(database, *rows, tables=tables), b=dump("placement", "a082b8bb98d0"))
    if "c88cdce8f249" in rows:
        assert found.verdict == "unknown head"
        return
    assert found.verdict == "half-migrated", found
    reading = next(known for known in found.databases if known.kind == "half-migrated")
    assert words in reading.note and "never write the version row by hand" in reading.way_out


def test_unknown_heads(tmp_path: Path) -> None:
    found = look(tmp_path, a=dump("neutron", "5c85685d616d", "ffffffffffff"), b=dump("horizon", "0001"))
    assert (found.verdict, found.ignored) == ("unknown head", ("horizon",))
    assert look(tmp_path, a=dump("nova", "eeeeeeeeeeee")).verdict == "unknown head"


def test_heats_old_row_and_novas_shadow_table(tmp_path: Path) -> None:
    legacy = "CREATE TABLE `migrate_version` (\n `x` int\n);\nINSERT INTO `migrate_version` VALUES ('heat','/p',86);\n"
    old = dump("h", end=False).replace(b"alembic_version", b"shadow_alembic_version")
    found = look(tmp_path, a=old + legacy.encode() + b"-- Dump completed\n")
    assert found.releases == ("2023.1",)
    found = look(tmp_path, a=dump("h", "97b2a986f922", end=False) + legacy.encode() + b"-- Dump completed\n")
    assert found.releases == ("2026.1", "2026.2")


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (os.urandom(3000), "foreign"),
        (b"PGDMP\x01\x0e\x00", "foreign"),
        (b"--\n-- PostgreSQL database dump\n--\n\nSET x = 0;\n", "foreign"),
        (b"SQLite format 3\0" + bytes(600), "foreign"),
        (b"Dear all,\nthe dump is attached.\n", "foreign"),
        (b"XBSTCK01" + bytes(900), "foreign"),
        # without the time: it is part of the test's name
        (gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), "foreign"),
        (b"\xff\xfe" + dump("nova", "2903cd72dc14").decode().encode("utf-16-le"), "charset"),
        (dump("nova", "2903cd72dc14").replace(b"utf8mb4", b"latin1"), "charset"),
        (dump("nova", "2903cd72dc14", end=False), "truncated"),
        (dump("nova", "2903cd72dc14")[:-60], "truncated"),
        (b"CREATE USER `nova`@`%`;\nGRANT ALL ON `nova`.* TO `nova`@`%`;\n", "accounts-only"),
        (dump("nova").replace(b"INSERT", b"-- SERT"), "structure-only"),
    ],
)  # fmt: skip
def test_bad_input(tmp_path: Path, text: bytes, kind: str) -> None:
    found = look(tmp_path, a=text)
    assert kinds(found) == [kind] and not found.sound, found


def test_archives_are_named(tmp_path: Path) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO())
    assert "tar archive" in look(tmp_path, a=held.getvalue()).troubles[0].message
    assert "tar archive" in look(tmp_path, a=gzip.compress(held.getvalue())).troubles[0].message


def test_a_database_without_its_version_table(tmp_path: Path) -> None:
    tables = ("instances", "block_device_mapping", "instance_extra")
    found = look(tmp_path, a=dump("x", tables=tables).replace(b"alembic_version", b"other"))
    assert (found.verdict, kinds(found)) == ("no release", ["no-version-table"])


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        inspect([str(tmp_path / "nothing")], GRAPH)


# ---------------------------------------------------------------- compression, streams, folders


@pytest.mark.parametrize("program", ["pigz", "gzip", ""])
def test_gzip_whole_and_cut(tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if program:
        need(program)
    monkeypatch.setattr(
        "upgrader.database.dump_files.shutil.which",
        lambda name, found=shutil.which: found(name) if name == program else None,
    )
    packed = gzip.compress(
        dump("neutron", *NEUTRON_2025_1) + os.urandom(200_000).hex().encode() + b"\n-- Dump completed\n"
    )
    found = look(tmp_path, a=packed)
    assert (found.releases, found.sources[0].compression, found.troubles) == (("2025.1",), "gzip", ())
    cut = look(tmp_path, a=packed[:-1000])
    assert kinds(cut) == ["truncated"] and cut.releases == ("2025.1",)
    assert kinds(look(tmp_path, a=packed[:5000] + b"broken" + packed[5006:])) == ["truncated"]
    joined = look(tmp_path, a=packed + gzip.compress(dump("keystone", *KEYSTONE)))
    assert [known.schema_name for known in joined.databases] == ["keystone", "neutron"]
    assert inspect(["-"], GRAPH, io.BytesIO(packed)).sound


def test_zstd_whole_and_cut(tmp_path: Path) -> None:
    need("zstd")
    plain = tmp_path / "plain"
    plain.write_bytes(dump("neutron", *NEUTRON_2025_1) + os.urandom(300_000).hex().encode() + b"\n-- Dump completed\n")
    packed = subprocess.run(["zstd", "-qc", str(plain)], capture_output=True, check=True).stdout
    found = look(tmp_path, a=packed)
    assert (found.releases, found.sources[0].compression, found.sound) == (("2025.1",), "zstd", True)
    cut = look(tmp_path, a=packed[:-1000])
    assert kinds(cut) == ["truncated"] and cut.releases == ("2025.1",)
    with plain.open("rb") as stream:
        assert inspect(["-"], GRAPH, stream).sound
    # a pipe cannot be read twice
    with subprocess.Popen(["zstd", "-qc", str(plain)], stdout=subprocess.PIPE) as pipe:
        assert inspect(["-"], GRAPH, pipe.stdout).sound


def test_without_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upgrader.database.dump_files.shutil.which", lambda _name: None)
    with pytest.raises(EnvironmentMissingError, match="zstd"):
        look(tmp_path, a=b"\x28\xb5\x2f\xfd" + bytes(600))


def test_a_folder_of_dumps_and_a_backup_set(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "database").mkdir(parents=True)
    (folder / "database" / "keystone.sql.gz").write_bytes(gzip.compress(dump("keystone", *KEYSTONE)))
    (folder / "database" / "neutron.sql").write_bytes(dump("neutron", *NEUTRON_2025_1))
    (folder / "database" / "grants.sql.gz").write_bytes(gzip.compress(b"CREATE USER `nova`@`%`;\n"))
    found = inspect([str(folder / "database")], GRAPH)
    assert (found.releases, found.sound) == (("2025.1",), True)
    (folder / "manifest.json").write_text(json.dumps({"kind": "backup", "state": "unverified"}))
    assert inspect([str(folder)], GRAPH).sound
    (folder / "manifest.json").write_text(json.dumps({"kind": "backup", "state": "incomplete"}))
    assert kinds(inspect([str(folder)], GRAPH)) == ["incomplete-set"]
    shutil.rmtree(folder / "database")
    assert kinds(inspect([str(folder)], GRAPH)) == ["incomplete-set", "no-dump"]
    assert kinds(inspect([str(tmp_path / "set" / ".")], GRAPH)) == ["incomplete-set", "no-dump"]
    (tmp_path / "void").mkdir()
    assert kinds(inspect([str(tmp_path / "void")], GRAPH)) == ["no-dump"]


# ---------------------------------------------------------------- what the real programs write

SCHEMAS = """
CREATE DATABASE nova; CREATE DATABASE api; CREATE DATABASE heat;
CREATE USER u@localhost; GRANT ALL ON nova.* TO u@localhost;
CREATE TABLE nova.alembic_version (version_num VARCHAR(32) PRIMARY KEY);
INSERT INTO nova.alembic_version VALUES ('2903cd72dc14');
CREATE TABLE nova.shadow_alembic_version (version_num VARCHAR(32));
CREATE TABLE nova.console_auth_tokens (id INT PRIMARY KEY, tls_port INT);
CREATE TABLE nova.notes (id INT PRIMARY KEY, text LONGTEXT, raw BLOB);
INSERT INTO nova.notes VALUES (1, 'it''s\\nINSERT INTO `alembic_version` VALUES (''x'');\\n', 0x00ff27),
  (2, NULL, NULL);
CREATE VIEW nova.v AS SELECT * FROM nova.notes;
CREATE TRIGGER nova.t BEFORE INSERT ON nova.notes FOR EACH ROW SET NEW.id = NEW.id + 1;
CREATE TABLE api.alembic_version (version_num VARCHAR(32)); INSERT INTO api.alembic_version VALUES ('cdeec0c85668');
CREATE TABLE heat.migrate_version (repository_id VARCHAR(250) PRIMARY KEY, repository_path TEXT, version INT);
INSERT INTO heat.migrate_version VALUES ('heat', '/usr/lib/heat', 86);
CREATE TABLE heat.alembic_version (version_num VARCHAR(32)); INSERT INTO heat.alembic_version VALUES ('c6214ca60943');
"""
ALL = ("nova", "api", "heat")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not has_server():
        need("mariadbd")
    try:
        with throwaway(tmp_path_factory.mktemp("dumped"), programs(), pool="16M", redo="8M") as running:
            running.sql(SCHEMAS)
            yield running
    except EnvironmentMissingError as error:
        pytest.skip(error.message)


@pytest.mark.parametrize(
    "words",
    [
        ("--databases", *ALL),
        ("--all-databases",),
        ("--skip-extended-insert", "--complete-insert", "--databases", *ALL),
        ("--hex-blob", "--routines", "--triggers", "--events", "--databases", *ALL),
        ("--compact", "--databases", *ALL),
        ("--skip-comments", "--skip-quote-names", "--insert-ignore", "--databases", *ALL),
        ("--compatible=ansi", "--databases", *ALL),
        ("--replace", "--skip-dump-date", "--no-create-info", "--databases", *ALL),
        ("nova",),
    ],
    ids=" ".join,
)
def test_what_mariadb_dump_writes(server: Server, tmp_path: Path, words: tuple[str, ...]) -> None:
    path = tmp_path / "d.sql"
    with path.open("wb") as out:
        base = ["mariadb-dump", "--no-defaults", f"--socket={server.socket}", "--user=root", "--single-transaction"]
        subprocess.run([*base, *words], stdout=out, check=True)
    found = inspect([str(path)], GRAPH)
    expected = {"nova": ("2903cd72dc14",)}
    if words != ("nova",):
        expected |= {"nova_api": ("cdeec0c85668",), "heat": ("c6214ca60943",)}
    assert {known.schema_name: known.heads for known in found.databases} == expected, found
    assert found.sound and found.releases[0] == "2025.1", found
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b";") - 3])
    assert kinds(inspect([str(path)], GRAPH)) == ["truncated"]


def mydumped(server: Server, place: Path, *options: str) -> Path:
    """mydumper 0.10 now and then does not end, though all its connections are gone: 1 of 40 with its own locks."""
    for attempt in range(5):
        folder = place / f"dumped{attempt}"
        words = ["mydumper", "--user", "root", "--socket", str(server.socket), "--regex", "^(nova|api|heat)\\."]
        words.append("--trx-consistency-only")
        try:
            subprocess.run(
                [*words, "--outputdir", str(folder), *options],
                check=True,
                capture_output=True,
                timeout=20 * (attempt + 1),
            )
        except subprocess.TimeoutExpired:
            continue
        return folder
    pytest.fail("mydumper did not end in any of five tries")


@pytest.mark.slow  # a minute where it does not end
@pytest.mark.parametrize("options", [(), ("--compress",)], ids=["plain", "packed"])
def test_what_mydumper_writes(server: Server, tmp_path: Path, options: tuple[str, ...]) -> None:
    need("mydumper")
    folder = mydumped(server, tmp_path, *options)
    found = inspect([str(folder)], GRAPH)
    assert found.sound and found.sources[0].format == "mydumper", found
    assert {known.schema_name for known in found.databases} == {"nova", "nova_api", "heat"}
    assert found.releases == ("2025.1", "2025.2")
    one = next(file for file in folder.glob("nova.alembic_version.*") if "schema" not in file.name)
    assert inspect([str(one)], GRAPH).databases[0].database == "nova"
    assert inspect([str(one)], GRAPH).releases[0] == "2025.1"
    (folder / "metadata").unlink()
    assert kinds(inspect([str(folder)], GRAPH)) == ["truncated"]
