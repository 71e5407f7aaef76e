"""Look at a cloud through Ansible: one play, two tasks, one frozen observation. Changes nothing anywhere.

Owns which question goes to which host and what an unanswered one means; parsing is in parse.py, the release in
reading.py. A host that does not answer is named; it never makes the others' answers go away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upgrader.config import Site
from upgrader.errors import EnvironmentMissingError
from upgrader.facts.heads import ReleaseNames
from upgrader.facts.host import host_facts, unreachable_host
from upgrader.facts.plays import HasHosts, cloud_hosts, own_play, shown
from upgrader.facts.reading import read_release
from upgrader.facts.records import SECTION as RECORDS
from upgrader.facts.records import observed_records
from upgrader.facts.server import DatabaseAnswer, database_answer
from upgrader.facts.services import ANSWERS, service_values, services_of
from upgrader.facts.whole import observed_database, observed_hosts
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, HostFacts, SchemaHead
from upgrader.observed import Observed
from upgrader.runner.base import Cancelled, EventSink, Play, PlayResult, Runner

LOOK = "Look at the host"
ANSWER = "Answer of the database server"
_PLAYBOOK = Path(__file__).parent / "observe.yml"


def observe(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    names: ReleaseNames,
    *,
    inventory: HasHosts,
    heads: bool = True,
    services: bool = True,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> CloudFacts:
    """One observation of every host of the cloud. `folder` is the play's own and must not exist yet.

    `heads=False` leaves the database servers alone (their hosts' `galera` stays None) and needs no passwords.
    `services=False` asks neither the services nor for their records, which only gates and their probes judge: those
    parts of `observed` stay unknown.
    Raises EnvironmentMissingError when the play could not look at any host at all, in Ansible's words.
    """
    play = observe_play(site, toolchain, inventory, heads=heads, services=services)
    result = runner.run(play, folder, on_event=on_event, cancelled=cancelled)
    return facts_of(site, result, inventory, names, heads=heads)


def observe_play(
    site: Site,
    toolchain: Toolchain,
    inventory: HasHosts,
    *,
    heads: bool = True,
    services: bool = True,
    playbook: Path = _PLAYBOOK,
    values: Iterable[tuple[str, Any]] = (),
    collect: tuple[str, ...] = (),
) -> Play:
    """The play that looks; another `playbook` may import this one's and ask more."""
    return own_play(
        site,
        toolchain,
        "observe",
        playbook,
        cloud_hosts(inventory),
        values=(
            ("upgrader_heads", heads),
            ("upgrader_services", heads and services),
            *service_values(inventory, asked=heads and services),
            *values,
        ),
        collect=(LOOK, ANSWER, *ANSWERS, *collect),
        variables=heads,
    )


def facts_of(
    site: Site, result: PlayResult, inventory: HasHosts, names: ReleaseNames, *, heads: bool = True
) -> CloudFacts:
    """What the play's answers say. Raises EnvironmentMissingError when there is no answer at all."""
    if not result.collected.get(LOOK) and not result.unreachable:
        raise EnvironmentMissingError(
            f"The hosts of {site.name} could not be looked at: {result.message}.",
            cloud="Nothing was changed.",
            next_command="upgrader status --observe",
            reason="cannot-observe",
        )
    answers = _answers(result) if heads else {}
    hosts = cloud_hosts(inventory)
    seen = tuple(_host(name, inventory.hosts.get(name, ()), result, answers) for name in hosts)
    rows, error = _heads(answers) if heads else ((), "")
    believed = _believed(answers) if heads else None
    if heads and not any("mariadb" in host.groups for host in seen):
        error = "the inventory has no host in group mariadb"
    return CloudFacts(
        site=site.name,
        observed_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        hosts=seen,
        heads=rows,
        heads_error=error,
        reading=read_release(seen, rows, names, believed.structure if believed else {}),
        observed=_observed(seen, answers, services_of(result, seen, inventory))
        if heads
        else Observed(**observed_hosts(seen)),
    )


def group_hosts_seen(facts: CloudFacts, group: str) -> tuple[str, ...]:
    """Reachable hosts of a group, in order."""
    return tuple(host.name for host in facts.hosts if host.reachable and group in host.groups)


def database_hosts(facts: CloudFacts) -> tuple[str, ...]:
    """Database servers that are fit to be dumped or loaded: Synced members of the Primary component, in order."""
    return tuple(
        host.name
        for host in facts.hosts
        if host.reachable and host.galera and host.galera.status == "Primary" and host.galera.state == "Synced"
    )


def _host(name: str, groups: Sequence[str], result: PlayResult, answers: Mapping[str, DatabaseAnswer]) -> HostFacts:
    found = result.collected.get(LOOK, {}).get(name)
    if found is None or found.get("unreachable") or "stdout" not in found:
        return unreachable_host(name, groups, _why(name, found, result))
    facts = host_facts(name, groups, str(found["stdout"]), heard=str(found.get("heard_at", "")))
    return facts.model_copy(update={"galera": answers[name].galera}) if name in answers else facts


def _why(name: str, found: Mapping[str, Any] | None, result: PlayResult) -> str:
    for trouble in (*result.unreachable, *result.failed):
        if trouble.host == name:
            return trouble.message
    if found and found.get("msg"):
        return str(found["msg"])
    return result.error or "Ansible never worked on it"


def _answers(result: PlayResult) -> dict[str, DatabaseAnswer]:
    found = {}
    for host in sorted(result.collected.get(ANSWER, {})):
        said = shown(result, ANSWER, host)
        if said:
            found[host] = database_answer(str(said.get("stdout", "")))
    return found


def _observed(
    hosts: tuple[HostFacts, ...], answers: Mapping[str, DatabaseAnswer], services: Mapping[str, Any]
) -> Observed:
    """Every part that somebody told of. Records are taken from one server: one that is whole, if any is."""
    asked = [answer for answer in answers.values() if RECORDS in answer.said.lines]
    believed = min(asked, key=_doubt, default=None)
    return Observed(
        **observed_hosts(hosts),
        **(observed_records(believed.said) if believed else {}),
        database=observed_database(hosts, answers),
        **services,
    )


def _doubt(answer: DatabaseAnswer) -> tuple[bool, bool, bool]:
    """Lower is better: one that answered at all, then one that is whole itself, then a whole answer."""
    return not answer.said.get(RECORDS), not answer.healthy, RECORDS in answer.said.failed


def _believed(answers: Mapping[str, DatabaseAnswer]) -> DatabaseAnswer | None:
    """The server whose heads count: one that is whole itself, else any that told them."""
    readable = [answer for answer in answers.values() if answer.heads is not None]
    return next((answer for answer in readable if answer.healthy), readable[0] if readable else None)


def _heads(answers: Mapping[str, DatabaseAnswer]) -> tuple[tuple[SchemaHead, ...], str]:
    """Heads from the server that is most to be believed; the cluster's others only when it did not answer."""
    believed = _believed(answers)
    if believed is not None:
        return believed.heads or (), ""
    errors = [f"{host}: {answer.error}" for host, answer in answers.items() if answer.error]
    return (), "; ".join(errors) or "no database server answered"
