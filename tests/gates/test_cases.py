"""Golden cases: one file is one site, and exactly the findings that gates must make of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.gates import golden
from upgrader.gates import judge
from upgrader.graph import ReleaseGraph
from upgrader.model import Finding

FILES = sorted(path for path in golden.CASES.glob("*.toml") if path != golden.STANDING)
PER_HOP = ("common-check",)
"""Actions of every hop that are told on each of them: their conditions name the release."""
KEYS = {"id", "code", "unknown", "host", "evidence", "hop"}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_site_gets_exactly_these_findings(path: Path, graph: ReleaseGraph) -> None:
    case = golden.load(path)
    found = judge(graph, golden.hops(case), golden.record(case))
    told = Counter((finding.id, finding.code.value, finding.unknown) for finding in found)
    assert told == wanted(case), case["about"]
    for entry in case.get("findings", ()):
        assert set(entry) <= KEYS, path.name
        agrees(entry, next(finding for finding in found if finding.id == entry["id"]))


def wanted(case: dict[str, Any]) -> Counter[tuple[str, str, bool]]:
    """What the case names, and what every healthy cloud is told on its hops."""
    standing = golden.load(golden.STANDING)
    entries = case.get("findings", ())
    here = {entry["id"] for entry in entries}
    found = Counter((entry["id"], entry["code"], entry.get("unknown", False)) for entry in entries)
    for number, hop in enumerate(golden.hops(case)):
        for id_, code in standing[f"{hop.source}→{hop.target}"].items():
            again = number and id_.startswith("common-") and id_ not in PER_HOP
            if not again and id_ not in case.get("gone", ()) and id_ not in here:
                found[id_, code, False] += 1
    return found


def agrees(entry: dict[str, Any], finding: Finding) -> None:
    assert finding.host == entry.get("host", finding.host)
    assert entry.get("evidence", "") in finding.evidence
    assert finding.hop == entry.get("hop", finding.hop)
    assert finding.source
    assert finding.evidence


def test_every_case_says_what_it_is_about() -> None:
    about = [golden.load(path)["about"] for path in FILES]
    assert all(about)
    assert len(FILES) >= 60


def test_every_blocker_of_the_operator_has_a_case_that_fires_and_one_that_does_not(graph: ReleaseGraph) -> None:
    blockers: dict[str, set[tuple[str, str]]] = {}
    for edge in graph.edges:
        for action in graph.actions(graph.hop(*edge)):
            if action.severity == "blocker" and action.when == "before" and not action.done_by:
                blockers.setdefault(action.id, set()).add(edge)
    always = {id_ for id_ in blockers if id_ == "2026.2-not-released"}
    fires, passes = set(), set()
    for path in FILES:
        case = golden.load(path)
        named = {entry["id"] for entry in case.get("findings", ()) if entry["code"] == "failure"}
        fires |= named
        id_ = path.stem.removesuffix("-passes")
        if path.stem.endswith("-passes") and id_ in blockers and id_ not in named:
            passes.add(id_)
    assert set(blockers) - fires - always == set()
    assert set(blockers) - passes - always == set()
