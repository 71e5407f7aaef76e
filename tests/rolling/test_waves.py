"""Which host is upgraded in which wave, and rules that do not fit the inventory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.errors import ConfigError
from upgrader.rolling import compute_hosts, waves_of
from upgrader.rolling_rules import RollingRules

CONTROL = {f"ctl{number}": ("baremetal", "control", "mariadb", "network") for number in (1, 2, 3)}
RULES = RollingRules()


def fleet(count: int, zones: int = 1) -> dict[str, tuple[str, ...]]:
    made = {f"cmp{number}": ("baremetal", "compute", f"az{number % zones + 1}") for number in range(1, count + 1)}
    return {**CONTROL, **made}


def shown(groups: dict[str, tuple[str, ...]], rules: RollingRules) -> list[tuple[str, tuple[str, ...]]]:
    return [(wave.name, wave.hosts) for wave in waves_of(groups, rules, groups).waves]


def faults(groups: dict[str, tuple[str, ...]], **changes: object) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        waves_of(groups, replace(RULES, **changes), groups)  # type: ignore[arg-type]
    assert refused.value.reason == "rolling-rules"
    return [refused.value.message.removeprefix("[rolling] does not fit the inventory: "), *refused.value.details]


def test_control_plane_canary_and_quarters() -> None:
    assert shown(fleet(9), RULES) == [
        ("control plane", ("ctl1", "ctl2", "ctl3")),
        ("canary", ("cmp1",)),
        ("batch 1", ("cmp2", "cmp3", "cmp4")),
        ("batch 2", ("cmp5", "cmp6", "cmp7")),
        ("batch 3", ("cmp8", "cmp9")),
    ]


def test_hosts_are_counted_as_people_count_them() -> None:
    assert shown(fleet(11), replace(RULES, batch=100))[2][1][-2:] == ("cmp10", "cmp11")


def test_without_pure_compute_hosts_there_are_no_waves() -> None:
    groups = {"aio1": ("baremetal", "compute", "control"), "hci1": ("baremetal", "compute", "storage")}
    assert compute_hosts(groups, RULES) == ()
    assert shown(groups, RULES) == []


def test_hosts_with_storage_go_with_the_control_plane() -> None:
    groups = {**fleet(2), "hci1": ("baremetal", "compute", "storage")}
    assert shown(groups, RULES)[0] == ("control plane", ("ctl1", "ctl2", "ctl3", "hci1"))


def test_together_is_one_run() -> None:
    assert shown(fleet(5), replace(RULES, together=True)) == []


def test_zones_come_one_after_the_other_and_no_batch_spans_two() -> None:
    rules = replace(RULES, zones=("az2", "az1"), batch=2, share=False)
    assert shown(fleet(6, zones=2), rules)[1:] == [
        ("canary", ("cmp1",)),
        ("batch 1", ("cmp3", "cmp5")),
        ("batch 2", ("cmp2", "cmp4")),
        ("batch 3", ("cmp6",)),
    ]


def test_named_canaries_an_order_and_an_exclusion() -> None:
    rules = replace(RULES, canaries=("cmp4",), order=("cmp3",), exclude=("cmp2",), batch=10, share=True)
    found = waves_of(fleet(4), rules, fleet(4))
    assert [wave.hosts for wave in found.waves[1:]] == [("cmp4",), ("cmp3",), ("cmp1",)]
    assert found.left == ("cmp2",)


def test_every_compute_host_may_stay_for_now() -> None:
    found = waves_of(fleet(2), replace(RULES, exclude=("cmp1", "cmp2")), fleet(2))
    assert [wave.name for wave in found.waves] == ["control plane"]
    assert found.left == ("cmp1", "cmp2")


def test_a_deployment_host_is_in_no_wave() -> None:
    groups = {**fleet(1), "deploy1": ("deployment",)}
    found = waves_of(groups, RULES, [host for host in groups if host != "deploy1"])
    assert all("deploy1" not in wave.hosts for wave in found.waves)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch": 5, "share": False}, "batch: 5 is more than the 4 compute hosts there are"),
        ({"canary": 5}, "canary: 5 is more than the 4 compute hosts there are"),
        ({"canaries": ("cmp9",)}, "canary: the inventory has no host cmp9"),
        ({"canaries": ("ctl1",)}, "canary: ctl1 is no pure compute host; it is upgraded with the control plane"),
        ({"canaries": ("cmp1",), "exclude": ("cmp1",)}, "canary: cmp1 is excluded"),
        ({"order": ("cmp1", "cmp1")}, "order: cmp1 is named twice"),
        ({"zones": ("az1", "nowhere")}, "zones: the inventory has no group nowhere with hosts"),
        ({"zones": ("control",)}, "zones: cmp1 is in none of them"),
        ({"zones": ("az1", "compute")}, "zones: cmp1 is in az1 and compute"),
        ({"together": True, "exclude": ("cmp1",)}, 'exclude: with computes = "together" every host is'),
    ],
)
def test_rules_that_do_not_fit_are_refused(changes: dict[str, object], words: str) -> None:
    assert faults(fleet(4), **changes)[0].startswith(words)


def test_a_controller_is_never_excluded() -> None:
    assert "lack the member that their majority needs" in faults(fleet(2), exclude=("ctl2",))[0]


def test_all_faults_are_told_at_once() -> None:
    assert len(faults(fleet(2), exclude=("x", "ctl1"), canaries=("y",), batch=9, share=False)) == 4


@given(
    count=st.integers(1, 40), zones=st.integers(1, 3), canary=st.integers(0, 3), batch=st.integers(1, 100),
    share=st.booleans(), left=st.sets(st.integers(1, 40), max_size=5), zoned=st.booleans(),
)  # fmt: skip
def test_every_host_is_in_one_wave_or_left(
    count: int, zones: int, canary: int, batch: int, share: bool, left: set[int], zoned: bool
) -> None:
    groups = fleet(count, zones)
    exclude = tuple(f"cmp{number}" for number in sorted(left) if number <= count)
    rolling = count - len(exclude)
    used = tuple(f"az{number + 1}" for number in range(zones) if number < count) if zoned else ()
    rules = RollingRules(
        canary=min(canary, max(rolling, 1)), batch=batch if share else min(batch, max(rolling, 1)), share=share,
        exclude=exclude, zones=tuple(zone for zone in used if any(zone in inside for inside in groups.values())),
    )  # fmt: skip
    found = waves_of(groups, rules, groups)
    everybody = [host for wave in found.waves for host in wave.hosts]
    assert sorted([*everybody, *found.left]) == sorted(groups)
    assert found.waves[0].kind == "control"
    assert all(wave.hosts for wave in found.waves)
    kinds = [wave.kind for wave in found.waves]
    assert kinds == sorted(kinds, key=("control", "canary", "batch").index)
    most = max(1, -(-rolling * batch // 100)) if share else rules.batch
    assert all(len(wave.hosts) <= most for wave in found.waves if wave.kind == "batch")
