"""Rows that the running release has not brought into its own form yet, migrated by its services' own commands.

Only where the site allows it; otherwise the gates of the hop name rows and command. The commands belong to the release
that runs, work beside running services, and may be run at any time and again. Whether they are done is counted in the
databases afterwards: `nova-manage db online_data_migrations` also ends with 0 where it left rows for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from upgrader.facts.plays import own_play
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts
from upgrader.stages.base import StageContext, StepFailed

ANSWER = "Run the online data migrations"
_PLAYBOOK = Path(__file__).parent / "online_rows.yml"


class Own(NamedTuple):
    """A service's own command, and a container whose configuration names every database it works on."""

    container: str
    command: str


COMMANDS: Mapping[str, Own] = {
    # openstack/kolla-ansible@20.6.0: roles/nova-cell/templates/nova.conf.j2 (the conductor has both databases)
    "nova": Own("nova_conductor", "nova-manage db online_data_migrations"),
    "cinder": Own("cinder_api", "cinder-manage db online_data_migrations"),
}


def rows_left(facts: CloudFacts) -> dict[str, tuple[str, ...]]:
    """Service → `table.column: rows` that are of the old form, where they were counted and there are some."""
    seen = {"nova": facts.observed.nova, "cinder": facts.observed.cinder}
    return {service: found.unmigrated for service, found in seen.items() if found is not None and found.unmigrated}


def migrate_rows(ctx: StageContext, toolchain: Toolchain, facts: CloudFacts) -> str:
    """Run the commands of every service that has rows left, each on one host; says how they ended.

    Ends the step where a service runs on no host. How many rows are left then is for the caller to count.
    """
    wanted: dict[str, list[str]] = {}
    for service in rows_left(facts):
        own = COMMANDS[service]
        wanted.setdefault(_place(facts, own.container), []).append(f"{own.container} {own.command}")
    hosts = tuple(wanted)
    play = own_play(
        ctx.site, toolchain, "online-rows", _PLAYBOOK, hosts,
        values=(("upgrader_commands", wanted),), collect=(ANSWER,), expected=hosts, variables=False,
    )  # fmt: skip
    result = ctx.run(play)
    said = [
        f"{host}: {line.removeprefix('ended ')}"
        for host, answer in sorted(result.collected.get(ANSWER, {}).items())
        for line in str(answer.get("stdout", "")).splitlines()
        if line.startswith("ended ")
    ]
    return "; ".join(said)


def _place(facts: CloudFacts, container: str) -> str:
    for host in facts.hosts:
        if any(one.name == container and one.state == "running" for one in host.containers):
            return host.name
    raise StepFailed(f"{container} runs on no host, so its online data migrations cannot be run")
