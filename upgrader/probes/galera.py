"""Is the database cluster whole: every server in it, in one Primary component, Synced and ready?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Finding, HostFacts
from upgrader.probes.base import failure, good, warning

ID = "galera"
PAUSED = 0.1
"""Share of the time since the server started that writes waited for the slowest server."""
_FATAL = {
    "read_only": "the server refuses writes, schema changes among them",
    "wsrep_reject_queries": "the server refuses every query",
    "wsrep_on": "what is written on this server does not reach the others",
    "wsrep_new_cluster": "at its next start this container forms a cluster of its own beside the others'",
}
_WHY = {
    "wsrep_desync": "the server may fall behind without slowing the others, and answers with old data",
    "wsrep_sst_method": "a server that joins is filled by rsync, which blocks the one it is filled from",
    "wsrep_osu_method": "schema changes are made on one server only",
    "innodb_fast_shutdown": "stopping the server takes very long (0) or leaves a recovery to the next version (2)",
}
_RESET = {
    "read_only": "SET GLOBAL read_only = OFF;",
    "wsrep_desync": "SET GLOBAL wsrep_desync = OFF;",
    "wsrep_sst_method": "kolla-ansible reconfigure --tags mariadb",
    "wsrep_new_cluster": "kolla-ansible reconfigure --tags mariadb",
}


def galera(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings for every server of group `mariadb`; the cluster's size has to be their number.

    Kolla also runs a single server as a cluster of one. Clusters split into shards are not told apart.
    """
    servers = [host for host in facts.hosts if "mariadb" in host.groups]
    if not servers:
        return (warning(ID, "the inventory has no host in group mariadb; the database cluster was not looked at"),)
    found = (*(finding for server in servers for finding in _server(server, len(servers))), *_whole(facts))
    if found:
        return found
    version = servers[0].galera.server_version if servers[0].galera else ""
    return (good(ID, f"{len(servers)} of {len(servers)} database servers are Synced ({version})"),)


def _server(host: HostFacts, wanted: int) -> Iterable[Finding]:
    seen = host.galera
    if seen is None or not (seen.size or seen.status or seen.server_version):
        words = host.error or "the database server did not answer"
        yield failure(
            ID, f"{host.name}: the state of the database server could not be read", host=host.name, evidence=words
        )
        return
    if seen.size != wanted:
        yield failure(ID, f"{host.name}: its cluster has {seen.size} of {wanted} servers", host=host.name)
    if seen.status != "Primary":
        yield failure(
            ID, f"{host.name}: is in a {seen.status or 'nameless'} component, not in the Primary one", host=host.name
        )
    if seen.state != "Synced":
        yield failure(ID, f"{host.name}: is {seen.state or 'in no known state'}, not Synced", host=host.name)
    if not seen.ready:
        yield failure(ID, f"{host.name}: the server takes no queries (wsrep_ready is not ON)", host=host.name)


def _whole(facts: CloudFacts) -> Iterable[Finding]:
    seen = facts.observed.database
    if seen is None:
        return
    if seen.flow_control_paused is not None and seen.flow_control_paused >= PAUSED:
        yield warning(
            "galera-flow-control",
            f"writes to the database were paused {seen.flow_control_paused:.0%} of the time",
            evidence="; ".join(
                f"{host.name}: wsrep_flow_control_paused {host.galera.flow_control_paused}"
                for host in facts.hosts
                if host.galera and host.galera.flow_control_paused
            ),
            why="one server cannot keep up, and all of them wait for it; schema changes make that worse",
            fix=("SHOW GLOBAL STATUS LIKE 'wsrep_local_recv_queue_avg'  -- the slow one has the long queue",),
        )
    for line in seen.lost_settings or ():
        host, _, setting = line.partition(": ")
        name = setting.partition("=")[0]
        told = failure if name in _FATAL else warning
        yield told(
            "galera-lost-setting",
            f"{host}: {setting} looks left over from an interrupted role or repair",
            host=host,
            evidence=setting,
            why=_FATAL.get(name) or _WHY.get(name, "it changes how the server behaves in the upgrade"),
            fix=(_RESET.get(name, f"SET GLOBAL {name} = DEFAULT; on {host}"),),
        )
