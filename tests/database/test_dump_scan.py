"""One pass over a dump's text: what is found does not depend on how the text is cut into pieces."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upgrader.database.dump_scan import DumpScan, version_rows

WANTED = {"networks.qinq", "ha_router_networks/uniq_x", "networks"}
DUMP = rb"""-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: prod_neutron
-- ------------------------------------------------------
-- Server version	10.11.6-MariaDB

/*!40101 SET NAMES utf8mb4 */;
/* a comment over lines;
INSERT INTO `alembic_version` VALUES ('commented');
*/
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `prod_neutron` /*!40100 DEFAULT CHARACTER SET utf8mb3 */;

USE `prod_neutron`;
CREATE TABLE `alembic_version` (
  `version_num` varchar(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB;

LOCK TABLES `alembic_version` WRITE;
/*!40000 ALTER TABLE `alembic_version` DISABLE KEYS */;
INSERT INTO `alembic_version` VALUES
('5c85685d616d'),
('ad80a9f07c5c');
UNLOCK TABLES;
CREATE TABLE `networks` (
  `id` varchar(36) NOT NULL COMMENT 'it''s; a \n comment',
  `qinq` tinyint(1) DEFAULT NULL,
  KEY `other` (`id`)
) ENGINE=InnoDB;
INSERT INTO `networks` VALUES ('a','text\nINSERT INTO `alembic_version` VALUES (\'data\');',NULL);
-- INSERT INTO `alembic_version` VALUES ('in a comment');
CREATE TABLE IF NOT EXISTS `ha_router_networks` (
  `project_id` varchar(255),
  UNIQUE KEY `uniq_x` (`project_id`)
);
CREATE TABLE `shadow_alembic_version` (
  `version_num` varchar(32)
);
INSERT INTO `shadow_alembic_version` VALUES ('shadow');
DELIMITER ;;
CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW BEGIN
DELETE FROM `x`;
INSERT INTO `alembic_version` VALUES ('trigger');
END ;;
DELIMITER ;
USE `heat`;
INSERT INTO `migrate_version` VALUES ('heat','/usr/lib/heat/migrate_repo',86);
-- Dump completed on 2026-11-22 12:00:00
"""


def scanned(*pieces: bytes, database: str = "") -> DumpScan:
    scan = DumpScan(WANTED, database)
    for piece in pieces:
        scan.feed(piece)
    scan.close()
    return scan


def check(scan: DumpScan) -> None:
    assert set(scan.databases) == {"prod_neutron", "heat"}
    neutron = scan.databases["prod_neutron"]
    assert [value for _, value in neutron.rows if value] == ["5c85685d616d", "ad80a9f07c5c"]
    assert neutron.tables == {"alembic_version", "networks", "ha_router_networks", "shadow_alembic_version"}
    assert {"networks.qinq", "ha_router_networks/uniq_x"} <= neutron.items
    assert scan.databases["heat"].rows == [("migrate_version", "heat:86")]
    assert (scan.headers, scan.trailers, scan.server, scan.cut) == (1, 1, "10.11.6-MariaDB", False)
    assert scan.charsets == {"utf8mb4"} and scan.any_rows and not scan.accounts


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(DUMP)), max_size=40))
def test_every_cut_gives_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(DUMP)]
    check(scanned(*(DUMP[begin:end] for begin, end in pairwise(places))))


def test_byte_by_byte_and_with_other_line_ends() -> None:
    check(scanned(*(DUMP[at : at + 1] for at in range(len(DUMP)))))
    check(scanned(DUMP.replace(b"\n", b"\r\n")))


@pytest.mark.parametrize(
    "statement",
    [
        b"INSERT INTO `alembic_version` VALUES ('a'),('b');",
        b"INSERT INTO `alembic_version` VALUES ('a');\nINSERT INTO `alembic_version` VALUES ('b');",
        b"INSERT INTO `alembic_version` (`version_num`) VALUES ('a'),('b');",
        b"INSERT INTO `alembic_version` (`id`,`version_num`) VALUES (1,'a'),(2,'b');",
        b'INSERT INTO `alembic_version` VALUES\n("a")\n,("b")\n;',
        b"INSERT INTO \"alembic_version\" VALUES ('a'),('b');",
        b"INSERT INTO alembic_version VALUES (0x61),(X'62');",
        b"INSERT  IGNORE INTO `alembic_version` VALUES ('a'),('b');",
        b"REPLACE INTO `alembic_version` VALUES ('a'),('b');",
        b"insert into alembic_version(version_num) values ('a'), ('b');",
        b"INSERT INTO `alembic_version` VALUES ('a'),('b')",
    ],
)
def test_forms_of_an_insert(statement: bytes) -> None:
    found = scanned(b"USE `nova`;\n" + statement + b"\n")
    assert [value for _, value in found.databases["nova"].rows] == ["a", "b"], found.databases
    named = scanned(statement.replace(b"INTO ", b"INTO `x`.").replace(b"into ", b"into x."), database="other")
    assert [value for _, value in named.databases["x"].rows] == ["a", "b"]


def test_the_old_version_table_with_named_columns() -> None:
    statement = b" (`version`,`repository_id`,`repository_path`) VALUES (86,'heat','/x, (y)');"
    assert version_rows("migrate_version", statement) == ["heat:86"]
    assert version_rows("migrate_version", b" VALUES ('heat',NULL,86);") == ["heat:86"]
    assert version_rows("alembic_version", b" VALUES (NULL);") == []


def test_system_tables_are_nobodys() -> None:
    scan = scanned(
        b"USE `mysql`;\nCREATE TABLE `db` (\n  `a` int\n);\nCREATE USER `nova`@`%`;\nGRANT ALL ON *.* TO `x`;\n"
    )
    assert not scan.databases["mysql"].tables and scan.accounts


def test_what_ends_and_what_does_not() -> None:
    assert scanned(b"USE `a`;\nINSERT INTO `t` VALUES (1);\n\n").ended
    assert scanned(b"USE `a`;\n-- Dump completed\n").ended
    assert not scanned(b"USE `a`;\nINSERT INTO `t` VALUES (1),(").ended
    assert scanned(b"USE `a`;\nCREATE TABLE `t` (\n  `x` int,").cut
    assert scanned(b"-- MySQL dump 10.13  Distrib 8.0.36\n-- Host: x    Database: nova\n").headers == 1


def test_memory_does_not_grow_with_a_line() -> None:
    """A statement of 64 MB on one line, and a CREATE TABLE that never ends."""
    piece = b"('%s')," % (b"x" * 1000) * 250
    scan = DumpScan(WANTED)
    tracemalloc.start()
    scan.feed(b"USE `nova`;\nINSERT INTO `instances` VALUES ")
    for _ in range(256):
        scan.feed(piece)
    scan.feed(b"(1);\nCREATE TABLE `networks` (\n")
    for _ in range(64):
        scan.feed(piece)
    scan.feed(b";\nINSERT INTO `alembic_version` VALUES ('a');\n")
    scan.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 1024**2
    assert scan.cut and scan.databases["nova"].rows == [("alembic_version", "a")]


@given(st.integers(0, 600), st.integers(1, 700))
@settings(max_examples=40, deadline=None)
def test_a_line_in_the_middle_of_a_text_is_no_statement(length: int, cut: int) -> None:
    """Servers in the mode NO_BACKSLASH_ESCAPES leave newlines in the data as they are."""
    text = (
        b"USE `nova`;\nINSERT INTO `t` VALUES ('"
        + b"x" * length
        + b"\nINSERT INTO `alembic_version` VALUES ('no');');\n"
    )
    text += b"INSERT INTO `alembic_version` VALUES ('yes');\n"
    assert scanned(text[:cut], text[cut:]).databases["nova"].rows == [("alembic_version", "yes")]
