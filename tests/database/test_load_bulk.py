"""Rows by LOAD DATA: which tables and which text are fit for it, and that a server holds the same afterwards."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.database.proof_kit import has_programs
from upgrader.database import load_bulk
from upgrader.database.load import LOADING, load_files
from upgrader.database.load_bulk import charset_in, fields, fit, header_in, read_as
from upgrader.database.throwaway import programs, throwaway
from upgrader.errors import UpgraderError

HEADER = b"INSERT INTO `t` VALUES\n"


def table(*columns: str) -> bytes:
    return (
        "CREATE TABLE `t` (\n" + "".join(f"  {column},\n" for column in columns) + "  PRIMARY KEY (`id`)\n)\n"
    ).encode()


@pytest.mark.parametrize(
    ("column", "plain"),
    [
        ("`a` varchar(3) DEFAULT NULL", True),
        ("`a` longtext CHARACTER SET utf8mb4 DEFAULT NULL CHECK (json_valid(`a`))", True),
        ("`a` enum('x','y') NOT NULL", True),
        ("`a ``b` bigint(20) unsigned NOT NULL AUTO_INCREMENT", True),
        ("`int` longblob DEFAULT NULL", False),
        ("`a` varbinary(16) NOT NULL", False),
        ("`a` bit(1) NOT NULL", False),
        ("`a` int(11) GENERATED ALWAYS AS (`id` + 1) STORED", False),
        ("`a` int(11) INVISIBLE DEFAULT 1", False),
        ("`a` point NOT NULL", False),
        ("`a` uuid NOT NULL", False),
    ],
)
def test_only_plain_columns_are_fit(column: str, plain: bool) -> None:
    assert fit(table("`id` int(11) NOT NULL", column)) is plain


def test_a_definition_in_one_line_is_not_fit() -> None:
    assert not fit(b"CREATE TABLE `t` (`id` int)")


LINE = st.text(alphabet="ab,'\\n();", max_size=8).map(lambda text: "('" + text.replace("'", "\\'") + "')")


@given(st.lists(st.lists(LINE, min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_blocks_hold_the_rows_wherever_they_are_cut(statements: list[list[str]], data: st.DataObject) -> None:
    text = b"".join(HEADER + ",\n".join(rows).encode() + b";\n" for rows in statements)
    lines = text.splitlines(keepends=True)
    cut = data.draw(st.integers(0, len(lines)))
    halves = [b"".join(lines[:cut]), b"".join(lines[cut:])]
    found = [fields(half, HEADER) for half in halves]
    wanted = "".join(f"{row},\n" for rows in statements for row in rows).encode()
    assert None not in found and b"".join(part or b"" for part in found) == wanted


@pytest.mark.parametrize(
    "block",
    [
        b"INSERT INTO `t` VALUES (1),(2);\n",
        b"INSERT INTO `other` VALUES\n(1);\n",
        b"INSERT INTO `t` (`a`) VALUES\n(1);\n",
        b"(1)\n,(2);\n",
        b"/*!40000 SET x */;\n(1);\n",
        b"(1),\n(2)",
    ],
)
def test_any_other_layout_goes_in_as_statements(block: bytes) -> None:
    assert fields(block, HEADER) is None


def test_the_session_before_the_rows() -> None:
    before = b"/*!40101 SET NAMES binary*/;\n/*!40103 SET TIME_ZONE='+00:00' */;\n"
    assert header_in(before + HEADER + b"(1);\n", "t") == (before, HEADER)
    assert charset_in(before) == b"binary"
    assert header_in(b"SELECT 1;\n" + HEADER, "t") == (b"", b"")
    assert header_in(HEADER, "u") == (b"", b"")
    assert charset_in(b"SET TIME_ZONE=1;\n") == b""


@pytest.mark.parametrize(
    ("names", "column", "options", "charset"),
    [
        (b"utf8mb4", "`a` text", "ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci", b"utf8mb3"),
        (b"utf8mb4", "`a` text", "ENGINE=InnoDB DEFAULT CHARSET=utf8", b"utf8"),
        (b"utf8mb4", "`a` text CHARACTER SET utf8mb4", "ENGINE=InnoDB DEFAULT CHARSET=utf8mb3", b"utf8mb4"),
        (b"utf8mb4", "`a` text", "ENGINE=InnoDB DEFAULT CHARSET=latin1", b"utf8mb4"),
        (b"utf8mb4", "`a` text", "ENGINE=InnoDB COMMENT='\n) CHARSET=x'", b"utf8mb4"),
        (b"binary", "`a` text", "ENGINE=InnoDB DEFAULT CHARSET=utf8mb3", b"binary"),
        (b"latin1", "`a` text", "ENGINE=InnoDB DEFAULT CHARSET=utf8mb3", b"latin1"),
    ],
)
def test_fields_are_read_in_the_tables_own_character_set(
    names: bytes, column: str, options: str, charset: bytes
) -> None:
    assert read_as(names, f"CREATE TABLE `t` (\n  {column}\n) {options};\n".encode()) == charset


needs_server = pytest.mark.skipif(
    not has_programs("mydumper") and "UPGRADER_CI" not in os.environ, reason="needs mariadb-server and mydumper"
)
ROWS = """
CREATE DATABASE `a'b` CHARACTER SET utf8mb3; USE `a'b`;
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
CREATE TABLE many (id INT PRIMARY KEY AUTO_INCREMENT, words TEXT, wide VARCHAR(60) CHARACTER SET utf8mb4,
  old VARCHAR(60) CHARACTER SET latin1, at DATETIME, on_day TIMESTAMP NOT NULL DEFAULT '2001-01-01', price DECIMAL(9,3),
  f DOUBLE, kind ENUM('x','y,z','NULL'), doc LONGTEXT CHECK (json_valid(doc)), KEY (kind), UNIQUE (id, kind));
INSERT INTO many SELECT seq - 1, ELT(seq % 7 + 1, NULL, 'NULL', '', '\\\\N',
  CONCAT('),', CHAR(10), '(1,', CHAR(39), '"\\\\'),
  CONCAT(CHAR(0), CHAR(26), CHAR(13), CHAR(9), REPEAT('x', 60)), ' ;\\n--'),
  ELT(seq % 3 + 1, '😀 ü', '"', NULL),
  IF(seq % 2, 'grün', 'a''b'), IF(seq % 5, '2024-02-29 01:02:03', '0000-00-00 00:00:00'), '2024-03-31 02:30:00',
  -seq / 3, seq * 1e-30, ELT(seq % 4 + 1, 'x', 'y,z', 'NULL', NULL),
  IF(seq % 2, '{"a": "\\\\\\\\n \\'"}', NULL) FROM seq_1_to_5000;
CREATE TABLE own (id INT PRIMARY KEY, a VARCHAR(99)) CHARSET=utf8mb3;
INSERT INTO own SELECT seq, REPEAT('ü€', 20) FROM seq_1_to_4000;
CREATE TABLE raw (id INT PRIMARY KEY, bits BIT(3), blobs BLOB);
INSERT INTO raw SELECT seq, seq % 8, UNHEX(MD5(seq)) FROM seq_1_to_9000;
CREATE TABLE made (id INT PRIMARY KEY, more INT AS (id + 1) STORED, words VARCHAR(90));
INSERT INTO made (id, words) SELECT seq, REPEAT('w', 50) FROM seq_1_to_9000;
"""


@needs_server
@pytest.mark.slow
@pytest.mark.parametrize("dump_format", ["mariadb-dump", "mydumper"])
def test_the_server_holds_the_same_afterwards(
    tmp_path: Path, dump_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped: list[bytes] = []
    whole = load_bulk.Bulk.write
    monkeypatch.setattr(load_bulk.Bulk, "write", lambda self, text: (piped.append(text), whole(self, text))[1])
    sums = (
        "USE `a'b`; CHECKSUM TABLE many, raw, own EXTENDED; SHOW CREATE TABLE many; SELECT SUM(id), SUM(more) FROM made"
    )
    dump = tmp_path / "dump"
    dump.mkdir()
    with throwaway(tmp_path, programs()) as server:
        server.sql(ROWS)
        before = server.sql(sums)
        words = ["--no-defaults", f"--socket={server.socket}", "--user=root"]
        if dump_format == "mydumper":
            words = ["mydumper", f"--socket={server.socket}", "--user=root", "-B", "a'b", "-r", "2000", "-o", str(dump)]
            subprocess.run(words, check=True, capture_output=True)
        else:
            command = ["mariadb-dump", *words, "--hex-blob", "--databases", "a'b", f"--result-file={dump / 'a.sql'}"]
            subprocess.run(command, check=True)
    with throwaway(tmp_path, programs(), options=LOADING) as server:
        load_files(server, sorted(dump.iterdir()), mydumper=dump_format == "mydumper")
        assert server.sql(sums) == before
        # statistics are of the whole table, though none were made while it filled
        rows = server.sql("SELECT n_rows FROM mysql.innodb_table_stats WHERE table_name = 'many'")
        assert int(rows[0][0]) > 3000
    assert piped and all(line.startswith(b"(") for text in piped for line in text.splitlines())
    assert sum(text.count(b"\n") for text in piped) == 9000, "tables with plain columns alone go through a pipe"


@needs_server
@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "said"),
    [("(5,'again')", "Duplicate entry"), ("(10000)", "doesn't contain data"), ("(10000,'x',1)", "more data")],
)
def test_a_row_that_does_not_fit_is_refused(tmp_path: Path, row: str, said: str) -> None:
    rows = ",\n".join(f"({number},'{'w' * 60}')" for number in range(9000))
    dump = tmp_path / "x.sql"
    dump.write_text(
        "/*!40101 SET NAMES utf8mb4 */;\nCREATE DATABASE IF NOT EXISTS `x`;\nUSE `x`;\n"
        "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n"
        "  `w` varchar(60) DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB;\nLOCK TABLES `t` WRITE;\n"
        f"INSERT INTO `t` VALUES\n{rows},\n{row};\nUNLOCK TABLES;\n-- Dump completed\n"
    )
    with throwaway(tmp_path, programs(), options=LOADING) as server, pytest.raises(UpgraderError, match=said):
        load_files(server, [dump])
