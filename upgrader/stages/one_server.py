"""While databases are put back, one database server works alone; the others rejoin afterwards and take its state.

Loading through a whole cluster would send every row through the group's replication and hold all servers to the pace
of the slowest. The others are stopped in good order, so that the one that is left stays Primary. Its replication stays
on: the cluster's history goes on, and whoever comes back later, however this ends, has to take over what it missed.
"""

from __future__ import annotations

import time
from pathlib import Path

from upgrader.database import services
from upgrader.database.services import switch
from upgrader.facts.observe import database_hosts
from upgrader.facts.parse import sections
from upgrader.facts.plays import own_play, shown
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts
from upgrader.stages.base import StageCanceled, StageContext, StepFailed
from upgrader.stages.common import look, run_action

SERVER = "mariadb"
REJOIN_SECONDS = 2 * 3600
"""A whole data folder goes over the network: 100 GB take half an hour at 60 MB/s."""
ANSWER = "Answer about the rejoining"
_PLAYBOOK = Path(services.__file__).parent / "rejoin.yml"
_BUSY_LOOKS, _BUSY_SECONDS = 60, 10.0
_AGAIN = "say upgrader rollback again: it goes on from the beginning, and every part of it may be done twice"


def servers_of(facts: CloudFacts) -> dict[str, str]:
    """Host → state of its database server's container, of hosts that have one."""
    return {
        host.name: container.state for host in facts.hosts for container in host.containers if container.name == SERVER
    }


def leave_one(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> tuple[CloudFacts, str]:
    """Stop all database servers but one that is whole. What was seen then, and a line of evidence."""
    facts = _with_a_server(ctx, toolchain, inventory)
    chosen = database_hosts(facts)[0]
    others = {host: (SERVER,) for host, state in servers_of(facts).items() if host != chosen and state == "running"}
    if others:
        play = ctx.attempt.play_folder("stop-servers")
        result = switch(ctx.site, toolchain, ctx.attempt.runner(), play, others, start=False)
        if not result.verdict:
            raise StepFailed(f"{result.message}; {_AGAIN}")
        facts = look(ctx, toolchain, inventory)
    galera = next(host.galera for host in facts.hosts if host.name == chosen)
    if chosen not in database_hosts(facts) or galera is None or galera.size > 1:
        seen = f"{galera.state} in a component that is {galera.status}, of {galera.size}" if galera else "silent"
        raise StepFailed(
            f"{chosen} is not a cluster of its own after the others were stopped: it is {seen}. No database was "
            f"touched; {_AGAIN}"
        )
    stopped = [host for host in servers_of(facts) if host != chosen]
    return facts, f"{chosen} alone" + (f"; stopped on {', '.join(stopped)}" if stopped else ", there is no other")


def _with_a_server(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> CloudFacts:
    """Facts in which a server is fit to be loaded: waits for one that gives its state to another, recovers a cluster
    of which none is left. Recovery is kolla-ansible's own, which begins with the server that saw most."""
    facts = look(ctx, toolchain, inventory)
    for _ in range(_BUSY_LOOKS):
        if database_hosts(facts) or not _busy(facts):
            break
        time.sleep(_BUSY_SECONDS)
        facts = look(ctx, toolchain, inventory)
    if not database_hosts(facts):
        if not servers_of(facts):
            raise StepFailed("no host has a database server of Kolla's, so nothing can be loaded")
        run_action(ctx, "mariadb-recovery", toolchain, inventory, hosts=tuple(servers_of(facts)))
        facts = look(ctx, toolchain, inventory)
    if not database_hosts(facts):
        raise StepFailed(
            "no database server is Synced in a Primary component, after kolla-ansible mariadb-recovery too",
            evidence=[f"{host}: {state}" for host, state in servers_of(facts).items()],
        )
    return facts


def _busy(facts: CloudFacts) -> bool:
    """A server of the Primary component is giving or taking over state: that ends by itself."""
    return any(host.galera is not None and host.galera.status == "Primary" for host in facts.hosts)


def rejoin(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> str:
    """Start the servers that stand still, one after the other, each until it is Synced. A line of evidence."""
    facts = look(ctx, toolchain, inventory)
    whole = database_hosts(facts)
    away = [host for host in servers_of(facts) if host not in whole]
    if not away:
        return f"{len(whole)} of {len(servers_of(facts))} servers Synced"
    play = own_play(
        ctx.site,
        toolchain,
        "rejoin-servers",
        _PLAYBOOK,
        away,
        values=(("upgrader_limit", REJOIN_SECONDS),),
        collect=(ANSWER,),
        expected=away,
    )
    result = ctx.attempt.run(play)
    if result.status == "canceled":
        raise StageCanceled(play.name)
    lost = []
    for host in away:
        said = shown(result, ANSWER, host)
        if str(said.get("rc")) != "0":
            words = sections(str(said.get("stdout", ""))).failed.get("rejoin") or str(said.get("stderr", "")).strip()
            lost.append(f"{host}: {words or 'it was not started'}")
    if lost or not result.verdict:
        raise StepFailed(
            "the databases are restored on "
            f"{', '.join(whole)}, but not every server has rejoined: {'; '.join(lost) or result.message}",
            evidence=lost,
        )
    facts = look(ctx, toolchain, inventory)
    missing = sorted(servers_of(facts).keys() - set(database_hosts(facts)))
    if missing:
        raise StepFailed(f"not Synced in the Primary component: {', '.join(missing)}")
    return f"{', '.join(away)} took over the state; {len(servers_of(facts))} servers Synced"
