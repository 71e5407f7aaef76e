"""Which queue types a release asks for, whether a cloud's queues are of them, and what it takes to make them anew.

A queue keeps its type for life: it can only be dropped and declared again, while no service is there to declare the
old one. That is the migration: every service that uses RabbitMQ is stopped, the broker reset, the services deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from upgrader.model import Answer, BrokerPlan

if TYPE_CHECKING:
    from upgrader.graph.graph import ReleaseGraph
    from upgrader.graph.records import Switch
    from upgrader.graph.schema import Hop
    from upgrader.observed import BrokerFacts

Demand = Literal["nothing", "quorum", "durable"]
Variables = Callable[[str, str], Any]
"""(release, name) → what the operator set the variable to; None: the release's default holds, as far as is known."""
Typed = Callable[[str, str, tuple[str, ...]], str]
"""(release, action of kolla-ansible, tags) → the command."""

HIGH_AVAILABILITY = "om_enable_rabbitmq_high_availability"
STREAM_FANOUT = "om_enable_rabbitmq_stream_fanout"
OUTAGE = (
    "Full API outage: every service that uses RabbitMQ is stopped until its queues are made anew; queues and messages "
    "are dropped. Instances, volumes and networks go on."
)
SERVICES = "SERVICES"
"""Stands for the tags of the services where it is not known which a cloud has."""
_NOT_TOLD = "RabbitMQ's queues could not be read"
_CHECKS_BEFORE = (
    "every node runs, no partition, no alarm",
    "no service that uses RabbitMQ runs any more",
)
_CHECKS_RESET = "after the reset: every node runs, no queue and no exchange other than the default ones"


def untyped(release: str, action: str, tags: tuple[str, ...]) -> str:
    """A command in words, without the spelling of the release."""
    return " ".join(("kolla-ansible", action, *(("--tags", ",".join(tags)) if tags else ()), f"# {release}"))


def truth(value: Any) -> bool | None:
    """As Ansible's `bool` filter reads it; None for what is not known or no truth value."""
    if isinstance(value, bool) or value is None:
        return value
    word = str(value).strip().lower()
    return True if word in ("yes", "true", "on", "1", "y", "t") else False if word in _FALSE else None


_FALSE = ("no", "false", "off", "0", "n", "f")


# ---------------------------------------------------------------- what is there


@dataclass(frozen=True, slots=True)
class Queues:
    """Counts that matter. None: not known."""

    plain: int | None = None
    """Neither quorum queue nor stream, replies and fanouts left out."""
    transient: int | None = None
    """The same among replies and fanouts."""
    mirrored: int | None = None
    why: str = ""
    """Where the counts come from, or why there are none."""
    counted: bool = True
    """False: expected by a rule, not seen."""

    def after(self, made: BrokerPlan) -> Queues:
        """The queues once the hop of `made` is done."""
        if made.runs is False or made.migration == "no" or made.demands == "nothing":
            return self
        if made.demands == "durable" or _switches_of(made):
            return Queues(0, 0, 0, "made anew on a hop before")
        # replies and fanouts are declared classic again as long as their switch is off
        return Queues(0, 1, 0, "replies and fanouts stay classic until their switch is on", counted=False)


def _switches_of(made: BrokerPlan) -> bool:
    return any(name == "om_enable_rabbitmq_transient_quorum_queue" for name, _ in made.settings)


NO_QUEUES_KNOWN = Queues(why=_NOT_TOLD)


def seen_queues(facts: BrokerFacts | None) -> Queues:
    """Counts as the broker told them."""
    if facts is None:
        return Queues(why=f"{_NOT_TOLD}: nobody was asked")
    both, transient = facts.non_quorum_queues, facts.transient_queues
    plain = None if both is None or transient is None else both - transient
    why = f"{_NOT_TOLD}: {facts.error or 'it gave no counts'}" if both is None else "as RabbitMQ counts them"
    return Queues(plain, transient, facts.mirrored_queues, why)


def expected_queues(graph: ReleaseGraph, release: str, variables: Variables) -> Queues:
    """Without a cloud: what the release's own check makes sure of, and nothing more."""
    demands, _ = demand_of(graph, release, variables)
    if demands == "durable":
        return Queues(0, 0, 0, f"{release} has no other queues")
    known = 0 if demands == "quorum" else None
    return Queues(known, None, None, f"which queues a cloud on {release} has is seen only there")


# ---------------------------------------------------------------- what is asked for


def demand_of(graph: ReleaseGraph, release: str, variables: Variables) -> tuple[Demand, bool]:
    """(what the check of `release` wants of queues, whether fanout has to be streams)."""
    rule = next((found for found in graph.rabbitmq.demands if found.first <= release <= found.last), None)
    if rule is None:
        return "nothing", False

    def on(name: str) -> bool:
        return bool(name) and switch(graph, release, name, variables)

    streams = on(rule.streams_if)
    if rule.always == "durable":
        return "durable", streams
    if not on(rule.quorum_if):
        return "nothing", False
    return ("durable", streams) if on(rule.durable_if) else ("quorum", streams)


def switch(graph: ReleaseGraph, release: str, name: str, variables: Variables) -> bool:
    """A switch in a release: what is known of the site, else the release's default; false where there is none."""
    given = truth(variables(release, name))
    if given is not None:
        return given
    known = next((found for found in _switches(graph, release) if found.name == name), None)
    if known is None:
        return False
    front = "all of: "
    if known.default.startswith(front):
        return all(switch(graph, release, part, variables) for part in known.default.removeprefix(front).split())
    return known.default == "true"


def _switches(graph: ReleaseGraph, release: str) -> Iterator[Switch]:
    return (found for found in graph.rabbitmq.switches if found.first <= release <= found.last)


def needs(demands: Demand, queues: Queues) -> tuple[Answer, str]:
    """Whether these queues have to be made anew for what is asked, and why."""
    if demands == "nothing":
        return "no", "the target release asks for no certain type of queue"
    if queues.plain is None:
        return "unknown", queues.why or _NOT_TOLD
    parts = []
    if queues.plain:
        parts.append(f"{_count(queues.plain, 'queue')} neither quorum queue nor stream")
    if demands == "durable":
        if queues.transient is None and not parts:
            return "unknown", queues.why or _NOT_TOLD
        if queues.transient:
            parts.append(f"{_count(queues.transient, 'reply or fanout queue')} classic")
        if queues.mirrored:
            parts.append(f"{_count(queues.mirrored, 'queue')} mirrored")
    if parts:
        return "yes", "; ".join(parts) if queues.counted else queues.why
    return "no", f"every queue is of the type that is asked for ({queues.why})" if queues.why else "nothing to migrate"


def _count(number: int, word: str) -> str:
    return f"1 {word} is" if number == 1 else f"{number} {word}s are"


# ---------------------------------------------------------------- the migration


def migration(
    graph: ReleaseGraph,
    hop: Hop,
    queues: Queues,
    demands: Demand,
    streams: bool,
    services: Sequence[str] | None,
    variables: Variables,
    typed: Typed = untyped,
) -> dict[str, Any]:
    """The fields of BrokerPlan that speak of the migration, which happens on the source release, before the upgrade."""
    answer, why = needs(demands, queues)
    found: dict[str, Any] = {"migration": answer, "migration_why": why, "streams": streams}
    if answer == "no":
        return found
    settings = tuple(_settings(graph, hop.source, variables))
    tags = tags_of(graph, services)
    mirrored = _mirrored(graph, hop.source, queues, variables)
    streams = streams or (STREAM_FANOUT, "true") in settings
    return {
        **found,
        "streams": streams,
        "outage": OUTAGE,
        "settings": settings,
        "services": tags,
        "mirrored": mirrored,
        "commands": tuple(_commands(hop, tags, mirrored, typed)),
        "checks_before": _CHECKS_BEFORE,
        "checks_after": (_CHECKS_RESET, *_checks_after(demands, streams, hop.target)),
    }


def _settings(graph: ReleaseGraph, release: str, variables: Variables) -> Iterator[tuple[str, str]]:
    if switch(graph, release, HIGH_AVAILABILITY, variables):
        yield HIGH_AVAILABILITY, "false"
    for known in _switches(graph, release):
        if known.migrated and not (known.kept_off and truth(variables(release, known.name)) is False):
            yield known.name, known.migrated


def tags_of(graph: ReleaseGraph, services: Sequence[str] | None) -> tuple[str, ...]:
    """Tags of the services that declare queues, of those that run; empty where it is not known which do."""
    running = {"nova" if name == "nova-cell" else name for name in services or ()}
    return tuple(tag for tag in graph.rabbitmq.users.tags if tag in running)


def _mirrored(graph: ReleaseGraph, release: str, queues: Queues, variables: Variables) -> Answer:
    if queues.mirrored or switch(graph, release, HIGH_AVAILABILITY, variables):
        return "yes"
    return "unknown" if queues.mirrored is None else "no"


def _commands(hop: Hop, tags: tuple[str, ...], mirrored: Answer, typed: Typed) -> Iterator[str]:
    chosen = tags or (SERVICES,)
    yield typed(hop.source, "genconfig", ())
    yield typed(hop.source, "stop", chosen)
    if mirrored != "no":
        yield typed(hop.source, "reconfigure", ("rabbitmq",))
    yield typed(hop.source, "rabbitmq-reset-state", ())
    yield typed(hop.source, "deploy", chosen)
    yield typed(hop.target, "prechecks", ("rabbitmq",))


def _checks_after(demands: Demand, streams: bool, target: str) -> Iterator[str]:
    durable = "no classic queue is left, replies and fanouts included"
    yield durable if demands == "durable" else "no classic queue is left, except replies and fanouts"
    if streams and demands == "durable":
        yield "fanouts are streams"
    yield "every stream has a replica on every node, every quorum queue on a majority of them"
    yield f"the prechecks of {target} for rabbitmq pass"
