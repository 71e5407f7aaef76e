"""Nova's compute services: what they say, and taking them out of scheduling and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upgrader.computes.inside.cloud import Cloud, Refused
from upgrader.computes.inside.judge import marked, reason_of, row

BINARY = "nova-compute"


def services(cloud: Cloud) -> dict[str, Any]:
    """`services`, by name, with versions and hypervisor types; `trouble`: why those could not be told."""
    found = listed(cloud)
    trouble = []
    try:
        types = hypervisors(cloud)
    except Refused as refused:
        types = {}
        trouble.append(f"hypervisors: {refused.words}")
    try:
        numbers = cloud.versions()
    except Exception as error:  # whatever SQLAlchemy and its driver raise; their words may hold the URL
        numbers = {}
        trouble.append(f"versions: {type(error).__name__}")
    rows = [
        {
            "name": item["host"],
            "zone": item.get("zone") or "",
            "enabled": item.get("status") != "disabled",
            "up": item.get("state") == "up",
            "reason": item.get("disabled_reason") or "",
            "version": numbers.get(item["host"], 0),
            "hypervisor": types.get(item["host"], ""),
            "seen": item.get("updated_at") or "",
        }
        for item in found
    ]
    return {"services": sorted(rows, key=lambda item: str(item["name"])), "trouble": "; ".join(trouble)}


def listed(cloud: Cloud) -> list[dict[str, Any]]:
    return list(cloud.listed("/os-services", "services", binary=BINARY))


def hypervisors(cloud: Cloud) -> dict[str, str]:
    """Host → type of its hypervisor."""
    rows = cloud.listed("/os-hypervisors/detail", "hypervisors")
    return {item.get("service", {}).get("host", ""): str(item.get("hypervisor_type") or "") for item in rows}


# ---------------------------------------------------------------- switching


def switch(cloud: Cloud, names: Sequence[str], enable: bool, reason: str = "") -> dict[str, Any]:
    """`switched`: (name, done|already|theirs|absent|failed, reason) for each name."""
    known = {item["host"]: item for item in listed(cloud)}
    return {"switched": [[name, *_one(cloud, known.get(name), enable, reason_of(reason))] for name in names]}


def _one(cloud: Cloud, service: dict[str, Any] | None, enable: bool, reason: str) -> tuple[str, str]:
    if service is None:
        return "absent", ""
    if "id" not in service:
        return "failed", "its cell does not answer"
    settled = _settled(service, enable)
    if settled:
        return settled
    body = {"status": "enabled"} if enable else {"status": "disabled", "disabled_reason": reason}
    try:
        cloud.put("compute", f"/os-services/{service['id']}", body)
    except Refused as refused:
        # an answer may be lost where the change was not
        again = next((item for item in listed(cloud) if item.get("id") == service["id"]), service)
        if not _settled(again, enable):
            return "failed", refused.words
    return "done", "" if enable else reason


def _settled(service: dict[str, Any], enable: bool) -> tuple[str, str] | None:
    """What to say of a service that is not to be touched; None when it is to be switched."""
    disabled, why = service.get("status") == "disabled", service.get("disabled_reason") or ""
    if disabled and not marked(why):
        return "theirs", why
    return ("already", why) if disabled is not enable else None


# ---------------------------------------------------------------- what is on them


def instances(cloud: Cloud, names: Sequence[str]) -> dict[str, Any]:
    return {"instances": [row(server) for name in names for server in servers(cloud, name)]}


def servers(cloud: Cloud, name: str) -> Iterator[dict[str, Any]]:
    """Servers of every project on a host; the filter is exact (openstack/nova@33.0.2:
    nova/api/openstack/compute/schemas/servers.py)."""
    for server in cloud.listed("/servers/detail", "servers", all_tenants="1", host=name):
        if server.get("OS-EXT-SRV-ATTR:host", name) == name:
            yield server


def agents(cloud: Cloud) -> dict[str, Any]:
    """Neutron's agents, or none where the catalogue has no Neutron."""
    if not cloud.endpoint("network"):
        return {"agents": []}
    rows = cloud.get("network", "/agents").get("agents", [])
    return {
        "agents": [
            {
                "name": item.get("host") or "",
                "kind": item.get("agent_type") or "",
                "alive": bool(item.get("alive")),
                "enabled": bool(item.get("admin_state_up")),
            }
            for item in rows
        ]
    }
