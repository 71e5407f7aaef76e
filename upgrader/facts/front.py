"""Addresses and load balancers: what hosts say of the VIP, what HAProxy and ProxySQL say of their servers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from upgrader.facts.said import Said, number, texts
from upgrader.model import HostFacts
from upgrader.observed import BackendFacts, VipFacts


@dataclass
class _Seen:
    """One host's lines about an address."""

    held: list[tuple[str, str]] = field(default_factory=list)
    """(interface, prefix length)"""
    macs: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    asked: bool = False


def vip_facts(
    address: str, hosts: Sequence[HostFacts], lines: Mapping[str, Sequence[str]], balancers: Sequence[str]
) -> VipFacts | None:
    """Who holds the address; None when the site configures none.

    `lines`: section `vip-…` of services.sh by host. keepalived adds the address with a full prefix
    (keepalived.conf.j2 names none), so a shorter one is the host's own. An owner that is missing is told as missing
    only when every host that may hold it was read.
    """
    if not address:
        return None
    seen = {host: _seen(told) for host, told in lines.items()}
    held = {(host, interface) for host, what in seen.items() for interface, _ in what.held}
    known = {host for host, _ in held}
    for host in hosts:
        if host.name not in known:
            held |= {(host.name, interface) for interface, has in host.addresses or () if has == address}
    unread = sorted(
        host.name for host in hosts if host.name in balancers and host.addresses is None and host.name not in seen
    )
    owners = tuple(sorted({host for host, _ in held}))
    error = f"addresses were not read: {', '.join(unread)}" if unread else ""
    return VipFacts(
        error=error,
        address=address,
        owners=owners if owners or not unread else None,
        host_address=_own(seen),
        interfaces=tuple(sorted(f"{host}: {interface}" for host, interface in held)),
        answers=_answers(seen),
    )


def _seen(lines: Sequence[str]) -> _Seen:
    found = _Seen()
    for line in lines:
        match line.split():
            case ["held", interface, with_prefix]:
                found.held.append((interface.partition("@")[0], with_prefix.partition("/")[2]))
            case ["mac", mac]:
                found.macs.add(mac.lower())
            case ["answer", mac]:
                found.answered.add(mac.lower())
            case ["asked", _]:
                found.asked = True
    return found


def _own(seen: Mapping[str, _Seen]) -> bool | None:
    """Whether the address is some host's own; None where nobody told a prefix."""
    prefixes = [prefix for what in seen.values() for _, prefix in what.held if prefix]
    return any(prefix not in ("32", "128") for prefix in prefixes) if prefixes else None


def _answers(seen: Mapping[str, _Seen]) -> bool | None:
    """Whether somebody who is none of the asked hosts answers; None where it could not be asked."""
    if not any(what.asked or what.answered for what in seen.values()):
        return None
    own = {mac for what in seen.values() for mac in what.macs}
    return any(what.answered - own for what in seen.values())


def backend_facts(said: Said) -> BackendFacts | None:
    """Servers behind every load balancer of a kind; None when there is none."""
    if not said:
        return None
    said = said.sorted_out()
    if not said.answers:
        return BackendFacts(error=said.error)
    down: dict[str, list[str]] = {}
    dead: dict[str, list[str]] = {}
    for host, answer in said.answers.items():
        rows = answer.get("down")
        for row in rows if isinstance(rows, list) else ():
            if len(texts(row)) == 3:
                down.setdefault("/".join(texts(row)[:2]), []).append(host)
        for backend in texts(answer.get("dead")):
            dead.setdefault(backend, []).append(host)
    totals = [total for answer in said.answers.values() if (total := number(answer.get("total"))) is not None]
    return BackendFacts(
        error=said.error,
        total=max(totals, default=None),
        down=tuple(f"{name} ({', '.join(hosts)})" for name, hosts in sorted(down.items())),
        dead=tuple(f"{name} ({', '.join(hosts)})" for name, hosts in sorted(dead.items())),
    )
