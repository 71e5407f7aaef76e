"""Does any bare metal node wait for a call back? The role's upgrade does not go on while one does.

A warning here: the graph's gate blocks, and knows of the variable that makes the role go on all the same.
"""

from __future__ import annotations

from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.base import good, hosts_with, listed, unread, warning

ID = "ironic"


def ironic(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about an Ironic that runs here; none for a cloud without."""
    where = hosts_with(facts, "ironic_api")
    seen = facts.observed.ironic
    if not where:
        return ()
    if seen is None or seen.waiting is None:
        words = (seen.error if seen else "") or ", ".join(where)
        return (unread(Code.WARNING, "ironic-unread", "the states of Ironic's nodes were not read", words),)
    if not seen.waiting:
        return (good(ID, f"none of {seen.nodes or 0} bare metal nodes waits for a call back"),)
    return (
        warning(
            "ironic-waiting",
            f"{listed(seen.waiting, 'bare metal node')} in a wait state",
            evidence="; ".join(seen.waiting),
            why="the upgrade of Ironic waits five minutes for them and then fails",
            fix=("openstack baremetal node list --fields uuid provision_state", "openstack baremetal node abort UUID"),
        ),
    )
