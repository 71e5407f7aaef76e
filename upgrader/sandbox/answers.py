"""What the sandbox's services say of themselves: the answers that facts/inside/*.py would give in real containers.

Taken from the sandbox's own state wherever there is one (containers, the database cluster, key files), so that a
stopped container shows up in its neighbours' answers as it would in a cloud. What has no state is healthy, unless
`<root>/services.json` says otherwise (see faults.damage_answer). Imports what one answer needs, and no more: every
question is a process of its own.
"""

from __future__ import annotations

from upgrader.sandbox import store, world

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OVERRIDES = "services.json"
QUEUES = {"quorum_queues": 26, "stream_queues": 8, "non_default_exchanges": 14}
"""A broker that was prepared for durable queues, replies and fanouts included; every other count is nought."""
ZERO = (
    "classic_queues", "mirrored_queues", "non_quorum_queues", "non_durable_queues", "transient_queues",
    "under_replicated_queues",
)  # fmt: skip
BACKENDS = (
    "keystone", "glance_api", "nova_api", "nova_metadata", "nova_novncproxy", "placement_api", "neutron_server",
    "cinder_api", "heat_api", "heat_api_cfn", "horizon",
)  # fmt: skip
"""Containers behind HAProxy; the database is behind ProxySQL."""
MEMCACHED = "1.6.18"


def answer(host: world.Host, container: str, words: list[str], secret: str) -> dict[str, Any] | None:
    """The answer of a container to `python3 - WORD …`; None when it is never asked that."""
    said: dict[str, Any]
    match container, words:
        case "rabbitmq", ["rabbitmq"]:
            said = broker(host)
        case "rabbitmq", ["rabbitmq-node"]:
            from upgrader.sandbox import left

            said = left.node(host)
        case "haproxy", ["haproxy"]:
            said = _servers(host.root, BACKENDS)
        case "kolla_toolbox", ["proxysql", _, _]:
            said = _database(host.root)
        case "keystone", ["fernet"]:
            said = _keys(host, secret)
        case "memcached", ["memcached", _]:
            said = {"version": MEMCACHED}
        case _:
            return None
    changes = store.read_if_there(f"{host.root}/{OVERRIDES}") or {}
    for name in ("", host.name):
        said |= changes.get(words[0], {}).get(name, {})
    return said


def broker(host: world.Host) -> dict[str, Any]:
    """A node's view; the first running one counts. Queues may be planted in `<root>/broker.json`."""
    from upgrader.sandbox import left, queues

    members = [world.Host(host.root, name) for name in world.hosts(host.root)]
    nodes = [item for item in members if item.container("rabbitmq")]
    running = [item for item in nodes if queues.app_runs(item)]
    said: dict[str, Any] = {
        "nodes": [f"rabbit@{item.name}" for item in nodes],
        "running": [f"rabbit@{item.name}" for item in running],
        "versions": {f"rabbit@{item.name}": _version(item) for item in running},
        "partitions": [],
        "alarms": [],
        "maintenance": left.drained(running),
        "disabled_flags": [],
    }
    if running and running[0].name == host.name:
        said["counts"] = dict.fromkeys(ZERO, 0) | QUEUES | queues.counts(host.root)
    return said


def _version(host: world.Host) -> str:
    image = host.image(str((host.container("rabbitmq") or {}).get("image", ""))) or {"labels": {}}
    return str(image["labels"].get("rabbitmq_version", ""))


def _servers(root: str, containers: tuple[str, ...]) -> dict[str, Any]:
    down, dead, total = [], [], 0
    hosts = [world.Host(root, name) for name in world.hosts(root)]
    tags = {_tag(seen) for host in hosts if (seen := host.container("haproxy"))} | {
        _tag(seen)
        for host in hosts
        for name in containers
        if (seen := host.container(name)) and seen["status"] == "running"
    }
    for name in containers:
        # a service that the release of the load balancer does not have is in no configuration of it
        found = [(host.name, seen) for host in hosts if (seen := host.container(name)) and _tag(seen) in tags]
        bad = [host for host, seen in found if seen["status"] != "running" or seen["health"] == "unhealthy"]
        total += len(found)
        down += [[f"{name}_back", host, "DOWN"] for host in bad]
        if found and len(bad) == len(found):
            dead.append(f"{name}_back")
    return {"total": total, "down": down, "dead": dead}


def _tag(container: Any) -> str:
    return str(container["image"]).rpartition(":")[2]


def _database(root: str) -> dict[str, Any]:
    found = [(name, seen) for name in world.hosts(root) if (seen := world.Host(root, name).container("mariadb"))]
    bad = [name for name, seen in found if seen["status"] != "running" or not seen.get("joined")]
    return {
        "total": len(found),
        "down": [["galera", f"{name}:3306", "ONLINE in 3"] for name in bad],
        "dead": ["galera"] if found and len(bad) == len(found) else [],
    }


def _keys(host: world.Host, secret: str) -> dict[str, Any]:
    import time

    from upgrader.facts.inside import fernet
    from upgrader.sandbox import identity

    try:
        return fernet.keys(host.volume(identity.KEYS), secret.encode(), time.time())
    except FileNotFoundError:
        return {"keys": {}, "primary_age_hours": None}


def upgrade_check(host: world.Host, service: str) -> tuple[int, str]:
    """Exit code and table of `SERVICE-status upgrade check`, as oslo.upgradecheck draws it."""
    changes = (store.read_if_there(f"{host.root}/{OVERRIDES}") or {}).get(f"{service}-status", {}).get("", {})
    result = {0: "Success", 1: "Warning", 2: "Failure"}[changes.get("code", 0)]
    lines = ["Upgrade Check Results", "Check: Policy File JSON to YAML Migration", f"Result: {result}"]
    lines.append(f"Details: {changes.get('details', 'None')}")
    width = max(map(len, lines))
    rule = f"+-{'-' * width}-+\n"
    rows = [f"| {line:{width}} |\n" for line in lines]
    return changes.get("code", 0), rule + rows[0] + rule + "".join(rows[1:]) + rule
