"""RabbitMQ's queues in the sandbox: one count for the whole cluster, and a mark on every node that is stopped or reset.

`<root>/broker.json` holds counts named like those of BrokerFacts where they are not the usual ones (see answers.py),
and `empty` after a reset: the first service that comes back then declares queues of the types its settings name.
Standard library only.
"""

from __future__ import annotations

import os

from upgrader.sandbox import store, world

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from upgrader.sandbox.step import Result, Step

FILE = "broker.json"
STOPPED, RESET = "broker-stopped", "broker-reset"
NOTHING = dict.fromkeys(
    ("classic_queues", "quorum_queues", "stream_queues", "mirrored_queues", "non_quorum_queues", "non_durable_queues",
     "transient_queues", "under_replicated_queues", "non_default_exchanges"), 0,
)  # fmt: skip
CLASSIC = {
    **NOTHING, "quorum_queues": 26, "classic_queues": 34, "non_quorum_queues": 34, "non_durable_queues": 34,
    "transient_queues": 34, "non_default_exchanges": 40,
}  # fmt: skip
"""As releases before 2025.1 have it by default: replies and fanouts are classic queues."""


def plant(root: str, counts: dict[str, int]) -> None:
    store.write(f"{root}/{FILE}", counts)


def counts(root: str) -> dict[str, int]:
    """What is not as usual."""
    return store.read_if_there(f"{root}/{FILE}") or {}


def definitions(host: world.Host) -> dict[str, Any]:
    """What `rabbitmqctl export_definitions` says: users, virtual hosts, queues; no queue is listed one by one."""
    if not app_runs(host):
        from upgrader.sandbox.engine import Refusal

        raise Refusal(f"Error: unable to perform an operation on node 'rabbit@{host.name}'", 69)
    return {"rabbit_version": "sandbox", "users": [{"name": "openstack"}], "vhosts": [{"name": "/"}], "queues": []}


def app_runs(host: world.Host) -> bool:
    return host.running("rabbitmq") and not _marked(host, STOPPED)


def declare(step: Step) -> None:
    """A service came up: it declares its queues, which are there already unless RabbitMQ was reset before."""
    users = step.cloud.get("queue_users", ())
    if step.role.removesuffix("-cell") not in users or not counts(step.root).get("empty"):
        return
    if step.args.get("durable_queues"):
        _remove(f"{step.root}/{FILE}")
    else:
        plant(step.root, CLASSIC)
    step.note(f"declare:{'durable' if step.args.get('durable_queues') else 'classic'}")


# ---------------------------------------------------------------- tasks


def stop_app(step: Step) -> Result:
    store.write(f"{step.host.dir}/{STOPPED}", {})
    return {"changed": True}


def reset(step: Step) -> Result:
    """Every node is reset by itself; once all are, nothing is left of the queues."""
    if not _marked(step.host, STOPPED):
        from upgrader.sandbox.step import failed

        return failed("Mnesia is still running on this node. Please stop the node with rabbitmqctl stop_app first.")
    store.write(f"{step.host.dir}/{RESET}", {})
    nodes = [world.Host(step.root, name) for name in step.groups["rabbitmq"]]
    if all(_marked(node, RESET) for node in nodes):
        plant(step.root, {**NOTHING, "empty": 1})
    step.note(f"reset:{step.host.name}")
    return {"changed": True}


def start_app(step: Step) -> Result:
    start(step.host)
    return {"changed": True}


def start(host: world.Host) -> None:
    """`rabbitmqctl start_app`."""
    for mark in (STOPPED, RESET):
        _remove(f"{host.dir}/{mark}")


def check(step: Step) -> Result:
    """The prechecks' question for queue types."""
    found = counts(step.root)
    transient = 0 if step.args.get("durable") else found.get("transient_queues", 0)
    if found.get("non_quorum_queues", 0) - transient > 0:
        from upgrader.sandbox.step import failed

        return failed("reply_4711 is a non-quorum queue. Currently the procedure to migrate queues is manual.")
    return {"changed": False}


def _marked(host: world.Host, mark: str) -> bool:
    return os.path.exists(f"{host.dir}/{mark}")  # noqa: PTH110


def _remove(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        return
