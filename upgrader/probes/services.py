"""Every question about the services beside the database, in the order in which an operator would look."""

from __future__ import annotations

from upgrader.model import CloudFacts, Finding
from upgrader.probes.backends import backends
from upgrader.probes.base import Probe, ask
from upgrader.probes.caches import caches
from upgrader.probes.ceph import ceph
from upgrader.probes.cinder import cinder
from upgrader.probes.clock import clock
from upgrader.probes.fernet import fernet
from upgrader.probes.ironic import ironic
from upgrader.probes.neutron import neutron
from upgrader.probes.nova import nova
from upgrader.probes.ovn import ovn
from upgrader.probes.rabbitmq import rabbitmq
from upgrader.probes.vip import vip

PROBES: tuple[Probe, ...] = (clock, vip, backends, rabbitmq, fernet, caches, ovn, ceph, nova, neutron, cinder, ironic)


def judge_services(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about clocks, broker, addresses, load balancers, keys, caches, OVN, Ceph, and services' own records.

    A service that runs and was not read is never good: unknown, as WARNING or FAILURE as it matters. One that does
    not run gives nothing. Pure.
    """
    return ask(PROBES, facts)
