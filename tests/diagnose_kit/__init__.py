"""A site, an attempt that failed, and hosts that answer: everything of a diagnosis without Ansible."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.cloud_kit.facts import SYNCED, cloud, container, host
from tests.engine_kit.place import site_of
from upgrader.config import Site
from upgrader.diagnose.asking import Heard, _excerpts
from upgrader.diagnose.choose import choose
from upgrader.diagnose.making import Making, Subject
from upgrader.diagnose.model import Diagnosis, Story, TaskDone, TaskFailure
from upgrader.graph import load_graph
from upgrader.model import CloudFacts, HostFacts
from upgrader.observed import BrokerFacts, Observed, VipFacts
from upgrader.status import Choice, Report, Verdict

MOMENT = "2026-11-22T03:12:05.500+00:00"
AT = 1795317125.5
"""MOMENT in seconds."""
GROUPS = ("control", "baremetal", "mariadb", "rabbitmq", "keystone", "loadbalancer")
ATTEMPT = "0446d6f4-573c-4aac-887f-9e14fce49737"


def log(*lines: str, container: str = "", path: str = "", folder: str = "", left_out: int = 0) -> dict[str, Any]:
    """A source as a host gives it; the lines are a tenth of a second apart, the last at the moment."""
    rows = [[AT - (len(lines) - at) / 10, text] for at, text in enumerate(lines, 1)]
    return {"container": container, "path": path, "folder": folder, "lines": rows, "left_out": left_out}


def answer(*sources: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What a host says."""
    return {"now": AT, "zone": "+0000", "states": {}, "unread": [], "sources": [*sources], **more}


def failure(host: str = "ctl1", **changes: Any) -> TaskFailure:
    given = {
        "task": "keystone : Running Keystone bootstrap container", "role": "keystone", "play": "Apply role keystone",
        "module": "kolla_container", "path": "/t/roles/keystone/tasks/bootstrap_service.yml:2", "at": MOMENT,
        "message": "Container exited with non-zero return code 1",
    }  # fmt: skip
    return TaskFailure(host=host, **{**given, **changes})


def story(*failures: TaskFailure, **changes: Any) -> Story:
    """An upgrade from 2024.1 to 2024.2 that failed."""
    values: dict[str, Any] = {
        "attempt": ATTEMPT, "run": "r", "hop": "2024.1→2024.2", "source": "2024.1", "target": "2024.2",
        "hop_number": 1, "hops": 3, "stage": "upgrade", "number": 1, "verdict": "failed", "message": "upgrade: failed",
        "step": "kolla-ansible upgrade to 2024.2", "play": "upgrade", "moment": MOMENT,
        "moment_how": "the time of the failed task", "failures": failures,
        "before": (TaskDone(MOMENT, "keystone", "keystone : Copying over config.json", "ok 3"),),
    }  # fmt: skip
    return Story(**{**values, **changes})


def hosts(*names: str, release: str = "2024.1", **changes: Any) -> list[HostFacts]:
    return [
        host(
            name, container("keystone", release), container("mariadb", release), groups=GROUPS, galera=SYNCED, **changes
        )
        for name in names
    ]


def facts(*rows: HostFacts, **observed: Any) -> CloudFacts:
    made = cloud(*rows)
    seen = {
        "rabbitmq": BrokerFacts(
            version="3.13.7", expected=len(rows), nodes=tuple(f"rabbit@{row.name}" for row in rows),
            running=tuple(f"rabbit@{row.name}" for row in rows), partitions=(), alarms=(), classic_queues=0,
        ),
        "vip": VipFacts(address="10.0.0.250", owners=("ctl1",)),
    }  # fmt: skip
    return made.model_copy(update={"observed": Observed(**{**seen, **observed})})


def report(**changes: Any) -> Report:
    values: dict[str, Any] = {
        "site": "prod-fra", "verdict": Verdict.DECISION, "run": "r", "hop": 1, "source": "2024.1", "target": "2024.2",
        "way_back": "redeploy", "ponr": "no", "ponr_words": "neutron's first migration",
        "choices": (
            Choice("upgrader resume", "try the upgrade to 2024.2 again"),
            Choice("upgrader rollback", "take the hop back to 2024.1"),
        ),
    }  # fmt: skip
    return Report(**{**values, **changes})


def heard(
    told: Story, seen: CloudFacts | None, answers: Mapping[str, Mapping[str, Any]], secrets: Iterable[str] = ()
) -> Heard:
    """What the cloud said, as `Question.ask` leaves it."""
    made = Heard(secrets=frozenset(secrets), facts=seen, answers=dict(answers), engine="docker")
    made.excerpts = tuple(one for name, said in answers.items() for one in _excerpts(name, said))
    inventory = {row.name: row.groups for row in seen.hosts} if seen else {}
    made.choice = choose(told, load_graph(), inventory)
    return made


def diagnosis(
    place: Path,
    told: Story,
    found: Heard,
    *,
    offline: bool = False,
    planned: Mapping[str, Any] | None = None,
    **seen: Any,
) -> Diagnosis:
    """The finished diagnosis of a site called prod-fra, without anything of this machine or this moment in it."""
    from dataclasses import replace

    site: Site = site_of(Path("/etc/upgrader"), name="prod-fra")
    made = Making(site, load_graph(), Subject(told, report(**seen), planned or {}), found, offline).diagnosis()
    window = made.window if told.moment else ("", "")  # without a moment it is around now
    return replace(made, made_at="2026-11-22T03:20:00Z", version="0", window=window)


def events(*rows: Mapping[str, Any]) -> str:
    """Lines of a play's events.jsonl."""
    return "".join(
        json.dumps({"counter": at, "at": f"2026-11-22T03:12:{at:02d}.000000+00:00", **row}) + "\n"
        for at, row in enumerate(rows, 1)
    )


def local(seconds: float) -> str:
    """How oslo.log writes a time on this machine."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{int(seconds % 1 * 1000):03d}"
