"""Are Cinder's services up and its data migrated?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import CinderFacts
from upgrader.probes.base import good, hosts_with, in_container, listed, unread, warning

ID = "cinder"


def cinder(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about a Cinder that runs here; none for a cloud without."""
    where = hosts_with(facts, "cinder_api")
    seen = facts.observed.cinder
    if not where:
        return ()
    if seen is None:
        return (unread(Code.WARNING, "cinder-unread", "Cinder's records were not read", ", ".join(where)),)
    return tuple(_found(seen, facts)) or (good(ID, "Cinder's services are up and its data migrated"),)


def _found(seen: CinderFacts, facts: CloudFacts) -> Iterable[Finding]:
    if seen.error:
        yield unread(Code.WARNING, "cinder-unread", "Cinder's records were not read as a whole", seen.error)
    if seen.services_down:
        yield warning(
            "cinder-service-down",
            f"{listed(seen.services_down, 'Cinder service')} silent for over a minute",
            host=", ".join(dict.fromkeys(row.rpartition(": ")[0].partition("@")[0] for row in seen.services_down)),
            evidence="; ".join(seen.services_down),
            why="a service that stays down keeps the others at its old version of messages",
            fix=(
                "openstack volume service list",
                in_container(facts, "cinder_api", "cinder-manage service remove BINARY HOST")
                + "  # of one that is gone",
            ),
        )
    if seen.unmigrated:
        yield warning(
            "cinder-unmigrated",
            "online data migrations of Cinder are not finished",
            evidence="; ".join(seen.unmigrated),
            why="the next release changes columns that have to be filled by then",
            fix=(in_container(facts, "cinder_api", "cinder-manage db online_data_migrations"),),
        )
