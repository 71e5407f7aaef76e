"""What follows from the answers of the script inside: names of hosts, values, how a drain or a trial ended. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, cast

from upgrader.computes.port import Agent, ComputeService, Drained, Instance, Left, Switched, Trial, TrialStep

How = Literal["done", "already", "theirs", "absent", "failed"]


class Names:
    """Inventory names and Nova's own: a host's own word counts, and likeness only where it said nothing."""

    def __init__(
        self, hosts: Sequence[str], told: Mapping[str, Sequence[str]] | None = None, known: Collection[str] = ()
    ) -> None:
        self._nova = named(hosts, told or {}, known)
        self._inventory = {name: host for host, name in self._nova.items() if name}

    def nova(self, host: str) -> str:
        """Empty where another host has the name that this one seems to have."""
        return self._nova.get(host, host)

    def inventory(self, name: str) -> str:
        """Empty for a host that the inventory does not have."""
        return self._inventory.get(name, "")


def named(hosts: Sequence[str], told: Mapping[str, Sequence[str]], known: Collection[str]) -> dict[str, str]:
    """Inventory name → Nova's. `told`: the machine's name, and what its nova.conf sets, if anything; `known`: services.

    Two hosts never share a name: one that says its own keeps it before one that only looks like it, which is left
    with none ("") then.
    """
    found: dict[str, str] = {}
    for host in hosts:
        words = [word.strip() for word in told.get(host, ()) if word.strip()]
        if words:
            # what is set counts; a machine's name counts whole, and short where Nova knows only that
            choices = words[-1:] if len(words) > 1 else [words[0], words[0].partition(".")[0]]
            found[host] = next((name for name in choices if name in known), choices[0])
    taken = set(found.values())
    for host in hosts:
        if host not in found:
            choices = [name for name in (host, host.partition(".")[0]) if name not in taken]
            found[host] = next((name for name in choices if name in known), choices[0] if choices else "")
            taken.add(found[host])
    return found


def answer(text: str) -> dict[str, Any]:
    """The JSON object that the script printed last. Raises ValueError."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError("it printed no answer")
    found = json.loads(lines[-1])
    if not isinstance(found, dict):
        raise ValueError("its answer is no object")
    return found


def services(said: Mapping[str, Any], names: Names) -> tuple[ComputeService, ...]:
    return tuple(
        ComputeService(
            host=names.inventory(row["name"]),
            zone=row["zone"],
            enabled=row["enabled"],
            up=row["up"],
            reason=row["reason"] if not row["enabled"] else "",
            version=row["version"],
            hypervisor=row["hypervisor"],
            name=row["name"],
            seen=row.get("seen", ""),
        )
        for row in said["services"]
    )


def instance(row: Mapping[str, Any], names: Names) -> Instance:
    return Instance(
        id=row["id"],
        name=row["name"],
        host=names.inventory(row["host"]) or row["host"],
        status=row["status"],
        task_state=row["task_state"],
        live_migratable=not row["why_not"],
        why_not=row["why_not"],
    )


def instances(said: Mapping[str, Any], names: Names) -> tuple[Instance, ...]:
    found = (instance(row, names) for row in said["instances"])
    return tuple(sorted(found, key=lambda item: (item.host, item.name, item.id)))


def switched(said: Mapping[str, Any], hosts: Sequence[str]) -> tuple[Switched, ...]:
    """The answers come in the order of the hosts that were asked for."""
    rows: Sequence[Sequence[str]] = said["switched"]
    found = zip(hosts, rows, strict=True)
    return tuple(Switched(host, cast(How, how), reason) for host, (_, how, reason) in found)


def agents(said: Mapping[str, Any], names: Names, hosts: Collection[str]) -> tuple[Agent, ...]:
    rows = [
        Agent(names.inventory(row["name"]) or row["name"], row["kind"], alive=row["alive"], enabled=row["enabled"])
        for row in said["agents"]
    ]
    return tuple(sorted((row for row in rows if not hosts or row.host in hosts), key=lambda row: (row.host, row.kind)))


def drained(
    host: str,
    said: Mapping[str, Any],
    moved: Sequence[Sequence[str]],
    names: Names,
    *,
    stopped: Literal["", "budget", "canceled", "trouble"] = "",
    seconds: float = 0,
    words: str = "",
) -> Drained:
    """How it ended: what is left decides, except that a drain which was cut off says by what."""
    left = tuple(Left(instance(row, names), row["why"]) for row in said.get("left", ()))
    runs = any(item.instance.runs for item in left)
    # one that never answered knows nothing of what is there
    how = stopped or ("stuck" if runs else "empty")
    if "left" in said and not runs and stopped in ("budget", "canceled"):
        how = "empty"
    went = tuple((item, names.inventory(name) or name) for item, name in moved)
    return Drained(host, how, moved=went, left=left, seconds=round(seconds), words=words)


def tried(host: str, said: Mapping[str, Any], trouble: str = "") -> Trial:
    """A trial's end. `trouble`: what kept it from coming to its own."""
    steps = tuple(TrialStep(name, ok, words, seconds) for name, ok, words, seconds in said.get("steps", ()))
    bad = next((f"{step.name}: {step.words}" for step in steps if step.ok is False), "")
    good = {step.name for step in steps if step.ok}
    why = trouble or bad or ("" if {"create", "delete"} <= good else "it did not come to its end")
    return Trial(host, passed=not why, steps=steps, why=why, left=tuple(said.get("left", ())))
