"""Names of hosts, and what answers come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.computes.decisions import Names, answer, drained, named, services, switched, tried
from upgrader.computes.inside.judge import REASON_LENGTH, marked, reason_of, why_not
from upgrader.computes.port import Instance


@pytest.mark.parametrize(
    ("told", "known", "name"),
    [
        ([], ("cmp1",), "cmp1"),
        ([], ("cmp1",), "cmp1"),
        (["cmp1.example.org"], ("cmp1.example.org", "cmp1"), "cmp1.example.org"),
        (["cmp1.example.org"], ("cmp1",), "cmp1"),
        (["node7"], ("cmp1", "node7"), "node7"),
        (["node7", "custom-host"], ("node7", "custom-host"), "custom-host"),
        (["node7"], (), "node7"),
    ],
)
def test_a_hosts_own_word_counts(told: list[str], known: tuple[str, ...], name: str) -> None:
    assert named(["cmp1"], {"cmp1": told} if told else {}, known) == {"cmp1": name}


def test_one_that_says_nothing_is_known_by_likeness_and_takes_nobody_elses_name() -> None:
    assert named(["cmp1.example.org"], {}, ["cmp1"]) == {"cmp1.example.org": "cmp1"}
    # the machine of cmp2 calls itself cmp1: what is left of the silent cmp1 is no service of that name
    names = Names(["cmp1", "cmp2"], {"cmp2": ["cmp1"]}, ["cmp1"])
    assert names.inventory("cmp1") == "cmp2" and names.nova("cmp2") == "cmp1"
    assert names.inventory("stranger") == names.nova("cmp1") == ""


@given(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), st.randoms())
def test_renamed_hosts_are_found_both_ways(hosts: list[str], random: Any) -> None:
    own = hosts[:]
    random.shuffle(own)
    names = Names(hosts, {host: [name] for host, name in zip(hosts, own, strict=True)}, own)
    assert all(names.inventory(names.nova(host)) == host for host in hosts)


@given(st.text(max_size=400))
def test_the_mark(words: str) -> None:
    assert marked(reason_of(words)) and len(reason_of(words)) <= REASON_LENGTH
    assert reason_of(reason_of(words)) == reason_of(words)


@pytest.mark.parametrize("words", ["", "upgraders", "upgrader-team", "AUTO: upgrader: x", "Upgrader: x", "upgrader:x"])
def test_what_is_not_ours(words: str) -> None:
    assert not marked(words)


@pytest.mark.parametrize(
    ("server", "part"),
    [
        ({"status": "ACTIVE"}, ""),
        ({"status": "PAUSED"}, ""),
        ({"status": "MIGRATING", "OS-EXT-STS:vm_state": "active"}, ""),
        ({"status": "SHUTOFF"}, "stopped"),
        ({"status": "SUSPENDED"}, "suspended"),
        ({"status": "VERIFY_RESIZE"}, "VERIFY_RESIZE"),
        ({}, "its cell does not answer"),
        ({"status": "ACTIVE", "flavor": {"extra_specs": {"hw:mem_encryption": "false"}}}, ""),
    ],
)
def test_whether_it_can_move(server: dict[str, Any], part: str) -> None:
    found = why_not(server)
    assert part in found and bool(part) is bool(found)


def test_the_last_line_counts() -> None:
    assert answer('Deprecated: {x}\n{"a": 1}\n{"b": 2}\n') == {"b": 2}
    for text in ("", "words", "{broken", "[1]"):
        with pytest.raises(ValueError, match=r"answer|Expecting|delimiter|quotes|object"):
            answer(text)


def row(status: str = "ACTIVE", why: str = "") -> dict[str, Any]:
    return {"id": "i", "name": "n", "host": "nova1", "status": status, "task_state": "", "why_not": "", "why": why}


def test_how_a_drain_ended() -> None:
    names = Names(["cmp1", "cmp2"], {"cmp1": ["nova1"], "cmp2": ["nova2"]}, ["nova1", "nova2"])
    done = drained("cmp1", {"left": [row("SHUTOFF")]}, [["i", "nova2"], ["j", "gone"]], names, seconds=3.4)
    assert (done.how, done.complete, done.seconds) == ("empty", True, 3)
    assert done.moved == (("i", "cmp2"), ("j", "gone"))
    assert done.left[0].instance == Instance("i", "n", "cmp1", "SHUTOFF")
    stuck = drained("cmp1", {"left": [row(why="it failed")]}, [], names)
    assert (stuck.how, stuck.left[0].why) == ("stuck", "it failed")
    # the last of them went while the drain was being ended
    assert drained("cmp1", {"left": []}, [], names, stopped="budget").complete
    assert drained("cmp1", {"left": [row()]}, [], names, stopped="budget").how == "budget"
    # nobody knows what is there
    assert drained("cmp1", {}, [], names, stopped="canceled").how == "canceled"
    assert drained("cmp1", {"left": []}, [], names, stopped="trouble", words="no answer").how == "trouble"


def test_how_a_trial_ended() -> None:
    good = [[name, True, "", 1] for name in ("create", "reach", "delete")]
    assert tried("c", {"steps": [*good, ["migrate-away", None, "no second host", 0]]}).passed
    bad = tried("c", {"steps": [["create", False, "no bootable device", 1], ["delete", True, "", 1]]})
    assert (bad.passed, bad.why) == (False, "create: no bootable device")
    assert tried("c", {"steps": good[:1]}).why == "it did not come to its end"
    assert tried("c", {"steps": good}, "stopped on request").why == "stopped on request"


def test_services_and_switches_speak_of_the_inventorys_hosts() -> None:
    names = Names(["cmp1"], {"cmp1": ["nova1"]}, ["nova1"])
    row = {"zone": "z", "enabled": False, "up": True, "reason": "upgrader: x", "version": 1, "hypervisor": ""}
    rows = [{"name": name, **row} for name in ("nova1", "stranger")]
    first, second = services({"services": rows}, names)
    assert (first.host, first.name, first.ours) == ("cmp1", "nova1", True)
    assert (second.host, second.name) == ("", "stranger")
    done, theirs = switched({"switched": [["nova1", "done", ""], ["", "theirs", "x"]]}, ["cmp1", "cmp2"])
    assert (done.host, done.right) == ("cmp1", True) and (theirs.host, theirs.right) == ("cmp2", False)
