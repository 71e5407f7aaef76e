"""What is remembered of findings between checks: open, settled, come back, accepted; no run is needed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.journal_kit import FAST, begin, entered, plan, ram_folder
from upgrader.errors import RefusedError
from upgrader.journal.chain import digest

HOP = "2024.1→2024.2"
LATER = "2024.2→2025.1"


@pytest.fixture
def journal():
    with ram_folder() as folder, entered(folder) as opened:
        yield opened
        assert opened.verify() == ()
        assert opened.rebuild() == ()


def test_nothing_is_remembered_at_first(journal):
    found = journal.findings()
    assert (found.checked_at, found.open, found.settled, found.accepted) == ("", {}, frozenset(), {})


def test_settled_is_gone_and_what_comes_back_is_marked(journal):
    first = journal.checked({"zun": HOP, "disk": ""}, ("", HOP), "anna")
    assert not first.open["zun"].regressed
    assert first.checked_at
    second = journal.checked({"disk": ""}, ("", HOP), "anna")
    assert set(second.open) == {"disk"}
    assert second.settled == {"zun"}
    assert second.open["disk"].since == first.open["disk"].since
    third = journal.checked({"zun": HOP}, ("", HOP), "anna")
    assert third.open["zun"].regressed
    assert third.settled == {"disk"}
    assert journal.checked({"zun": HOP}, ("", HOP), "anna").open["zun"].regressed, "as long as it is open"


def test_a_check_speaks_only_of_what_it_judged(journal):
    journal.checked({"zun": HOP, "swift": LATER}, ("", HOP, LATER), "anna")
    found = journal.checked({}, ("", HOP), "anna")
    assert set(found.open) == {"swift"}
    assert found.settled == {"zun"}


def test_a_risk_is_taken_until_it_is_settled(journal):
    with pytest.raises(RefusedError):
        journal.accept_finding("zun", "known", "anna")
    journal.checked({"zun": HOP}, ("", HOP), "anna")
    journal.accept_finding("zun", "nobody uses it", "anna", {"hop": HOP})
    held = journal.findings().accepted["zun"]
    assert (held.actor, held.reason, held.run) == ("anna", "nobody uses it", "")
    assert "zun" in journal.checked({"zun": HOP}, ("", HOP), "anna").accepted
    assert journal.checked({}, ("", HOP), "anna").accepted == {}
    assert journal.checked({"zun": HOP}, ("", HOP), "anna").accepted == {}, "it came back: to be judged anew"
    journal.accept_finding("zun", "still nobody", "bert")
    assert journal.findings().accepted["zun"].actor == "bert"


def test_no_plan_becomes_stale_by_a_check(journal):
    serial = journal.snapshot().serial
    document = plan(serial=serial, lineage=journal.snapshot().lineage)
    journal.checked({"zun": HOP}, ("", HOP), "anna", {"record_sha256": "0" * 64})
    journal.accept_finding("zun", "known", "anna")
    assert journal.snapshot().serial == serial
    assert journal.begin_run(document, digest(document), "anna", [("2024.1", "2024.2")])
    assert journal.snapshot().acceptances == (), "the run's own are others"


def test_a_run_under_way_does_not_matter(journal):
    begin(journal)
    journal.checked({"disk": ""}, ("",), "anna")
    assert set(journal.findings().open) == {"disk"}
    assert journal.snapshot().hops[0].state == "preflight"


NAMES = ("a", "b", "c")


@given(st.lists(st.tuples(st.sets(st.sampled_from(NAMES)), st.sampled_from([*NAMES, ""])), max_size=8))
@settings(max_examples=40, deadline=None)
def test_the_memory_is_that_of_somebody_who_was_there(steps):
    """Oracle: for each finding the row of looks at it, told one by one."""
    looks = {name: [] for name in NAMES}
    accepted = dict.fromkeys(NAMES, False)
    with ram_folder() as folder, entered(folder, durability=FAST) as journal:
        for seen, wish in steps:
            found = journal.checked(dict.fromkeys(seen, HOP), (HOP,), "anna")
            for name in NAMES:
                looks[name].append(name in seen)
                accepted[name] = accepted[name] and name in seen
            if wish in seen:
                journal.accept_finding(wish, "known", "anna")
                accepted[wish] = True
            found = journal.findings()
            assert set(found.open) == seen
            assert found.settled == {name for name in NAMES if True in looks[name] and not looks[name][-1]}
            back = {name for name in seen if False in looks[name][looks[name].index(True) :]}
            assert {name for name, row in found.open.items() if row.regressed} == back
            assert set(found.accepted) == {name for name in NAMES if accepted[name]}
        assert journal.verify() == ()
        assert journal.rebuild() == ()
