"""All nine services from 2024.1 to 2025.2, three hops on one copy. Minutes: apart, so that it can be left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import has_server
from tests.rehearsal_kit.fresh import make_fresh, make_set, services
from upgrader.database.throwaway import programs, throwaway
from upgrader.graph import load_graph
from upgrader.rehearsal.clerk import EnvironmentPrograms
from upgrader.rehearsal.environments import Services
from upgrader.rehearsal.path import Job, rehearse
from upgrader.rehearsal.source import CopySource

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_server(), reason="no MariaDB server is installed"),
]


def test_nine_services_over_three_hops(tmp_path: Path, services_of: Callable[[str], Services]) -> None:
    graph = load_graph()
    with throwaway(tmp_path / "server", programs()) as server:
        make_fresh(server, services_of("2024.1"), tmp_path, services())
        folder = make_set(server, tmp_path / "set", "2024.1")
    (tmp_path / "rehearsal").mkdir()

    def of_release(release: str) -> EnvironmentPrograms:
        return EnvironmentPrograms(services_of(release), tmp_path / release)

    report = rehearse(Job(graph, CopySource(folder), tmp_path / "rehearsal", of_release, target="2025.2"))
    failed = [(hop.target, one.service, one.message) for hop in report.hops for one in hop.services if one.message]
    assert report.passed, failed
    assert [len(hop.services) for hop in report.hops] == [9, 9, 9]
    moved = [
        {name for one in hop.services for name, before, now, _ in one.heads if sorted(before) != sorted(now)}
        for hop in report.hops
    ]
    assert moved == [{"neutron"}, {"neutron", "nova", "nova_cell0", "octavia"}, {"neutron"}]
    ways = [{one.service: one.way_back.good for one in hop.services} for hop in report.hops]
    assert all(good for good in ways[0].values()), "redeployed, or restored again from the set"
    assert all(good is not False for hop in ways for good in hop.values())
