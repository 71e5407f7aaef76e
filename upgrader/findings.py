"""All findings of one look at a site: the way, the host systems, the gates of every hop, the probes; and their life.

Composes policies, gates and probes, each of which judges for itself; pure. Says once what several of them know, and
puts what was accepted or came back into the findings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from upgrader.by_hand import typed_action
from upgrader.errors import RefusedError
from upgrader.facts.heads import ReleaseNames
from upgrader.facts.upgrade_checks import chosen
from upgrader.gates import judge
from upgrader.gates.baseline import PREFIX, baseline
from upgrader.graph import Hop, ReleaseGraph
from upgrader.graph.broker import judge_broker, plans_of
from upgrader.journal import FindingMemory
from upgrader.model import CloudFacts, Code, DiskFacts, Finding, ReleaseReading
from upgrader.policy import Verdict, judge_path, refusal
from upgrader.policy.host_system import covered_actions, judge_host_systems
from upgrader.probes.containers import containers
from upgrader.probes.disk import disk
from upgrader.probes.galera import galera
from upgrader.probes.heads import heads
from upgrader.probes.services import judge_services
from upgrader.probes.upgrade_checks import judge_upgrade_checks
from upgrader.record import SiteRecord

CHECKLIST = "checklist"
"""What a check judged, besides hops and the cloud itself (an empty name), when the checklist was asked for."""
NOT_ASKED = "upgrade-checks-not-run"
_OF_THE_CLOUD = frozenset({"mixed-releases", "unknown-source"})
"""Reasons against a path that lie in the cloud: a check tells them as findings beside everything else."""


@dataclass(frozen=True, slots=True)
class Path:
    """The hops that are judged, and what the policies say of them. No hop: the cloud is judged as it is."""

    source: str
    target: str
    hops: tuple[Hop, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def releases(self) -> tuple[str, ...]:
        """Every release on it, the first one too; only the source where there is no hop."""
        names = (self.source, *(hop.target for hop in self.hops))
        return tuple(name for name in names if name)

    @property
    def scope(self) -> tuple[str, ...]:
        """What a check of it speaks of, as the journal remembers it."""
        return ("", *(hop_name(hop) for hop in self.hops))


def hop_name(hop: Hop) -> str:
    return f"{hop.source}→{hop.target}"


def newest_plannable(graph: ReleaseGraph) -> str:
    """The newest release whose facts are final."""
    return [release.id for release in graph.releases if not release.provisional][-1]


def find_path(graph: ReleaseGraph, reading: ReleaseReading, source: str = "", target: str = "") -> Path:
    """The path to judge: to `target`, by default the newest release that can be planned, from what runs.

    What makes a request senseless (an unknown release, backwards, a contradiction) raises RefusedError; a mixed or
    unknown cloud is a finding, and the hops from `source` are judged all the same.
    """
    start = source or (reading.release if reading.kind == "exact" else "")
    wanted = target or newest_plannable(graph)
    if start and not target and graph.release(start).id >= wanted:
        return Path(graph.release(start).id, graph.release(start).id, ())
    verdicts = judge_path(graph, source, wanted, None, reading)
    refused = [verdict for verdict in verdicts if verdict.code == "block" and verdict.reason not in _OF_THE_CLOUD]
    if refused:
        raise refusal(refused)
    findings = tuple(_of_verdict(verdict) for verdict in verdicts if verdict.code != "allow")
    if not start:
        return Path("", graph.release(wanted).id, (), findings)
    return Path(graph.release(start).id, graph.release(wanted).id, graph.path(start, wanted), findings)


def _of_verdict(verdict: Verdict) -> Finding:
    blocks = verdict.code == "block"
    return Finding(
        id=verdict.reason,
        code=Code.FAILURE if blocks else Code.WARNING,
        severity="blocker" if blocks else "advised",
        message=verdict.message,
        evidence="; ".join(verdict.details),
        next=verdict.next_command if blocks else "",
    )


# ---------------------------------------------------------------- judging


@dataclass(frozen=True, slots=True)
class Room:
    """Disk space that is wanted: on every host, and in places on this machine."""

    min_free_bytes: int
    local: tuple[DiskFacts, ...] = ()


def judge_site(
    graph: ReleaseGraph, path: Path, record: SiteRecord, names: ReleaseNames, room: Room
) -> tuple[Finding, ...]:
    """Everything open on the path, and what is good about the cloud itself, in no particular order."""
    return (
        *path.findings,
        *judge_cloud(record.facts, names, path.source, room),
        *judge_hops(graph, path, record),
    )


def judge_hops(graph: ReleaseGraph, path: Path, record: SiteRecord) -> tuple[Finding, ...]:
    """What the release graph knows of the hops, and what the hosts' systems have against them. Each is said once.

    Groups that this tool adds to the inventory are as good as there.
    """
    covered = covered_actions(graph)
    gates = (finding for finding in judge(graph, path.hops, record.with_own_groups) if finding.id not in covered)
    brokers = judge_broker(graph, path.hops, plans_of(graph, path.hops, record, typed_action()))
    return (*judge_host_systems(graph, path.hops, record.facts), *brokers, *gates)


def judge_own_checks(path: Path, facts: CloudFacts) -> tuple[Finding, ...]:
    """What the services' own upgrade checks of the first hop's target said, or that nobody asked them yet."""
    if not path.hops or not chosen(facts):
        return ()
    hop, checks = path.hops[0], facts.observed.upgrade_checks
    if checks is None:
        return (
            Finding(
                id=NOT_ASKED,
                code=Code.WARNING,
                severity="advised",
                hop=hop_name(hop),
                message=f"the services' own upgrade checks were not run: images of {hop.target} are not pulled",
                why="They run in the target's images. Stage pull runs them as soon as the images are there, before "
                "anything is changed, and ends the hop where one fails.",
                fix=(f"pull the images of {hop.target} on the hosts days before the window, then check again",),
            ),
        )
    return tuple(finding.model_copy(update={"hop": hop_name(hop)}) for finding in judge_upgrade_checks(checks))


def judge_cloud(facts: CloudFacts, names: ReleaseNames, release: str, room: Room) -> tuple[Finding, ...]:
    """What the probes say of the cloud as it is; `release` is the one that should run, empty when nobody knows."""
    found = [
        *containers(facts, names, release or None),
        *galera(facts),
        *disk(facts, room.min_free_bytes, room.local),
        *judge_services(facts),
    ]
    if release:
        found += heads(facts, names, release)
    return tuple(found)


def judge_checklist(record: SiteRecord, release: str) -> tuple[Finding, ...]:
    """The production checklist, the good points too."""
    return baseline(record, release)


# ---------------------------------------------------------------- life


def acceptable(finding: Finding) -> bool:
    """Whether a person may take the risk by id: everything that does not block, and blockers that say so."""
    return finding.code is Code.WARNING or (finding.code is Code.FAILURE and finding.overridable)


def with_life(findings: Iterable[Finding], memory: FindingMemory) -> tuple[Finding, ...]:
    """The findings with what is remembered of them: taken by whom and why, settled before and back again."""
    return tuple(_alive(finding, memory) for finding in findings)


def _alive(finding: Finding, memory: FindingMemory) -> Finding:
    if finding.code is Code.SUCCESS:
        return finding
    known = memory.open.get(finding.id)
    taken = memory.accepted.get(finding.id)
    changes: dict[str, object] = {}
    if known.regressed if known else finding.id in memory.settled:
        changes["regressed"] = True
    if taken is not None and acceptable(finding):
        changes["accepted"] = (taken.actor, taken.reason)
    return finding.model_copy(update=changes) if changes else finding


def accept_all(findings: Iterable[Finding], reasons: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings, those accepted whose id has a reason; for a stage, which cannot ask the journal who gave it."""
    return tuple(
        finding.model_copy(update={"accepted": ("the operator", reasons[finding.id])})
        if finding.id in reasons and acceptable(finding)
        else finding
        for finding in findings
    )


def blocking(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that stop: failures whose risk nobody may take or took."""
    return tuple(finding for finding in findings if finding.blocks)


def open_ids(findings: Iterable[Finding]) -> dict[str, str]:
    """id → hop of everything that is not good; what a check leaves in the journal."""
    found: dict[str, str] = {}
    for finding in findings:
        if finding.code is not Code.SUCCESS:
            found.setdefault(finding.id, part_of(finding))
    return found


def part_of(finding: Finding) -> str:
    """Where a finding belongs: a hop, the checklist, or (empty) the cloud itself."""
    return CHECKLIST if finding.id.startswith(PREFIX) else finding.hop


_SEVERITY = {"blocker": 0, "required": 1, "": 2, "advised": 3}
_WHEN = {"before": 0, "during": 1, "after": 2}


def in_order(findings: Iterable[Finding], path: Path) -> tuple[Finding, ...]:
    """By hop (the cloud itself first), when it is to be done, and weight: what blocks first."""
    numbers = {name: number for number, name in enumerate(path.scope)}

    def key(finding: Finding) -> tuple[int, int, bool, int, int, str, str]:
        return (
            numbers.get(finding.hop, len(numbers)),
            _WHEN[finding.when],
            not finding.blocks,
            -finding.code.rank,
            _SEVERITY[finding.severity],
            finding.id,
            finding.host,
        )

    return tuple(sorted(findings, key=key))


def nearest(name: str, findings: Sequence[Finding], more: Iterable[str] = ()) -> tuple[str, ...]:
    """Names like the one that was typed."""
    from difflib import get_close_matches

    return tuple(get_close_matches(name, sorted({*(finding.id for finding in findings), *more}), n=3, cutoff=0.4))


def refuse_acceptance(name: str, findings: Sequence[Finding]) -> None:
    """Raises RefusedError when the finding is not open (with the nearest names), or its risk is nobody's to take."""
    found = [finding for finding in findings if finding.id == name and finding.code is not Code.SUCCESS]
    if not found:
        raise RefusedError(
            f"No open finding has the id {name!r}; only what is open can be accepted.",
            cloud="Nothing was changed.",
            details=[f"nearest: {near}" for near in nearest(name, findings)],
            next_command="upgrader check",
            reason="finding-not-open",
        )
    hard = next((finding for finding in found if not acceptable(finding)), None)
    if hard is not None:
        raise RefusedError(
            f"{name} blocks, and its risk cannot be taken: it has to be settled.",
            cloud="Nothing was changed.",
            details=[hard.message, *hard.fix],
            next_command=f"upgrader check --explain {name}",
            reason="finding-not-acceptable",
        )


# ---------------------------------------------------------------- what only the operator knows

_ASKED = re.compile(r"answer ([A-Za-z_]\w*) in \[answers\] of upgrader\.toml")
_ELSEWHERE = re.compile(r"answers? \w|on 20\d\d\.")
_WORDS = re.compile(r"answers? ([\w, ]+?): (.+)")


@dataclass(frozen=True, slots=True)
class Question:
    """One word that belongs into [answers] of upgrader.toml."""

    name: str
    words: str
    """What is asked; empty where the data have no words."""
    asked_by: tuple[str, ...]
    """Ids of the findings that wait for it."""


def asked(finding: Finding) -> tuple[str, ...]:
    """Names of the answers that a finding waits for."""
    return tuple(dict.fromkeys(_ASKED.findall(finding.evidence))) if finding.unknown else ()


def missing(finding: Finding) -> tuple[str, ...]:
    """What else is missing, one line each, without what is a question to the operator."""
    parts = finding.evidence.split("; ") if finding.unknown else []
    return tuple(part for part in parts if part and not _ELSEWHERE.match(part))


def questions(findings: Iterable[Finding]) -> tuple[Question, ...]:
    """Every answer that some finding waits for, each once, in the order of the findings."""
    words: dict[str, str] = {}
    by: dict[str, dict[str, None]] = {}
    for finding in findings:
        if finding.accepted[1]:
            continue
        for part in finding.evidence.split("; ") if finding.unknown else ():
            told = _WORDS.match(part)
            for name in re.split(r",\s*|\s+and\s+", told[1]) if told else ():
                words.setdefault(name.strip(), told[2] if told else "")
        for name in asked(finding):
            by.setdefault(name, {})[finding.id] = None
    return tuple(Question(name, words.get(name, ""), tuple(ids)) for name, ids in by.items())


# ---------------------------------------------------------------- one check, whole


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check found, ready to be shown. `findings` are in order, the good ones among them."""

    site: str
    path: Path
    findings: tuple[Finding, ...]
    observed_at: str
    known_by: str
    hosts: tuple[tuple[str, tuple[str, ...]], ...]
    graph_version: str
    settled: tuple[str, ...] = ()
    """Ids that were open at the last check that judged them and are gone now."""
    unrecorded: str = ""
    """Why the journal does not hold this check; empty when it does."""

    @property
    def open(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.code is not Code.SUCCESS)

    @property
    def blockers(self) -> tuple[Finding, ...]:
        return blocking(self.findings)

    def document(self, next_command: str) -> dict[str, object]:
        """The JSON form; everything that is shown, and the good points too."""
        return {
            "schema_version": 1,
            "kind": "check",
            "site": self.site,
            "from": self.path.source,
            "to": self.path.target,
            "hops": [hop_name(hop) for hop in self.path.hops],
            "observed_at": self.observed_at,
            "known_by": self.known_by,
            "graph_version": self.graph_version,
            "blocked": bool(self.blockers),
            "counts": {
                "blockers": len(self.blockers),
                "unknown": sum(finding.unknown for finding in self.open),
                "accepted": sum(bool(finding.accepted[1]) for finding in self.open),
                "regressed": sum(finding.regressed for finding in self.open),
                "open": len(self.open),
            },
            "findings": [{**finding.document(), "blocks": finding.blocks} for finding in self.findings],
            "questions": [
                {"name": asked.name, "words": asked.words, "asked_by": list(asked.asked_by)}
                for asked in questions(self.findings)
            ],
            "settled": list(self.settled),
            "recorded": not self.unrecorded,
            "next": next_command,
        }
