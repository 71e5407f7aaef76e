"""The walk over the waves against a model of a cloud that loses hosts, refuses, breaks off and is killed anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.rolling import Halt, RollRecord, walk
from upgrader.wave import Wave

CONTROL = ("ctl1", "ctl2", "ctl3")


class Killed(BaseException):
    """The process is gone: nothing of ours runs any more, not even what is in a `finally`."""


class Broke(Exception):  # noqa: N818
    """A stage's own way to end early: canceled, or a step that failed as a whole."""


@dataclass
class Cloud:
    """What is true of the cloud, and every law that a walk has to keep, checked at each move."""

    faults: Mapping[str, str] = field(default_factory=dict)
    """Host → at which call it does not come right: take_out, upgrade, arrived, bring_back, trial."""
    unhealthy_after: frozenset[str] = frozenset()
    strikes: Mapping[int, type[BaseException]] = field(default_factory=dict)
    """Number of a call → what happens in its middle."""
    release: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    """Canaries on which the trial worked."""
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    dead: bool = False
    closed: int = 0

    def _call(self, name: str, hosts: Sequence[str]) -> Mapping[str, str]:
        if self.dead:
            raise Killed
        self.calls.append((name, tuple(hosts)))
        strike = self.strikes.get(len(self.calls))
        if strike is Killed:
            self.dead = True
        if strike:
            raise strike
        return {host: f"{name} failed" for host in hosts if self.faults.get(host) == name}

    def take_out(self, wave: Wave, hosts: Sequence[str]) -> Mapping[str, str]:
        assert wave.kind != "control"
        self.disabled |= set(hosts)
        return self._call("take_out", hosts)

    def upgrade(self, wave: Wave, hosts: Sequence[str]) -> Mapping[str, str]:
        for host in hosts:
            if wave.kind != "control":
                assert host in self.disabled, f"{host} is upgraded while it takes instances"
                assert all(self.release.get(other) == "new" for other in CONTROL), "computes before the control plane"
        failed = self._call("upgrade", hosts)
        for host in hosts:
            self.release[host] = "mixed" if host in failed else "new"
        return failed

    def arrived(self, wave: Wave, hosts: Sequence[str]) -> Mapping[str, str]:
        return self._call("arrived", hosts)

    def bring_back(self, wave: Wave, hosts: Sequence[str]) -> Mapping[str, str]:
        failed = self._call("bring_back", hosts)
        self.disabled -= set(hosts) - set(failed)
        return failed

    def trial(self, wave: Wave, hosts: Sequence[str]) -> Mapping[str, str]:
        failed = self._call("trial", hosts)
        self.passed |= set(hosts) - set(failed)
        return failed

    def gate(self, wave: Wave, failed: Mapping[str, str]) -> str:
        self._call("gate", wave.hosts)
        return "the broker is split" if wave.name in self.unhealthy_after else ""

    def close(self) -> None:
        self._call("close", ())
        self.closed += 1

    def count(self, name: str, host: str) -> int:
        return sum(call == name and host in hosts for call, hosts in self.calls)


class Kept(RollRecord):
    """A record whose disk is a field: hundreds of examples need no hundreds of fsyncs."""

    disk: ClassVar[dict[str, Any]] = {}

    def _write(self) -> None:
        Kept.disk = {"done": self.done, "services": self.services, "closed": self.closed}


def fleet(canaries: int, batches: Sequence[int]) -> tuple[Wave, ...]:
    names = iter(range(1, 999))
    made = [Wave(kind="control", name="control plane", hosts=CONTROL)]
    if canaries:
        made.append(Wave(kind="canary", name="canary", hosts=tuple(f"cmp{next(names)}" for _ in range(canaries))))
    for number, size in enumerate(batches, 1):
        hosts = tuple(f"cmp{next(names)}" for _ in range(size))
        made.append(Wave(kind="batch", name=f"batch {number}", hosts=hosts))
    return tuple(made)


WAVES = fleet(1, (2, 2))


def test_an_undisturbed_walk(tmp_path: Path) -> None:
    cloud = Cloud()
    record = RollRecord(tmp_path / "r.json")
    walk(WAVES, record, cloud, 0)
    assert set(cloud.release.values()) == {"new"} and not cloud.disabled
    assert record.closed and cloud.closed == 1
    assert [name for name, _ in cloud.calls][:9] == [
        "upgrade", "gate", "take_out", "upgrade", "arrived", "bring_back", "trial", "gate", "take_out",
    ]  # fmt: skip
    again = Cloud()
    walk(WAVES, record, again, 0)
    assert again.calls == [], "what is done is not done again"


@pytest.mark.parametrize("call", ["take_out", "upgrade", "arrived", "bring_back", "trial"])
def test_a_failed_canary_stops_everything(tmp_path: Path, call: str) -> None:
    cloud = Cloud(faults={"cmp1": call})
    with pytest.raises(Halt, match=f"canary: cmp1: {call} failed") as halt:
        walk(WAVES, RollRecord(tmp_path / "r.json"), cloud, 5)
    assert halt.value.hosts == {"cmp1": f"{call} failed"}
    assert not any(cloud.count("upgrade", host) for host in ("cmp2", "cmp3", "cmp4", "cmp5"))


def test_a_host_that_cannot_be_emptied_is_not_upgraded_and_serves_again(tmp_path: Path) -> None:
    cloud = Cloud(faults={"cmp2": "take_out"})
    with pytest.raises(Halt, match=r"1 failed, \[rolling\] failed_hosts allows 0"):
        walk(WAVES, RollRecord(tmp_path / "r.json"), cloud, 0)
    assert "cmp2" not in cloud.release and not cloud.disabled
    assert cloud.release["cmp3"] == "new", "the other host of its batch was under way with it"


def test_failures_within_the_budget_are_named_at_the_end_and_tried_again_later(tmp_path: Path) -> None:
    cloud = Cloud(faults={"cmp2": "upgrade"})
    with pytest.raises(Halt, match="every wave was worked on; not upgraded: cmp2"):
        walk(WAVES, RollRecord(tmp_path / "r.json"), cloud, 1)
    assert cloud.closed == 0, "what comes after the last host waits for the last host"
    mended = Cloud(release=dict(cloud.release))
    left = fleet(1, (2, 2))
    stored = RollRecord(tmp_path / "r.json", done=("ctl1", "ctl2", "ctl3", "cmp1", "cmp3", "cmp4", "cmp5"))
    walk(left, stored, mended, 1)
    assert stored.closed
    assert [hosts for name, hosts in mended.calls if name == "upgrade"] == [("cmp2",)]


def test_an_unhealthy_cloud_stops_the_waves(tmp_path: Path) -> None:
    cloud = Cloud(unhealthy_after=frozenset({"control plane"}))
    record = RollRecord(tmp_path / "r.json")
    with pytest.raises(Halt, match="after control plane: the broker is split"):
        walk(WAVES, record, cloud, 5)
    assert record.done == (), "the gate is asked again before anything else begins"
    assert cloud.count("take_out", "cmp1") == 0


CALLS = ("take_out", "upgrade", "arrived", "bring_back", "trial")


@given(
    canaries=st.integers(0, 2),
    batches=st.lists(st.integers(1, 4), max_size=4),
    allowed=st.integers(0, 3),
    faults=st.dictionaries(st.integers(1, 18), st.sampled_from(CALLS), max_size=6),
    strikes=st.dictionaries(st.integers(1, 30), st.sampled_from([Killed, Broke]), max_size=2),
    sick=st.sets(st.sampled_from(["control plane", "canary", "batch 1", "batch 3"]), max_size=1),
)
def test_the_laws_hold_whatever_happens(
    canaries: int, batches: list[int], allowed: int,
    faults: dict[int, str], strikes: dict[int, type[BaseException]], sick: set[str],
) -> None:  # fmt: skip
    waves = fleet(canaries, batches)
    named = {f"cmp{number}": call for number, call in faults.items()}
    cloud = Cloud(named, frozenset(sick), strikes)
    Kept.disk = {}
    ended = broke = False
    try:
        walk(waves, Kept(Path("nowhere")), cloud, allowed)
        ended = True
    except Halt:
        pass
    except Broke:
        broke = True
    except Killed:
        pass
    worked = [host for wave in waves for host in wave.hosts if cloud.count("upgrade", host)]
    first = [wave for wave in waves if wave.kind == "canary" for _ in wave.hosts]
    behind = [host for wave in waves if wave.kind == "batch" for host in wave.hosts]
    if first and any(host in worked for host in behind):
        assert set(first[0].hosts) <= cloud.passed, "no host before its canary passed"
    late = [wave for wave in waves if wave.kind == "batch" and any(host in worked for host in wave.hosts)]
    for wave in late[:-1]:
        before = waves[: waves.index(wave) + 1]
        bad = [host for part in before if part.kind == "batch" for host in part.hosts if host in named
               and named[host] != "trial"]  # fmt: skip
        assert len(bad) <= allowed, "another batch was begun beyond the budget"
    cannot = {host for host, call in named.items() if call == "bring_back"}
    if not cloud.dead and not broke:
        assert cloud.disabled <= cannot, "nobody is left out of service"
    if ended:
        everyone = {host for wave in waves for host in wave.hosts}
        assert {host for host, release in cloud.release.items() if release == "new"} == everyone
    # whatever happened: another walk over a sound cloud comes to the end and repeats nothing that was done
    left = Kept(Path("nowhere"), **Kept.disk)
    done = left.done
    assert all(cloud.release.get(host) == "new" for host in done), "only what came right is written down"
    second = Cloud(release=dict(cloud.release), disabled=set(cloud.disabled))
    walk(waves, left, second, 0)
    assert not second.disabled - cannot
    assert all(second.count("upgrade", host) == 0 for host in done)
    assert set(second.release.values()) == {"new"}


def test_breaking_off_brings_back_whoever_was_taken_out(tmp_path: Path) -> None:
    cloud = Cloud(strikes={4: Broke})
    with pytest.raises(Broke):
        walk(WAVES, RollRecord(tmp_path / "r.json"), cloud, 0)
    assert cloud.calls[3][0] == "upgrade" and cloud.calls[4][0] == "bring_back"
    assert not cloud.disabled
