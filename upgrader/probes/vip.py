"""Is the virtual address held by exactly one host, and by nobody else?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import VipFacts
from upgrader.probes.base import failure, good, hosts_with, unread, warning

ID = "vip"
_ALL = "every service reaches the database and every API through this address"


def vip(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about the internal and the external address, where keepalived runs.

    Without keepalived the address is a host's own, or belongs to a load balancer that is none of this cloud's.
    """
    holders = hosts_with(facts, "keepalived")
    if not holders:
        return ()
    found: list[Finding] = []
    for name, seen in (("internal", facts.observed.vip), ("external", facts.observed.external_vip)):
        if seen is not None:
            found.extend(_one(name, seen))
        elif name == "internal":
            words = f"keepalived runs on {', '.join(holders)}"
            found.append(unread(Code.WARNING, "vip-unread", "the internal VIP is not known", words))
    if found:
        return tuple(found)
    seen = facts.observed.vip
    assert seen is not None  # noqa: S101 - said above
    return (good(ID, f"the VIP {seen.address} is held by {', '.join(seen.owners or ())} alone"),)


def _one(name: str, seen: VipFacts) -> Iterable[Finding]:
    what = f"the {name} VIP {seen.address}"
    owners = seen.owners
    if owners is None:
        yield unread(Code.WARNING, "vip-unread", f"{what}: who holds it is not known", seen.error)
    elif not owners:
        yield failure(
            "vip-no-owner",
            f"{what} is held by no host",
            why=_ALL,
            next="look at the containers keepalived and haproxy on the hosts of group loadbalancer",
        )
    elif len(owners) > 1:
        yield failure(
            "vip-two-owners",
            f"{what} is held by {len(owners)} hosts",
            host=", ".join(owners),
            evidence="; ".join(seen.interfaces or ()),
            why=f"{_ALL}; with two owners a request reaches one or the other by chance",
            next="do their keepalived hear each other? (VRRP, protocol 112, keepalived_virtual_router_id)",
        )
    if owners and seen.host_address:
        yield failure(
            "vip-is-host-address",
            f"{what} is a host's own address",
            host=", ".join(owners),
            evidence="; ".join(seen.interfaces or ()),
            why="keepalived cannot move an address that a host has from its own configuration",
            fix=(
                f"{'kolla_internal_vip_address' if name == 'internal' else 'kolla_external_vip_address'}: a free one",
            ),
        )
    if seen.answers:
        yield warning(
            "vip-foreign",
            f"something that is none of the load balancers answers at {seen.address}",
            why="a second machine with this address takes requests at random; a router that answers for others is fine",
            next=f"arping {seen.address} from a host of group loadbalancer",
        )
