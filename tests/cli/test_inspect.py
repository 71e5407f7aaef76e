"""`upgrader inspect`: the verdict on a page and as JSON, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upgrader.cli.main import main

HEAD = "-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB\n-- Host: localhost    Database: net\n"
TABLE = "CREATE TABLE `alembic_version` (\n  `version_num` varchar(32)\n);\n"
END = "-- Dump completed\n"


def dump(path: Path, *rows: str, end: str = END) -> str:
    path.write_text(HEAD + TABLE + "".join(f"INSERT INTO `alembic_version` VALUES ('{row}');\n" for row in rows) + end)
    return str(path)


def test_one_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = dump(tmp_path / "a.sql", "5c85685d616d", "ad80a9f07c5c")
    assert main(["inspect", file]) == 0
    out = capsys.readouterr().out
    assert (
        out.startswith("Release 2025.1  1 database agrees\n") and " net (neutron)  5c85685d616d + ad80a9f07c5c" in out
    )
    assert out.endswith("Next:  upgrader plan --from 2025.1 --to RELEASE\n")
    assert main(["inspect", "--json", file]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["verdict"], told["releases"]) == ("inspection", "release", ["2025.1"])


def test_half_migrated_and_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", dump(tmp_path / "a.sql", "ad80a9f07c5c")]) == 3
    out = capsys.readouterr().out
    assert out.startswith("half-migrated  net: ") and "Way out: run the remaining migrations of 2025.1" in out
    cut = dump(tmp_path / "b.sql", "5c85685d616d", "ad80a9f07c5c", end="")
    assert main(["inspect", cut, "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["troubles"][0]["kind"] == "truncated" and told["verdict"] == "release"


def test_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect"]) == 2
    assert main(["inspect", str(tmp_path / "nothing.sql")]) == 2
    assert "No such file or directory" in capsys.readouterr().err
