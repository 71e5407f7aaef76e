"""The snapshot costs the same whatever the history is: no query of it walks over the events."""

from __future__ import annotations

import pytest

from tests.journal_kit import FAST, attempt, begin, entered, ram_folder
from upgrader.journal import open_journal
from upgrader.states import State


def plans_of(journal):
    """How SQLite goes about each query of a snapshot."""
    asked = []
    journal._connection.set_trace_callback(asked.append)
    journal.snapshot()
    journal._connection.set_trace_callback(None)
    selects = [sql for sql in asked if sql.startswith("SELECT")]
    assert len(selects) > 5
    return {sql: [row[3] for row in journal._connection.execute(f"EXPLAIN QUERY PLAN {sql}")] for sql in selects}


def test_no_query_of_the_snapshot_walks_over_the_events_or_all_attempts():
    with ram_folder() as folder, entered(folder, durability=FAST) as journal:
        begin(journal)
        attempt(journal, State.PREFLIGHT)
        for sql, steps in plans_of(journal).items():
            if "FROM events" in sql:
                assert "LIMIT" in sql
                assert not any("TEMP B-TREE" in step for step in steps), (sql, steps)
            if "FROM attempts" in sql:
                assert any("INDEX" in step for step in steps), (sql, steps)


@pytest.mark.slow
def test_a_hundred_thousand_events_make_no_difference():
    """Work is counted in SQLite's own steps, not in seconds."""
    with ram_folder() as folder, entered(folder, durability=FAST) as journal:
        begin(journal)
        short = steps_of(journal)
        for number in range(100):
            with journal._commit("test") as commit:
                for _ in range(1000):
                    commit.append("note.filler", {"n": number})
        assert journal.snapshot().last_seq > 100_000
        assert steps_of(journal) <= short * 1.5 + 100
        with open_journal(folder, readonly=True) as reader:
            assert reader.verify() == ()


def steps_of(journal):
    count = 0

    def tick():
        nonlocal count
        count += 1

    journal._connection.set_progress_handler(tick, 10)
    journal.snapshot()
    journal._connection.set_progress_handler(None, 0)
    return count
