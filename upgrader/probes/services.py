"""Every question about the services beside the database, in the order in which an operator would look."""

from __future__ import annotations

from upgrader.model import CloudFacts, Finding
from upgrader.probes.backends import backends
from upgrader.probes.base import Probe, ask
from upgrader.probes.caches import caches
from upgrader.probes.ceph import ceph
from upgrader.probes.fernet import fernet
from upgrader.probes.ovn import ovn
from upgrader.probes.rabbitmq import rabbitmq
from upgrader.probes.vip import vip

PROBES: tuple[Probe, ...] = (vip, backends, rabbitmq, fernet, caches, ovn, ceph)


def judge_services(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about broker, addresses, load balancers, keys, caches, OVN and Ceph.

    A service that runs and was not read is never good: unknown, as WARNING or FAILURE as it matters. One that does
    not run gives nothing. Pure.
    """
    return ask(PROBES, facts)
