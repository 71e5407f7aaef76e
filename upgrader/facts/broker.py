"""The nodes' answers about RabbitMQ → one picture of the cluster. Pure.

Owns how views that differ are put together: a node runs when any node sees it run, and views that differ are a
partition even where no node has noted one. Counts hold for a whole cluster only: in a partition, or while a node is
down, its queues are missing from the lists (seen with 3.10), so then they are not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upgrader.facts.said import Said, number, oldest, table, text, texts
from upgrader.observed import BrokerFacts

COUNTS = (
    "classic_queues", "quorum_queues", "stream_queues", "mirrored_queues", "non_quorum_queues", "non_durable_queues",
    "transient_queues", "under_replicated_queues", "non_default_exchanges",
)  # fmt: skip


def broker_facts(said: Said, expected: int) -> BrokerFacts | None:
    """None when no host runs a broker. `expected`: hosts of its group."""
    if not said:
        return None
    said = said.sorted_out()
    views = {host: answer for host, answer in said.answers.items() if texts(answer.get("nodes"))}
    refused = said.refused | {
        host: text(answer["error"]) for host, answer in said.answers.items() if answer.get("error")
    }
    error = Said({}, refused).error
    if not views:
        return BrokerFacts(error=error or "no node told its state", expected=expected)
    nodes = sorted({node for view in views.values() for node in texts(view["nodes"])})
    running = [node for node in nodes if any(node in texts(view.get("running")) for view in views.values())]
    partitions = _partitions(views)
    return BrokerFacts(
        error=error,
        expected=expected,
        version=oldest(_versions(views)),
        nodes=tuple(nodes),
        running=tuple(running),
        partitions=partitions,
        alarms=_all(views, "alarms"),
        maintenance=_all(views, "maintenance"),
        disabled_flags=_all(views, "disabled_flags"),
    ).model_copy(update=_counts(views) if nodes == running and not partitions else {})


def _all(views: Mapping[str, Mapping[str, Any]], name: str) -> tuple[str, ...]:
    return tuple(sorted({item for view in views.values() for item in texts(view.get(name))}))


def _versions(views: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [text(version) for view in views.values() for version in table(view.get("versions")).values()]


def _partitions(views: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    noted = {line for view in views.values() for line in texts(view.get("partitions"))}
    seen = {host: tuple(sorted(texts(view.get("running")))) for host, view in views.items()}
    if not noted and len(set(seen.values())) > 1:
        noted = {f"{host} sees {', '.join(nodes) or 'no node'} run" for host, nodes in seen.items()}
    return tuple(sorted(noted))


def _counts(views: Mapping[str, Mapping[str, Any]]) -> dict[str, int | None]:
    """Numbers of the first node that counted."""
    counted = next((table(view["counts"]) for _, view in sorted(views.items()) if table(view.get("counts"))), {})
    return {name: number(counted.get(name)) for name in COUNTS}
