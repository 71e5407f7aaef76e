"""One play that tries the APIs of a cloud and counts its services' errors; what it came to, before it is judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from upgrader.config import Site
from upgrader.diagnose import log_lines
from upgrader.facts.plays import HasHosts, cloud_hosts, own_play, shown
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts
from upgrader.probes.logs_rate import Counted, Told
from upgrader.runner.base import Cancelled, PlayResult, Runner
from upgrader.smoke.count_errors import MARK
from upgrader.smoke.times import Times
from upgrader.verify_rules import OFF

TRIED, COUNT = "Answer of the trial", "Count the errors"
BEFORE = timedelta(hours=1)
"""What the time since the upgrade is compared with ends where the hop began to change the cloud."""
_HOST_SECONDS = 60
_LEEWAY = 150
"""Seconds of the trial's own removing, beyond its limit, and a little."""
_PLACE = Path(__file__).parent
_NOBODY = "upgrader_none"
_BEFORE_IT = "trial "
"""What the play puts before the answer, so that no Ansible takes it for data."""
_RUNS = {
    "glance_api": "glance", "nova_api": "nova", "nova_compute": "nova-compute", "neutron_server": "neutron",
    "cinder_api": "cinder",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the trial. `ok` None: it could not be tried, or was not asked for (`skipped`)."""

    name: str
    who: str
    ok: bool | None
    words: str
    skipped: bool = False
    seconds: float = 0.0


@dataclass
class Tried:
    """What the play came to. `error`: why there is no answer of the trial."""

    steps: tuple[Step, ...] = ()
    error: str = ""
    lost: bool = False
    """What came back is no answer of the trial, and it did not come too late."""
    counted: Counted = field(default_factory=Counted)


def runs_of(facts: CloudFacts) -> tuple[str, ...]:
    """What the trial may use: services whose containers were seen."""
    seen = {container.name for host in facts.hosts for container in host.containers}
    return tuple(sorted(kind for name, kind in _RUNS.items() if name in seen))


def try_out(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    *,
    inventory: HasHosts,
    runs: tuple[str, ...],
    host: str,
    url: str,
    times: Times,
    cancelled: Cancelled | None = None,
) -> Tried:
    """Run the play once. `host`: one that runs Keystone, or empty, so that no API is tried; `url`: of Keystone.

    Without the time of the hop no log is read. Never raises for what the cloud answers.
    """
    rules = site.verify
    wish = {"mode": rules.smoke, "runs": list(runs), "limit": rules.limit, "server": rules.server}
    smoke = host if rules.smoke != OFF else ""
    question = _question(times) if rules.logs else None
    hosts = cloud_hosts(inventory) if question else ()
    values = (
        ("upgrader_smoke_host", smoke or _NOBODY),
        ("upgrader_smoke_url", url),
        ("upgrader_smoke_seconds", rules.limit + _LEEWAY),
        ("upgrader_smoke", {**wish, "flavor": rules.flavor}),
        ("upgrader_log_hosts", ",".join(hosts) or _NOBODY),
        ("upgrader_log_lines", str(Path(log_lines.__file__))),
        ("upgrader_log_seconds", _HOST_SECONDS + 20),
        ("upgrader_question", question or {}),
    )
    if not smoke and not hosts:
        return Tried()
    play = own_play(
        site, toolchain, "try", _PLACE / "trial.yml", hosts, values=values, collect=(TRIED, COUNT)
    )  # fmt: skip
    result = runner.run(play, folder, cancelled=cancelled)
    tried = Tried()
    if smoke:
        tried.steps, tried.error, tried.lost = _steps(result, smoke)
    if question is not None:
        tried.counted = _counted(result, hosts, question)
    return tried


def _question(times: Times) -> dict[str, Any] | None:
    if times.began is None or times.ended is None:
        return None
    begin = times.began - BEFORE
    moments = {"begin": begin, "hop": times.began, "end": times.ended}
    return {**{name: at.timestamp() for name, at in moments.items()}, "seconds": _HOST_SECONDS}


def _steps(result: PlayResult, host: str) -> tuple[tuple[Step, ...], str, bool]:
    said = shown(result, TRIED, host)
    if not said:
        return (), result.message, False
    code = str(said.get("rc"))
    try:
        rows = json.loads(str(said.get("stdout", "")).removeprefix(_BEFORE_IT))["steps"]
        return tuple(_step(row) for row in rows), "", False
    except (ValueError, KeyError, TypeError):
        late = code in ("124", "137")
        words = "it took too long" if late else str(said.get("error") or f"no words, code {code}")
        return (), f"{host}: {words}", not late


def _step(row: Mapping[str, Any]) -> Step:
    ok = row["ok"]
    return Step(
        name=str(row["step"]),
        who=str(row["who"]),
        ok=ok if isinstance(ok, bool) else None,
        words=str(row["words"]),
        skipped=bool(row.get("skipped")),
        seconds=float(row.get("seconds", 0)),
    )


# ---------------------------------------------------------------- logs


def _counted(result: PlayResult, hosts: tuple[str, ...], question: Mapping[str, Any]) -> Counted:
    found = Counted()
    lost = {trouble.host: trouble.message for trouble in (*result.unreachable, *result.failed)}
    for host in hosts:
        said = result.collected.get(COUNT, {}).get(host, {})
        answer = _answer(str(said.get("stdout", "")))
        if answer is None:
            why = lost.get(host) or str(said.get("msg") or said.get("stderr") or "").strip()[-200:]
            found.unread[host] = why or result.error or "no answer"
            continue
        if answer.get("absent"):
            found.absent.add(host)
        if answer.get("unread"):
            found.unread[host] = "; ".join(f"{what}: {why}" for what, why in answer["unread"][:4])
        for service, row in (answer.get("services") or {}).items():
            found.told.setdefault(str(service), {})[host] = _told(row, answer, question)
    return found


def _answer(output: str) -> dict[str, Any] | None:
    for line in output.splitlines():
        _, mark, text = line.partition(MARK)
        if mark:
            try:
                found = json.loads(text.strip())
            except ValueError:
                return None
            return found if isinstance(found, dict) else None
    return None


def _told(row: Mapping[str, Any], answer: Mapping[str, Any], question: Mapping[str, Any]) -> Told:
    first = float(row["from"])
    return Told(
        before=int(row["before"]),
        before_seconds=max(0.0, float(question["hop"]) - first) if first and first < question["hop"] else 0.0,
        after=int(row["after"]),
        after_seconds=max(0.0, float(answer["now"]) - float(question["end"])),
        new=tuple((str(kind), int(count)) for kind, count in row["new"]),
    )
