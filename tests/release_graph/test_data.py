"""The data itself: how much there is, that every fact has a source, and a few facts that plans stand on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from upgrader.graph import ReleaseGraph
from upgrader.graph.load import data_folder

OWN_ACTIONS = {
    "2023.1-2023.2": 21,
    "2023.2-2024.1": 26,
    "2024.1-2024.2": 23,
    "2024.2-2025.1": 37,
    "2025.1-2025.2": 30,
    "2025.2-2026.1": 34,
    "2026.1-2026.2": 24,
}
COMMON_ACTIONS = 28


def test_the_counts(graph: ReleaseGraph) -> None:
    counts = {}
    ids = set()
    for edge in graph.edges:
        hop = graph.hop(*edge)
        actions = graph.actions(hop)
        counts[hop.key] = len(actions) - COMMON_ACTIONS
        ids |= {action.id for action in actions}
    assert counts == OWN_ACTIONS
    assert len(ids) == COMMON_ACTIONS + sum(OWN_ACTIONS.values()) == 223
    assert (len(graph.releases), len(graph.edges)) == (8, 7)
    assert sum(len(graph.hop(*edge).irreversible) for edge in graph.edges) == 29
    assert len(graph.databases) == 10
    assert len(graph.containers.containers) == 204
    assert len(graph.cli.commands) == 31
    assert [len(graph.service_order(release).roles) for release in graph.ids] == [57, 58, 52, 52, 52, 53, 50, 50]


def records(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from records(item)
    elif isinstance(value, list):
        for item in value:
            yield from records(item)


FACTS = ("id", "title", "way", "fact", "rule")
SOURCED_BY_FILE = {
    "hops": ("branch",),
    "containers.toml": ("pattern",),
    "risks": ("deadline_before",),
    "schema_marks.toml": ("after",),
}


def test_every_fact_has_a_source(files: dict[str, bytes]) -> None:
    for name, raw in files.items():
        if name == "VERSION":
            continue
        document = tomllib.loads(raw.decode())
        shared = SOURCED_BY_FILE.get(name.split("/")[0], ())
        for record in records(document):
            if record is document and not {"id", "source"} <= set(record):
                continue
            if any(key in record for key in FACTS) and not any(key in record for key in shared):
                companion = name == "cli.toml" and "purpose" in record
                assert companion or record.get("source"), (name, record)
        lists = [value for record in records(document) for key, value in record.items() if key.endswith("source")]
        assert lists, name
        assert all(value and all(isinstance(item, str) and item.strip() for item in value) for value in lists)


def test_no_machine_path_and_no_registry_host(files: dict[str, bytes]) -> None:
    text = b"\n".join(files.values()).decode()
    assert not re.search(r"/work/|/root/|/home/|https?://", text)


def test_each_hop_shares_an_ansible_core_series_with_its_neighbour(graph: ReleaseGraph) -> None:
    for source, target in graph.edges:
        before, after = (graph.release(name).kolla_ansible.ansible_core_series for name in (source, target))
        assert set(before) & set(after)


def test_host_systems_are_those_of_both_ends(graph: ReleaseGraph) -> None:
    for edge in graph.edges:
        hop = graph.hop(*edge)
        before, after = graph.release(hop.source).host_os, graph.release(hop.target).host_os
        for system, versions in hop.host_os.must_leave.items():
            assert set(versions) <= set(before[system])
            assert not set(versions) & set(after.get(system, ()))


def test_schema_tasks_of_a_release(graph: ReleaseGraph) -> None:
    tasks = {task.task: task for task in graph.schema_tasks("2025.2")}
    expand = tasks["Running Neutron database expand container"]
    assert (expand.service, expand.kind, expand.part, expand.databases) == ("neutron", "schema", "expand", ("neutron",))
    assert tasks["Run upgrade in MariaDB container"].kind == "store"
    assert tasks["Running Nova API bootstrap container"].databases == ("nova_api", "nova_cell0")
    assert "Running Murano bootstrap container" not in tasks
    assert "Running Murano bootstrap container" in {task.task for task in graph.schema_tasks("2023.2")}
    assert "Remove Redis data volume" not in {task.task for task in graph.schema_tasks("2025.1")}


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("keystone : Init keystone database upgrade", True),
        ("Init keystone database upgrade", True),
        ("keystone : Init keystone database upgrade again", False),
        ("nova : Init keystone database upgrade", False),
    ],
)
def test_a_pattern_fits_the_task_with_and_without_its_role(graph: ReleaseGraph, name: str, fits: bool) -> None:
    task = next(task for task in graph.schema_tasks("2025.1") if task.task == "Init keystone database upgrade")
    assert bool(re.search(task.pattern, name)) is fits


def test_every_database_of_the_heads_has_a_schema_task(graph: ReleaseGraph) -> None:
    for release in graph.ids:
        changed = {name for task in graph.schema_tasks(release) if task.kind == "schema" for name in task.databases}
        assert changed == set(graph.heads(release))


def test_the_readme_names_every_folder_and_file(files: dict[str, bytes]) -> None:
    readme = (data_folder() / "README.md").read_text()
    for name in files:
        assert f"`{name.split('/')[0]}" in readme, name
