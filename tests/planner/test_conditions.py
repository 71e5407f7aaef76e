"""Conditions: decided only where nothing has to be interpreted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.conditions import Known, holds

SEEN = {"rabbitmq": True, "zun": False}
CLOUD = Known(
    settings={
        "enable_heat": "yes",
        "enable_swift": "False",
        "enable_redis": "{{ enable_octavia }}",
        "neutron_plugin_agent": "ovn",
        "kolla_enable_tls_internal": "true",
    },
    enabled=SEEN.get,
    host_systems=frozenset({"debian-bookworm", "ubuntu-noble"}),
    groups=frozenset({"control", "nova-metadata"}),
)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        ("always", "yes"),
        ("enable_heat", "yes"),
        ("enable_swift", "no"),
        ("enable_redis", "unknown"),
        ("enable_rabbitmq", "yes"),
        ("enable_zun", "no"),
        ("enable_magnum", "unknown"),
        ("not enable_zun", "yes"),
        ("neutron_plugin_agent == ovn", "yes"),
        ("neutron_plugin_agent == linuxbridge", "no"),
        ("kolla_enable_tls_internal == yes", "yes"),
        ("cinder_backup_driver == swift", "unknown"),
        ("host_os == ubuntu-jammy", "no"),
        ("host_os == debian-bookworm", "yes"),
        ("enable_zun and custom playbooks", "no"),
        ("enable_rabbitmq and observed.rabbitmq.non_durable_queues > 0", "unknown"),
        ("enable_heat or custom playbooks", "yes"),
        ("enable_zun or enable_swift", "no"),
        ("enable_zun or enable_magnum", "unknown"),
        ("enable_heat and (not enable_zun or own nova_libvirt images)", "yes"),
        ("enable_cinder and count(cinder-volume) > 1 and enable_zun", "no"),
        ("enable_heat and count(cinder-volume) > 1", "unknown"),
        ("enable_heat and enable_proxysql not set", "unknown"),
        ("enable_zun and missing_group(nova-metadata)", "no"),
        ("enable_heat and missing_group(nova-metadata)", "no"),
        ("enable_heat and (missing_group(valkey) or missing_group(control))", "yes"),
        ("automation uses enable_heat", "unknown"),
        ("(enable_heat", "unknown"),
        ("enable_heat)", "unknown"),
        ("enable_heat and", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_condition_is_decided_or_left_open(condition: str, answer: str) -> None:
    assert holds(condition, CLOUD) == answer


@given(st.recursive(st.sampled_from(["enable_a", "enable_b", "some words"]), lambda inner: st.tuples(
    st.sampled_from(["and", "or", "not"]), inner, inner), max_leaves=8), st.booleans(), st.booleans())  # fmt: skip
def test_answers_agree_with_both_readings_of_what_is_unknown(tree: object, a: bool, b: bool) -> None:
    """Independent oracle: a decided answer is the one that holds whatever the undecidable phrases are."""
    known = Known(enabled={"a": a, "b": b}.get)
    answer = holds(text(tree), known)
    truths = {value(tree, {"enable_a": a, "enable_b": b, "some words": unknown}) for unknown in (True, False)}
    if answer != "unknown":
        assert truths == {answer == "yes"}
    if "some words" not in text(tree):
        assert answer == ("yes" if truths == {True} else "no")


def text(tree: object) -> str:
    if isinstance(tree, str):
        return tree
    assert isinstance(tree, tuple)
    if tree[0] == "not":
        return f"not ({text(tree[1])})"
    return f"({text(tree[1])}) {tree[0]} ({text(tree[2])})"


def value(tree: object, world: dict[str, bool]) -> bool:
    if isinstance(tree, str):
        return world[tree]
    assert isinstance(tree, tuple)
    left, right = value(tree[1], world), value(tree[2], world)
    return {"not": not left, "and": left and right, "or": left or right}[tree[0]]


def test_nothing_in_the_data_breaks_the_reading() -> None:
    data = "".join(file.read_text() for file in Path("release_graph").rglob("*.toml"))
    found = set(re.findall(r'applies_if = "([^"]+)"', data))
    assert len(found) > 100
    assert {holds(condition, Known()) for condition in found} == {"yes", "unknown"}
    nothing_on = Known(enabled=lambda _name: False)
    assert sum(holds(condition, nothing_on) == "no" for condition in found) > 60
