"""The cloud as it was looked at, in the words of a diagnosis; and the states that rules ask for. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from upgrader.diagnose.model import Cloud, HostState, Story, Trouble
from upgrader.facts.heads import ReleaseNames
from upgrader.facts.reading import is_kolla, release_of
from upgrader.model import CloudFacts, Code, Finding, HostFacts
from upgrader.probes.containers import containers
from upgrader.probes.disk import disk, size
from upgrader.probes.galera import galera
from upgrader.probes.services import judge_services

TROUBLES = 40
_DISK_SHARE, _DISK_BYTES = 0.05, 2 * 1024**3
_INODES_PERCENT = 3
_MEMORY_SHARE = 0.04
_HALF = "database "
NOT_HEARD = "not heard in time"


def iso(seconds: float) -> str:
    """UTC, seconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def moment(at: str) -> float | None:
    """Seconds since the epoch; None for what is no time."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def cloud_of(
    facts: CloudFacts,
    names: ReleaseNames,
    answers: Mapping[str, Mapping[str, Any]],
    around: float,
    min_free: int,
    *,
    cut_off: bool = False,
) -> Cloud:
    """The look and the hosts' own answers together. `around`: seconds since the epoch of the failure.

    `cut_off`: the look was ended early, so that whoever said nothing may only not have come to it: no trouble is made
    of silence.
    """
    hosts = tuple(_host(host, names, answers.get(host.name, {}), around) for host in facts.hosts)
    found = [*containers(facts, names), *galera(facts), *disk(facts, min_free), *judge_services(facts)]
    if cut_off:
        silent = {host.name for host in facts.hosts if host.galera is None}
        found = [one for one in found if not one.unknown and not (one.id == "galera" and one.host in silent)]
    own = [trouble for host in hosts for trouble in _of_host(host, around)]
    return Cloud(
        at=facts.observed_at,
        kind=facts.reading.kind,
        release=facts.reading.release,
        evidence=tuple(facts.reading.evidence[:20]),
        hosts=hosts,
        galera=tuple(_galera(host, cut_off) for host in facts.hosts if "mariadb" in host.groups),
        broker=_broker(facts),
        vip=_vip(facts),
        api=_api(facts),
        heads=tuple(line for line in facts.reading.evidence if line.startswith(_HALF) and "database " in line),
        troubles=(*own, *_troubles(found))[:TROUBLES],
    )


def _host(host: HostFacts, names: ReleaseNames, answer: Mapping[str, Any], around: float) -> HostState:
    releases = sorted({release_of(one, names) for one in host.containers if is_kolla(one, names)} - {""})
    said: Mapping[str, Any] = answer.get("host") or {}
    memory: Mapping[str, Any] = said.get("memory") or {}
    disks = [tuple(row) for row in said.get("disks") or () if len(row) == 4]
    if not disks:
        disks = [(seen.path, seen.total_bytes, seen.free_bytes, 100) for seen in host.disks]
    booted = said.get("booted")
    return HostState(
        name=host.name,
        reachable=host.reachable,
        error=host.error,
        releases=tuple(releases),
        clock_offset=host.clock.offset_seconds if host.clock else None,
        disks=tuple((str(path), int(total), int(free), int(inodes)) for path, total, free, inodes in disks),
        memory=(memory["MemTotal"], memory["MemAvailable"]) if len(memory) == 2 else None,
        booted=iso(booted) if isinstance(booted, int) else "",
        kernel=tuple(map(str, said.get("kernel") or ())),
        states=tuple(sorted((str(name), str(state)) for name, state in (answer.get("states") or {}).items())),
    )


def _galera(host: HostFacts, cut_off: bool) -> tuple[str, str, str, str, str]:
    seen = host.galera
    if seen is None or not (seen.size or seen.status):
        return (host.name, "?", NOT_HEARD if cut_off and seen is None else "no answer", "", "")
    return (host.name, str(seen.size), seen.status, seen.state, seen.server_version)


def _broker(facts: CloudFacts) -> tuple[tuple[str, str], ...]:
    seen = facts.observed.rabbitmq
    if seen is None:
        return ()
    rows = (
        ("version", seen.version or "?"),
        ("nodes", ", ".join(seen.nodes) if seen.nodes is not None else "not told"),
        ("running", ", ".join(seen.running) if seen.running is not None else "not told"),
        ("wanted", str(seen.expected) if seen.expected is not None else ""),
        ("partitions", "; ".join(seen.partitions) if seen.partitions else "none"),
        ("alarms", "; ".join(seen.alarms) if seen.alarms else "none"),
        ("drained", ", ".join(seen.maintenance or ())),
        ("not read", seen.error),
    )
    return tuple((name, value) for name, value in rows if value)


def _vip(facts: CloudFacts) -> str:
    seen = facts.observed.vip
    if seen is None:
        return ""
    if seen.owners is None:
        return f"{seen.address}: who holds it is not known ({seen.error})"
    return f"{seen.address}: {'held by ' + ', '.join(seen.owners) if seen.owners else 'HELD BY NO HOST'}"


def _api(facts: CloudFacts) -> str:
    seen = facts.observed.haproxy
    if seen is None or seen.down is None:
        return ""
    if seen.dead:
        names = dict.fromkeys(line.partition(" (")[0] for line in seen.dead)
        return f"without any server: {', '.join(list(names)[:8])}"
    if seen.down:
        return f"{len(seen.down)} of {seen.total} servers behind HAProxy down"
    return f"all {seen.total} servers behind HAProxy up"


def _troubles(found: Iterable[Finding]) -> list[Trouble]:
    bad = [finding for finding in found if finding.code is not Code.SUCCESS]
    bad.sort(key=lambda finding: finding.code is not Code.FAILURE)
    return [Trouble(one.id, one.message, one.host, one.evidence, one.why, bad=one.code is Code.FAILURE) for one in bad]


def _of_host(host: HostState, around: float) -> Iterable[Trouble]:
    """What a host's own figures say."""
    for path, total, free, inodes in host.disks:
        if free < min(_DISK_BYTES, total * _DISK_SHARE):
            yield Trouble("disk-nearly-full", f"{host.name}: {path} has {size(free)} of {size(total)} free", host.name)
        if inodes < _INODES_PERCENT:
            yield Trouble("inodes-gone", f"{host.name}: {path} has {inodes} % of its inodes free", host.name)
    if host.memory and host.memory[1] < host.memory[0] * _MEMORY_SHARE:
        total, free = host.memory
        yield Trouble("memory-low", f"{host.name}: {size(free)} of {size(total)} memory is available", host.name)
    killed = [line for line in host.kernel if "oom" in line.lower() or "killed process" in line.lower()]
    if killed:
        yield Trouble("oom", f"{host.name}: the kernel ended a process for want of memory", host.name, killed[-1])
    began = moment(host.booted) if host.booted else None
    if began is not None and around - 3600 < began < time.time() and began > around - 3600:
        yield Trouble("rebooted", f"{host.name}: was started at {host.booted}", host.name)
    for name, state in host.states:
        if state.startswith("Restarting"):
            yield Trouble("container-restarting", f"{host.name}: {name}: {state}", host.name)


# ---------------------------------------------------------------- states that rules ask for


def states_of(story: Story, cloud: Cloud) -> dict[str, dict[str, str]]:
    """State → what it is about. The first of a kind is told: they are in the order of how bad they are."""
    found: dict[str, dict[str, str]] = {}
    failed = [failure for failure in story.failures if not failure.unreachable]
    lost = [failure for failure in story.failures if failure.unreachable]
    if lost:
        found["task-unreachable"] = {"host": lost[0].host}
    if failed:
        found["task-failed"] = {"host": failed[0].host}
    near = {failure.host for failure in story.failures}
    # of several hosts with the same trouble the one that failed is looked at first
    for trouble in sorted(cloud.troubles, key=lambda one: (not one.bad, one.host not in near)):
        about = {"host": trouble.host.partition(",")[0].strip(), "container": _container(trouble)}
        found.setdefault(trouble.id, about)
    if cloud.galera and not any(row[2] in ("Primary", NOT_HEARD) for row in cloud.galera):
        found["galera-no-primary"] = {"host": cloud.galera[0][0]}
    if cloud.heads:
        found["half-migrated"] = {"database": cloud.heads[0].removeprefix(_HALF).partition(":")[0]}
    if cloud.kind == "mixed":
        found["mixed"] = {}
    return found


def _container(trouble: Trouble) -> str:
    """`ctl1: nova_api is exited` → nova_api."""
    parts = trouble.message.split(": ")
    return parts[1].split(" ")[0] if trouble.id.startswith("container-") and len(parts) > 1 else ""
