"""What follows from one record alone: whose a disabled service is, whether a server can move. Pure."""

from __future__ import annotations

from typing import Any

MARK = "upgrader"
"""What the reason of a service that was disabled here begins with. A service disabled for any other reason is the
operator's: it is left as it is and reported."""
REASON_LENGTH = 255
"""Nova's limit (openstack/nova@33.0.2:nova/api/openstack/compute/schemas/services.py)."""


def marked(reason: str) -> bool:
    """Whether a disabled service's reason says that it was disabled here."""
    return reason == MARK or reason.startswith(f"{MARK}: ")


def reason_of(words: str) -> str:
    """The reason that is written for `words`: with the mark, cut to what Nova takes."""
    return (words if marked(words) else f"{MARK}: {words}" if words else MARK)[:REASON_LENGTH]


def row(server: dict[str, Any]) -> dict[str, Any]:
    """A server as it is handed back: id, name, host, status, task_state, why_not."""
    return {
        "id": server.get("id", ""),
        "name": server.get("name") or "",
        "host": server.get("OS-EXT-SRV-ATTR:host") or "",
        "status": server.get("status", "UNKNOWN"),
        "task_state": server.get("OS-EXT-STS:task_state") or "",
        "why_not": why_not(server),
    }


def why_not(server: dict[str, Any]) -> str:
    """Why Nova would refuse a live migration at once; empty where it would try.

    Nova takes what is ACTIVE or PAUSED, without encrypted memory and without devices passed through
    (openstack/nova@33.0.2:nova/compute/api.py, live_migrate; docs admin/live-migration-usage). Storage that is not
    shared is no hindrance by itself: its disks are copied.
    """
    status = str(server.get("status", "UNKNOWN"))
    state = server.get("OS-EXT-STS:vm_state") or ""
    # while it is under way to somewhere, its state behind that counts
    known = status if status != "MIGRATING" else {"active": "ACTIVE", "paused": "PAUSED"}.get(state, "ACTIVE")
    if known not in ("ACTIVE", "PAUSED", "REBOOT", "HARD_REBOOT", "PASSWORD"):
        return _STATES.get(known, f"is {known}: Nova migrates live only what is ACTIVE or PAUSED")
    extra = (server.get("flavor") or {}).get("extra_specs") or {}
    if extra.get("pci_passthrough:alias"):
        return f"has a device of its host ({extra['pci_passthrough:alias']})"
    if str(extra.get("hw:mem_encryption", "")).lower() in ("true", "1", "yes"):
        return "has encrypted memory"
    return ""


_STATES = {
    "SHUTOFF": "is stopped: there is no running guest to move",
    "SUSPENDED": "is suspended: there is no running guest to move",
    "ERROR": "is in state ERROR: Nova refuses to move it",
    "RESCUE": "is in rescue mode: Nova refuses to move it",
    "UNKNOWN": "cannot be told: its cell does not answer",
}


def busy(server: dict[str, Any]) -> str:
    """What is being done with it; empty when nothing is."""
    return str(server.get("OS-EXT-STS:task_state") or ("migrating" if server.get("status") == "MIGRATING" else ""))
