"""Database servers of the old series again: an older MariaDB does not open what a newer one has written.

So the newer servers' data are put aside on their hosts, kolla-ansible of the old release makes new, empty servers, and
the dump, which is text, is loaded into them. Nothing is deleted: the data stay in a volume that is named.
"""

from __future__ import annotations

from pathlib import Path

from upgrader.database import services
from upgrader.database.manifest import Manifest
from upgrader.database.throwaway import series
from upgrader.durable import make_dir, read_json, write_json
from upgrader.facts.observe import database_hosts, group_hosts_seen
from upgrader.facts.plays import own_play
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts
from upgrader.stages.base import StageCanceled, StageContext, StepFailed
from upgrader.stages.common import look, run_action

FOLDER = "rebuild"
_PLAYBOOK = Path(services.__file__).parent / "rebuild.yml"


def rebuild(ctx: StageContext, toolchain: Toolchain, inventory: Inventory, manifest: Manifest) -> str:
    """Make new servers of the series the set was taken from, where other ones run. A line of evidence.

    May be done again: that it was begun is written down before anything goes, and is over when a server of the old
    series is Synced.
    """
    wanted = series(manifest.server_version)
    record = Path(ctx.request.state_dir) / FOLDER / f"{ctx.request.run}-{ctx.request.hop}.json"
    facts = look(ctx, toolchain, inventory)
    running = {series(host.galera.server_version) for host in facts.hosts if host.galera and host.galera.server_version}
    begun = bool((read_json(record).document or {}).get("begun"))
    if not wanted or (running == {wanted} and (not begun or database_hosts(facts))):
        _keep(record, begun=False)
        return f"series {wanted} already" if wanted else "the set does not say of which series its server was"
    if not begun and not running:
        return "no server answers: the series of its data is not known"
    _keep(record, begun=True)
    kept = f"mariadb_kept_{ctx.request.run[:8]}_{ctx.request.hop}"
    hosts = group_hosts_seen(facts, "mariadb")
    _take_away(ctx, toolchain, hosts, kept)
    run_action(ctx, "deploy", toolchain, inventory, hosts=hosts, tags=("mariadb",))
    made = look(ctx, toolchain, inventory)
    _must_be(made, wanted)
    _keep(record, begun=False)
    return (
        f"new servers of series {wanted} on {', '.join(hosts)}; the data of series "
        f"{', '.join(sorted(running - {wanted})) or 'before'} are kept there in volume {kept}"
    )


def _take_away(ctx: StageContext, toolchain: Toolchain, hosts: tuple[str, ...], kept: str) -> None:
    play = own_play(
        ctx.site,
        toolchain,
        "take-servers-away",
        _PLAYBOOK,
        hosts,
        values=(("upgrader_kept", kept),),
        expected=hosts,
        variables=False,
    )
    result = ctx.attempt.run(play)
    if result.status == "canceled":
        raise StageCanceled(play.name)
    if not result.verdict:
        raise StepFailed(
            f"the database servers could not be taken away: {result.message}. What was moved lies in volume {kept} of "
            "its host; the services stay stopped. Next: upgrader rollback"
        )


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
