"""The real migrations of five services over two hops, on a real server, by the verb an operator types."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import has_server
from tests.rehearsal_kit.fresh import CELL0, CELL1, dump, make_fresh, make_set, services
from upgrader.cli.main import main
from upgrader.database.throwaway import programs, throwaway
from upgrader.rehearsal.environments import Services

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_server(), reason="no MariaDB server is installed"),
]

FIVE = ("keystone", "glance", "placement", "nova", "neutron")
START = "2024.2"
SITE = """
[site]
name = "prod"
[kolla]
config_dir = "kolla"
inventory = "inventory"
[toolchains]
dir = "{toolchains}"
"""
MANILA = """
CREATE DATABASE manila; CREATE TABLE manila.alembic_version (version_num VARCHAR(32));
INSERT INTO manila.alembic_version VALUES ('abc'); CREATE TABLE manila.shares (id INT);
"""


class Canary:
    """Stands where nova's own rows lead: nobody may ever come."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.visitors: list[object] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                _, visitor = self.listener.accept()
            except OSError:
                return
            self.visitors.append(visitor)


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    made = Canary()
    yield made
    made.listener.close()


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    services_root: Path,
    services_of: Callable[[str], Services],
    canary: Canary,
) -> Path:
    """A site with one backup set of 2024.2, whose cells lead to the canary, and a service that is not known."""
    place = tmp_path_factory.mktemp("site")
    for release in (START, "2025.1", "2025.2"):
        services_of(release)
    (place / "upgrader.toml").write_text(SITE.format(toolchains=services_root))
    with throwaway(tmp_path_factory.mktemp("fresh"), programs()) as server:
        make_fresh(server, services_of(START), tmp_path_factory.mktemp("work"), services(FIVE))
        server.sql(MANILA)
        for cell, database in ((CELL0, "nova_cell0"), (CELL1, "nova")):
            url = f"mysql+pymysql://nova:pw@127.0.0.1:{canary.port}/{database}"
            server.sql(f"UPDATE nova_api.cell_mappings SET database_connection = '{url}' WHERE uuid = '{cell}'")
        (place / "backups").mkdir()
        make_set(server, place / "backups" / "first", START)
        (place / "keystone.sql").write_bytes(dump(server, "keystone"))
    return place


def test_two_hops_on_one_copy(site: Path, canary: Canary, capfd: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in (site / "backups").rglob("*") if path.is_file()}
    assert main(["rehearse", "--to", "2025.2", "--json", "--site", str(site)]) == 0
    report = json.loads(capfd.readouterr().out)
    assert [(hop["from"], hop["to"]) for hop in report["hops"]] == [("2024.2", "2025.1"), ("2025.1", "2025.2")]
    first, second = ({one["service"]: one for one in hop["services"]} for hop in report["hops"])
    assert set(first) == set(second) == set(FIVE)
    for one in (*first.values(), *second.values()):
        assert (one["verdict"], one["again"]) == ("passed", "nothing changed"), one
        assert all(sorted(now) == sorted(wanted) for _, _, now, wanted in one["heads"])
        assert all(command["code"] == 0 for command in one["commands"])
    assert "+ neutron.networks: `qinq` tinyint(1) DEFAULT NULL" in first["neutron"]["differences"]
    assert any("utf8mb4_bin" in line for line in second["neutron"]["differences"])
    tags = next(change for change in second["neutron"]["changes"] if "tags" in change["statement"])
    assert tags["locks"] is True and tags["rows"] == 2, "two tags; the table is rebuilt"
    ways = {name: (one["way_back"]["way"], one["way_back"]["good"]) for name, one in first.items()}
    assert ways == {
        "keystone": ("redeploy", True), "glance": ("redeploy", True), "placement": ("redeploy", True),
        "nova": ("restore", True), "neutron": ("restore", True),
    }  # fmt: skip
    assert (second["neutron"]["way_back"]["good"], second["nova"]["way_back"]["good"]) == (None, True)
    assert {check[0]: check[1] for check in first["neutron"]["checks"]}["Port MAC address sanity check"] == "Success"
    assert first["keystone"]["checks"], "it found keys"
    assert [one["database"] for one in report["hops"][0]["not_rehearsed"]] == ["manila"]
    assert dict(report["hops"][0]["sanitised"])["nova_api.cell_mappings"] == 2
    assert canary.visitors == []
    assert {path: path.read_bytes() for path in (site / "backups").rglob("*") if path.is_file()} == before
    left = [path.relative_to(site / "state") for path in (site / "state").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".json", ".log"}, "no copy, no settings, no keys"
    assert all((site / "state" / path).stat().st_mode & 0o077 == 0 for path in left)


def test_a_dump_alone_and_the_page(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dump_file = str(site / "keystone.sql")
    assert main(["rehearse", "--dump", dump_file, "--site", str(site)]) == 2, "its heads fit three releases"
    told = capfd.readouterr()
    assert "fit 2024.1 and 2024.2 and 2025.1 and 2025.2 alike" in told.err
    assert main(["rehearse", "--dump", dump_file, "--from", "2025.1", "--site", str(site)]) == 0
    told = capfd.readouterr()
    assert "keystone  passed" in told.out and "back: redeploy, tried" in told.out
    assert told.out.splitlines()[-1] == f"Next:  upgrader --site {site} plan --to 2025.2"
    assert main(["rehearse", "--show", "last", "--site", str(site)]) == 0
    assert capfd.readouterr().out == told.out
