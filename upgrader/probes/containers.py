"""Do the cloud's containers run, healthy, from images of the expected release, on every host?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.facts.heads import ReleaseNames
from upgrader.facts.reading import is_kolla, witnesses
from upgrader.model import CloudFacts, ContainerFacts, Finding, HostFacts
from upgrader.probes.base import failure, good, warning

ID = "containers"


def containers(facts: CloudFacts, names: ReleaseNames, release: str | None = None) -> tuple[Finding, ...]:
    """Findings about reachability, state, health and, when `release` is given, the release of every container.

    A stopped container of another release is what a removed service left behind, and only a warning.
    """
    found: list[Finding] = []
    count = 0
    for host in facts.hosts:
        found.extend(_host(host))
        for container in host.containers:
            if is_kolla(container, names):
                count += 1
                found.extend(_container(host, container, names, release))
    if release:
        found.extend(_releases(facts, names, release))
    if not count:
        found.append(failure(ID, "no container of the cloud was found on any host"))
    if found:
        return tuple(found)
    of = f" from images of {release}" if release else ""
    return (good(ID, f"{count} containers on {len(facts.hosts)} hosts run{of}"),)


def _host(host: HostFacts) -> Iterable[Finding]:
    if not host.reachable:
        yield failure("host-unreachable", f"{host.name} could not be reached", host=host.name, evidence=host.error)
    elif host.error:
        yield failure("engine-unreadable", f"{host.name}: {host.error}", host=host.name)


def _container(
    host: HostFacts, container: ContainerFacts, names: ReleaseNames, release: str | None
) -> Iterable[Finding]:
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


def _releases(facts: CloudFacts, names: ReleaseNames, release: str) -> Iterable[Finding]:
    for witness in witnesses(facts.hosts, names):
        where = f"{witness.host}: {witness.service}"
        if not witness.release:
            yield warning(
                "container-release-unknown", f"{where} runs {witness.image}, which names no release", host=witness.host
            )
        elif witness.release != release:
            yield failure(
                "container-release",
                f"{where} runs {witness.release} instead of {release}",
                host=witness.host,
                evidence=witness.image,
            )
        elif witness.contradiction:
            yield failure("container-release", f"{where}: {witness.contradiction}", host=witness.host)
