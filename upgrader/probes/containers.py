"""Do the cloud's containers run, healthy, from images of the expected release, on every host?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from upgrader.facts.heads import ReleaseNames
from upgrader.facts.reading import is_kolla, witnesses
from upgrader.model import CloudFacts, ContainerFacts, Finding, HostFacts
from upgrader.probes.base import failure, good, warning

ID = "containers"
PASSING = frozenset({"container-not-running", "container-unhealthy", "container-starting"})
"""Findings that may come right by themselves soon after a restart."""
_QUIET = 60.0
"""Seconds after the end of an upgrade in which a container's start may still be the upgrade's."""


def containers(
    facts: CloudFacts, names: ReleaseNames, release: str | None = None, left: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Findings about reachability, state, health and, when `release` is given, the release of every container.

    A stopped container of another release is what a removed service left behind, and only a warning. Hosts of `left`
    (host → release) are meant to run another release, and are told as warnings as long as they do.
    """
    left = left or {}
    found: list[Finding] = []
    count = 0
    for host in facts.hosts:
        found.extend(_host(host, meant=host.name in left))
        for container in host.containers:
            if is_kolla(container, names):
                count += 1
                found.extend(_container(host, container, names, left.get(host.name, release or "")))
    if release:
        found.extend(_releases(facts, names, release, left))
    if not count:
        found.append(failure(ID, "no container of the cloud was found on any host"))
    if found:
        return tuple(found)
    of = f" from images of {release}" if release else ""
    return (good(ID, f"{count} containers on {len(facts.hosts)} hosts run{of}"),)


def missing(
    facts: CloudFacts,
    before: Iterable[tuple[str, str]],
    belongs: Callable[[str, str], bool],
    release: str,
    left: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """Failures for containers that were there `before`, as (host, container), and are gone though `release` has them.

    `belongs`: whether a container of that name is part of a release; of names nobody knows nothing is said.
    """
    hosts = {host.name: host for host in facts.hosts if host.reachable and not host.error}
    gone: dict[str, list[str]] = {}
    for name, container in sorted(set(before)):
        host = hosts.get(name)
        wanted = (left or {}).get(name, release)
        if host and belongs(container, wanted) and all(seen.name != container for seen in host.containers):
            gone.setdefault(name, []).append(container)
    return tuple(
        failure(
            "container-missing",
            f"{name}: {', '.join(lacks)} ran before the hop and {'are' if len(lacks) > 1 else 'is'} gone",
            host=name,
            why="the release that runs now has it as well",
        )
        for name, lacks in gone.items()
    )


def restarted(facts: CloudFacts, names: ReleaseNames, ended: datetime) -> tuple[Finding, ...]:
    """A warning for containers that started again by themselves after the upgrade `ended`: they may be failing."""
    late = []
    for host in facts.hosts:
        # the engine's times are the host's own
        away = (host.clock.offset_seconds if host.clock else None) or 0.0
        for container in host.containers:
            began = _moment(container.started_at)
            if began is None or container.state != "running" or not is_kolla(container, names):
                continue
            if (began - ended).total_seconds() - away > _QUIET:
                late.append((host.name, container.name, container.started_at[:19]))
    if not late:
        return ()
    return (
        warning(
            "container-restarted",
            f"{len(late)} container{'s' if len(late) > 1 else ''} started again after the upgrade had ended",
            host=", ".join(dict.fromkeys(host for host, _, _ in late)),
            evidence="; ".join(f"{host}: {name} at {at}" for host, name, at in late[:12]),
            why="one that ends and is started again and again looks healthy in between",
        ),
    )


def _moment(text: str) -> datetime | None:
    """A time as an engine writes it: with up to nine digits behind the second, in UTC or with its zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo and found.year > 1970 else None


def _host(host: HostFacts, *, meant: bool = False) -> Iterable[Finding]:
    if not host.reachable:
        told = warning if meant else failure
        words = f"{host.name} could not be reached" + (", and was left behind" if meant else "")
        found = told("host-unreachable", words, host=host.name, evidence=host.error)
        yield found.model_copy(update={"unknown": meant})
    elif host.error:
        yield failure("engine-unreadable", f"{host.name}: {host.error}", host=host.name)


def _container(host: HostFacts, container: ContainerFacts, names: ReleaseNames, release: str) -> Iterable[Finding]:
    where = f"{host.name}: {container.name}"
    if container.state not in {"running", "unknown"}:
        if release and container.state in {"exited", "created", "dead"} and _other(host, container, names, release):
            yield warning(
                "container-left-behind",
                f"{where} is {container.state} and of another release ({container.image}): a removed service?",
                host=host.name,
            )
        else:
            yield failure("container-not-running", f"{where} is {container.state}", host=host.name)
    elif container.health == "unhealthy":
        yield failure(
            "container-unhealthy",
            f"{where} is unhealthy",
            host=host.name,
            next=f"look at the log of {container.name} on {host.name}",
        )
    elif container.health == "starting":
        yield warning("container-starting", f"{where} has not been healthy yet", host=host.name)


def _other(host: HostFacts, container: ContainerFacts, names: ReleaseNames, release: str) -> bool:
    alone = host.model_copy(update={"containers": (container,)})
    return any(witness.release not in {"", release} for witness in witnesses((alone,), names))


def _releases(facts: CloudFacts, names: ReleaseNames, release: str, left: Mapping[str, str]) -> Iterable[Finding]:
    behind: dict[tuple[str, str], int] = {}
    for witness in witnesses(facts.hosts, names):
        where = f"{witness.host}: {witness.service}"
        if not witness.release:
            yield warning(
                "container-release-unknown", f"{where} runs {witness.image}, which names no release", host=witness.host
            )
        elif witness.release == left.get(witness.host) != release and not witness.contradiction:
            behind[witness.host, witness.release] = behind.get((witness.host, witness.release), 0) + 1
        elif witness.release != release:
            yield failure(
                "container-release",
                f"{where} runs {witness.release} instead of {release}",
                host=witness.host,
                evidence=witness.image,
            )
        elif witness.contradiction:
            yield failure("container-release", f"{where}: {witness.contradiction}", host=witness.host)
    for (host, old), count in behind.items():
        yield warning(
            "host-left-behind",
            f"{host}: {count} container{'s' if count > 1 else ''} of {old}, as this host was left behind",
            host=host,
            next="upgrader resume",
        )
