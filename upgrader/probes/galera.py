"""Is the database cluster whole: every server in it, in one Primary component, Synced and ready?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Finding, HostFacts
from upgrader.probes.base import failure, good, warning

ID = "galera"


def galera(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings for every server of group `mariadb`; the cluster's size has to be their number.

    Kolla also runs a single server as a cluster of one. Clusters split into shards are not told apart.
    """
    servers = [host for host in facts.hosts if "mariadb" in host.groups]
    if not servers:
        return (warning(ID, "the inventory has no host in group mariadb; the database cluster was not looked at"),)
    found = tuple(finding for server in servers for finding in _server(server, len(servers)))
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
