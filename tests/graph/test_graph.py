"""Releases, hops and paths, against a model that knows nothing but the order of the releases."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.errors import RefusedError
from upgrader.graph import ReleaseGraph, load_graph
from upgrader.graph.graph import chain
from upgrader.graph.load import data_folder, files_digest, read_files
from upgrader.graph.structure import structure_faults

IDS = ["2023.1", "2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2"]
CODENAMES = ["antelope", "bobcat", "caracal", "dalmatian", "epoxy", "flamingo", "gazpacho", "hibiscus"]
GRAPH = load_graph()


def test_releases_and_hops_are_the_known_ones(graph: ReleaseGraph) -> None:
    assert list(graph.ids) == IDS
    assert [release.codename for release in graph.releases] == CODENAMES
    assert list(graph.edges) == list(pairwise(IDS))
    assert [release.id for release in graph.releases if release.provisional] == ["2026.2"]
    assert [release.id for release in graph.releases if release.slurp] == ["2023.1", "2024.1", "2025.1", "2026.1"]
    assert [release.cli for release in graph.releases] == ["bash"] * 3 + ["cliff"] * 5
    assert [release.kolla_ansible.newest for release in graph.releases][2:] == [
        "18.8.0",
        "19.8.0",
        "20.6.0",
        "21.3.0",
        "22.2.0",
        "",
    ]


@pytest.mark.parametrize("name", ["2025.1", "epoxy", "Epoxy", " EPOXY "])
def test_a_codename_is_understood(graph: ReleaseGraph, name: str) -> None:
    assert graph.release(name).id == "2025.1"
    assert graph.release(name).title == "2025.1 (Epoxy)"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("epoxi", "nearest: epoxy"), ("2025.3", "nearest: 2025.2, 2025.1"), ("zed", "the graph knows 2023.1 to 2026.2")],
)
def test_an_unknown_release_gets_the_nearest_names(graph: ReleaseGraph, name: str, hint: str) -> None:
    assert graph.find(name) is None
    with pytest.raises(RefusedError, match=hint) as caught:
        graph.release(name)
    assert caught.value.reason == "unknown-release"


@given(st.sampled_from(range(8)), st.sampled_from(range(8)), st.booleans())
def test_a_path_is_every_hop_between_and_backwards_there_is_none(start: int, end: int, by_codename: bool) -> None:
    names = CODENAMES if by_codename else IDS
    if start > end:
        with pytest.raises(RefusedError) as caught:
            GRAPH.path(names[start], names[end])
        assert caught.value.reason == "no-path"
        return
    path = GRAPH.path(names[start], names[end])
    assert [(hop.source, hop.target) for hop in path] == list(pairwise(IDS[start : end + 1]))
    assert [release.id for release in GRAPH.between(names[start], names[end])] == IDS[start + 1 : end]


def test_next_hop(graph: ReleaseGraph) -> None:
    for source, target in pairwise(IDS):
        hop = graph.next_hop(source)
        assert hop is not None
        assert (hop.source, hop.target, hop.key) == (source, target, f"{source}-{target}")
    assert graph.next_hop("2026.2") is None


def test_there_is_no_hop_over_a_release(graph: ReleaseGraph) -> None:
    for start in range(8):
        for end in range(8):
            if end != start + 1:
                with pytest.raises(RefusedError):
                    graph.hop(IDS[start], IDS[end])


def test_upstreams_skips_are_known_and_never_a_hop(graph: ReleaseGraph) -> None:
    assert [(skip.origin, skip.target) for skip in graph.skips] == [
        ("2023.1", "2024.1"),
        ("2024.1", "2025.1"),
        ("2025.1", "2026.1"),
    ]
    assert graph.skip("2024.1", "2025.1") is not None
    assert graph.skip("2024.2", "2025.2") is None
    assert {(skip.origin, skip.target) for skip in graph.skips}.isdisjoint(graph.edges)


# ---------------------------------------------------------------- edges as such

NODES = ["a", "b", "c", "d", "e"]
EDGES = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), unique=True, max_size=7)


def walks(edges: list[tuple[str, str]], source: str, target: str, seen: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every way without a repeated node, by trying all."""
    if source == target:
        return [(*seen, source)]
    return [
        walk
        for start, end in edges
        if start == source and end not in seen and start != end
        for walk in walks(edges, end, target, (*seen, source))
    ]


@given(EDGES, st.sampled_from(NODES), st.sampled_from(NODES))
def test_edges_without_a_fault_are_chains_and_the_walk_along_them_is_the_only_way(
    edges: list[tuple[str, str]], source: str, target: str
) -> None:
    ways = walks(edges, source, target)
    cyclic = any(start == end or walks(edges, end, start) for start, end in edges)
    branching = len({start for start, _ in edges}) < len(edges) or len({end for _, end in edges}) < len(edges)
    faults = [fault for fault in structure_faults(tuple(NODES), tuple(edges)) if "falls apart" not in fault]
    assert bool(faults) == (cyclic or branching)
    if faults:
        return
    try:
        path = chain(edges, source, target)
    except RefusedError:
        assert ways == []
    else:
        assert [tuple(dict.fromkeys([source, *(node for edge in path for node in edge)]))] == ways


@given(st.sets(st.sampled_from(list(pairwise(IDS)))))
def test_edges_between_neighbours_never_have_a_fault_but_gaps(edges: set[tuple[str, str]]) -> None:
    """Other edges are refused when the graph is loaded, so no path needs more than the walk."""
    assert [fault for fault in structure_faults(tuple(IDS), tuple(edges)) if "falls apart" not in fault] == []


def test_an_unknown_node_is_a_fault() -> None:
    assert structure_faults(("a", "b"), (("a", "b"), ("b", "x"))) == ["hops/b-x.toml: 'x' is not a release"]


# ---------------------------------------------------------------- bytes and imports


def test_the_digest_is_of_every_byte_and_every_name(files: dict[str, bytes]) -> None:
    assert GRAPH.sha256 == files_digest(dict(reversed(files.items())))
    for name in ("VERSION", "hops/2024.1-2024.2.toml", "actions/common.toml"):
        assert files_digest(files | {name: files[name] + b"\n"}) != GRAPH.sha256
    renamed = {("clj.toml" if name == "cli.toml" else name): raw for name, raw in files.items()}  # the order stays
    assert files_digest(renamed) != GRAPH.sha256
    assert set(read_files(data_folder())) == set(files)


def test_a_path_needs_no_networkx() -> None:
    code = (
        "import sys, upgrader.graph as g; graph = g.load_graph(); hop = graph.hop('2024.1', '2024.2');"
        "graph.actions(hop); g.way_back(graph, hop); graph.path('2024.1', '2025.2');"
        "assert 'networkx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_a_file_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from upgrader.graph import load

    graph = load_graph()
    hop = graph.hop("2024.1", "2024.2")
    first = graph.actions(hop), graph.heads("2024.1"), graph.schema_tasks("2024.1")
    monkeypatch.setattr(load.tomllib, "loads", lambda _: pytest.fail("parsed again"))
    assert (graph.actions(hop), graph.heads("2024.1"), graph.schema_tasks("2024.1")) == first
    assert graph.hop("2024.1", "2024.2") is hop
