"""Compute hosts that stay behind: within the window of the next release, beyond it, or unknown."""

from __future__ import annotations

from tests.cloud_kit.facts import cloud, container, host
from tests.engine_kit.place import graph
from upgrader.facts.names import release_names
from upgrader.model import Code
from upgrader.probes.behind import behind


def found(release: str, *, reachable: bool = True) -> list[tuple[Code, str]]:
    seen = host("cmp9", container("nova_compute", release)).model_copy(update={"reachable": reachable})
    return [(one.code, one.message) for one in behind(cloud(seen), release_names(graph()), "2025.2", "2025.1")]


def test_within_the_window_nothing_is_said() -> None:
    assert found("2025.1") == []


def test_an_older_one_blocks_by_name() -> None:
    assert found("2024.2") == [
        (Code.FAILURE, "cmp9 stays behind with 2024.2; 2025.2 takes compute hosts from 2025.1 on")
    ]


def test_one_that_is_away_is_not_known() -> None:
    ((code, words),) = found("2024.2", reachable=False)
    assert code is Code.WARNING and "what it runs is not known" in words
