"""Are Nova's services up, its data migrated, and its old rows few?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import NovaFacts
from upgrader.probes.base import good, hosts_with, in_container, listed, unread, warning

ID = "nova"
MANY_ROWS = 50_000
"""Deleted rows from which on they make schema changes, dumps and restores noticeably longer."""


def nova(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about a Nova that runs here; none for a cloud without."""
    where = hosts_with(facts, "nova_api")
    seen = facts.observed.nova
    if not where:
        return ()
    if seen is None:
        return (unread(Code.WARNING, "nova-unread", "Nova's records were not read", ", ".join(where)),)
    found = (*_services(seen), *_data(seen, facts))
    return found or (
        good(ID, f"Nova's services are up on {len(seen.computes or ())} compute hosts and its data migrated"),
    )


def _services(seen: NovaFacts) -> Iterable[Finding]:
    if seen.error:
        yield unread(Code.WARNING, "nova-unread", "Nova's records were not read as a whole", seen.error)
    if seen.services_down:
        yield warning(
            "nova-service-down",
            f"{listed(seen.services_down, 'Nova service')} silent for over a minute",
            host=_hosts(seen.services_down),
            evidence="; ".join(seen.services_down),
            why="what is down now stays at its version, which can keep Nova's new control services from starting",
            fix=(
                "openstack compute service list",
                "openstack compute service delete ID  # of a host that is gone for good",
            ),
        )
    if seen.services_disabled:
        yield warning(
            "nova-service-disabled",
            f"{listed(seen.services_disabled, 'Nova service')} disabled",
            host=_hosts(seen.services_disabled),
            evidence="; ".join(seen.services_disabled),
            why="nobody can tell after the upgrade whether it was disabled on purpose",
            fix=("openstack compute service list --long",),
        )


def _data(seen: NovaFacts, facts: CloudFacts) -> Iterable[Finding]:
    if seen.unmigrated:
        yield warning(
            "nova-unmigrated",
            "online data migrations of Nova are not finished",
            evidence="; ".join(seen.unmigrated),
            why="the next release may no longer be able to read rows of the old form",
            fix=(in_container(facts, "nova_conductor", "nova-manage db online_data_migrations"),),
        )
    if seen.soft_deleted is not None and seen.soft_deleted >= MANY_ROWS:
        yield warning(
            "nova-deleted-rows",
            f"Nova keeps {seen.soft_deleted} or more rows of deleted instances",
            why="every schema change, dump and restore takes them along",
            fix=(in_container(facts, "nova_conductor", "nova-manage db archive_deleted_rows --until-complete"),),
        )


def _hosts(rows: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(row.rpartition(": ")[0] for row in rows))
