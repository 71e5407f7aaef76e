"""Which ways back are open: every reason for and against, and that no guess ever opens one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.decisions import Situation, data_stores, schema_changers, ways
from upgrader.model import HopPlan, ToolchainPin, Way, WayBack

OLD, NEW, ODD = ("a1",), ("b2",), ("c3",)
SERVER, SAME_SERIES, NEXT_SERIES = "10.11.6-MariaDB-log", "10.11.19-MariaDB", "11.4.2-MariaDB"


def row(service="neutron", *, changes=True, enabled=True, way=None, database="", before=OLD):
    return WayBack(
        service=service,
        database=database or service,
        changes_schema=changes,
        heads_before=before,
        heads_after=NEW if changes else before,
        way=way or (Way.RESTORE if changes else Way.REDEPLOY),
        why=f"{service} has its reasons",
        enabled=enabled,
    )


def store(service="mariadb", *, enabled=True, way=Way.RESTORE):
    return WayBack(service=service, changes_schema=False, way=way, why="its files are converted", enabled=enabled)


CALM = row("keystone", changes=False)


def a_hop(*rows):
    def pin(release):
        return ToolchainPin(release=release, kolla_ansible="1", ansible_core="1", python="3")

    body = {"from": "2024.1", "to": "2024.2", "toolchain": pin("2024.2"), "toolchain_back": pin("2024.1")}
    return HopPlan.model_validate({**body, "stages": (), "way_back": rows})


def situation(*rows, ponr="no", began=True, heads="old", backup="set-1", whole=True, before="", now=""):
    names = {r.database for r in rows if r.database}
    seen = {"old": dict.fromkeys(names, OLD), "new": dict.fromkeys(names, NEW), "none": {}}
    return Situation(a_hop(*rows), ponr, began, seen.get(heads), backup, whole, before, now)


# ---------------------------------------------------------------- redeploy


def test_nothing_began_so_nothing_is_against_redeploying():
    told = ways(situation(row(), store(), began=False, heads="unreadable", ponr="crossed"))
    assert told.redeploy and "every service still runs the old release" in told.redeploy_reasons[0]
    assert not told.restore and "nothing to restore" in told.restore_reasons[0]
    assert told.best is Way.REDEPLOY


def test_no_schema_changes_on_this_hop():
    told = ways(situation(CALM, ponr="crossed"))
    assert told.redeploy and told.redeploy_reasons == ("no schema changes on this hop for the services of this cloud",)


def test_no_schema_change_had_begun():
    told = ways(situation(row()))
    assert told.redeploy and "the heads are those of the old release" in told.redeploy_reasons[0]


def test_the_line_was_crossed_although_the_heads_look_old():
    told = ways(situation(row(), row("cinder"), ponr="crossed"))
    assert not told.redeploy and told.best is Way.RESTORE
    assert told.redeploy_reasons[0].startswith("a schema change of neutron, cinder began")


@pytest.mark.parametrize("ponr", ["no", "possible"])
def test_fact_beats_data(ponr):
    """The heads are not the old ones: the line is passed whatever the journal says."""
    told = ways(situation(row(), ponr=ponr, heads="new"))
    assert not told.redeploy
    assert told.redeploy_reasons == ("neutron: database neutron is at b2, 2024.1 knows a1",)


def test_fact_beats_data_for_a_service_that_should_not_change():
    odd = replace(situation(CALM), heads={"keystone": ODD})
    assert not ways(odd).redeploy


def test_the_order_of_heads_means_nothing():
    two = row(before=("x", "y"))
    assert ways(replace(situation(two), heads={"neutron": ("y", "x")})).redeploy


def test_heads_that_cannot_be_read_count_against():
    told = ways(situation(row(), heads="unreadable"))
    assert not told.redeploy and "could not be read" in told.redeploy_reasons[0]
    assert ways(situation(CALM, heads="unreadable")).redeploy, "nothing could have begun"


def test_a_database_that_is_not_there_says_nothing():
    """It may be another name or an empty cloud: then the journal's word on the line counts."""
    assert ways(situation(row(), heads="none")).redeploy
    assert not ways(situation(row(), heads="none", ponr="crossed")).redeploy


def test_a_disabled_service_is_left_out_and_an_unknown_one_is_not():
    off, maybe = row(enabled=False), row(enabled=None)
    assert schema_changers(a_hop(off)) == () and schema_changers(a_hop(maybe)) == (maybe,)
    assert ways(situation(off, ponr="crossed", heads="new")).redeploy
    assert not ways(situation(maybe, ponr="crossed")).redeploy
    assert not ways(situation(maybe, heads="new")).redeploy


# ---------------------------------------------------------------- data stores


def test_what_counts_as_a_data_store():
    stores = (store(), store("rabbitmq", way=Way.FORWARD_ONLY), store("redis", enabled=None))
    others = (CALM, row(), store("opensearch", enabled=False), store("memcached", way=Way.REDEPLOY))
    assert data_stores(a_hop(*stores, *others)) == stores


@pytest.mark.parametrize(
    ("before", "now", "allowed"),
    [
        (SERVER, SERVER, True),
        (SERVER, SAME_SERIES, True),
        (SERVER, NEXT_SERIES, False),
        ("10.6.18-MariaDB", SERVER, False),
        (SERVER, "", False),
        ("", SERVER, False),
        ("", "", False),
    ],
)
def test_mariadb_goes_back_within_its_series_only(before, now, allowed):
    told = ways(situation(CALM, store(), before=before, now=now))
    assert told.redeploy == allowed
    if not now:
        assert "does not answer" in told.redeploy_reasons[0]
    elif not allowed:
        assert told.redeploy_reasons == ("mariadb: its files are converted",)


def test_the_series_rule_is_for_mariadb_alone():
    told = ways(situation(CALM, store("rabbitmq"), before=SERVER, now=SERVER))
    assert told.redeploy_reasons == ("rabbitmq: its files are converted",)


def test_every_objection_is_told():
    told = ways(situation(row(), store("rabbitmq"), store(), ponr="crossed", heads="new"))
    assert len(told.redeploy_reasons) == 4


# ---------------------------------------------------------------- restore


def test_a_restore_wants_a_whole_backup():
    assert "no backup was taken" in ways(situation(row(), backup="")).restore_reasons[0]
    assert "set-1 is not complete" in ways(situation(row(), whole=False)).restore_reasons[0]
    assert ways(situation(row())).restore_reasons == ("backup set set-1 is complete",)


@pytest.mark.parametrize(
    ("before", "now", "possible"),
    [
        (SERVER, SAME_SERIES, True),
        (SERVER, "", True),
        (SERVER, NEXT_SERIES, False),
        ("", NEXT_SERIES, True),
    ],
)
def test_a_converted_server_cannot_take_the_dump_back(before, now, possible):
    told = ways(situation(row(), before=before, now=now))
    assert told.restore == possible
    assert possible or "built anew by hand" in told.restore_reasons[0]


@pytest.mark.parametrize("others", [(), ("ovn",)])
def test_a_dump_that_is_text_goes_into_servers_made_anew(others):
    rows = (row(), store(), *map(store, others))
    told = ways(replace(situation(*rows, before=SERVER, now=NEXT_SERIES, heads="new"), rebuildable=True))
    assert told.restore == (not others), "other stores are not made anew"
    if told.restore:
        assert "servers of the old series are made anew" in told.restore_reasons[1]
        assert not told.redeploy


@pytest.mark.parametrize("now", [SERVER, NEXT_SERIES])
def test_a_physical_copy_is_put_back_whatever_series_runs(now):
    stood = replace(situation(row(), before=SERVER, now=now, heads="new"), rebuildable=True, physical=True)
    told = ways(stood)
    assert told.restore
    assert "every database and account becomes what it was" in told.restore_reasons[1]
    assert not any("made anew for the dump" in line for line in told.restore_reasons)


@pytest.mark.parametrize(("way", "possible"), [(Way.RESTORE, True), (Way.FORWARD_ONLY, False)])
def test_a_broker_is_made_anew_where_that_is_its_way_back(way, possible):
    told = ways(situation(row(), store("rabbitmq", way=way), heads="new"))
    assert (told.restore, told.redeploy) == (possible, False)
    assert not possible or "messages that wait in queues are lost" in told.restore_reasons[1]


def test_the_best_way():
    assert ways(situation(row())).best is Way.REDEPLOY
    assert ways(situation(row(), ponr="crossed")).best is Way.RESTORE
    assert ways(situation(row(), ponr="crossed", backup="")).best is Way.FORWARD_ONLY


# ---------------------------------------------------------------- what always holds

FLAGS = st.sampled_from([True, False, None])
HEADS = st.sampled_from([OLD, NEW, ODD, ()])
SERVERS = st.sampled_from(["", SERVER, SAME_SERIES, NEXT_SERIES])


@st.composite
def situations(draw):
    services = draw(st.lists(st.sampled_from(["keystone", "neutron", "nova", "cinder"]), unique=True))
    rows = [row(name, changes=draw(st.booleans()), enabled=draw(FLAGS)) for name in services]
    stores = draw(st.lists(st.sampled_from(["mariadb", "rabbitmq", "redis"]), unique=True))
    rows += [
        store(name, enabled=draw(FLAGS), way=draw(st.sampled_from([Way.RESTORE, Way.FORWARD_ONLY, Way.REDEPLOY])))
        for name in stores
    ]
    heads = draw(st.none() | st.dictionaries(st.sampled_from(["keystone", "neutron", "nova", "cinder"]), HEADS))
    return Situation(
        a_hop(*rows), draw(st.sampled_from(["no", "possible", "crossed"])), draw(st.booleans()), heads,
        draw(st.sampled_from(["", "set-1"])), draw(st.booleans()), draw(SERVERS), draw(SERVERS),
    )  # fmt: skip


@given(situations())
def test_redeploying_is_never_enough_after_a_schema_change(now):
    if not now.upgrade_began:
        return
    told = ways(now)
    changers = [r for r in now.hop.way_back if r.changes_schema and r.enabled is not False]
    moved = [
        r
        for r in now.hop.way_back
        if r.enabled is not False and now.heads and r.database in now.heads and now.heads[r.database] != OLD
    ]
    if (changers and now.ponr == "crossed") or moved or (changers and now.heads is None):
        assert not told.redeploy
    if any(r.enabled is not False and r.service != "mariadb" for r in data_stores(now.hop)):
        assert not told.redeploy


@given(situations())
def test_answers_hang_together(now):
    told = ways(now)
    assert told.redeploy_reasons and told.restore_reasons
    assert told.best is (Way.REDEPLOY if told.redeploy else Way.RESTORE if told.restore else Way.FORWARD_ONLY)
    if told.restore:
        assert now.upgrade_began and now.backup_set and now.backup_complete
    if not now.upgrade_began:
        assert told.redeploy and not told.restore


@given(situations())
def test_more_against_never_opens_a_way(now):
    if not ways(now).redeploy:
        worse = [replace(now, ponr="crossed"), replace(now, server_now="")]
        if schema_changers(now.hop):
            worse.append(replace(now, heads=None))
        bad_heads = now.heads and any(heads != OLD for heads in now.heads.values())
        for less in worse:
            if not (less.heads is None and bad_heads):
                assert not ways(less).redeploy
