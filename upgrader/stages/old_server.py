"""Database servers and brokers of the old series again: an older one does not open what a newer one has written.

So the newer servers' data are put aside on their hosts, and kolla-ansible of the old release makes new, empty servers.
The dump, which is text, is loaded into MariaDB's; RabbitMQ's users come from the configuration, its queues from the
services, and the messages of stopped services are worth nothing. Nothing is deleted: data stay in a volume with a name.
"""

from __future__ import annotations

from pathlib import Path

from upgrader.database import services
from upgrader.database.manifest import Manifest
from upgrader.database.throwaway import series
from upgrader.decisions import BROKER, MARIADB
from upgrader.durable import make_dir, read_json, write_json
from upgrader.facts.names import release_names
from upgrader.facts.observe import database_hosts, group_hosts_seen
from upgrader.facts.plays import own_play
from upgrader.facts.reading import release_of
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Way
from upgrader.stages.base import StageCanceled, StageContext, StepFailed
from upgrader.stages.common import look, run_action

FOLDER = "rebuild"
_DATA = {MARIADB: "/var/lib/mysql", BROKER: "/var/lib/rabbitmq"}
"""Where a store's container has its volume (kolla-ansible, roles/*/defaults/main.yml)."""
_PLAYBOOK = Path(services.__file__).parent / "rebuild.yml"


def rebuild(
    ctx: StageContext, toolchain: Toolchain, inventory: Inventory, manifest: Manifest, *, always: str = ""
) -> str:
    """Make new servers of the series the set was taken from, where other ones run. A line of evidence.

    May be done again: that it was begun is written down before anything goes, and is over when a server of the old
    series is Synced. `always`: whatever runs now, and even where none does; it marks what is kept.
    """
    wanted = series(manifest.server_version)
    record = Path(ctx.request.state_dir) / FOLDER / f"{ctx.request.run}-{ctx.request.hop}.json"
    facts = look(ctx, toolchain, inventory)
    running = {series(host.galera.server_version) for host in facts.hosts if host.galera and host.galera.server_version}
    begun = bool((read_json(record).document or {}).get("begun"))
    if not wanted or (not always and running == {wanted} and (not begun or database_hosts(facts))):
        _keep(record, begun=False)
        return f"series {wanted} already" if wanted else "the set does not say of which series its server was"
    if not begun and not running and not always:
        return "no server answers: the series of its data is not known"
    _keep(record, begun=True)
    hosts = group_hosts_seen(facts, "mariadb")
    kept = _take_away(ctx, toolchain, hosts, MARIADB, always)
    run_action(ctx, "deploy", toolchain, inventory, hosts=hosts, tags=("mariadb",))
    made = look(ctx, toolchain, inventory)
    _must_be(made, wanted)
    _keep(record, begun=False)
    before = ", ".join(sorted(running if always else running - {wanted})) or "before"
    return (
        f"new servers of series {wanted} on {', '.join(hosts)}; the data of series {before} are kept there in volume "
        f"{kept}"
    )


def rebuild_broker(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> str:
    """Make the message brokers anew that the new release's servers have opened, where that is the way back for them.

    May be done again: what is missing or not of the old release is made, the others are left alone.
    """
    if not any(
        row.service == BROKER and row.way is Way.RESTORE and row.enabled is not False for row in ctx.hop.way_back
    ):
        return "what it keeps has the same form in both releases"
    facts = look(ctx, toolchain, inventory, heads=False)
    names = release_names(ctx.graph)
    old = {
        host.name
        for host in facts.hosts
        for container in host.containers
        if container.name == BROKER and release_of(container, names) == ctx.hop.source
    }
    hosts = tuple(host for host in group_hosts_seen(facts, BROKER) if host not in old)
    if not hosts:
        return f"all of {ctx.hop.source} already"
    kept = _take_away(ctx, toolchain, hosts, BROKER)
    run_action(ctx, "deploy", toolchain, inventory, hosts=hosts, tags=(BROKER,))
    return f"new brokers on {', '.join(hosts)}; what the newer ones kept is there in volume {kept}"


def _take_away(ctx: StageContext, toolchain: Toolchain, hosts: tuple[str, ...], store: str, mark: str = "") -> str:
    """The volume in which the data are kept on every host."""
    kept = f"{store}_kept_{mark or f'{ctx.request.run[:8]}_{ctx.request.hop}'}"
    play = own_play(
        ctx.site,
        toolchain,
        f"take-{store}-away",
        _PLAYBOOK,
        hosts,
        values=(("upgrader_kept", kept), ("upgrader_store", store), ("upgrader_data", _DATA[store])),
        expected=hosts,
        variables=False,
    )
    result = ctx.attempt.run(play)
    if result.status == "canceled":
        raise StageCanceled(play.name)
    if not result.verdict:
        raise StepFailed(
            f"{store} could not be taken away: {result.message}. What was moved lies in volume {kept} of its host; the "
            "services stay stopped. Next: upgrader rollback"
        )
    return kept


def _must_be(facts: CloudFacts, wanted: str) -> None:
    good = set(database_hosts(facts))
    now = {
        host.name: series(host.galera.server_version)
        for host in facts.hosts
        if host.galera and host.name in good and host.galera.server_version
    }
    if not now or set(now.values()) != {wanted}:
        seen = ", ".join(f"{host}: {version}" for host, version in now.items()) or "none is Synced"
        raise StepFailed(f"the new database servers are not those of series {wanted}: {seen}")


def _keep(record: Path, *, begun: bool) -> None:
    if begun or record.exists():
        make_dir(record.parent, exist_ok=True)
        write_json(record, {"begun": begun})
