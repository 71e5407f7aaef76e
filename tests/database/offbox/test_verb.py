"""`upgrader backup` and the place of off-box copies, as an operator types it; the real restic below."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.offbox_kit import PASSWORD, a_set, a_site, contents, need
from upgrader.cli.main import main
from upgrader.config import load_site

SITE = """
[site]
name = "prod"
[kolla]
config_dir = "."
inventory = "inventory"
[backup.offbox]
repository = "elsewhere"
password_file = "restic.password"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    need("restic")
    a_site(tmp_path)
    (tmp_path / "upgrader.toml").write_text(SITE)
    monkeypatch.delenv("UPGRADER_SITE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_place_is_made_a_set_copied_listed_and_fetched(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_set(load_site(place / "upgrader.toml"))
    assert main(["backup", "--copy", "newest"]) == 6
    assert "Next:  upgrader backup --init-offbox" in capsys.readouterr().err
    assert not (place / "elsewhere").exists()
    assert main(["backup", "--init-offbox"]) == 0
    assert main(["backup", "--init-offbox"]) == 3
    assert main(["backup", "--copy", "newest"]) == 0
    assert "read back whole" in capsys.readouterr().out
    assert main(["backup", "--copies", "--json"]) == 0
    (copy,) = json.loads(capsys.readouterr().out)["copies"]
    assert copy["set"] == folder.name and copy["verified"]
    before = contents(folder)
    shutil.rmtree(folder)
    assert main(["backup", "--fetch", "latest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["copy"] == copy["copy"]
    assert contents(folder) == before
    (place / "restic.password").write_text("another")
    assert main(["backup", "--copy", folder.name]) == 6
    said = capsys.readouterr()
    assert f"Next:  upgrader backup --copy {folder.name}" in said.err
    journal = b"".join(path.read_bytes() for path in (place / "state").rglob("*") if path.is_file())
    assert PASSWORD not in said.out + said.err and PASSWORD.encode() not in journal


def test_without_restic_or_a_place_the_next_command_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(place))
    for words in (["--copies"], ["--init-offbox"], ["--fetch", "latest"]):
        assert main(["backup", *words]) == 3
        assert "Next:  apt-get install --no-install-recommends restic" in capsys.readouterr().err
    (place / "upgrader.toml").write_text(SITE.partition("[backup.offbox]")[0])
    assert main(["backup", "--copies"]) == 2
    assert "add [backup.offbox] with repository and password_file" in capsys.readouterr().err
