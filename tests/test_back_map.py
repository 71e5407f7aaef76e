"""The way back service by service, and when restoring only what changed is sound."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_decisions import NEW, OLD, a_hop, row, store
from upgrader.back_map import RESTORE_ALL, RESTORE_CHANGED, back_map, changed_databases, scope
from upgrader.database.losses import Losses
from upgrader.decisions import Situation, ways
from upgrader.model import Way

NOVA = tuple(row("nova", database=name) for name in ("nova", "nova_api", "nova_cell0"))
PLACEMENT, NEUTRON, KEYSTONE = row("placement", changes=False), row("neutron"), row("keystone", changes=False)
ALL = ("glance", "neutron", "nova", "nova_api", "nova_cell0", "placement")


def told(*rows, heads, quiet=ALL, losses=True, ponr="crossed", began=True, error=""):
    seen = {r.database: heads.get(r.database, OLD) for r in rows if r.database}
    seen = {name: value for name, value in seen.items() if value is not None}
    stood = Situation(a_hop(*rows), ponr, began, seen, "set-1", backup_complete=True)
    found = Losses(since="2026-02-01T00:00:00Z", unchanged=quiet, error=error) if losses else None
    return back_map(stood, ways(stood), found)


def of(found, name):
    return next(service for service in found.services if service.service == name)


def test_each_service_says_what_it_needs():
    found = told(KEYSTONE, NEUTRON, store(way=Way.REDEPLOY), heads={"neutron": NEW})
    assert [(service.service, service.way) for service in found.services] == [
        ("neutron", Way.RESTORE), ("keystone", Way.REDEPLOY), ("mariadb", Way.REDEPLOY),
    ]  # fmt: skip
    assert of(found, "neutron").why == "neutron is at b2, which 2024.1 does not know"
    assert found.best is Way.RESTORE
    assert found.reasons[0].startswith("neutron: database neutron is at b2")


def test_the_worst_of_a_service_counts_and_it_has_one_row():
    found = told(*NOVA, PLACEMENT, heads={"nova_api": NEW})
    assert of(found, "nova").databases == ("nova", "nova_api", "nova_cell0")
    assert of(found, "nova").way is Way.RESTORE


def test_heads_that_are_not_known_are_no_comfort():
    found = told(NEUTRON, KEYSTONE, heads={"neutron": None, "keystone": None})
    assert of(found, "neutron").way is Way.RESTORE
    assert "could not be read" in of(found, "neutron").why
    assert of(found, "keystone").way is Way.REDEPLOY, "the hop does not change it"


def test_a_line_that_was_crossed_counts_although_the_heads_look_old():
    assert of(told(NEUTRON, heads={}), "neutron").way is Way.RESTORE
    assert of(told(NEUTRON, heads={}, ponr="no"), "neutron").way is Way.REDEPLOY


def test_nothing_was_upgraded():
    found = told(NEUTRON, store(), heads={"neutron": NEW}, began=False)
    assert {service.way for service in found.services} == {Way.REDEPLOY}


# ---------------------------------------------------------------- only what changed


def test_alone_is_sound_where_nothing_was_written():
    found = told(KEYSTONE, NEUTRON, heads={"neutron": NEW})
    assert (of(found, "neutron").alone, found.only_changed, found.changed) == (True, True, ("neutron",))
    assert of(found, "keystone").alone is None


@pytest.mark.parametrize("quiet", [(), ("nova", "glance")])
def test_written_to_is_unsound(quiet):
    found = told(NEUTRON, heads={"neutron": NEW}, quiet=quiet)
    assert (of(found, "neutron").alone, found.only_changed) == (False, False)
    assert "neutron was written to since the backup (or could not be read)" in of(found, "neutron").alone_why


def test_nova_goes_with_all_of_its_databases_and_placement():
    rows = (*NOVA, PLACEMENT)
    found = told(*rows, heads={"nova": NEW})
    assert found.changed == ("nova", "nova_api", "nova_cell0", "placement")
    assert found.only_changed
    for loud in ("placement", "nova_cell0", "nova_api"):
        quiet = tuple(name for name in ALL if name != loud)
        assert not told(*rows, heads={"nova": NEW}, quiet=quiet).only_changed, loud
    assert changed_databases(a_hop(*rows, KEYSTONE)) == {"nova", "nova_api", "nova_cell0", "placement"}
    assert changed_databases(a_hop(PLACEMENT, KEYSTONE)) == frozenset()


def test_keystone_is_never_restored_alone():
    found = told(row("keystone"), heads={"keystone": NEW}, quiet=("keystone", *ALL))
    assert not found.only_changed
    assert "nobody can tell what refers to it" in of(found, "keystone").alone_why


def test_one_that_is_unsound_spoils_all():
    found = told(NEUTRON, row("glance"), heads={"neutron": NEW, "glance": NEW}, quiet=("neutron",))
    assert of(found, "neutron").alone and not of(found, "glance").alone and not found.only_changed


def test_servers_that_are_made_anew_lose_all_of_it():
    hop = a_hop(NEUTRON, store())
    stood = Situation(
        hop, "crossed", True, {"neutron": NEW}, "set-1", backup_complete=True, server_before="10.11.6-MariaDB",
        server_now="11.4.2-MariaDB", rebuildable=True,
    )  # fmt: skip
    found = back_map(stood, ways(stood), Losses(since="2026-02-01T00:00:00Z", unchanged=ALL))
    assert (found.best, found.only_changed) == (Way.RESTORE, False)
    assert "empties all of them" in of(found, "neutron").alone_why
    assert any("made anew" in reason for reason in found.reasons)


def test_a_physical_copy_is_never_put_back_in_part():
    stood = Situation(a_hop(NEUTRON), "crossed", True, {"neutron": NEW}, "set-1", backup_complete=True)
    found = Losses(since="2026-02-01T00:00:00Z", unchanged=ALL)
    assert back_map(stood, ways(stood), found).only_changed
    whole = replace(stood, physical=True, rebuildable=True)
    found = found.model_copy(update={"schemas_since": ("magnum",)})
    told = back_map(whole, ways(whole), found)
    assert not told.only_changed
    assert told.reasons[-1] == "schemas that are not in the backup go too: magnum"
    assert told.losses is not None and told.losses.schemas_since == (), "nobody is told that they are left"
    assert "physical copy" in of(told, "neutron").alone_why


def test_what_is_not_known_is_unsound():
    for more in ({"losses": False}, {"error": "no server"}):
        found = told(NEUTRON, heads={"neutron": NEW}, **more)
        assert not found.only_changed
        assert "not known" in of(found, "neutron").alone_why


@given(st.lists(st.sampled_from([RESTORE_ALL, RESTORE_CHANGED, "not-rehearsed"])))
def test_the_last_word_about_the_scope_counts(names):
    said = [name for name in names if name != "not-rehearsed"]
    assert scope((name, "why") for name in names) == (said[-1] if said else RESTORE_ALL)
