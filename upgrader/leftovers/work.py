"""The plays: ask every host what interrupted roles left, and put right what is safe to.

Asking changes nothing. Owns who is asked what, and how long a container of an interrupted play is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from upgrader.config import Site
from upgrader.facts.parse import Sections, clean, sections
from upgrader.facts.plays import HasHosts, cloud_hosts, group_hosts, own_play, shown
from upgrader.graph import ReleaseGraph
from upgrader.kolla.toolchain import Toolchain
from upgrader.leftovers.judge import Answers, Leftover, Look, judge, told
from upgrader.model import Finding
from upgrader.runner.base import Cancelled, PlayResult, Runner

STATES = "States of the containers"
ANSWER = "Answer about what was left set"
DONE = "Answer about what was put right"
_GROUPS = ("mariadb", "rabbitmq", "opensearch")
_HERE = Path(__file__).parent
PATIENCE_SECONDS = 1800.0
"""How long a one-shot container of an interrupted play may go on working before the next play may not begin."""
_WAIT_SECONDS = 30
"""Of one play; whether to stop is looked at in between."""

Folders = Callable[[str], Path]
"""Makes the name of the next play's own folder from its name, as AttemptContext.play_folder does."""


@dataclass(frozen=True)
class Asked:
    """Where and with what the questions are asked."""

    site: Site
    toolchain: Toolchain
    runner: Runner
    inventory: HasHosts
    folders: Folders
    cancelled: Cancelled | None = None


def probe(asked: Asked, graph: ReleaseGraph, releases: Collection[str], *, but: Collection[str] = ()) -> Look:
    """One look. `releases`: those whose roles may have been interrupted, the source and the target of a hop. `but`:
    ids that are not looked for.

    Never raises for a host or service that does not answer: it is in `unread`.
    """
    kinds = tuple(kind for kind in graph.leftovers.of(tuple(sorted(releases))) if kind.id not in but)
    hosts = cloud_hosts(asked.inventory)
    inside = sorted({host for group in _GROUPS for host in group_hosts(asked.inventory, group)} & set(hosts))
    play = own_play(
        asked.site,
        asked.toolchain,
        "leftovers",
        _HERE / "ask.yml",
        hosts,
        values=(
            ("upgrader_asked", ",".join(inside) or "upgrader_none"),
            ("upgrader_variables", ", ".join(f"'{kind.variable.upper()}'" for kind in kinds if kind.variable)),
            ("upgrader_settings", sorted({name for kind in kinds for name in (kind.setting, kind.unless) if name})),
        ),
        collect=(STATES, ANSWER),
    )
    result = asked.runner.run(play, asked.folders("leftovers"), cancelled=asked.cancelled)
    return judge(kinds, answers_of(result, hosts, inside, len(group_hosts(asked.inventory, "rabbitmq"))))


def answers_of(result: PlayResult, hosts: Sequence[str], inside: Sequence[str], brokers: int) -> Answers:
    """What the play's answers say, host by host."""
    containers: dict[str, Mapping[str, str]] = {}
    said: dict[str, Sections] = {}
    troubles: dict[str, str] = {}
    words = {trouble.host: trouble.message for trouble in (*result.failed, *result.unreachable)}
    for host in hosts:
        answer = result.collected.get(STATES, {}).get(host, {})
        if answer.get("unreachable") or answer.get("failed") or "stdout" not in answer:
            troubles[host] = words.get(host) or str(answer.get("msg") or result.error or "Ansible never worked on it")
            continue
        rows = (clean(line).partition("\t") for line in str(answer["stdout"]).splitlines())
        containers[host] = {name.strip(): state.strip() for name, tab, state in rows if tab}
    for host in inside:
        shows = shown(result, ANSWER, host)
        if shows.get("stdout"):
            said[host] = sections(str(shows["stdout"]))
        elif host not in troubles:
            troubles[host] = str(shows.get("trouble") or words.get(host) or "the question could not be asked")
    return Answers(containers, said, troubles, brokers)


def repair(asked: Asked, found: Sequence[Leftover]) -> dict[tuple[str, str], str]:
    """Do the repairs that are ours; says what was refused: (host, job) → words. Look again to know what is gone."""
    jobs: dict[str, list[str]] = {}
    for one in found:
        if one.ours and one.job:
            jobs.setdefault(one.host, []).append(" ".join(one.job))
    if not jobs:
        return {}
    play = own_play(
        asked.site,
        asked.toolchain,
        "put-leftovers-right",
        _HERE / "repair.yml",
        tuple(jobs),
        values=(("upgrader_jobs", jobs), ("upgrader_patience", _WAIT_SECONDS)),
        collect=(DONE,),
    )
    result = asked.runner.run(play, asked.folders("put-leftovers-right"), cancelled=asked.cancelled)
    refused: dict[tuple[str, str], str] = {}
    for host, lines in jobs.items():
        shows = shown(result, DONE, host)
        answer = sections(str(shows.get("stdout", "")))
        for line in lines:
            name = "-".join(line.split(" ")[:2])
            if f"done {name}" not in answer.lines:
                words = answer.failed.get(name) or str(shows.get("trouble") or "") or result.error
                refused[host, name] = words or "it said nothing"
    return refused


def put_right(
    asked: Asked,
    graph: ReleaseGraph,
    releases: Collection[str],
    *,
    but: Collection[str] = (),
    patience: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Finding, ...]:
    """Look, put right what is ours, look again; containers that still work are waited for, `patience` seconds at most.

    Findings: success for what is gone, failure with the command for what stayed, warnings for the rest.
    """
    before = probe(asked, graph, releases, but=but)
    if not any(one.ours and one.job for one in before.found):
        return told(before)
    ends = clock() + patience
    look, refused = before, {}
    while True:
        refused = repair(asked, look.found)
        look = probe(asked, graph, releases, but=but)
        waiting = [one for one in look.found if one.repair == "wait"]
        stopped = asked.cancelled is not None and asked.cancelled()
        if not waiting or stopped or clock() >= ends:
            return told(before, look, refused)
