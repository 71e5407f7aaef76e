"""Restarts that an interrupted play swallowed: Ansible forgets notified handlers when it is killed.

A container whose configuration on the host is newer than its start runs on old configuration, and no later run of
kolla-ansible notices, because nothing changes any more. Measured: killed before the handlers, re-run, rc 0, no restart.
"""

from __future__ import annotations

from pathlib import Path

from upgrader.facts.plays import cloud_hosts, own_play
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.stages.base import StageContext

_PLAYBOOK = Path(__file__).parent / "stale.yml"
ANSWER = "Restart containers older than their configuration"


def restart_stale(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> str:
    """Restart every container that is older than its configuration; says which. Ends the step unless all obey."""
    hosts = cloud_hosts(inventory)
    play = own_play(ctx.site, toolchain, "stale", _PLAYBOOK, hosts, collect=(ANSWER,), expected=hosts, variables=False)
    result = ctx.run(play)
    restarted = [
        f"{host}: {line.removeprefix('restarted ')}"
        for host, answer in sorted(result.collected.get(ANSWER, {}).items())
        for line in str(answer.get("stdout", "")).splitlines()
        if line.startswith("restarted ")
    ]
    return "restarted " + ", ".join(restarted) if restarted else "no container is older than its configuration"
