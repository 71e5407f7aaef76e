"""Do Neutron's agents report? Agents of OVN keep no rows of this kind: see ovn.py."""

from __future__ import annotations

from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.base import good, hosts_with, listed, unread, warning

ID = "neutron"


def neutron(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about a Neutron that runs here; none for a cloud without."""
    where = hosts_with(facts, "neutron_server")
    seen = facts.observed.neutron
    if not where:
        return ()
    if seen is None or seen.agents_down is None:
        words = (seen.error if seen else "") or ", ".join(where)
        return (unread(Code.WARNING, "neutron-unread", "Neutron's agents were not read", words),)
    if not seen.agents_down:
        return (good(ID, "every agent of Neutron that is switched on reports"),)
    return (
        warning(
            "neutron-agent-down",
            f"{listed(seen.agents_down, 'agent')} of Neutron silent for over a minute",
            host=", ".join(dict.fromkeys(row.rpartition(": ")[0] for row in seen.agents_down)),
            evidence="; ".join(seen.agents_down),
            why="networks it serves are not repaired when the upgrade restarts its neighbours",
            fix=(
                "openstack network agent list",
                "openstack network agent delete ID  # of a host that is gone for good",
            ),
        ),
    )
