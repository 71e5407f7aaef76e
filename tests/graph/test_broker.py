"""RabbitMQ's versions and queues along a path, against models written a second time from upstream's own files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.graph import ReleaseGraph, load_graph
from upgrader.graph.broker import (
    MIGRATION_FINDING,
    VERSION_FINDING,
    Broker,
    broker_plans,
    detours,
    images,
    judge_broker,
    reachable,
    step,
)
from upgrader.graph.queues import Queues, demand_of, needs, switch
from upgrader.observed import BrokerFacts

GRAPH = load_graph()
HOPS = tuple(GRAPH.hop(*edge) for edge in GRAPH.edges)
MINORS = {3: range(9, 14), 4: range(4)}
VERSIONS = st.builds(
    lambda pair, patch: (*pair, patch),
    st.sampled_from([(major, minor) for major, minors in MINORS.items() for minor in minors]),
    st.integers(0, 30),
)


# ---------------------------------------------------------------- an independent model of one step


def kolla_refuses(release: str, old: tuple[int, int, int], new: tuple[int, int]) -> bool:
    """The assertions of roles/rabbitmq/tasks/version-check.yml, as they stand in each series."""
    if old[:2] > new:
        return True  # "Catch when RabbitMQ is being downgraded"
    if release in ("2023.1", "2023.2"):
        return False
    if release in ("2024.1", "2024.2", "2025.1", "2025.2"):
        same = old[0] == new[0] and new[1] - old[1] <= 1
        return not (same or (old[:2] == (3, 13) and new in ((4, 0), (4, 1))))
    listed = {(3, 13): ((4, 0), (4, 1), (4, 2)), (4, 0): ((4, 1), (4, 2))}
    standard = old[0] == new[0] and new[1] == old[1] + 1
    return not (standard or new in listed.get(old[:2], ()) or old[:2] == new)


STARTS_ON = {
    # rabbitmq.com, upgrade guide: series → the oldest version of each series that it starts on
    (3, 12): ((3, 11, 18),),
    (3, 13): ((3, 12, 0),),
    (4, 0): ((3, 13, 0),),
    (4, 1): ((3, 13, 0), (4, 0, 0)),
    (4, 2): ((3, 13, 0), (4, 0, 0), (4, 1, 0)),
    (4, 3): ((4, 2, 0),),
}


def rabbitmq_refuses(old: tuple[int, int, int], new: tuple[int, int]) -> bool:
    return old[:2] != new and not any(old[:2] == floor[:2] and old >= floor for floor in STARTS_ON.get(new, ()))


@given(st.sampled_from(GRAPH.ids), VERSIONS, st.sampled_from(sorted(STARTS_ON)))
def test_a_step_is_allowed_when_both_upstream_and_the_role_allow_it(
    release: str, old: tuple[int, int, int], new: tuple[int, int]
) -> None:
    said = step(GRAPH, release, ".".join(map(str, old)), ".".join(map(str, new)))
    assert said.allowed == ("no" if kolla_refuses(release, old, new) or rabbitmq_refuses(old, new) else "yes"), said
    assert said.why


@given(st.sampled_from(HOPS), VERSIONS)
def test_what_a_hop_may_bring_is_an_image_of_the_target_and_never_older(hop, old: tuple[int, int, int]) -> None:
    for found in reachable(GRAPH, hop, ".".join(map(str, old))):
        assert found in images(GRAPH, hop.target)
        assert tuple(map(int, found.split("."))) >= old[:2]


def test_what_is_not_a_version_is_not_judged() -> None:
    assert step(GRAPH, "2025.1", "", "4.0").allowed == "unknown"
    assert step(GRAPH, "2025.1", "3.13.7", "").allowed == "unknown"
    assert step(GRAPH, "2026.1", "3.11.20", "3.11").allowed == "yes"


def test_the_operator_may_allow_more_where_the_role_asks(graph: ReleaseGraph) -> None:
    assert step(graph, "2026.1", "4.0.9", "4.3").allowed == "no", "RabbitMQ itself refuses"
    assert step(graph, "2026.1", "3.13.7", "4.2", {"3.13": ["4.2"]}).allowed == "yes"
    assert step(graph, "2025.2", "3.13.7", "4.2", {"3.13": ["4.2"]}).allowed == "no", "that role has no such variable"


def test_images_of_a_release_its_default_first(graph: ReleaseGraph) -> None:
    assert images(graph, "2023.1") == {"3.11": "rabbitmq", "3.12": "rabbitmq-3-12", "3.13": "rabbitmq-3-13"}
    assert list(images(graph, "2025.1").items()) == [("4.0", "rabbitmq"), ("4.1", "rabbitmq-4-1")]


# ---------------------------------------------------------------- along a path


def facts(version: str = "3.13.7", **counts: int | None) -> BrokerFacts:
    known = {"non_quorum_queues": 0, "transient_queues": 0, "mirrored_queues": 0, **counts}
    return BrokerFacts(version=version, disabled_flags=(), **known)


def along(source: str, target: str, broker: Broker, **settings: object):
    hops = GRAPH.path(source, target)
    plans = broker_plans(GRAPH, hops, broker, lambda _release, name: settings.get(name))
    return plans, judge_broker(GRAPH, hops, plans)


def running(seen: BrokerFacts | None) -> Broker:
    return Broker(True, seen, ("keystone", "nova", "nova-cell", "horizon"))


def test_default_queues_of_2024_1_are_migrated_once_at_the_last_moment() -> None:
    plans, findings = along("2024.1", "2026.1", running(facts(non_quorum_queues=12, transient_queues=12)))
    assert [plan.migration for plan in plans] == ["no", "yes", "no", "no"]
    assert [(plan.before, plan.after) for plan in plans] == [
        ("3.13.7", "3.13"), ("3.13", "4.0"), ("4.0", "4.1"), ("4.1", "4.2"),
    ]  # fmt: skip
    due = plans[1]
    assert due.services == ("keystone", "nova"), "nova-cell is under nova's tag, Horizon declares no queue"
    assert dict(due.settings) == dict.fromkeys(
        (
            "om_enable_rabbitmq_quorum_queues", "om_enable_queue_manager",
            "om_enable_rabbitmq_transient_quorum_queue", "om_enable_rabbitmq_stream_fanout",
        ), "true",
    )  # fmt: skip
    assert due.streams and due.mirrored == "no"
    assert [line.split(" #")[0] for line in due.commands] == [
        "kolla-ansible genconfig", "kolla-ansible stop --tags keystone,nova", "kolla-ansible rabbitmq-reset-state",
        "kolla-ansible deploy --tags keystone,nova", "kolla-ansible prechecks --tags rabbitmq",
    ]  # fmt: skip
    assert {line.split("# ")[1] for line in due.commands[:-1]} == {"2024.2"}
    (finding,) = findings
    assert (finding.id, finding.hop, finding.unknown) == (MIGRATION_FINDING, "2024.2→2025.1", False)


def test_mirrored_queues_are_given_up_and_rabbitmq_reconfigured() -> None:
    seen = facts(non_quorum_queues=40, transient_queues=12, mirrored_queues=28)
    plans, _ = along("2024.2", "2025.1", running(seen), om_enable_rabbitmq_high_availability="yes")
    assert plans[0].mirrored == "yes"
    assert plans[0].settings[0] == ("om_enable_rabbitmq_high_availability", "false")
    assert any("reconfigure --tags rabbitmq" in line for line in plans[0].commands)


def test_the_first_hop_asks_for_quorum_queues_and_leaves_replies_for_later() -> None:
    plans, _ = along("2023.1", "2025.1", running(facts("3.11.20", non_quorum_queues=40, transient_queues=12)))
    assert [(plan.demands, plan.migration) for plan in plans] == [
        ("quorum", "yes"), ("quorum", "no"), ("quorum", "no"), ("durable", "yes"),
    ]  # fmt: skip
    assert dict(plans[0].settings) == {"om_enable_rabbitmq_quorum_queues": "true"}
    assert "stay classic until their switch is on" in plans[3].migration_why


def test_an_operator_who_switched_streams_off_keeps_them_off() -> None:
    seen = running(facts(non_quorum_queues=12, transient_queues=12))
    plans, _ = along("2024.2", "2025.1", seen, om_enable_rabbitmq_stream_fanout=False)
    assert "om_enable_rabbitmq_stream_fanout" not in dict(plans[0].settings) and not plans[0].streams


@pytest.mark.parametrize("seen", [None, BrokerFacts(error="no answer"), facts(non_quorum_queues=None)])
def test_what_could_not_be_read_is_unknown_and_not_green(seen: BrokerFacts | None) -> None:
    plans, findings = along("2024.2", "2025.1", running(seen))
    assert plans[0].migration == "unknown"
    assert any(finding.id == MIGRATION_FINDING and finding.unknown for finding in findings)
    if seen is None or seen.version is None:
        assert any(finding.id == VERSION_FINDING and finding.unknown and finding.blocks for finding in findings)


def test_a_version_that_cannot_follow_blocks_with_the_detour() -> None:
    plans, findings = along("2023.1", "2024.1", running(facts("3.11.2")))
    assert plans[0].allowed == "no" and "3.11.18 or newer" in plans[0].allowed_why
    assert findings[0].id == VERSION_FINDING and findings[0].blocks and findings[0].hop == "2023.1→2023.2"
    assert findings[0].fix[0] == (
        "on 2023.1: pull its newest …/rabbitmq, then kolla-ansible upgrade --tags rabbitmq (3.11.18 or newer)"
    )
    stuck, (found, *_) = along("2023.2", "2024.1", running(facts("3.11.20")))
    assert stuck[0].allowed == "no" and found.evidence == "observed.rabbitmq.version = 3.11.20"
    hop = GRAPH.hop("2023.2", "2024.1")
    assert detours(GRAPH, hop, "3.11.20", "3.13") == ("3.12",)
    assert found.fix == (
        "on 2023.2: set rabbitmq_image to …/rabbitmq, then kolla-ansible upgrade --tags rabbitmq (3.12)",
        'images of your own with another RabbitMQ: rabbitmq_version_2024_1 = "VERSION" in [answers]',
    )


@pytest.mark.parametrize(
    ("source", "version", "image", "fix"),
    [
        ("2024.2", "4.1.4", "", "for 2025.1: set rabbitmq_image to …/rabbitmq-4-1 (4.1)"),
        ("2025.1", "4.1.4", "own/rabbitmq-4-1", "take rabbitmq_image out for 2025.2: its own image holds 4.1"),
    ],
)
def test_a_broker_that_went_ahead_is_told_the_image_that_may_follow(source, version, image, fix) -> None:
    target = GRAPH.next_hop(source).target
    _, (found, *_) = along(source, target, running(facts(version)), rabbitmq_image=image or None)
    assert found.id == VERSION_FINDING and found.fix[0] == fix


@pytest.mark.parametrize("source", [hop.source for hop in HOPS])
def test_no_hop_between_neighbours_needs_two_steps_of_the_broker(source) -> None:
    """From the newest patch of the source's own image the target's own image is one step that both sides allow."""
    hop = GRAPH.next_hop(source)
    before, after = next(iter(images(GRAPH, source))), next(iter(images(GRAPH, hop.target)))
    assert step(GRAPH, hop.target, f"{before}.99", after).allowed == "yes"


def test_who_builds_images_says_what_rabbitmq_they_hold() -> None:
    own = {"2024.1": "3.12.14", "2024.2": "3.13"}
    broker = Broker(True, facts("3.11.20"), ("keystone",), own)
    plans, _ = along("2023.2", "2025.1", broker)
    assert [(made.after, made.allowed) for made in plans[:2]] == [("3.12", "yes"), ("3.13", "yes")]
    assert plans[2].after == "4.0", "nothing was said of this one"


@pytest.mark.parametrize(
    ("source", "image", "version", "after", "allowed"),
    [
        ("2024.2", "", "3.13.7", "4.0", "yes"),
        ("2024.2", "", "4.1.4", "4.0", "no"),
        ("2024.2", "quay.io/openstack.kolla/rabbitmq-4-1", "4.1.4", "4.1", "yes"),
        ("2025.1", "quay.io/openstack.kolla/rabbitmq-4-1", "4.1.4", "4.1", "no"),
        ("2025.1", "", "4.1.4", "4.1", "yes"),
        ("2024.2", "registry/own/broker", "3.13.7", "", "unknown"),
    ],
)
def test_the_image_override_decides_what_comes(source, image, version, after, allowed) -> None:
    target = GRAPH.next_hop(source).target
    plans, _ = along(source, target, running(facts(version)), rabbitmq_image=image or None)
    assert (plans[0].after, plans[0].allowed) == (after, allowed)


def test_without_rabbitmq_there_is_nothing_to_do() -> None:
    plans, findings = along("2024.1", "2025.2", Broker(False))
    assert findings == ()
    assert {(plan.allowed, plan.migration) for plan in plans} == {("yes", "no")}


def test_on_paper_only_what_releases_make_sure_of_is_known() -> None:
    plans, findings = along("2023.1", "2026.1", Broker())
    assert findings == (), "nothing is found of a cloud that nobody looked at"
    assert [plan.migration for plan in plans] == ["unknown", "no", "no", "yes", "no", "no"]
    later, _ = along("2025.1", "2026.1", Broker())
    assert {plan.migration for plan in later} == {"no"}


# ---------------------------------------------------------------- switches and needs


@given(st.booleans(), st.booleans(), st.sampled_from([None, True, False]), st.sampled_from([None, True, False]))
def test_derived_switches_are_what_the_releases_group_vars_compute(quorum, manager, transient, fanout) -> None:
    given_ = {
        "om_enable_rabbitmq_quorum_queues": quorum, "om_enable_queue_manager": manager,
        "om_enable_rabbitmq_transient_quorum_queue": transient, "om_enable_rabbitmq_stream_fanout": fanout,
    }  # fmt: skip
    derived = (quorum and manager) if transient is None else transient
    streams = (quorum and derived) if fanout is None else fanout

    def value(_release: str, name: str) -> object:
        return given_.get(name)

    assert switch(GRAPH, "2024.2", "om_enable_rabbitmq_stream_fanout", value) == streams
    expected = "durable" if quorum and derived else "quorum" if quorum else "nothing"
    assert demand_of(GRAPH, "2024.2", value)[0] == expected
    assert demand_of(GRAPH, "2025.1", value)[0] == "durable"


COUNT = st.sampled_from([None, 0, 3])


@given(st.sampled_from(["nothing", "quorum", "durable"]), COUNT, COUNT, COUNT)
def test_nothing_unknown_is_called_fit(demands, plain, transient, mirrored) -> None:
    answer, why = needs(demands, Queues(plain, transient, mirrored))
    wanted = {"nothing": (), "quorum": (plain,), "durable": (plain, transient)}[demands]
    if answer == "no":
        assert all(count == 0 for count in wanted)
    if answer == "yes":
        assert any(wanted) or (demands == "durable" and mirrored)
    if any(count is None for count in wanted):
        assert answer == "unknown" or (answer == "yes" and any(wanted))
    assert why
