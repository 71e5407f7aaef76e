"""Is the storage cluster well, as far as a client of this cloud can see?"""

from __future__ import annotations

from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.base import failure, good, unread, warning

ID = "ceph"


def ceph(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings where a client could be asked. Kolla-Ansible runs no Ceph itself, so silence is never a failure."""
    seen = facts.observed.ceph
    if seen is None:
        return ()
    if seen.health is None:
        return (unread(Code.WARNING, "ceph-unread", "Ceph's health could not be read", seen.error),)
    evidence = "; ".join(seen.checks or ())
    if seen.health == "HEALTH_ERR":
        why = "volumes and images may be out of reach; nothing that restarts services should begin now"
        return (
            failure("ceph-health", "Ceph reports HEALTH_ERR", evidence=evidence, why=why, next="ceph health detail"),
        )
    if seen.noout:
        why = "storage that fails now is not repaired; right for the window itself, wrong when it was forgotten"
        return (
            warning(
                "ceph-noout", "Ceph has the flag noout set", evidence=evidence, why=why, fix=("ceph osd unset noout",)
            ),
        )
    if seen.health != "HEALTH_OK":
        return (warning("ceph-health", f"Ceph reports {seen.health}", evidence=evidence, next="ceph health detail"),)
    return (good(ID, "Ceph reports HEALTH_OK"),)
