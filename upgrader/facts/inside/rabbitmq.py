"""One RabbitMQ node's view of its cluster; the first running node by name also counts queues and exchanges.

Counting happens here, because a big cloud has ten thousands of queues and their list is of no use elsewhere.
Info items are those that 3.8 to 4.2 all know (`effective_policy_definition` and `slave_pids` are not).
"""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

SECONDS = 40
"""For one call; starting the tool alone takes 1 to 3 s on a busy node."""


class Failed(Exception):  # noqa: N818 - a refusal, told on
    """A tool of the broker refused, in its own words."""


def ctl(*words: str) -> Any:
    """Answer of one `rabbitmqctl` call. Raises Failed."""
    command = ["rabbitmqctl", "--silent", "--timeout", str(SECONDS - 5), *words, "--formatter", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{words[0]}: no answer within {SECONDS} s") from None
    except OSError as error:
        raise Failed(f"{words[0]}: {error.strerror}") from None
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise Failed(f"{words[0]}: {lines[0] if lines else 'no words'}"[:300])
    starts = [place for place in (done.stdout.find("{"), done.stdout.find("[")) if place >= 0]
    try:
        return json.loads(done.stdout[min(starts) :])
    except ValueError:
        raise Failed(f"{words[0]}: its answer cannot be read") from None


def node(status: dict[str, Any]) -> dict[str, Any]:
    """What one node says of the cluster, without listeners and descriptions."""
    versions = status.get("versions") or {}
    alarms = status.get("alarms") or []
    flags = [flag for flag in status.get("feature_flags") or [] if isinstance(flag, dict)]
    # some versions colour the words, even in JSON
    drained = status.get("maintenance_status") or {}
    return {
        "nodes": sorted({*(status.get("disk_nodes") or []), *(status.get("ram_nodes") or [])}),
        "running": sorted(status.get("running_nodes") or []),
        "versions": {name: str(about.get("rabbitmq_version", "")) for name, about in versions.items()},
        "partitions": partitions(status.get("partitions") or {}),
        "alarms": sorted(alarm(item) for item in alarms),
        "maintenance": sorted(name for name, state in drained.items() if "marked for maintenance" in str(state)),
        "disabled_flags": sorted(
            str(flag.get("name"))
            for flag in flags
            if flag.get("state") == "disabled" and flag.get("stability", "stable") == "stable"
        ),
    }


def partitions(found: Any) -> list[str]:
    """`node: the nodes it lost`; a table in the answers seen, a list of such in older ones."""
    rows = found.items() if isinstance(found, dict) else [(item.get("node"), item.get("peers")) for item in found]
    return sorted(f"{name}: {', '.join(sorted(map(str, lost or [])))}" for name, lost in rows)


def alarm(item: Any) -> str:
    if isinstance(item, dict):
        return f"{item.get('resource') or item.get('type') or 'alarm'} on {item.get('node') or 'a node'}"
    return str(item)


def kind(queue: dict[str, Any]) -> str:
    return str(queue.get("type") or "classic").replace("rabbit_", "").replace("_queue", "")


def count(queues: list[dict[str, Any]], mirroring: set[str], nodes: int) -> dict[str, int]:
    """Numbers about the queues of one virtual host; `mirroring`: names of policies that set `ha-mode`."""
    classic = [queue for queue in queues if kind(queue) == "classic"]
    replicated = [queue for queue in queues if kind(queue) in ("quorum", "stream")]
    return {
        "classic_queues": len(classic),
        "quorum_queues": sum(1 for queue in queues if kind(queue) == "quorum"),
        "stream_queues": sum(1 for queue in queues if kind(queue) == "stream"),
        "mirrored_queues": sum(1 for queue in classic if queue.get("policy") in mirroring),
        "non_quorum_queues": len(queues) - len(replicated),
        "non_durable_queues": sum(1 for queue in queues if queue.get("durable") is False),
        "transient_queues": sum(1 for queue in classic if transient(str(queue.get("name", "")))),
        "under_replicated_queues": sum(1 for queue in replicated if members(queue) < wanted(queue, nodes)),
    }


def transient(name: str) -> bool:
    """Names that oslo.messaging gives to reply and fanout queues."""
    return name.startswith("reply_") or "_fanout" in name


def members(queue: dict[str, Any]) -> int:
    found = queue.get("members")
    return len(found) if isinstance(found, list) else 0


def wanted(queue: dict[str, Any], nodes: int) -> int:
    """A stream has a replica on every node, a quorum queue on a majority of three or more."""
    return nodes if kind(queue) == "stream" else nodes // 2 + 1


def whole(nodes: int) -> dict[str, int]:
    """Counts over all virtual hosts. Raises Failed."""
    totals: dict[str, int] = {}
    for host in ctl("list_vhosts", "name"):
        name = str(host["name"])
        policies = ctl("list_policies", "--vhost", name)
        mirroring = {str(policy["name"]) for policy in policies if "ha-mode" in str(policy.get("definition"))}
        queues = ctl("list_queues", "--vhost", name, "name", "type", "durable", "policy", "members")
        found = count(queues, mirroring, nodes)
        exchanges = ctl("list_exchanges", "--vhost", name, "name")
        found["non_default_exchanges"] = sum(1 for item in exchanges if own(str(item.get("name", ""))))
        for key, number in found.items():
            totals[key] = totals.get(key, 0) + number
    return totals


def own(exchange: str) -> bool:
    """Not the nameless default exchange nor one that every broker has."""
    return bool(exchange) and not exchange.startswith("amq.")


def counts_here(running: list[str], host: str) -> bool:
    """Whether the node on this host is the first running one; a host that no node is named after counts too."""
    places = [name.partition("@")[2].partition(".")[0] for name in sorted(running)]
    own_place = host.partition(".")[0]
    return bool(places) and (own_place == places[0] or own_place not in places)


def main() -> None:
    answer: dict[str, Any] = {}
    try:
        answer = node(ctl("cluster_status"))
        if counts_here(answer["running"], socket.gethostname()):
            answer["counts"] = whole(len(answer["nodes"]))
    except Failed as error:
        answer["error"] = str(error)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
