"""Which sets and copies may go: whatever the rules, what is needed stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.journal_kit import attempt, begin, entered, ram_folder
from tests.offbox_kit import a_set, a_site, proved
from upgrader.database.manifest import BackupSet
from upgrader.database.retention import Kept, needed_sets, removable, remove_local, remove_old
from upgrader.journal import Journal
from upgrader.states import Event, State

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def kept(name: str, age: int, *, proved: bool = False, counts: bool = True, copy: int = 0) -> Kept:
    return Kept(f"{name}-{copy}", name, NOW - timedelta(days=age), proved, counts)


SETS = st.lists(
    st.builds(
        kept,
        st.sampled_from("abcdefgh"),
        st.integers(0, 60),
        proved=st.booleans(),
        counts=st.booleans(),
        copy=st.integers(0, 3),
    ),
    max_size=12,
)


@given(
    every=SETS,
    last=st.integers(0, 4),
    days=st.integers(0, 40),
    needed=st.sets(st.sampled_from("abcdefgh"), max_size=3),
)
def test_the_laws_of_removal(every: list[Kept], last: int, days: int, needed: set[str]) -> None:
    within = timedelta(days=days)
    gone = removable(every, last=last, within=within, needed=needed, now=NOW)
    left = [one for one in every if one not in gone]
    assert not gone or last or days
    assert not {one.set_name for one in gone} & needed
    assert all(NOW - one.made_at > within for one in gone) or not days
    for kind in (lambda one: one.proved, lambda one: one.proved and one.counts, lambda one: one.counts):
        newest = max((one.made_at for one in every if kind(one)), default=None)
        assert newest == max((one.made_at for one in left if kind(one)), default=None)
    if last:
        names = [one.set_name for one in sorted(every, key=lambda one: (one.made_at, one.id)) if one.counts]
        newest_names = list(dict.fromkeys(reversed(names)))[:last]
        assert not {one.set_name for one in gone} & set(newest_names)


def test_rules_remove_what_nobody_needs() -> None:
    every = [kept("a", 40, proved=True), kept("b", 30), kept("c", 20), kept("half", 15, counts=False), kept("d", 1)]
    assert [one.set_name for one in removable(every, last=1, needed=(), now=NOW)] == ["b", "c", "half"]
    assert [one.set_name for one in removable(every, last=2, needed=(), now=NOW)] == ["b"]
    unread = [kept("a", 40, proved=True, counts=False), kept("b", 30, proved=True), kept("c", 20), kept("d", 1)]
    assert [one.set_name for one in removable(unread, last=1, needed=(), now=NOW)] == ["a", "c"]
    later = [kept("a", 40, proved=True), kept("b", 30, proved=True, counts=False), kept("c", 20), kept("d", 1)]
    assert [one.set_name for one in removable(later, last=1, needed=(), now=NOW)] == ["c"]
    month = timedelta(days=25)
    assert [one.set_name for one in removable(every, within=month, needed=(), now=NOW)] == ["b"]
    assert removable(every, needed=(), now=NOW) == ()


def test_sets_here(tmp_path: Path) -> None:
    site = replace(a_site(tmp_path), backup_keep=1)
    for day, name in enumerate("abcd", 1):
        a_set(site, name, made_at=f"2026-03-0{day}T10:00:00Z")
    proved(site.backup_dir / "a")
    torn = BackupSet.open(site.backup_dir / "b")
    torn.manifest = torn.manifest.model_copy(update={"state": "in-progress"})
    torn._write()
    (site.backup_dir / "a folder of the operator's").mkdir()
    foreign = replace(site, name="other")
    a_set(foreign, "foreign", made_at="2020-01-01T00:00:00Z")
    said: list[str] = []
    taken_now = datetime(2026, 3, 3, tzinfo=UTC)
    remove_local(site, {"c"}, said.append, taken_now)
    assert {path.name for path in site.backup_dir.iterdir()} >= {"a", "b", "c", "d", "foreign"}
    remove_local(site, (), said.append, NOW)
    assert {path.name for path in site.backup_dir.iterdir()} == {"a", "d", "foreign", "a folder of the operator's"}
    assert remove_local(replace(site, backup_keep=0), (), said.append, NOW) == ()


def test_the_sets_of_a_run_are_needed_until_it_came_to_a_good_end() -> None:
    with ram_folder() as state, entered(state) as journal:
        assert needed_sets(state) == frozenset()
        begin(journal)
        attempt(journal, State.PREFLIGHT)
        attempt(journal, State.BACKUP, facts={"backup_set": "/b/first"})
        assert needed_sets(state) == {"first"}
        walk_on(journal, 0)
        journal.begin_hop(1)
        attempt(journal, State.PREFLIGHT, hop=1)
        attempt(journal, State.BACKUP, hop=1, facts={"backup_set": "/b/second"})
        assert needed_sets(state) == {"first", "second"}
        walk_on(journal, 1)
        assert needed_sets(state) == frozenset()


def walk_on(journal: Journal, hop: int) -> None:
    """From behind the backup to the end of the hop, undisturbed."""
    while (row := journal.snapshot().hops[hop]).state is not State.HOP_DONE:
        if row.state in (State.HOLD_BROKER, State.HOLD_UPGRADE, State.HOLD_FINALIZE):
            journal.move(hop, Event.APPROVE, "anna", "go on")
        else:
            attempt(journal, row.state, hop=hop, schema_started=False)


def test_nothing_is_known_to_be_needed_without_a_journal(tmp_path: Path) -> None:
    assert needed_sets(tmp_path / "nothing was ever run here") == frozenset()


def test_nothing_goes_while_it_cannot_be_told_what_a_run_needs(tmp_path: Path) -> None:
    site = replace(a_site(tmp_path), backup_keep=1, offbox=None)
    for day, name in enumerate("ab", 1):
        a_set(site, name, made_at=f"2026-03-0{day}T10:00:00Z")
    site.state_dir.mkdir(exist_ok=True)
    (site.state_dir / "journal.db").write_bytes(b"not a journal")
    (finding,) = remove_old(site, (), print)
    assert finding.id == "backup-not-removed"
    assert {path.name for path in site.backup_dir.iterdir()} == {"a", "b"}
