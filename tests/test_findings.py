"""Findings put together: the path they are judged on, what is remembered of them, who may take a risk."""

from __future__ import annotations

import pytest

from tests.gates import golden
from tests.gates.small import graph
from upgrader.errors import RefusedError
from upgrader.facts.names import release_names
from upgrader.findings import (
    Path,
    Room,
    accept_all,
    asked,
    find_path,
    in_order,
    judge_hops,
    judge_own_checks,
    judge_site,
    missing,
    newest_plannable,
    open_ids,
    questions,
    refuse_acceptance,
    with_life,
)
from upgrader.journal import Acceptance, FindingMemory, OpenFinding
from upgrader.model import Code, Finding, ReleaseReading

EXACT = ReleaseReading(kind="exact", release="2024.1", how="containers")
MIXED = ReleaseReading(
    kind="mixed", how="container images", evidence=("ctl1: 2024.1: keystone; 2024.2: mariadb",),
    by_service=(("keystone", "2024.1", ("ctl1",)), ("mariadb", "2024.2", ("ctl1",))),
)  # fmt: skip
BLOCKER = Finding(id="zun", code=Code.FAILURE, message="Zun goes", severity="blocker", hop="2024.1→2024.2", fix=("x",))
ASKING = BLOCKER.model_copy(update={"id": "asking", "overridable": True, "unknown": True})
REQUIRED = Finding(id="notes", code=Code.WARNING, message="Read them", severity="required", hop="2024.1→2024.2")


def taken(*names: str, by: str = "anna") -> dict[str, Acceptance]:
    return {name: Acceptance("", name, "known", by, "now", 9) for name in names}


def opened(*names: str, regressed: bool = False) -> dict[str, OpenFinding]:
    return {name: OpenFinding("", 3, regressed) for name in names}


# ---------------------------------------------------------------- the path


def test_the_default_target_is_the_newest_release_that_is_final() -> None:
    path = find_path(graph(), EXACT)
    assert path.target == newest_plannable(graph()) == "2026.1"
    assert path.releases == ("2024.1", "2024.2", "2025.1", "2025.2", "2026.1")
    assert path.scope[:2] == ("", "2024.1→2024.2")


def test_a_cloud_at_the_newest_release_is_judged_without_hops() -> None:
    path = find_path(graph(), EXACT.model_copy(update={"release": "2026.1"}))
    assert (path.hops, path.releases, path.findings) == ((), ("2026.1",), ())


def test_a_mixed_cloud_is_a_finding_beside_the_others() -> None:
    path = find_path(graph(), MIXED, "", "2025.1")
    assert [(finding.id, finding.blocks) for finding in path.findings] == [("mixed-releases", True)]
    assert "ctl1: 2024.1: keystone" in path.findings[0].evidence
    assert path.hops == ()
    assert len(find_path(graph(), MIXED, "2024.1", "2025.1").hops) == 2


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("", "2023.1", "backwards"),
        ("2024.2", "2025.1", "source-contradicts-cloud"),
        ("", "2026.2", "provisional-release"),
        ("", "2024.1", "same-release"),
    ],
)
def test_a_senseless_request_is_refused(source: str, target: str, reason: str) -> None:
    with pytest.raises(RefusedError) as caught:
        find_path(graph(), EXACT, source, target)
    assert caught.value.reason == reason


# ---------------------------------------------------------------- judging


def test_the_same_trouble_is_told_once() -> None:
    case = {"from": "2024.2", "to": "2025.1", "hosts": {"cmp1": {"os": "ubuntu-22.04"}}}
    path = find_path(graph(), EXACT.model_copy(update={"release": "2024.2"}), "", "2025.1")
    found = {finding.id for finding in judge_hops(graph(), path, golden.record(case))}
    assert "host-os-jammy" in found
    assert "2025.1-jammy" not in found


def test_groups_that_the_tool_adds_do_not_block() -> None:
    case = {"from": "2024.2", "to": "2025.1", "without_groups": ["nova-metadata"]}
    path = find_path(graph(), EXACT.model_copy(update={"release": "2024.2"}), "", "2025.1")
    record = golden.record(case)
    assert "2025.1-nova-metadata" in {finding.id for finding in judge_hops(graph(), path, record)}
    ours = record.model_copy(update={"groups_by_tool": ("nova-metadata",)})
    assert "2025.1-nova-metadata" not in {finding.id for finding in judge_hops(graph(), path, ours)}


def test_the_known_outage_is_blocked_beforehand() -> None:
    """2025.1 → 2025.2 with HAProxy before the database takes every API down."""
    case = {"from": "2025.1", "to": "2025.2", "settings": {"enable_proxysql": "no"}}
    path = find_path(graph(), EXACT.model_copy(update={"release": "2025.1"}), "", "2025.2")
    found = judge_hops(graph(), path, golden.record(case))
    assert [finding.id for finding in found if finding.blocks] == ["2025.2-proxysql-mandatory"]
    healthy = judge_hops(graph(), path, golden.record({"from": "2025.1", "to": "2025.2"}))
    assert [finding.id for finding in healthy if finding.blocks] == []


def test_a_cloud_nobody_could_read_is_all_unknown_and_never_fine() -> None:
    case = {"from": "2024.1", "to": "2024.2", "hosts": {name: {"reachable": False} for name in golden.HOSTS}}
    record = golden.record(case)
    path = find_path(graph(), EXACT, "", "2024.2")
    found = judge_site(graph(), path, record, release_names(graph()), Room(1))
    assert len([finding for finding in found if finding.id == "host-unreachable"]) == len(golden.HOSTS)
    assert any(finding.blocks and finding.unknown for finding in found)


# ---------------------------------------------------------------- life


def test_what_was_accepted_does_not_block_any_more() -> None:
    memory = FindingMemory(open=opened("zun", "asking", "notes"), accepted=taken("zun", "asking", "notes"))
    zun, asking, notes = with_life((BLOCKER, ASKING, REQUIRED), memory)
    assert zun.blocks, "no word makes a blocker go away that is not the operator's to judge"
    assert zun.accepted == ("", "")
    assert not asking.blocks
    assert asking.accepted == notes.accepted == ("anna", "known")


def test_what_came_back_is_marked() -> None:
    memory = FindingMemory(open=opened("notes", regressed=True), settled=frozenset({"zun"}))
    found = {finding.id: finding.regressed for finding in with_life((BLOCKER, ASKING, REQUIRED), memory)}
    assert found == {"zun": True, "asking": False, "notes": True}
    good = Finding(id="zun", code=Code.SUCCESS, message="fine")
    assert with_life((good,), memory) == (good,)


def test_a_stage_takes_the_word_of_its_request() -> None:
    found = accept_all((BLOCKER, ASKING), {"zun": "please", "asking": "looked at it"})
    assert [finding.blocks for finding in found] == [True, False]


def test_only_what_is_open_and_anybodys_to_judge_is_accepted() -> None:
    findings = (BLOCKER, ASKING, REQUIRED, Finding(id="disk", code=Code.SUCCESS, message="fine"))
    refuse_acceptance("asking", findings)
    refuse_acceptance("notes", findings)
    for name, reason in (("zun", "finding-not-acceptable"), ("disk", "finding-not-open"), ("note", "finding-not-open")):
        with pytest.raises(RefusedError) as caught:
            refuse_acceptance(name, findings)
        assert caught.value.reason == reason
    assert "nearest: notes" in caught.value.details


def test_what_the_journal_is_told() -> None:
    checklist = Finding(id="baseline-vip", code=Code.WARNING, message="x")
    assert open_ids((BLOCKER, checklist, Finding(id="disk", code=Code.SUCCESS, message="x"))) == {
        "zun": "2024.1→2024.2",
        "baseline-vip": "checklist",
    }


def test_order_is_hop_then_when_then_weight() -> None:
    path = Path("2024.1", "2025.1", graph().path("2024.1", "2025.1"))
    after = BLOCKER.model_copy(update={"id": "after", "when": "after"})
    later = BLOCKER.model_copy(update={"id": "later", "hop": "2024.2→2025.1"})
    cloud = REQUIRED.model_copy(update={"id": "cloud", "hop": ""})
    found = in_order((later, after, REQUIRED, BLOCKER, cloud), path)
    assert [finding.id for finding in found] == ["cloud", "zun", "notes", "after", "later"]


# ---------------------------------------------------------------- questions


def test_questions_stand_once_with_their_words() -> None:
    first = ASKING.model_copy(
        update={"evidence": "enable_x is not known; answer a in [answers] of upgrader.toml; answer a: is it so?"}
    )
    both = first.model_copy(update={"id": "both", "evidence": "answer b in [answers] of upgrader.toml; "
                                    "answer a in [answers] of upgrader.toml; answers a and b: which?"})  # fmt: skip
    assert [(one.name, one.words, one.asked_by) for one in questions((first, both))] == [
        ("a", "is it so?", ("asking", "both")),
        ("b", "which?", ("both",)),
    ]
    assert asked(both) == ("b", "a")
    assert missing(first) == ("enable_x is not known",)
    known = first.model_copy(update={"unknown": False})
    assert (asked(known), missing(known), questions((known,))) == ((), (), ())


def test_checks_of_the_services_that_nobody_ran_are_told() -> None:
    from tests.cloud_kit.facts import cloud, container, host
    from upgrader.observed import Observed, UpgradeCheck

    path = find_path(graph(), EXACT, target="2025.1")
    facts = cloud(host("ctl1", container("nova_api", "2024.1")))
    (silent,) = judge_own_checks(path, facts)
    assert (silent.id, silent.code, silent.severity) == ("upgrade-checks-not-run", Code.WARNING, "advised")
    assert silent.hop == "2024.1→2024.2" and "images of 2024.2 are not pulled" in silent.message
    check = UpgradeCheck(service="nova", release="2024.2", code=2, checks=(("Computes", "Failure", "cmp1 is old"),))
    asked = facts.model_copy(update={"observed": Observed(upgrade_checks=(check,))})
    (bad,) = judge_own_checks(path, asked)
    assert (bad.id, bad.hop, bad.blocks) == ("upgrade-check-nova-2024.2", "2024.1→2024.2", True)
    assert not accept_all((bad,), {bad.id: "it is gone"})[0].blocks
    assert judge_own_checks(path, cloud(host("ctl1", container("mariadb", "2024.1")))) == ()
    assert judge_own_checks(Path("2024.1", "2024.1", ()), facts) == ()
