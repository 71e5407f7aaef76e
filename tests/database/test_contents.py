"""What is read from the text of a dump: tables, rows, digests, heads; and that a cut dump is none."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.database.contents import Contents, head_differences, read_contents
from upgrader.database.unpacked import DumpDamaged

END = "-- Dump completed on 2026-11-22 12:00:00\n"


def dump(folder: Path, text: str, name: str = "nova.sql.gz", *, end: str = END) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress((text + end).encode()))
    return path


def table(name: str, *rows: str, columns: str = "") -> str:
    inserts = f"INSERT INTO `{name}`{columns} VALUES\n" + ",\n".join(rows) + ";\n" if rows else ""
    return f"CREATE TABLE `{name}` (\n  `id` int\n) ENGINE=InnoDB;\n{inserts}"


def rows(found: Contents) -> dict[str, int]:
    return {name: one.rows for name, one in found.tables.items()}


def test_every_form_of_rows_is_counted(tmp_path: Path) -> None:
    text = (
        table("lines", "(1,'a,\\n(b),\\n(c')", "(2,'it\\'s (not) a row;')", "(3,NULL)")
        + table("empty")
        + table("generated", "(4)", columns=" (`id`, `x``y`)")
        + "CREATE TABLE `one_line` (\n);\nINSERT INTO `one_line` VALUES (1,'),('),(2,\"b)\"),(3,0x00FF);\n"
        + "CREATE TABLE `each` (\n);\nINSERT INTO `each` VALUES (1,'a');\nINSERT INTO `each` VALUES (2,NULL);\n"
        + "CREATE TABLE `odd``name` (\n);\nINSERT INTO `odd``name` VALUES\n(1);\n"
    )
    assert rows(read_contents("mariadb-dump", [dump(tmp_path, text)])) == {
        "nova.each": 2, "nova.empty": 0, "nova.generated": 1, "nova.lines": 3, "nova.odd`name": 1, "nova.one_line": 3,
    }  # fmt: skip


def test_what_looks_like_a_table_and_is_none(tmp_path: Path) -> None:
    text = (
        "/*!50001 CREATE TABLE `view` (\n  `id` int\n) ENGINE=MyISAM */;\n"
        "DELIMITER ;;\nCREATE PROCEDURE x() BEGIN\nCREATE TABLE `inner` (\nid int);\nINSERT INTO `inner` VALUES (1);\n"
        "END ;;\nDELIMITER ;\n" + table("real", "(1)")
    )
    assert rows(read_contents("mariadb-dump", [dump(tmp_path, text)])) == {"nova.real": 1}


def test_heads_are_those_of_the_dump(tmp_path: Path) -> None:
    files = [
        dump(tmp_path, table("alembic_version", "('b')", "('a')")),
        dump(tmp_path, table("alembic_version"), "glance.sql.gz"),
        dump(tmp_path, table("migrate_version", "('heat','/a,b',86)"), "heat.sql.gz"),
        dump(tmp_path, table("users", "(1)"), "horizon.sql.gz"),
    ]
    assert read_contents("mariadb-dump", files).heads == {
        "nova": ("a", "b"), "glance": (), "heat": ("migrate_version:heat:86",),
    }  # fmt: skip


@given(st.permutations(["(1,'a')", "(2,'b')", "(3,'b')"]), st.integers(1, 3))
def test_a_digest_knows_rows_and_not_their_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("order")
    first, rest = order[:cut], order[cut:]
    more = ",\n".join(rest)
    text = table("t", *first) + (f"INSERT INTO `t` VALUES\n{more};\n" if rest else "")
    one = read_contents("mariadb-dump", [dump(folder, text)]).tables["nova.t"]
    same = read_contents("mariadb-dump", [dump(folder, table("t", *sorted(order)))]).tables["nova.t"]
    other = read_contents("mariadb-dump", [dump(folder, table("t", *sorted(order)[:2], "(3,'c')"))]).tables["nova.t"]
    assert one == same
    assert one.digest != other.digest


def test_a_row_twice_is_not_the_row_once(tmp_path: Path) -> None:
    once = read_contents("mariadb-dump", [dump(tmp_path, table("t", "(1)"))])
    twice = read_contents("mariadb-dump", [dump(tmp_path, table("t", "(1)", "(1)"))])
    assert once.tables["nova.t"].digest != twice.tables["nova.t"].digest


def test_a_dump_without_its_end(tmp_path: Path) -> None:
    with pytest.raises(DumpDamaged, match=r"nova\.sql\.gz has no end"):
        read_contents("mariadb-dump", [dump(tmp_path, table("t", "(1)"), end="")])


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_no_cut_of_a_compressed_dump_passes(tmp_path: Path, kind: str) -> None:
    path = dump(tmp_path, table("t", *(f"({number},'{'x' * 40}{number * 7919}')" for number in range(400))))
    if kind == "zst":
        if shutil.which("zstd") is None:
            pytest.skip("needs the program zstd")
        subprocess.run(["zstd", "-q", str(_plain(path))], check=True)
        path = tmp_path / "nova.sql.zst"
    whole = path.read_bytes()
    assert rows(read_contents("mariadb-dump", [path])) == {"nova.t": 400}
    for cut in (0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(DumpDamaged, match=path.name):
            read_contents("mariadb-dump", [path])


def _plain(path: Path) -> Path:
    plain = path.with_suffix("")
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain


def test_mydumper_splits_tables_and_stands_in_for_views(tmp_path: Path) -> None:
    for name, text in {
        "nova-schema-create.sql.gz": "CREATE DATABASE `nova`;\n",
        "nova.t-schema.sql.gz": "CREATE TABLE `t` (\n);\n",
        "nova.t.00000.sql.gz": 'INSERT INTO `t` VALUES\n(1,"a"),\n(2,"b");\n',
        "nova.t.00001.sql.gz": 'INSERT INTO `t` VALUES(3,"c")\n,(4,"d")\n;\n',
        "nova.empty-schema.sql.gz": "CREATE TABLE `empty` (\n);\n",
        "nova.v-schema.sql.gz": "CREATE TABLE `v`(\n`id` int\n)ENGINE=MyISAM;\n",
        "nova.v-schema-view.sql.gz": "CREATE VIEW `v` AS select 1;\n",
        "nova.t-schema-triggers.sql.gz": "CREATE TRIGGER x;\n",
    }.items():
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    (tmp_path / "metadata").write_text("Started dump at: x\nFinished dump at: y\n")
    assert rows(read_contents("mydumper", tmp_path.iterdir())) == {"nova.empty": 0, "nova.t": 4}
    (tmp_path / "metadata").write_text("Started dump at: x\n")
    with pytest.raises(DumpDamaged, match="not finished"):
        read_contents("mydumper", tmp_path.iterdir())


def test_heads_that_moved_are_told() -> None:
    assert head_differences({"nova": ["a"]}, {"nova": ("a",)}, {"nova": ("a",)}) == ()
    (line,) = head_differences({"nova": ["a"]}, {"nova": ("a",)}, {"nova": ("b",)})
    assert line == "nova was at a before, at a in the dump, at b after it"
    (line,) = head_differences({}, {}, {"heat": ("x",)})
    assert line == "heat was at nothing before, at nothing in the dump, at x after it"
