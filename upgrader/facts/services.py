"""What the services' own scripts say → parts of Observed. The hook that observe.py calls after hosts and databases.

Owns which hosts are asked, the names of the debug tasks that show the answers, and which field of Observed each
answer fills. What an answer means is in broker.py, front.py and stores.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from upgrader.facts.broker import broker_facts
from upgrader.facts.front import backend_facts, vip_facts
from upgrader.facts.parse import Sections, pairs, sections
from upgrader.facts.plays import HasHosts, cloud_hosts, group_hosts, shown
from upgrader.facts.said import Said
from upgrader.facts.stores import cache_facts, ceph_facts, fernet_facts, ovn_facts
from upgrader.model import HostFacts
from upgrader.runner.base import PlayResult

ANSWERS: tuple[str, ...] = ("Answer of the services",)
"""Tasks whose answers are collected for `services_of`, besides that of the database servers: where both are asked, both
are in one answer."""
DATABASE_ANSWER = "Answer of the database server"

GROUPS = ("rabbitmq", "keystone", "loadbalancer", "memcached", "redis", "valkey", "ovn-nb-db", "ovn-sb-db")
"""Groups whose hosts are asked (openstack/kolla-ansible@22.2.0:ansible/inventory/multinode)."""
_CEPH_CLIENTS = ("cinder-volume", "cinder-backup", "compute")

_ASKED = {
    # section of services.sh: (container, group)
    "rabbitmq": ("rabbitmq", "rabbitmq"),
    "haproxy": ("haproxy", "loadbalancer"),
    "proxysql": ("proxysql", "loadbalancer"),
    "fernet": ("keystone", "keystone"),
    "memcached": ("memcached", "memcached"),
    "redis": ("redis", "redis"),
    "valkey": ("valkey_server", "valkey"),
    "ovn-nb": ("ovn_nb_db", "ovn-nb-db"),
    "ovn-sb": ("ovn_sb_db", "ovn-sb-db"),
}


def service_values(inventory: HasHosts, *, asked: bool = True) -> tuple[tuple[str, Any], ...]:
    """Variables of services.yml: who is asked besides the database servers' hosts. `asked=False`: nobody."""
    wanted = set(cloud_hosts(inventory))
    servers = set(group_hosts(inventory, "mariadb")) & wanted
    asking = {host for group in GROUPS for host in group_hosts(inventory, group)} & wanted
    hosts = sorted(asking - servers) if asked else []
    clients = [host for group in _CEPH_CLIENTS for host in group_hosts(inventory, group) if host in wanted]
    more = "" if not asked or set(clients) & (asking | servers) else next(iter(clients), "")
    return (("upgrader_service_hosts", ",".join(hosts) or "upgrader_none"), ("upgrader_ceph_host", more))


def services_of(result: PlayResult, hosts: tuple[HostFacts, ...], inventory: HasHosts) -> Mapping[str, Any]:
    """Fields of Observed that the services' own answers fill; what was not asked or not answered is left out.

    `hosts` are the finished facts of every host, addresses included. Never raises for an odd answer.
    """
    look = _look(result, hosts)
    if not look.sections and not look.troubles:
        return {}
    said = {name: look.said(name, *place) for name, place in _ASKED.items()}
    found: dict[str, Any] = {
        "rabbitmq": broker_facts(said["rabbitmq"], len(group_hosts(inventory, "rabbitmq"))),
        "haproxy": backend_facts(said["haproxy"]),
        "proxysql": backend_facts(said["proxysql"]),
        "fernet": fernet_facts(said["fernet"], look.word("rotation")),
        **{kind: cache_facts(kind, said[kind]) for kind in ("memcached", "redis", "valkey")},
        "ovn": ovn_facts(said["ovn-nb"], said["ovn-sb"]),
        "ceph": ceph_facts(look.answers("ceph")),
    }
    internal, external = look.word("vip"), look.word("external_vip")
    balancers = group_hosts(inventory, "loadbalancer")
    found["vip"] = vip_facts(internal, hosts, look.lines("vip-internal"), balancers)
    if external and external != internal:
        found["external_vip"] = vip_facts(external, hosts, look.lines("vip-external"), balancers)
    return {name: part for name, part in found.items() if part is not None}


@dataclass
class _Look:
    """Everything the play showed, by host."""

    hosts: tuple[HostFacts, ...]
    sections: dict[str, Sections] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)

    def word(self, name: str) -> str:
        """A setting of the site, as the first host that knows it has it."""
        told = (pairs(found.get("settings")).get(name, "") for _, found in sorted(self.sections.items()))
        return next(filter(None, told), "")

    def lines(self, section: str) -> dict[str, list[str]]:
        return {host: found.get(section) for host, found in self.sections.items() if section in found.lines}

    def answers(self, section: str) -> Said:
        """The JSON lines of a section, and refusals in words."""
        said = Said()
        for host, found in sorted(self.sections.items()):
            if section in found.failed:
                said.refused[host] = found.failed[section]
            elif section in found.lines:
                answer = _object("\n".join(found.get(section)))
                if answer is None:
                    said.refused[host] = "its answer cannot be read"
                else:
                    said.answers[host] = answer
        return said

    def said(self, section: str, container: str, group: str) -> Said:
        """Answers of every host that runs the container, or may: one that was not read may."""
        said = self.answers(section)
        for host in self.hosts:
            if host.name in said.answers or host.name in said.refused:
                continue
            if any(seen.name == container for seen in host.containers):
                said.refused[host.name] = self.troubles.get(host.name, "it was not asked")
            elif group in host.groups and (not host.reachable or (host.error and not host.containers)):
                said.refused[host.name] = host.error or "unreachable"
        return said


def _look(result: PlayResult, hosts: tuple[HostFacts, ...]) -> _Look:
    look = _Look(hosts)
    for task in (DATABASE_ANSWER, *ANSWERS):
        for host in result.collected.get(task, {}):
            said = shown(result, task, host)
            found = sections(str(said.get("stdout", "")))
            trouble = found.failed.get("services", "") or str(said.get("trouble", ""))
            if "settings" in found.lines:
                look.sections[host] = found
            if trouble:
                look.troubles[host] = trouble
    return look


def _object(text: str) -> dict[str, Any] | None:
    start = text.find("{")
    try:
        found = json.loads(text[start:]) if start >= 0 else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
