"""Are OVN's two database clusters whole?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import OvnFacts
from upgrader.probes.base import failure, good, hosts_with, unread

ID = "ovn"
_NAMES = {"nb": "northbound", "sb": "southbound"}


def ovn(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about the northbound and southbound databases; none where OVN does not run."""
    seen = facts.observed.ovn
    if seen is None:
        where = (*hosts_with(facts, "ovn_nb_db"), *hosts_with(facts, "ovn_sb_db"))
        return (unread(Code.FAILURE, "ovn-unread", "OVN was not asked", ", ".join(where)),) if where else ()
    found = tuple(finding for short, name in _NAMES.items() for finding in _one(short, name, seen))
    return found or (good(ID, f"OVN {seen.version or ''}: both database clusters are whole"),)


def _one(short: str, name: str, seen: OvnFacts) -> Iterable[Finding]:
    state = getattr(seen, short)
    if state is None:
        yield unread(Code.FAILURE, "ovn-unread", f"the {name} database of OVN told nothing", seen.error)
    elif state != "healthy":
        yield failure(
            f"ovn-{short}",
            f"the {name} database cluster of OVN is not whole",
            evidence=state,
            why="it is restarted server by server; without a majority the networks cannot be changed",
            next=f"docker exec ovn_{short}_db ovs-appctl -t /var/run/ovn/ovn{short}_db.ctl cluster/status "
            f"OVN_{name.capitalize()}",
        )
