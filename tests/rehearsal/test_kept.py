"""Keys of a set in the workplace, dumps cut to what a copy needs, reports that are found again, and their page."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.rehearsal_kit.fresh import key_tar
from upgrader.errors import ConfigError
from upgrader.graph import load_graph
from upgrader.rehearsal.kept import keep, kept, new_folder, of_id
from upgrader.rehearsal.keys import NO_KEYS, Keys
from upgrader.rehearsal.report import (
    Change,
    CommandResult,
    Fault,
    HopRehearsal,
    Rehearsal,
    ServiceResult,
    Unrehearsed,
    WayBackTrial,
)  # fmt: skip
from upgrader.rehearsal.source import lines_of, service_lines
from upgrader.stages.rehearse_copy import findings_of
from upgrader.views.page import plain_text
from upgrader.views.rehearse import list_page, rehearsal_page

FAULT = Fault(
    id="neutron-ha-networks", message="two HA networks of one project", table="neutron.ha_router_networks",
    rows=("project_id=p1",), count=3, fix=("delete the network without routers",),
)  # fmt: skip


def service(name: str, **changes: object) -> ServiceResult:
    return ServiceResult.model_validate({"service": name, "databases": (name,), "verdict": "passed", **changes})


def rehearsal(folder: Path, *services: ServiceResult, target: str = "2025.2", **hop: object) -> Rehearsal:
    hops = HopRehearsal.model_validate({"from": "2025.1", "to": "2025.2", "services": services, **hop})
    return Rehearsal.model_validate(
        {"id": folder.name, "site": "prod", "from": "2025.1", "to": target, "made_at": "2026-11-22T12:00:00Z",
         "hops": (hops,)}
    )  # fmt: skip


FAILED = service(
    "neutron", verdict="failed", message="neutron-db-manage (expand) ended with 1: Duplicate entry", faults=(FAULT,),
    commands=(CommandResult(phase="expand", command=("neutron-db-manage",), code=1, last_words=("Duplicate entry",)),),
)  # fmt: skip


def test_keys_of_the_set_are_private_and_nothing_else_is_unpacked(tmp_path: Path) -> None:
    keystone = load_graph().migrations[0]
    keys = Keys((("fernet-keys", key_tar(tmp_path / "f.tar", "fernet-keys")),))
    (tmp_path / "place").mkdir()
    options = keys.unpacked(keystone, tmp_path / "place")
    assert [option[0] for option in options] == ["fernet_tokens", "fernet_receipts", "credential"]
    files = sorted(Path(options[0][2]).iterdir())
    assert [path.name for path in files] == ["0", "1"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert all(stat.S_IMODE(Path(option[2]).stat().st_mode) == 0o700 for option in options)
    made_up = sorted(Path(options[2][2]).iterdir())
    assert [len(path.read_bytes()) for path in made_up] == [44, 44], "a set without such keys: random ones"
    assert NO_KEYS.unpacked(load_graph().migrations[1], tmp_path) == (), "glance wants none"


def test_a_dump_is_loaded_without_the_servers_own_tables() -> None:
    text = b"""-- Current Database: `keystone`
USE `keystone`;
INSERT INTO a VALUES (1);
-- Current Database: `mysql`
CREATE DATABASE `mysql`;
USE `mysql`;
DROP TABLE global_priv;
-- Current Database: `nova`
USE `nova`;
INSERT INTO b VALUES ('USE `mysql`;')"""
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    kept_lines = b"".join(service_lines(lines_of(pieces)))
    assert b"global_priv" not in kept_lines and b"CREATE DATABASE `mysql`" not in kept_lines
    assert kept_lines.endswith(b"INSERT INTO b VALUES ('USE `mysql`;')") and b"INSERT INTO a" in kept_lines


def test_reports_are_found_again(tmp_path: Path) -> None:
    first, second = new_folder(tmp_path), new_folder(tmp_path)
    for folder in (first, second):
        keep(rehearsal(folder, service("glance")), folder)
    (new_folder(tmp_path) / "report.json").write_text('{"schema_version": 99}')
    new_folder(tmp_path)  # interrupted: no report
    assert [one.id for one in kept(tmp_path)] == [first.name, second.name]
    assert of_id(tmp_path, first.name).id == first.name
    assert of_id(tmp_path, "last").id == second.name
    with pytest.raises(ConfigError, match="no rehearsal 'x'"):
        of_id(tmp_path, "x")
    with pytest.raises(ConfigError, match="2 rehearsals"):
        of_id(tmp_path, "20")
    assert first.name in plain_text(list_page(kept(tmp_path), next_commands=["upgrader rehearse"]))


def test_passed_means_every_hop_and_every_service(tmp_path: Path) -> None:
    assert rehearsal(tmp_path, service("glance")).passed
    assert not rehearsal(tmp_path, service("glance"), FAILED).passed
    assert not rehearsal(tmp_path, service("glance"), target="2026.1").passed, "the second hop was not tried"
    assert not rehearsal(tmp_path).passed, "no service is no rehearsal"


def test_the_page_has_the_failure_first_and_names_what_was_not_rehearsed(tmp_path: Path) -> None:
    change = Change(database="neutron", statement="ALTER TABLE tags", seconds=2.0, rows=9, locks=True, why="rebuilds")
    report = rehearsal(
        tmp_path, service("glance", changes=(change,), way_back=WayBackTrial(way="redeploy", good=True)), FAILED,
        not_rehearsed=(Unrehearsed(database="manila", tables=40, versioned=True),), target="2026.1",
    )  # fmt: skip
    text = plain_text(rehearsal_page(report, next_commands=["upgrader rehearse --show last --details"]))
    lines = text.splitlines()
    order = ["FAILED  neutron", "The hops after 2025.2 were not tried", "neutron-ha-networks", "project_id=p1",
             "3 rows in all", "fix: delete the network", "NOT REHEARSED  manila", "not-rehearsed-NAME", "Hop 1 of 1",
             "back: redeploy, tried", "LOCKS neutron: ALTER TABLE tags"]  # fmt: skip
    places = [next(at for at, line in enumerate(lines) if words in line) for words in order]
    assert places == sorted(places)
    assert lines[-1] == "Next:  upgrader rehearse --show last --details"


def test_the_stage_ends_at_a_failed_service_with_its_fault(tmp_path: Path) -> None:
    back = service("heat", way_back=WayBackTrial(way="redeploy", good=False, message="Can't locate revision"))
    found = findings_of(rehearsal(tmp_path, back, FAILED, service("nova", verdict="failed", message="why")))
    assert [(one.id, one.blocks) for one in found] == [
        ("neutron-ha-networks", True), ("rehearsal-nova", True), ("rehearsal-back-heat", False),
    ]  # fmt: skip
    assert found[0].fix == FAULT.fix and found[0].evidence == "project_id=p1"
