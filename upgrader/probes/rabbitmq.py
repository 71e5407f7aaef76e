"""Is the message broker whole: every node in one cluster, no alarm, nobody drained, queues replicated?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import BrokerFacts
from upgrader.probes.base import failure, good, hosts_with, unread, warning

ID = "rabbitmq"
_RESTART = "a broker is upgraded node by node, and each restart has to leave a majority that works"


def rabbitmq(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about the broker cluster; none where no host has a broker."""
    seen = facts.observed.rabbitmq
    if seen is None:
        where = hosts_with(facts, ID)
        return (unread(Code.FAILURE, "rabbitmq-unread", "the broker was not asked", ", ".join(where)),) if where else ()
    found = (*_unread(seen), *_cluster(seen), *_nodes(seen), *_queues(seen))
    if found:
        return found
    return (good(ID, f"{len(seen.nodes or ())} broker nodes run {seen.version}, in one cluster, without alarm"),)


def _unread(seen: BrokerFacts) -> Iterable[Finding]:
    if seen.nodes is None:
        yield unread(Code.FAILURE, "rabbitmq-unread", "no broker node told its state", seen.error)
    elif seen.error:
        yield unread(Code.FAILURE, "rabbitmq-unread", "the broker was read only in part", seen.error)
    elif seen.classic_queues is None and not seen.partitions and seen.nodes == seen.running:
        yield unread(Code.WARNING, "rabbitmq-unread", "no broker node counted its queues", "no counts in the answers")


def _cluster(seen: BrokerFacts) -> Iterable[Finding]:
    if seen.partitions:
        yield failure(
            "rabbitmq-partition",
            "the broker cluster is split",
            evidence="; ".join(seen.partitions),
            why="two halves lose each other's messages, and an upgrade makes both permanent",
            fix=(
                "choose the half that keeps its queues",
                "restart the broker containers of the other half, one after the other",
            ),
            next="rabbitmqctl cluster_status on every node",
        )
    if seen.expected and seen.nodes is not None and len(seen.nodes) < seen.expected:
        yield failure(
            "rabbitmq-node-missing",
            f"the broker cluster has {len(seen.nodes)} members, group rabbitmq has {seen.expected} hosts",
            evidence=", ".join(seen.nodes),
            why=_RESTART,
        )


def _nodes(seen: BrokerFacts) -> Iterable[Finding]:
    running = set(seen.running or ())
    for node in seen.nodes or ():
        if node not in running:
            yield failure(
                "rabbitmq-node-down",
                f"broker node {node} does not run",
                host=node.partition("@")[2],
                why=_RESTART,
                fix=(f"start the container rabbitmq on {node.partition('@')[2]} and let it join",),
            )
    for alarm in seen.alarms or ():
        yield failure(
            "rabbitmq-alarm",
            f"the broker blocks publishers: {alarm}",
            host=alarm.rpartition(" on ")[2].partition("@")[2],
            why="while an alarm is raised no service can send, and an upgrade waits for them in vain",
            next="make room on that host, or lower disk_free_limit",
        )
    for node in seen.maintenance or ():
        host = node.partition("@")[2]
        yield warning(
            "rabbitmq-maintenance",
            f"broker node {node} is drained",
            host=host,
            why="a role that was interrupted leaves it so; the node takes no clients and leads no queue",
            fix=("docker exec rabbitmq rabbitmq-upgrade revive",),
        )


def _queues(seen: BrokerFacts) -> Iterable[Finding]:
    if seen.disabled_flags:
        yield warning(
            "rabbitmq-feature-flags",
            f"{len(seen.disabled_flags)} stable feature flags of the broker are not enabled",
            evidence=", ".join(seen.disabled_flags),
            why="the next broker series does not start on a cluster that lacks flags it takes for granted",
            fix=("docker exec rabbitmq rabbitmqctl enable_feature_flag all",),
        )
    if seen.under_replicated_queues:
        yield warning(
            "rabbitmq-under-replicated",
            f"{seen.under_replicated_queues} replicated queues have too few members",
            why=_RESTART,
            fix=('docker exec rabbitmq rabbitmq-queues grow "rabbit@HOST" all',),
        )
