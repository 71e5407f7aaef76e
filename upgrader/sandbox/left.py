"""What the sandbox's roles set for a while and put back, so that a kill in between leaves it set, as a real one does.

`<host>/left.json` holds it: database variables by name, and whether the broker node is in maintenance. A server or
node that is restarted forgets it. Standard library only.
"""

from __future__ import annotations

from upgrader.sandbox import store, world

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from upgrader.sandbox.step import Result, Step

FILE = "left.json"
MAINTENANCE = "maintenance"
NORMAL = {"wsrep_sst_method": "mariabackup", "log_bin_trust_function_creators": "OFF"}
"""Variables that roles set, and what they are otherwise."""


def values(host: world.Host) -> dict[str, Any]:
    """What is not as usual."""
    return store.read_if_there(f"{host.dir}/{FILE}") or {}


def put(host: world.Host, name: str, value: Any = None) -> None:
    """Set one; None: as usual again."""
    known = values(host)
    if known.get(name) == value:
        return
    known[name] = value
    store.write(f"{host.dir}/{FILE}", {key: item for key, item in known.items() if item is not None})


def set_variable(host: world.Host, name: str, value: str) -> None:
    """`SET GLOBAL`. Raises KeyError for a variable the sandbox does not know."""
    put(host, name, None if value.lower() == NORMAL[name].lower() else value)


def variables(host: world.Host) -> list[tuple[str, str, str]]:
    """(variable, value, where the value comes from)."""
    known = values(host)
    return [
        (
            name,
            known.get(name, usual),
            "SQL" if name in known else "CONFIG" if name.startswith("wsrep") else "COMPILE-TIME",
        )
        for name, usual in sorted(NORMAL.items())
    ]


def node(host: world.Host) -> dict[str, Any]:
    """What a broker node says of itself."""
    from upgrader.sandbox import queues

    nodes = [
        item for item in (world.Host(host.root, name) for name in world.hosts(host.root)) if item.container("rabbitmq")
    ]
    said: dict[str, Any] = {"node": f"rabbit@{host.name}", "app": queues.app_runs(host)}
    if said["app"]:
        said |= {"nodes": [f"rabbit@{item.name}" for item in nodes], "maintenance": drained(nodes)}
    return said


def drained(nodes: list[world.Host]) -> list[str]:
    return [f"rabbit@{item.name}" for item in nodes if values(item).get(MAINTENANCE)]


def start_node(host: world.Host, verb: str) -> int:
    """`rabbitmq-upgrade revive` and `rabbitmqctl start_app`."""
    from upgrader.sandbox import queues

    if verb == "revive":
        put(host, MAINTENANCE)
    else:
        queues.start(host)
    return 0


def sql(host: world.Host, word: str, statement: Iterator[str]) -> Iterator[str]:
    """The question for what roles leave set, and the statement that sets one back. Raises SqlError."""
    if word == "leftovers":
        yield from ("\t".join(row) for row in variables(host))
        return
    words = next(statement, "").replace("=", " ").replace("'", " ").rstrip(";\n ").split()
    try:
        set_variable(host, words[2].lower(), words[3])
    except (IndexError, KeyError):
        from upgrader.sandbox import schemas

        raise schemas.SqlError("ERROR 1193 (HY000) at line 2: Unknown system variable") from None
    store.note(host.root, f"set:{host.name}:{words[2].lower()}")


def restarted(host: world.Host, container: str) -> None:
    """A container was made anew, or started: what lived in its memory is gone."""
    if container == "rabbitmq":
        put(host, MAINTENANCE)
    if container == "mariadb":
        for name in NORMAL:
            put(host, name)


# ---------------------------------------------------------------- tasks


def set_task(step: Step) -> Result:
    """A role's SET GLOBAL: on the host itself, or (`where` = database) on the server behind the address."""
    host = step.host
    if step.args.get("at") == "address":
        host = world.Host(step.root, (world.galera_members(step.root) or step.groups["mariadb"])[0])
    if host.running("mariadb"):
        set_variable(host, str(step.args["variable"]), str(step.args["value"]))
    return {"changed": True}


def drain(step: Step) -> Result:
    """Only a node of a cluster, and one that will be restarted: a real play leaves the others out."""
    from upgrader.sandbox import steps

    concerned = len(step.groups["rabbitmq"]) > 1 and step.host.running("rabbitmq") and steps.differs(step, "rabbitmq")
    if concerned:
        put(step.host, MAINTENANCE, value=True)
    return {"changed": concerned}
