"""Plans and refusals on the shipped release graph, for paper and for observed clouds."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.compare import check
from tests.planner.clouds import a_cloud
from upgrader.by_hand import typed, typed_action
from upgrader.errors import RefusedError, UpgraderError
from upgrader.facts.names import release_names
from upgrader.findings import Room, find_path, in_order, judge_site
from upgrader.graph import ReleaseGraph, load_graph
from upgrader.model import Binding, Finding, HopPlan, Plan, ToolchainPin, Way
from upgrader.planner import Frame, Goal, SiteFacts, plan
from upgrader.record import Definition, Effective, SiteRecord, Variable
from upgrader.views.error import error_text
from upgrader.views.explain import by_hand_page
from upgrader.views.page import plain_text
from upgrader.views.plan import plan_page
from upgrader.views.terminal import coloured

RELEASES = ("2023.1", "2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1")
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
SHORT = re.compile(r"Plan [0-9a-f]{12}")


@pytest.fixture(scope="module")
def graph() -> ReleaseGraph:
    return load_graph()


def paper(graph: ReleaseGraph, source: str, target: str) -> Plan:
    return plan(graph, Goal(target, source), None, Frame(typed=typed(), typed_action=typed_action()))


SETTINGS = {
    "enable_heat": False,
    "enable_valkey": False,
    "neutron_plugin_agent": "openvswitch",
    "enable_rabbitmq": True,
}


def a_record(graph: ReleaseGraph, **cloud: object) -> SiteRecord:
    facts = a_cloud(graph, **cloud)  # type: ignore[arg-type]
    written = Definition(place="globals.yml:3", kind="globals", text="")
    variables = tuple(
        Variable(name=name, value=json.dumps(value), configured=True, definitions=(written,))
        for name, value in sorted(SETTINGS.items())
    )
    return SiteRecord(
        facts=facts,
        effective=tuple(Effective(release=name, by="toolchain", variables=variables) for name in RELEASES),
        hosts=tuple((host.name, host.groups) for host in facts.hosts),
        groups=("compute", "control", "nova-metadata"),
        passwords=("valkey_master_password",),
        config_files=(),
        config_options=(),
    )


def a_site(graph: ReleaseGraph, target: str = "", **cloud: object) -> SiteFacts:
    """Without a target nothing was judged."""
    record = a_record(graph, **cloud)
    findings: tuple[Finding, ...] = ()
    if target:
        path = find_path(graph, record.facts.reading, "", target)
        findings = in_order(judge_site(graph, path, record, release_names(graph), Room(0)), path)
    return SiteFacts(
        record=record,
        findings=findings,
        passwords=frozenset({"valkey_master_password"}),
        binding=Binding(running=record.facts.reading.release),
        lineage="line-1",
        serial=3,
    )


def steady(text: str) -> str:
    """Without what changes with every edit of the data."""
    return SHORT.sub("Plan 0123456789ab", DIGEST.sub("0" * 64, text))


# ---------------------------------------------------------------- golden


@pytest.mark.parametrize(("source", "target"), [("2024.1", "2025.2"), ("2023.1", "2023.2")])
def test_paper_plan_as_it_is_shown(graph: ReleaseGraph, source: str, target: str) -> None:
    made = paper(graph, source, target)
    page = plan_page(made, next_commands=["upgrader init", f"upgrader plan --to {target}"])
    check(f"plan/paper-{source}-{target}.txt", steady(plain_text(page)))
    check(f"plan/paper-{source}-{target}.80.txt", steady(plain_text(page, width=80)))
    check(f"plan/paper-{source}-{target}.tty", steady(coloured(page, 80)))


def test_site_plan_as_it_is_shown(graph: ReleaseGraph) -> None:
    pin = ToolchainPin(
        release="2024.2", kolla_ansible="19.8.0", ansible_core="2.17.14", python="3.11", lock_sha256="1" * 64
    )
    frame = Frame(made_at="2026-11-22T14:03:00Z", typed=typed(), typed_action=typed_action(), built={"2024.2": pin})
    made = plan(graph, Goal("2025.1"), a_site(graph, "2025.1", os="ubuntu-22.04"), frame)
    page = plan_page(made, next_commands=["upgrader run plan.json"])
    check("plan/site-2024.1-2025.1.80.txt", steady(plain_text(page, width=80)))


def test_json_as_it_is_printed(graph: ReleaseGraph) -> None:
    document = paper(graph, "2025.1", "2025.2").document() | {"graph_version": "", "tool_version": ""}
    check("plan/paper-2025.1-2025.2.json", steady(json.dumps(document, indent=1, ensure_ascii=False)) + "\n")


def test_details_and_explanations(graph: ReleaseGraph) -> None:
    made = paper(graph, "2025.1", "2025.2")
    check("plan/details-2025.1-2025.2.80.txt",
          steady(plain_text(plan_page(made, next_commands=["upgrader init"], details=True), width=80)))  # fmt: skip
    found = [(hop, item) for hop in made.hops for item in hop.by_hand if item.id == "2025.2-opensearch-3"]
    check("plan/explain.80.txt", plain_text(by_hand_page(found, ["upgrader plan --to 2025.2"]), width=80))


REFUSALS = {
    "skip": Goal("2025.1", "2024.1", hops=1),
    "skip-of-three": Goal("2025.2", "2024.1", hops=2),
    "too-many-hops": Goal("2024.2", "2024.1", hops=5),
    "unknown-target": Goal("2027.1", "2024.1"),
    "misspelt-codename": Goal("flamengo", "epoxy"),
    "unknown-start": Goal("2025.2", "yoga"),
    "same": Goal("epoxy", "2025.1"),
    "backwards": Goal("2024.1", "2025.1"),
    "provisional": Goal("2026.2", "2025.2"),
    "no-start": Goal("2025.2"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_paper_refusals(graph: ReleaseGraph, name: str) -> None:
    with pytest.raises(RefusedError) as caught:
        plan(graph, REFUSALS[name])
    assert caught.value.exit_code == 3
    assert caught.value.next_command
    check(f"plan/refused-{name}.txt", error_text(caught.value))


CLOUDS: dict[str, tuple[Goal, dict[str, object]]] = {
    "mixed": (Goal("2025.1"), {"newer": {"mariadb": "2024.2", "keystone": "2024.2"}}),
    "mixed-despite-from": (Goal("2025.1", "2024.1"), {"newer": {"mariadb": "2024.2"}}),
    "heads-disagree": (Goal("2025.1"), {"heads_of": "2025.1"}),
    "unknown": (Goal("2025.1"), {"tag": "private", "heads_of": "none"}),
    "contradiction": (Goal("2025.2", "2024.2"), {}),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_site_refusals(graph: ReleaseGraph, name: str) -> None:
    goal, cloud = CLOUDS[name]
    site = a_site(graph, **cloud)
    with pytest.raises(RefusedError) as caught:
        plan(graph, goal, site)
    assert caught.value.next_command
    check(f"plan/refused-site-{name}.txt", error_text(caught.value))


# ---------------------------------------------------------------- properties


@given(st.sampled_from(RELEASES), st.sampled_from(RELEASES), st.one_of(st.none(), st.integers(-1, 8)))
@settings(max_examples=60, deadline=None)
def test_a_plan_walks_every_release_or_is_refused(source: str, target: str, hops: int | None) -> None:
    """Independent oracle: positions in the list of releases."""
    steps = RELEASES.index(target) - RELEASES.index(source)
    graph = load_graph()
    if steps <= 0 or hops not in (None, steps):
        with pytest.raises(RefusedError):
            plan(graph, Goal(target, source, hops))
        return
    made = plan(graph, Goal(target, source, hops))
    walked = [made.hops[0].source, *(hop.target for hop in made.hops)]
    assert walked == list(RELEASES[RELEASES.index(source) : RELEASES.index(target) + 1])
    assert (made.source, made.target) == (source, target)


def test_codenames_are_understood(graph: ReleaseGraph) -> None:
    assert plan(graph, Goal("Flamingo", "epoxy")).target == "2025.2"


def test_equal_requests_make_equal_plans(graph: ReleaseGraph) -> None:
    again = plan(load_graph(), Goal("2025.2", "2024.1"), None, Frame(typed=typed(), typed_action=typed_action()))
    assert paper(graph, "2024.1", "2025.2").sha256 == again.sha256


# ---------------------------------------------------------------- contents


def hop_of(made: Plan, target: str) -> HopPlan:
    return next(hop for hop in made.hops if hop.target == target)


MEANT = "--yes-i-really-really-mean-it"


def test_stages_are_the_laws_in_their_order_with_the_right_toolchain(graph: ReleaseGraph) -> None:
    hop = paper(graph, "2024.2", "2025.1").hops[0]
    names = ["preflight", "backup", "pull", "rehearse", "broker", "upgrade", "verify", "soak", "finalize"]
    assert [stage.name for stage in hop.stages] == names
    assert [stage.name for stage in hop.stages if stage.changes_cloud] == ["broker", "upgrade"]
    assert [stage.name for stage in hop.stages if stage.when == "before"] == ["preflight", "pull", "rehearse"]
    by_name = {stage.name: stage for stage in hop.stages}
    assert by_name["upgrade"].commands == ("kolla-ansible upgrade -i INVENTORY",)
    older = paper(graph, "2023.2", "2024.1").hops[0]
    assert {stage.name: stage for stage in older.stages}["upgrade"].commands == ("kolla-ansible -i INVENTORY upgrade",)
    assert "broker" not in [stage.name for stage in paper(graph, "2024.1", "2024.2").hops[0].stages]
    assert by_name["broker"].commands[1] == "kolla-ansible stop -i INVENTORY --tags SERVICES " + MEANT
    assert by_name["upgrade"].way_back is Way.RESTORE
    assert by_name["pull"].way_back is Way.NOTHING


def test_the_services_of_the_cloud_decide_what_a_way_back_takes(graph: ReleaseGraph) -> None:
    hop = plan(graph, Goal("2024.2"), a_site(graph)).hops[0]
    services = {row.service for row in hop.way_back}
    assert {"keystone", "neutron", "nova"} <= services
    assert not services & {"ironic", "manila", "heat"}
    assert all(row.enabled for row in hop.way_back)
    assert "neutron" in hop.ponr
    assert "ironic" not in hop.ponr
    assert {row.enabled for row in paper(graph, "2024.1", "2024.2").hops[0].way_back} == {None}


def test_what_is_there_already_is_not_asked_for(graph: ReleaseGraph) -> None:
    hop = hop_of(plan(graph, Goal("2025.1"), a_site(graph)), "2025.1")
    assert "nova-metadata" not in hop.groups_added
    assert "valkey" in hop.groups_added
    assert "valkey_master_password" not in hop.passwords_added
    assert {"nova-metadata", "valkey"} <= set(hop_of(paper(graph, "2024.1", "2025.1"), "2025.1").groups_added)
    assert hop.settings == (("openstack_release", "2025.1"),)


def test_conditions_are_answered_by_the_gates(graph: ReleaseGraph) -> None:
    items = {item.id: item for item in hop_of(plan(graph, Goal("2025.1"), a_site(graph)), "2025.1").by_hand}
    assert items["2025.1-jammy"].applies == "no"
    assert items["2025.1-linuxbridge"].applies == "no"
    assert "2025.1-rabbitmq-all-durable" not in items, "a stage of the hop does it"
    jammy = plan(graph, Goal("2025.1"), a_site(graph, "2025.1", os="ubuntu-22.04"))
    assert {item.id: item for item in hop_of(jammy, "2025.1").by_hand}["2025.1-jammy"].applies == "yes"
    blockers = {finding.id: finding for finding in jammy.blockers}
    assert "host-os-jammy" in blockers
    assert "2025.1-jammy" not in blockers, "said once"
    assert not {finding.id for finding in plan(graph, Goal("2025.1"), a_site(graph, "2025.1")).blockers} & {
        "host-os-jammy"
    }


def test_what_was_accepted_does_not_block(graph: ReleaseGraph) -> None:
    site = a_site(graph, "2025.1", os="ubuntu-22.04")
    taken = tuple(finding.model_copy(update={"accepted": ("anna", "known")}) for finding in site.findings)
    made = plan(graph, Goal("2025.1"), replace(site, findings=taken))
    assert made.blockers == ()
    assert "host-os-jammy" in {finding.id for finding in made.findings}
    assert 'accepted by anna: "known"' in plain_text(plan_page(made, next_commands=["x"]))


def test_a_host_that_was_not_read_blocks_and_leaves_absences_open(graph: ReleaseGraph) -> None:
    made = plan(graph, Goal("2025.1"), a_site(graph, "2025.1", away="cmp1"))
    assert {("host-unreachable", "cmp1"), ("host-os-unread", "cmp1")} <= {(f.id, f.host) for f in made.blockers}
    items = {item.id: item for item in hop_of(made, "2025.1").by_hand}
    assert items["2025.1-jammy"].applies == "unknown"


def test_what_the_stages_do_is_not_left_to_the_operator(graph: ReleaseGraph) -> None:
    ours = {action.id for edge in graph.edges for action in graph.actions(graph.hop(*edge)) if action.done_by}
    assert {"common-pull", "common-upgrade", "common-db-backup"} <= ours
    made = paper(graph, "2023.1", "2026.1")
    assert not {item.id for hop in made.hops for item in hop.by_hand} & ours


def test_an_unknown_cloud_takes_the_operators_word_and_says_so(graph: ReleaseGraph) -> None:
    made = plan(graph, Goal("2024.2", "2024.1"), a_site(graph, tag="private", heads_of="none"))
    assert made.source == "2024.1"
    assert "the operator's word" in made.known_by


def test_names_of_hosts_cannot_reach_the_terminal_as_codes(graph: ReleaseGraph) -> None:
    record = a_record(graph, away="cmp1")
    facts = record.facts.model_copy(update={"site": "prod[/x]\x1b[2J"})
    made = plan(graph, Goal("2024.2"), SiteFacts(record=record.model_copy(update={"facts": facts})))
    page = plan_page(made, next_commands=["x"])
    assert "prod[/x]\\x1b[2J" in plain_text(page)
    assert "\x1b[2J" not in coloured(page, 80)


def test_damaged_data_is_told_by_file(graph: ReleaseGraph) -> None:
    from upgrader.graph.load import data_folder, read_files

    files = dict(read_files(data_folder()))
    files["actions/2024.1-2024.2.toml"] = b"actions = ["
    with pytest.raises(UpgraderError) as caught:
        plan(ReleaseGraph(files), Goal("2024.2", "2024.1"))
    assert "actions/2024.1-2024.2.toml" in error_text(caught.value)
