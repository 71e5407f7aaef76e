"""Refusals, one by one in their words, and all together against a model that knows only the order of the releases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.errors import DataError, RefusedError
from upgrader.graph import ReleaseGraph, load_graph
from upgrader.graph.load import data_folder, read_files
from upgrader.model import CloudFacts, ReleaseReading
from upgrader.policy import Verdict, check_reading, check_request, judge_path

GRAPH = load_graph()
FILES = read_files(data_folder())
IDS = list(GRAPH.ids)
CODENAMES = [release.codename for release in GRAPH.releases]
EXACT = ReleaseReading(kind="exact", release="2024.1", how="all 214 containers")
MIXED = ReleaseReading(
    kind="mixed",
    evidence=("ctl1: keystone 2024.1", "ctl2: keystone 2024.2"),
    by_service=(("keystone", "2024.1", ("ctl1",)), ("keystone", "2024.2", ("ctl2",))),
)
UNKNOWN = ReleaseReading(kind="unknown", how="no tag names a release", evidence=("ctl1: keystone:prod-7",))


def blocks(source: str, target: str, hops: int | None = None, seen: ReleaseReading | None = None) -> list[Verdict]:
    return [verdict for verdict in judge_path(GRAPH, source, target, hops, seen) if verdict.code == "block"]


def only(source: str, target: str, hops: int | None = None, seen: ReleaseReading | None = None) -> Verdict:
    found = blocks(source, target, hops, seen)
    assert len(found) == 1, found
    return found[0]


def test_a_skip_that_upstream_supports() -> None:
    verdict = only("2024.1", "2025.1", 1)
    assert verdict.reason == "skips-a-release"
    assert verdict.message == "2024.1 → 2025.1 skips 2024.2. This tool upgrades one release at a time."
    assert verdict.details == (
        "Upstream supports this skip between SLURP releases; the policy here is stricter: every hop's migrations and"
        " checks are run.",
        "The way: 2024.1 → 2024.2 → 2025.1.",
    )
    assert verdict.next_command == "upgrader plan --from 2024.1 --to 2025.1"


def test_a_skip_that_upstream_does_not_support() -> None:
    verdict = only("2023.2", "2024.2", 1)
    assert verdict.message.startswith("2023.2 → 2024.2 skips 2024.1.")
    assert verdict.details[0].startswith("Upstream does not support this skip either")


def test_a_wider_skip_names_every_release_between() -> None:
    verdict = only("caracal", "gazpacho", 1)
    assert verdict.message.startswith("2024.1 → 2026.1 skips 2024.2, 2025.1 and 2025.2.")
    assert "2024.1 → 2025.1, 2025.1 → 2026.1" in verdict.details[0]
    half = only("caracal", "gazpacho", 2)
    assert half.message.startswith("2024.1 → 2026.1 in 2 hops would skip 2 of 2024.2, 2025.1 and 2025.2.")


@pytest.mark.parametrize("hops", [0, -1, 4])
def test_a_wrong_number_of_hops(hops: int) -> None:
    verdict = only("2024.1", "2025.1", hops)
    assert verdict.reason == "wrong-number-of-hops"
    assert verdict.message == f"2024.1 → 2025.1 takes 2 hops, not {hops}."


def test_an_unknown_release_and_its_neighbours() -> None:
    verdict = only("2025.1", "flamengo")
    assert verdict.reason == "unknown-release"
    assert verdict.message == "'flamengo' is not a release of the graph."
    assert verdict.details == ("Nearest: flamingo (the graph knows 2023.1 to 2026.2).",)
    assert [verdict.message for verdict in blocks("zed", "2031.1")] == [
        "'zed' is not a release of the graph.",
        "'2031.1' is not a release of the graph.",
    ]


def test_same_release_and_backwards() -> None:
    same = only("2025.1", "Epoxy")
    assert same.reason == "same-release"
    assert "2025.1 (Epoxy)" in same.message
    back = only("2025.1", "2024.2")
    assert (back.reason, back.next_command) == ("backwards", "upgrader rollback")
    assert "No project supports a schema downgrade" in back.message


def test_a_provisional_release_is_refused_with_its_reason() -> None:
    verdict = only("2025.2", "2026.2")
    assert verdict.reason == "provisional-release"
    assert verdict.message.startswith("2026.2 (Hibiscus) is provisional: kolla-ansible 23 is not published")
    assert verdict.details == ("2026.1 is the newest release on this way that can be planned.",)
    assert verdict.next_command == "upgrader plan --from 2025.2 --to 2026.1"
    assert only("2026.1", "2026.2").details == ()


def test_old_releases_on_the_way_are_warned_about() -> None:
    warned = [(verdict.reason, verdict.message) for verdict in judge_path(GRAPH, "2024.1", "2025.2")[:-1]]
    assert [reason for reason, _ in warned] == ["end-of-life", "unmaintained"]
    assert warned[0][1].startswith("2024.2 (Dalmatian) is end of life since 2026-04-29: ")
    assert warned[1][1].startswith("2025.1 (Epoxy) is unmaintained since 2026-10-02: ")
    assert judge_path(GRAPH, "2024.1", "2025.2")[-1].code == "allow"


def test_a_hole_in_the_data_is_named() -> None:
    files = {name: raw for name, raw in FILES.items() if "2024.2-2025.1" not in name}
    found = [verdict for verdict in judge_path(ReleaseGraph(files), "2024.1", "2025.2") if verdict.code == "block"]
    assert [verdict.reason for verdict in found] == ["no-path"]
    assert "the graph has no hop 2024.2 → 2025.1" in found[0].message


def test_damaged_data_is_never_a_refusal_of_the_request() -> None:
    files = FILES | {"hops/2024.2-2025.1.toml": b"broken"}
    with pytest.raises(DataError):
        judge_path(ReleaseGraph(files), "2024.1", "2025.2")


# ---------------------------------------------------------------- with a cloud


def test_an_exact_reading_is_the_start() -> None:
    assert [hop.key for hop in check_request(GRAPH, "", "2025.1", seen=EXACT)] == ["2024.1-2024.2", "2024.2-2025.1"]
    assert only("", "2025.1", 1, EXACT).next_command == "upgrader plan --to 2025.1"
    assert not blocks("caracal", "2025.1", seen=EXACT)


def test_a_start_may_not_contradict_the_cloud() -> None:
    verdict = only("2024.2", "2025.2", seen=EXACT)
    assert verdict.reason == "source-contradicts-cloud"
    assert verdict.message == "--from says 2024.2, but the cloud runs 2024.1 (all 214 containers)."


def test_a_mixed_cloud_blocks_host_by_host_whatever_is_typed() -> None:
    for source in ("", "2024.1"):
        verdict = only(source, "2025.1", seen=MIXED)
        assert verdict.reason == "mixed-releases"
        assert "2024.1, 2024.2 run side by side" in verdict.message
        assert verdict.details[:2] == MIXED.evidence


def test_an_unknown_cloud_is_asked_about_and_never_guessed() -> None:
    verdict = only("", "2025.1", seen=UNKNOWN)
    assert (verdict.reason, verdict.details) == ("unknown-source", UNKNOWN.evidence)
    assert "--from RELEASE" in verdict.next_command
    assert not blocks("2024.1", "2025.1", seen=UNKNOWN)


def test_neither_cloud_nor_start() -> None:
    assert only("", "2025.1").reason == "source-not-given"


@pytest.mark.parametrize(("reading", "reason"), [(MIXED, "mixed-releases"), (UNKNOWN, "unknown-source")])
def test_check_reading(reading: ReleaseReading, reason: str) -> None:
    facts = CloudFacts(site="s", observed_at="2026-11-22T00:00:00Z", hosts=(), reading=reading)
    with pytest.raises(RefusedError) as caught:
        check_reading(facts)
    assert caught.value.reason == reason
    assert set(reading.evidence) <= set(caught.value.details)
    check_reading(facts.model_copy(update={"reading": EXACT}))


# ---------------------------------------------------------------- all together


def test_a_refusal_lists_every_reason() -> None:
    with pytest.raises(RefusedError) as caught:
        check_request(GRAPH, "2024.1", "2026.2", 1)
    error = caught.value
    assert (error.reason, error.exit_code, error.cloud) == ("skips-a-release", 3, "Nothing was changed.")
    assert error.message.startswith("2024.1 → 2026.2 skips")
    assert any("2026.2 (Hibiscus) is provisional" in line for line in error.details)
    assert any("The way: 2024.1 → 2024.2" in line for line in error.details)
    assert error.next_command


NAMES = st.one_of(
    st.sampled_from(IDS), st.sampled_from(CODENAMES).map(str.title), st.sampled_from(["zed", "2022.2", "2025.3", "x"])
)


def index(name: str) -> int | None:
    lowered = name.lower()
    if lowered in IDS:
        return IDS.index(lowered)
    return CODENAMES.index(lowered) if lowered in CODENAMES else None


@given(NAMES, NAMES, st.one_of(st.none(), st.integers(-1, 9)))
def test_reasons_are_those_of_the_model(source: str, target: str, hops: int | None) -> None:
    start, end = index(source), index(target)
    expected: set[str] = set()
    if start is None or end is None:
        expected.add("unknown-release")
    elif start == end:
        expected.add("same-release")
    elif start > end:
        expected.add("backwards")
    else:
        if hops is not None and 1 <= hops < end - start:
            expected.add("skips-a-release")
        if hops is not None and (hops < 1 or hops > end - start):
            expected.add("wrong-number-of-hops")
        if end == len(IDS) - 1:
            expected.add("provisional-release")
    assert {verdict.reason for verdict in blocks(source, target, hops)} == expected
    if expected:
        with pytest.raises(RefusedError) as caught:
            check_request(GRAPH, source, target, hops)
        assert caught.value.reason in expected
    else:
        assert start is not None
        assert end is not None
        path = check_request(GRAPH, source, target, hops)
        assert [hop.source for hop in path] + [path[-1].target] == IDS[start : end + 1]
