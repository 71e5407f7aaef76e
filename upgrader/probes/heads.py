"""Are the database schemas those of the expected release?"""

from __future__ import annotations

from upgrader.facts.heads import DATABASE_SERVICES, ReleaseNames, meaning, own_databases
from upgrader.facts.reading import is_kolla
from upgrader.model import CloudFacts, Finding
from upgrader.probes.base import failure, good, warning

ID = "schema-heads"


def heads(facts: CloudFacts, names: ReleaseNames, release: str) -> tuple[Finding, ...]:
    """Findings for every database whose service has containers here, and for those that should be there and are not.

    Databases of services that no longer run prove nothing and are left out; so are those the graph does not know.
    """
    if facts.heads_error:
        return (failure(ID, "the schema heads could not be read", evidence=facts.heads_error),)
    services = [container.name for host in facts.hosts for container in host.containers if is_kolla(container, names)]
    owned = own_databases(facts.heads, services)
    found: list[Finding] = []
    right = 0
    for database, seen in sorted(owned.items()):
        expected = names.expected(release, database)
        if expected is None:
            continue
        if tuple(sorted(expected)) == tuple(sorted(seen)):
            right += 1
            continue
        said = f"{' + '.join(seen) or 'no head'} ({meaning(database, seen, names)})"
        wanted = f"{release} has {' + '.join(expected)}"
        found.append(failure(ID, f"database {database} is at {said}, {wanted}"))
    for database in _absent(owned, services):
        found.append(
            warning("schema-missing", f"no version table was found for database {database}, though its service runs")
        )
    return tuple(found) or (good(ID, f"{right} databases have the schema of {release}"),)


def _absent(owned: dict[str, tuple[str, ...]], services: list[str]) -> list[str]:
    """Main databases that a running API has to have; nova's three come and go together with its API."""
    apis = {"keystone": "keystone", "neutron": "neutron_server", "nova": "nova_api"}
    running = set(services)
    return sorted(
        database
        for database, prefix in DATABASE_SERVICES.items()
        if database not in owned and (apis.get(database) or f"{prefix}_api") in running
    )
