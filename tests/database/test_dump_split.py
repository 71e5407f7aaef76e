"""A dump's text in pieces, and what of a table's definition may wait until its rows are there."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.database.dump_split import definition, name_in, pieces
from upgrader.database.load_files import mydumper_plan, statements
from upgrader.database.unpacked import DumpDamaged

DUMP = b"""/*M!999999\\- enable the sandbox mode */
-- MariaDB dump
/*!40101 SET NAMES utf8mb4 */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a`;
USE `a`;
DROP TABLE IF EXISTS `t``x`;
CREATE TABLE `t``x` (
  `id` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB COMMENT='a;b';
LOCK TABLES `t``x` WRITE;
/*!40000 ALTER TABLE `t``x` DISABLE KEYS */;
INSERT INTO `t``x` VALUES
(1),
(2);
/*!40000 ALTER TABLE `t``x` ENABLE KEYS */;
UNLOCK TABLES;
DELIMITER ;;
CREATE TRIGGER tr BEFORE INSERT ON `t``x` FOR EACH ROW BEGIN
-- Dump completed on a sunny day
UNLOCK TABLES;
END;;
DELIMITER ;
/*!50001 CREATE VIEW `v` AS SELECT
 1 AS `id` */;
-- Dump completed on 2026-11-22
"""


def test_pieces_of_a_dump() -> None:
    found = [(piece.kind, piece.name) for piece in pieces(io.BytesIO(DUMP))]
    assert found == [
        ("session", ""), ("session", ""), ("database", "a"), ("database", "a"), ("table", "t`x"), ("rows", "t`x"),
        ("rest", ""), ("rest", ""), ("rest", ""), ("end", ""),
    ]  # fmt: skip
    texts = {piece.kind: piece.text for piece in pieces(io.BytesIO(DUMP))}
    assert texts["rows"] == b"INSERT INTO `t``x` VALUES\n(1),\n(2);\n"
    assert texts["table"].endswith(b"COMMENT='a;b';\n")


@pytest.mark.parametrize("cut", [b"-- Dump completed on 2026", b"(2);", b"UNLOCK TABLES;\nDELIMITER", b"END;;"])
def test_a_dump_that_was_cut_off_has_no_end(cut: bytes) -> None:
    kinds = [piece.kind for piece in pieces(io.BytesIO(DUMP[: DUMP.index(cut)]))]
    assert "end" not in kinds


def test_rows_outside_of_locks_belong_to_their_table() -> None:
    text = b"CREATE TABLE `t` (\n  `id` int\n);\nINSERT INTO `t` VALUES (1),\n(2);\nINSERT INTO `t` VALUES (3);\n"
    found = [(piece.kind, piece.name, piece.text.count(b"(")) for piece in pieces(io.BytesIO(text))]
    assert found[1:] == [("rows", "t", 2), ("rows", "t", 1)]


COLUMNS = [b"`id` int(11) NOT NULL AUTO_INCREMENT", b"`u` varchar(36) DEFAULT NULL COMMENT 'KEY `x` (`y`)'"]


def table(*lines: bytes) -> bytes:
    return b"CREATE TABLE `t` (\n" + b",\n".join(b"  " + line for line in lines) + b"\n) ENGINE=InnoDB;\n"


def test_what_may_wait() -> None:
    key, unique = b"KEY `k` (`u`)", b"UNIQUE KEY `q` (`u`)"
    foreign = b"CONSTRAINT `f` FOREIGN KEY (`u`) REFERENCES `p` (`u`) ON DELETE CASCADE"
    check = b"CONSTRAINT `c` CHECK (`id` > 0)"
    cut = definition(table(*COLUMNS, b"PRIMARY KEY (`id`)", unique, key, check, foreign))
    assert cut.keys == (unique, key)
    assert cut.foreign == (foreign,)
    assert cut.early == table(*COLUMNS, b"PRIMARY KEY (`id`)", check)
    assert cut.keyed == table(*COLUMNS, b"PRIMARY KEY (`id`)", unique, key, check)


def test_what_a_table_cannot_do_without_stays() -> None:
    unique, counter, text = b"UNIQUE KEY `q` (`u`)", b"KEY `c` (`id`)", b"FULLTEXT KEY `t` (`u`)"
    assert definition(table(*COLUMNS, unique, counter, text)).keys == ()
    assert definition(b"CREATE TABLE `t` (`id` int);\n").early == b"CREATE TABLE `t` (`id` int);\n"


@given(st.lists(st.sampled_from([b"KEY `a` (`u`)", b"UNIQUE KEY `b` (`u`)", b"KEY `c` (`id`,`u`)",
                                 b"CONSTRAINT `f` FOREIGN KEY (`u`) REFERENCES `p` (`u`)"]), unique=True),
       st.booleans())  # fmt: skip
def test_no_line_of_a_definition_is_lost(lines: list[bytes], primary: bool) -> None:
    given_lines = [*COLUMNS, *([b"PRIMARY KEY (`id`)"] if primary else []), *lines]
    cut = definition(table(*given_lines))
    kept = [line.strip().rstrip(b",") for line in cut.early.splitlines()[1:-1]]
    assert sorted([*kept, *cut.keys, *cut.foreign]) == sorted(given_lines)


def test_names_are_read_as_the_server_quotes_them() -> None:
    assert name_in(b"LOCK TABLES `a``b` WRITE;\n") == "a`b"


def test_statements_with_semicolons_in_their_bodies() -> None:
    text = b"DROP PROCEDURE IF EXISTS `p`;\nCREATE PROCEDURE p()\nBEGIN\nSELECT 1; \nSELECT 2; \nEND;\nSET @a = 1;\n"
    found = list(statements(text))
    assert [statement.split()[0] for statement in found] == [b"DROP", b"CREATE", b"SET"]
    assert found[1].endswith(b"END")


def test_files_of_a_mydumper_folder(tmp_path: Path) -> None:
    names = ["a-schema-create.sql.gz", "a-schema-post.sql.gz", "a.t-schema.sql.gz", "a.t.00000.sql.gz",
             "a.t.00001.sql.gz", "a.small-schema.sql.gz", "a.small.sql.gz", "a.v-schema.sql.gz",
             "a.v-schema-view.sql.gz", "a.t-schema-triggers.sql.gz", "metadata"]  # fmt: skip
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x" * (90 if "t.0000" in name else number))
    plan = mydumper_plan(tmp_path.iterdir())
    assert [(table.name, len(table.rows)) for table in plan.tables] == [("t", 2), ("small", 1)]
    last = [path.name.partition(".sql")[0] for _, path in plan.last]
    assert last == ["a.t-schema-triggers", "a-schema-post", "a.v-schema-view"]
    (tmp_path / "a.t-schema.sql.gz").unlink()
    with pytest.raises(DumpDamaged, match=r"a\.t\.00000.*definition is missing"):
        mydumper_plan(tmp_path.iterdir())
