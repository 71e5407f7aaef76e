"""Releases from version rows. The table is written out here as it was read from migrated databases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.graph import HeadsReading, ReleaseGraph, load_graph, release_of_heads
from upgrader.model import SchemaHead

GRAPH = load_graph()
IDS = GRAPH.ids
DASH = ""  # as in the release before

TABLE: dict[str, list[str]] = {
    "neutron": [
        "fc153938cdc1",
        "89c58a70ceba",
        "0e6eff810791",
        "5bcb7b31ec7d",
        "ad80a9f07c5c",
        "d553edeb540f",
        "b1bca967e19d",
        "c7f8d9e0f1a2",
    ],
    "nova": ["960aac0e09ea", "1acf2c98e646", "13863f4e1612", DASH, "2903cd72dc14", DASH, DASH, "ab450ba04102"],
    "nova_api": ["b30f573d3377", "cdeec0c85668", DASH, DASH, DASH, DASH, DASH, DASH],
    "keystone": [
        "29e87d24a316 e25ffa003242",
        "11c3b243b4cb c88cdce8f248",
        "47147121 c88cdce8f248",
        DASH,
        DASH,
        DASH,
        "742c857f1dfb c88cdce8f248",
        DASH,
    ],
    "glance": ["2023_1_contract01", DASH, "2024_1_contract01", DASH, DASH, DASH, DASH, DASH],
    "placement": ["422ece571366", "a082b8bb98d0", DASH, DASH, DASH, DASH, DASH, DASH],
    "cinder": ["daa98075b90d", "89aa6f9639f9", "9c74c1c6971f", DASH, DASH, DASH, DASH, DASH],
    "heat": ["migrate_version:heat:86", "c6214ca60943", DASH, DASH, DASH, DASH, "97b2a986f922", DASH],
    "octavia": ["0995c26fc506", "632152d2d32e", "db2a73e82626", DASH, "fabf4983846b", DASH, DASH, DASH],
    "barbican": ["8c74e2d7f1ff", DASH, DASH, DASH, DASH, DASH, DASH, DASH],
}


def expected(database: str, release: str) -> set[str]:
    rows = TABLE[database]
    index = IDS.index(release)
    while not rows[index]:
        index -= 1
    return set(rows[index].split()) | ({"5c85685d616d"} if database == "neutron" else set())


def read(**databases: str) -> HeadsReading:
    observed = [SchemaHead(database=name, heads=tuple(rows.split())) for name, rows in databases.items()]
    return release_of_heads(GRAPH, observed)


def observed_at(release: str, names: list[str] | None = None) -> list[SchemaHead]:
    heads = GRAPH.heads(release)
    return [SchemaHead(database=name, heads=tuple(sorted(heads[name]))) for name in names or heads]


def test_every_cell_of_the_table(graph: ReleaseGraph) -> None:
    for release in IDS:
        heads = graph.heads(release)
        assert set(heads) == {*TABLE, "nova_cell0"}
        assert heads["nova_cell0"] == heads["nova"]
        for database in TABLE:
            assert set(heads[database]) == expected(database, release), (database, release)


@pytest.mark.parametrize("release", IDS)
def test_all_databases_together_name_exactly_one_release(release: str) -> None:
    reading = release_of_heads(GRAPH, observed_at(release))
    assert (reading.kind, reading.releases) == ("agree", (release,))


@given(st.sampled_from(IDS), st.sets(st.sampled_from(sorted(GRAPH.heads("2025.1"))), min_size=1))
def test_any_databases_of_one_release_leave_those_with_the_same_rows(release: str, names: set[str]) -> None:
    reading = release_of_heads(GRAPH, observed_at(release, sorted(names)))
    same = [
        other
        for other in IDS
        if all(
            expected(name.removesuffix("_cell0"), other) == expected(name.removesuffix("_cell0"), release)
            for name in names
        )
    ]
    assert reading.kind == "agree"
    assert list(reading.releases) == same
    assert release in same


@given(st.data())
def test_databases_of_two_releases_never_name_a_release_that_does_not_fit_all(data: st.DataObject) -> None:
    names = sorted(TABLE)
    chosen = {name: data.draw(st.sampled_from(IDS)) for name in names}
    reading = release_of_heads(
        GRAPH, [SchemaHead(database=name, heads=tuple(expected(name, chosen[name]))) for name in names]
    )
    fitting = [
        release for release in IDS if all(expected(name, release) == expected(name, chosen[name]) for name in names)
    ]
    assert list(reading.releases) == fitting
    assert reading.kind == ("agree" if fitting else "disagree")


def test_without_neutron_two_releases_stay_possible() -> None:
    names = ["keystone", "nova", "octavia", "heat"]
    assert release_of_heads(GRAPH, observed_at("2024.1", names)).releases == ("2024.1", "2024.2")
    assert release_of_heads(GRAPH, observed_at("2025.2", names)).releases == ("2025.1", "2025.2")


def test_an_upgrade_under_way_is_a_disagreement() -> None:
    reading = read(neutron="5c85685d616d ad80a9f07c5c", nova="13863f4e1612")
    assert (reading.kind, reading.releases) == ("disagree", ())
    assert reading.evidence == (
        "neutron: 5c85685d616d + ad80a9f07c5c is the schema of 2025.1",
        "nova: 13863f4e1612 is the schema of 2024.1 to 2024.2",
    )


@pytest.mark.parametrize(
    ("database", "rows", "reached"),
    [
        ("glance", "2023_1_contract01 2024_1_expand01", "2024.1"),
        ("keystone", "742c857f1dfb e25ffa003242", "2026.1"),
        ("keystone", "11c3b243b4cb e25ffa003242", "2023.2"),
        ("neutron", "5c85685d616d", "2023.1"),
    ],
)
def test_rows_between_two_releases_are_half_migrated(database: str, rows: str, reached: str) -> None:
    reading = read(**{database: rows, "barbican": "8c74e2d7f1ff"})
    assert reading.kind == "half-migrated"
    assert reading.databases[0].kind == "half-migrated"
    assert f"complete at {reached} would be" in reading.databases[0].note


def test_a_revision_nobody_knows_is_not_called_half_migrated() -> None:
    reading = read(glance="deadbeef0000")
    assert reading.kind == "foreign"
    assert "deadbeef0000 is not a revision of any known release" in reading.evidence[0]


def test_databases_without_known_heads_are_ignored_and_said() -> None:
    reading = read(horizon="0001", keystone="47147121 c88cdce8f248")
    assert (reading.kind, reading.ignored) == ("agree", ("horizon",))
    assert read(horizon="0001").kind == "nothing"


def test_a_renamed_database_is_known_by_its_revisions() -> None:
    reading = read(prod_neutron="5c85685d616d d553edeb540f")
    assert reading.releases == ("2025.2",)


def test_an_empty_version_table_says_nothing() -> None:
    reading = read(keystone="", cinder="9c74c1c6971f")
    assert [database.kind for database in reading.databases] == ["empty", "complete"]
    assert reading.kind == "agree"
    assert read(keystone="").kind == "nothing"


def test_heats_old_version_row_stays_behind_and_does_no_harm() -> None:
    assert read(heat="migrate_version:heat:86").releases == ("2023.1",)
    assert read(heat="c6214ca60943 migrate_version:heat:86").releases == GRAPH.releases_for_heads(
        "heat", ["c6214ca60943"]
    )


def test_releases_for_heads_does_not_care_about_order(graph: ReleaseGraph) -> None:
    assert graph.releases_for_heads("neutron", ["d553edeb540f", "5c85685d616d"]) == ("2025.2",)
    assert graph.releases_for_heads("neutron", ["d553edeb540f"]) == ()
    assert graph.releases_for_heads("horizon", ["x"]) == ()
