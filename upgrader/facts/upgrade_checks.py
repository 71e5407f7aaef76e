"""What the services themselves say about the release to come: their `SERVICE-status upgrade check` in its images.

Owns which services have such a check, where it is run, and how its table is read. A check that was not run is an
answer too, with the reason; whoever skips all of them saves minutes and loses what only the services know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from upgrader.config import Site
from upgrader.facts.parse import sections
from upgrader.facts.plays import own_play
from upgrader.facts.said import text
from upgrader.kolla.images import parse_reference
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts
from upgrader.observed import UpgradeCheck
from upgrader.runner.base import Cancelled, EventSink, PlayResult, Runner

RUN = "Run upgrade checks"
_PLAYBOOK = Path(__file__).parent / "upgrade_checks.yml"

CONTAINERS = {
    # service: a container of its API, whose image holds SERVICE-status and whose configuration names the database
    "keystone": "keystone", "glance": "glance_api", "placement": "placement_api", "nova": "nova_api",
    "neutron": "neutron_server", "cinder": "cinder_api", "heat": "heat_api", "barbican": "barbican_api",
    "octavia": "octavia_api", "designate": "designate_central", "ironic": "ironic_api", "magnum": "magnum_api",
    "manila": "manila_api", "masakari": "masakari_api", "trove": "trove_api", "watcher": "watcher_api",
    "cloudkitty": "cloudkitty_api", "zun": "zun_api", "aodh": "aodh_api", "blazar": "blazar_api",
}  # fmt: skip


def upgrade_checks(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    facts: CloudFacts,
    release: str,
    *,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[UpgradeCheck, ...]:
    """Run the checks of `release` where its images lie; one play, about ten seconds for each service.

    Changes nothing: the containers are removed, the configuration is mounted read-only, and the checks only read.
    It is the running release's configuration, since that of `release` is written by the upgrade itself. Gives one
    value for each service that runs; nothing for a cloud without any.
    """
    places = chosen(facts)
    if not places:
        return ()
    hosts: dict[str, list[str]] = {}
    for service, host in places.items():
        hosts.setdefault(host, []).append(f"{service} {CONTAINERS[service]}")
    values = (("upgrader_release", release), ("upgrader_checks", hosts))
    play = own_play(
        site, toolchain, "upgrade-checks", _PLAYBOOK, sorted(hosts), values=values, collect=(RUN,), variables=False
    )
    return read_checks(runner.run(play, folder, on_event=on_event, cancelled=cancelled), places, release)


def chosen(facts: CloudFacts) -> dict[str, str]:
    """Service → the first host on which its API runs."""
    found = {}
    for service, container in CONTAINERS.items():
        for host in facts.hosts:
            if any(seen.name == container and seen.state == "running" for seen in host.containers):
                found[service] = host.name
                break
    return found


def pulled(facts: CloudFacts, release: str) -> bool:
    """Whether an image of `release` lies where one of the checks would run; told by its reference alone."""
    for service, name in chosen(facts).items():
        host = next(host for host in facts.hosts if host.name == name)
        own = next(seen for seen in host.containers if seen.name == CONTAINERS[service])
        start = f"{parse_reference(own.image).repository}:{release}"
        if any(reference.startswith(start) for reference in host.images or ()):
            return True
    return False


def read_checks(result: PlayResult, places: dict[str, str], release: str) -> tuple[UpgradeCheck, ...]:
    """What the play showed, by service in order; `places` as `chosen` gave them."""
    told = {
        host: sections(str(said.get("stdout", "")))
        for host, said in result.collected.get(RUN, {}).items()
        if not said.get("unreachable")
    }
    found = []
    for service, host in places.items():
        said = told.get(host)
        if said is None or service not in said.lines:
            words = f"{host}: {result.message or 'it was not run'}"
            found.append(UpgradeCheck(service=service, release=release, error=words))
            continue
        lines = said.get(service)
        code = next((int(match[1]) for line in lines if (match := re.fullmatch(r"code (\d+)", line))), None)
        table = check_table(lines)
        error = f"{host}: {said.failed[service]}" if service in said.failed else ""
        found.append(
            UpgradeCheck(
                service=service,
                release=release,
                code=code if code in (0, 1, 2) and table and not error else None,
                checks=table,
                error=error or ("" if code in (0, 1, 2) and table else f"{host}: it told no result"),
            )
        )
    return tuple(found)


def check_table(lines: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    """(check, result, details) out of the table of oslo.upgradecheck; details go over several lines."""
    found: list[dict[str, str]] = []
    key = ""
    for line in lines:
        cell = re.fullmatch(r"\|(.*)\|", line.strip())
        if cell is None:
            key = ""
            continue
        match = re.match(r" (Check|Result|Details): (.*)", cell[1])
        if match and match[1] == "Check":
            found.append({})
        if match and found:
            key = match[1]
            found[-1][key] = match[2].strip()
        elif key and found:
            found[-1][key] = f"{found[-1][key]} {cell[1].strip()}".strip()
    rows = (tuple(text(row.get(name, ""), 500) for name in ("Check", "Result", "Details")) for row in found)
    return tuple((check, state, "" if details == "None" else details) for check, state, details in rows)
