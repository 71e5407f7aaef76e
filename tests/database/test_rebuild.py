"""A database server is taken away with its data kept: done again after any interruption, nothing is ever lost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import container, make_cloud
from tests.cloud_kit.scripts import run_script
from upgrader.facts.parse import sections

KEPT = "mariadb_kept_r_0"
FILES = {"ibdata1": "rows", "nova/instances.ibd": "instances", ".hidden": "too"}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    made = make_cloud(tmp_path / "site", {"mariadb": ["ctl1"]})
    made.put("ctl1", container("mariadb"), container("keystone"))
    for name, text in FILES.items():
        path = made.host("ctl1") / "volumes" / "mariadb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return made.host("ctl1")


def take_away(host: Path) -> subprocess.CompletedProcess[str]:
    return run_script(
        host, "database/rebuild.sh", host_root=str(host), kept=KEPT, store="mariadb", data="/var/lib/mysql"
    )


def kept(host: Path) -> dict[str, str]:
    place = host / "volumes" / KEPT
    found = {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()}
    assert found.pop("upgrader-kept-whole") == ""
    return found


def names(host: Path) -> list[str]:
    return [row["name"] for row in json.loads((host / "containers.json").read_text())]


def test_the_data_are_kept_and_the_volume_is_gone(host: Path) -> None:
    done = take_away(host)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sections(done.stdout).get("kept") == [str(host / "volumes" / KEPT)]
    assert kept(host) == FILES
    assert not (host / "volumes" / "mariadb").exists()
    assert names(host) == ["/keystone"]
    again = take_away(host)
    assert again.returncode == 0
    assert kept(host) == FILES


@pytest.mark.parametrize("moved", [(), ("ibdata1",), ("ibdata1", "nova"), ("ibdata1", "nova", ".hidden")])
def test_broken_off_while_data_are_moved(host: Path, moved: tuple[str, ...]) -> None:
    place = host / "volumes" / KEPT
    place.mkdir()
    for name in moved:
        (host / "volumes" / "mariadb" / name).rename(place / name)
    assert take_away(host).returncode == 0
    assert kept(host) == FILES


def test_what_a_second_attempt_finds_half_made_is_not_mixed_in(host: Path) -> None:
    """After the data were kept, an interrupted deployment left a new volume: that one goes, the kept one stays."""
    assert take_away(host).returncode == 0
    half = host / "volumes" / "mariadb"
    half.mkdir()
    (half / "ibdata1").write_text("half made")
    assert take_away(host).returncode == 0
    assert kept(host) == FILES
    assert not half.exists()


@pytest.mark.parametrize("mount", ["bind ", "volume db_data"])
def test_data_in_another_place_are_not_touched(host: Path, mount: str) -> None:
    (host / "mount").write_text(mount)
    done = take_away(host)
    assert done.returncode == 1
    assert "is not the volume mariadb" in sections(done.stdout).failed["rebuild"]
    assert names(host) == ["/mariadb", "/keystone"]
    assert (host / "volumes" / "mariadb" / "ibdata1").read_text() == "rows"


def test_a_name_that_is_there_twice_is_not_overwritten(host: Path) -> None:
    place = host / "volumes" / KEPT
    place.mkdir()
    (place / "ibdata1").write_text("somebody else's")
    done = take_away(host)
    assert done.returncode == 1
    assert "something of the same name" in sections(done.stdout).failed["rebuild"]
    assert (place / "ibdata1").read_text() == "somebody else's"
    assert (host / "volumes" / "mariadb" / "ibdata1").read_text() == "rows"
