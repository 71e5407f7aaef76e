"""What counts as left by an interrupted role: a role's value, of a release whose role sets it, and never a guess."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engine_kit.place import graph
from upgrader.facts.parse import sections
from upgrader.leftovers.judge import Answers, Leftover, Look, judge, summary, told
from upgrader.leftovers.work import answers_of
from upgrader.model import Code
from upgrader.runner.base import HostTrouble, PlayResult

HOP = ("2025.1", "2025.2")
SST = "wsrep_sst_method\trsync\tSQL"
TRUST = "log_bin_trust_function_creators\tON\tSQL"


def said(*rows: str, settings: str = "", **services: Any) -> str:
    parts = ["@@settings", settings, "@@leftovers", *rows]
    for name, view in services.items():
        parts += [f"@@{name}", view if isinstance(view, str) else json.dumps(view)]
    return "\n".join(parts)


def look(text: str = "", *, releases: tuple[str, ...] = HOP, brokers: int = 3, **containers: str) -> Look:
    answers = Answers({"ctl1": containers}, {"ctl1": sections(text)} if text else {}, {}, brokers)
    return judge(graph().leftovers.of(releases), answers)


def ids(found: Look) -> list[str]:
    return [one.id for one in found.found]


@pytest.mark.parametrize(
    ("rows", "settings", "releases", "expected"),
    [
        ((SST, TRUST), "", HOP, ["sst-method", "function-creators"]),
        ((SST,), "", ("2024.1", "2024.2"), []),
        ((SST,), "mariadb_wsrep_sst_method\trsync", HOP, []),
        (("wsrep_sst_method\trsync\tCONFIG",), "", HOP, ["sst-method"]),
        (("wsrep_sst_method\tmariabackup\tSQL",), "", HOP, []),
        ((TRUST,), "use_preconfigured_databases\tTrue", HOP, []),
        ((TRUST,), "use_preconfigured_databases\tno", ("2023.1", "2023.2"), ["function-creators"]),
        (("log_bin_trust_function_creators\tON\tCONFIG",), "", HOP, []),
        (("log_bin_trust_function_creators\tOFF\tSQL",), "", HOP, []),
    ],
)
def test_variables(rows: tuple[str, ...], settings: str, releases: tuple[str, ...], expected: list[str]) -> None:
    assert ids(look(said(*rows, settings=settings), releases=releases)) == expected


def test_a_state_transfer_method_goes_back_to_what_the_site_names() -> None:
    (one,) = look(said(SST, settings="mariadb_wsrep_sst_method\tmysqldump")).found
    assert one.job == ("set-back", "wsrep_sst_method", "mysqldump")
    assert one.command == "SET GLOBAL wsrep_sst_method = 'mysqldump';"


def test_a_value_that_is_no_word_is_never_put_into_a_statement() -> None:
    (one,) = look(said(SST, settings="mariadb_wsrep_sst_method\tx'; DROP TABLE y; --")).found
    assert (one.job, one.repair) == ((), "hand")


def test_brokers() -> None:
    drained = {"node": "rabbit@ctl1", "app": True, "maintenance": ["rabbit@ctl1", "rabbit@ctl2"]}
    (one,) = look(said(rabbitmq=drained)).found
    assert (one.id, one.job, one.host) == ("broker-maintenance", ("revive",), "ctl1")
    assert look(said(rabbitmq={**drained, "maintenance": ["rabbit@ctl2"]})).found == ()


def test_a_stopped_broker_is_started_where_it_is_the_only_one() -> None:
    stopped = {"node": "rabbit@ctl1", "app": False}
    (alone,) = look(said(rabbitmq=stopped), brokers=1).found
    (member,) = look(said(rabbitmq=stopped), brokers=3).found
    assert (alone.job, alone.ours) == (("start-app",), True)
    assert (member.job, member.ours) == ((), False)


def test_shards_are_told_once_for_the_cluster() -> None:
    text = sections(said(opensearch={"allocation": "none"}))
    answers = Answers(sections={"ctl1": text, "ctl2": text})
    assert [(one.id, one.host) for one in judge(graph().leftovers.of(HOP), answers).found] == [
        ("shard-allocation", "ctl1")
    ]
    assert look(said(opensearch={"allocation": ""})).found == ()


def test_containers() -> None:
    found = look(
        keepalived="Exited (0) 2 minutes ago", haproxy="Created", proxysql="Up 3 hours", bootstrap_glance="Up 5 s",
        nova_api="Exited (137) 1 minute ago", bootstrap_neutron="Exited (0) 1 hour ago", redis="Up 2 days",
        mariadb="Restarting (1) 3 seconds ago",
    )  # fmt: skip
    assert [(one.id, one.job) for one in found.found] == [
        ("one-shot-running", ("wait", "bootstrap_glance")),
        ("load-balancer-stopped", ("start", "haproxy")),
        ("load-balancer-stopped", ("start", "keepalived")),
        ("nova-stopped", ()),
    ]
    assert ids(look(redis="Exited (0) 1 minute ago", valkey_server="Up 1 minute")) == ["redis-half-replaced"]


def test_what_did_not_answer_is_said() -> None:
    found = look(said(rabbitmq="gibberish") + "\n@@failed leftovers ERROR 1047 WSREP has not yet prepared node")
    assert {row[1] for row in found.unread} == {"the database server", "RabbitMQ"}
    findings = told(found)
    assert all(one.unknown and one.code is Code.WARNING for one in findings)
    assert look(said(rabbitmq={"error": "nodedown"})).unread == (("ctl1", "RabbitMQ", "nodedown"),)


def test_hosts_that_say_the_same_nothing_are_one_finding() -> None:
    silent = PlayResult("leftovers", "failed", 4, unreachable=(HostTrouble("ctl1", "", "timed out"),), error="")
    answers = answers_of(silent, ["ctl1", "ctl2", "ctl3"], [], 0)
    assert answers.troubles == {
        "ctl1": "timed out", "ctl2": "Ansible never worked on it", "ctl3": "Ansible never worked on it"
    }  # fmt: skip
    _, rest = told(judge((), answers))
    assert rest.host == "ctl2,ctl3" and rest.unknown


def a_leftover(repair: str, job: tuple[str, ...] = ("start", "haproxy")) -> Leftover:
    return Leftover("x", "s", "ctl1", "ctl1: it", "why", "haproxy: Exited", repair, "docker start haproxy", job)


def test_what_stays_is_a_failure_with_its_command_and_what_is_gone_was_put_right() -> None:
    before = Look((a_leftover("start"),))
    (gone,) = told(before, Look())
    (stays,) = told(before, before, {("ctl1", "start-haproxy"): "no such image"})
    (later,) = told(Look((a_leftover("next", ()),)))
    assert (gone.code, stays.code, later.code) == (Code.SUCCESS, Code.FAILURE, Code.WARNING)
    assert "no such image" in stays.message and stays.next == "on ctl1: docker start haproxy"
    assert summary([gone, later]).startswith("1 put right, 1 noted: ctl1: it; put right")
    assert summary([]) == "no interrupted role left anything"


def test_what_shows_up_during_the_repair_is_told_too() -> None:
    before, after = Look((a_leftover("start"),)), Look((a_leftover("next", ()),))
    assert [one.code for one in told(before, after)] == [Code.WARNING]


def test_every_kind_can_be_found() -> None:
    """The table has no line that the judge passes over."""
    known = graph().leftovers.leftovers
    every = {name.replace("*", "glance"): "" for kind in known for name in (*kind.containers, *kind.beside)}
    up = {"valkey_server", *(kind for one in known if one.seen == "running" for kind in one.containers)}
    states = {name: "Up" if name in up or name.startswith("bootstrap") else "Exited (0)" for name in every}
    text = said(SST, TRUST, rabbitmq={"node": "rabbit@ctl1", "app": True, "maintenance": ["rabbit@ctl1"]},
                opensearch={"allocation": "none"})  # fmt: skip
    answers = Answers({"ctl1": states}, {"ctl1": sections(text), "ctl2": sections(said(rabbitmq={"app": False}))})
    found = {one.id for one in judge(known, answers).found}
    assert found == {kind.id for kind in known}
