"""What migration scripts leave in a schema, and what an interrupted one is known by."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.graph.test_check import parse_once
from upgrader.errors import DataError
from upgrader.graph import DatabaseHeads, ReleaseGraph, load, load_graph, release_of_heads
from upgrader.graph.check import validate_files
from upgrader.graph.heads import Structure, unfinished
from upgrader.graph.load import data_folder, read_files
from upgrader.graph.marks import DatabaseMarks
from upgrader.model import SchemaHead

GRAPH = load_graph()


@pytest.fixture(autouse=True)
def _parse_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load.tomllib, "loads", parse_once)


MARKS = {marks.database: marks for marks in GRAPH.marks}


@pytest.mark.parametrize("heads", GRAPH.databases, ids=lambda known: known.database)
def test_heads_of_a_release_mean_all_its_scripts(heads: DatabaseHeads) -> None:
    """The scripts that the marks say were run are those that the heads' own data say came with the releases."""
    passed: set[str] = set()
    for release in GRAPH.ids:
        passed |= set(heads.new_revisions.get(release, ()))
        assert MARKS[heads.database].applied(heads.heads[release]) == passed


def structure(marks: DatabaseMarks, *items: str, lacks: str = "") -> Structure:
    tables = {*marks.tables, *(item.partition("/")[0].partition(".")[0] for item in items)}
    return Structure(tables=frozenset(tables), items=frozenset({*tables, *items} - {lacks}))


def whole(marks: DatabaseMarks, release: str) -> set[str]:
    """Everything that a complete schema of the release shows."""
    heads = next(known for known in GRAPH.databases if known.database == marks.database).heads[release]
    applied = marks.applied(heads)
    shown: set[str] = set()
    for revision in marks.revisions:
        shown -= set(revision.drops) if revision.id in applied else set()
        shown |= set(revision.adds if revision.id in applied else revision.drops)
    return shown


@pytest.mark.parametrize("release", GRAPH.ids)
def test_a_complete_schema_is_complete_and_one_script_more_is_not(release: str) -> None:
    for known in GRAPH.databases:
        marks, heads = MARKS[known.database], known.heads[release]
        shown = whole(marks, release)
        assert unfinished(marks, heads, structure(marks, *shown)) == "", known.database
        applied = marks.applied(heads)
        for revision in marks.revisions:
            if revision.id in applied:
                continue
            for item in revision.adds:
                told = unfinished(marks, heads, structure(marks, *shown, item))
                assert told.endswith("that script was interrupted"), item
            for item in revision.drops:
                told = unfinished(marks, heads, structure(marks, *shown, lacks=item))
                assert f"{revision.id} dropped" in told and item.rpartition("/")[2].rpartition(".")[2] in told


def test_a_row_written_by_hand_is_seen_by_what_is_missing() -> None:
    marks = MARKS["octavia"]
    shown = whole(marks, "2025.1")
    told = unfinished(marks, ["fabf4983846b"], structure(marks, *shown, lacks="member.vnic_type"))
    assert told == (
        "half-migrated: holds fabf4983846b, but lacks column vnic_type of member, which 8db7a6443785 makes: "
        "the row was written by hand, or tables are missing"
    )
    part = Structure(tables=frozenset({"member"}), items=frozenset({"member"}))
    assert unfinished(marks, ["fabf4983846b"], part) == "", "a part of a database says nothing of what is not in it"


def test_tables_tell_whose_database_it_is_where_revisions_do_not() -> None:
    tables = frozenset({*MARKS["cinder"].tables, "alembic_version"})
    reading = release_of_heads(
        GRAPH, [SchemaHead(database="x", heads=("ffffffffffff",))], {"x": Structure(tables=tables)}
    )
    assert (reading.databases[0].service, reading.kind) == ("cinder", "foreign")
    reading = release_of_heads(GRAPH, [SchemaHead(database="x", heads=())], {"x": Structure(tables=tables)})
    assert reading.kind == "half-migrated" and "3 tables are there" in reading.databases[0].note


def test_a_revision_that_two_services_share_is_told_by_tables_then_by_name() -> None:
    files = {
        name: raw.replace(b"a082b8bb98d0", b"cdeec0c85668") if name.startswith("schema_") else raw
        for name, raw in read_files(data_folder()).items()
    }
    shared = ReleaseGraph(files)

    def service(name: str, *tables: str) -> list[str]:
        head = SchemaHead(database=name, heads=("cdeec0c85668",))
        reading = release_of_heads(shared, [head], {name: Structure(tables=frozenset(tables))})
        return [known.schema_name for known in reading.databases]

    assert service("x", *MARKS["placement"].tables) == ["placement"]
    assert service("placement", *MARKS["nova_api"].tables) == ["nova_api"]
    assert service("placement") == ["placement"]
    assert service("x") == []


def swapped(name: str, old: str, new: str) -> Mapping[str, bytes]:
    files = read_files(data_folder())
    assert old.encode() in files[name]
    return {**files, name: files[name].replace(old.encode(), new.encode(), 1)}


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        (
            "schema_marks.toml",
            'id = "5bcb7b31ec7d"',
            'id = "5bcb7b31ec7e"',
            "neutron.revisions: nothing for 5bcb7b31ec7d",
        ),
        ("schema_marks.toml", 'after = ["fc153938cdc1"]', 'after = ["f0"]', "neutron.revisions: after: f0 is unknown"),
        ("schema_marks.toml", 'database = "barbican"', 'database = "horizon"', "databases: no heads for horizon"),
        ("schema_marks.toml", 'database = "barbican"', 'database = "horizon"', "databases: nothing for barbican"),
        ("schema_marks.toml", 'id = "d2db381e3324"', 'id = "c6214ca60943"', "c6214ca60943 is there twice"),
        ("migration_faults.toml", 'service = "nova"', 'service = "nowa"', "service: nowa has no migrations"),
        ("migration_faults.toml", 'targets = ["2025.2"]', 'targets = ["2025.3"]', "2025.3 is not a release"),
        ("migration_faults.toml", 'table = "cinder.volumes"', 'table = "nova.x"', "nova.x is in no database of cinder"),
        ("migration_faults.toml", "heads_differ = true", "", "nothing says how it shows"),
        ("migration_faults.toml", 'select = "SELECT id', 'select = "DELETE id', "only SELECT is asked"),
        ("migration_faults.toml", "Data truncated for", "Data (truncated for", "missing )"),
        ("migration_faults.toml", 'id = "cinder-use', 'id = "neutron-duplicate-ha-networks" #', "is there 2 times"),
    ],
)
def test_damaged_data_is_named(name: str, old: str, new: str, fault: str) -> None:
    with pytest.raises(DataError) as caught:
        validate_files(swapped(name, old, new))
    assert any(line.startswith(name) and fault in line for line in caught.value.details), caught.value.details


def test_every_known_fault_says_how_it_shows_and_what_mends_it(graph: ReleaseGraph) -> None:
    for fault in graph.migration_faults.faults:
        assert fault.fix and fault.source
        assert fault.effect == "misleads" or (fault.words and fault.foreseen)
