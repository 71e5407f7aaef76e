"""The order of the waves and what stops them. Pure but for the ground it is given: the cloud, or a test's model of it.

What it promises whatever the ground does: no host is worked on before every wave before its own came right; no host
that was taken out of service is left out, not even when the work on it breaks off; not more hosts fail than the rules
allow; hosts that are done are not worked on again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from upgrader.rolling.record import RollRecord
from upgrader.wave import Wave

Why = Mapping[str, str]
"""Host → why it did not come right."""


class Halt(Exception):  # noqa: N818 - the walk's ordinary way to end early
    """The waves go no further. `hosts`: who is the reason, and why."""

    def __init__(self, message: str, hosts: Why | None = None) -> None:
        super().__init__(message)
        self.message, self.hosts = message, dict(hosts or {})


class Ground(Protocol):
    """What the waves work on. Every call may raise what ends the whole stage."""

    def upgrade(self, wave: Wave, hosts: Sequence[str]) -> Why:
        """Bring the hosts to the target release; those that did not come right, and why."""
        ...

    def take_out(self, wave: Wave, hosts: Sequence[str]) -> Why:
        """No new instances on these compute hosts; those that cannot be taken out, and why: they are not upgraded.

        What it has begun may also be brought back when it raises.
        """
        ...

    def arrived(self, wave: Wave, hosts: Sequence[str]) -> Why:
        """Wait until the hosts' services are up, at the target's version; those that are not, and why."""
        ...

    def bring_back(self, wave: Wave, hosts: Sequence[str]) -> Why:
        """New instances again, also while the operator wants to stop; those that could not be, and why."""
        ...

    def trial(self, wave: Wave, hosts: Sequence[str]) -> Why:
        """An instance on each of the hosts, for proof; those on which it did not work, and why."""
        ...

    def gate(self, wave: Wave, failed: Why) -> str:
        """Wait until the whole cloud is healthy; why it is not, empty when it is. Hosts that `failed` may be ill."""
        ...

    def close(self) -> None:
        """What is to be done once, after the last wave."""
        ...


def walk(waves: Sequence[Wave], record: RollRecord, ground: Ground, allowed: int) -> None:
    """Work on every wave that is not done, in order.

    `allowed`: compute hosts that may fail after the canary. Raises Halt when the waves cannot go on, or when they came
    to their end and hosts failed on the way. Everything is in the record, durably, before it is relied upon.
    """
    record.keep(failed=())
    for wave in waves:
        hosts = tuple(host for host in wave.hosts if host not in record.done)
        if not hosts:
            continue
        failed = ground.upgrade(wave, hosts) if wave.kind == "control" else _computes(wave, hosts, ground)
        # a gate is asked in any case: it tells what state the cloud is in
        why = ground.gate(wave, {**dict(record.failed), **failed})
        # the control plane is one: whoever of it came right is worked on again with the others
        whole = not why and not (failed and wave.kind == "control")
        came = tuple(host for host in hosts if host not in failed) if whole else ()
        record.keep(done=(*record.done, *came), failed=(*record.failed, *failed.items()))
        _judge(wave, failed, why, len(record.failed), allowed)
    if record.failed:
        names = ", ".join(host for host, _ in record.failed)
        raise Halt(f"every wave was worked on; not upgraded: {names}", dict(record.failed))
    if not record.closed:
        ground.close()
        record.keep(closed=True)


def _judge(wave: Wave, failed: Why, why: str, count: int, allowed: int) -> None:
    words = "; ".join(f"{host}: {reason}" for host, reason in failed.items())
    if failed and wave.kind != "batch":
        raise Halt(f"{wave.name}: {words}" + (f"; and {why}" if why else ""), failed)
    if why:
        raise Halt(f"after {wave.name}: {why}" + (f"; and {words}" if failed else ""), failed)
    if count > allowed:
        raise Halt(f"{wave.name}: {words} ({count} failed, [rolling] failed_hosts allows {allowed})", failed)


def _computes(wave: Wave, hosts: Sequence[str], ground: Ground) -> Why:
    failed: dict[str, str] = {}
    ended = False
    try:
        failed |= ground.take_out(wave, hosts)
        ready = [host for host in hosts if host not in failed]
        if ready:
            failed |= ground.upgrade(wave, ready)
            there = [host for host in ready if host not in failed]
            failed |= ground.arrived(wave, there) if there else {}
        ended = True
    finally:
        # also those that could not be taken out, which may have been disabled on the way, and those that failed
        back = ground.bring_back(wave, hosts)
        if ended:
            failed |= {host: why for host, why in back.items() if host not in failed}
    if wave.kind == "canary":
        there = [host for host in hosts if host not in failed]
        failed |= ground.trial(wave, there) if there else {}
    return failed
