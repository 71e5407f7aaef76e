"""Rows that the running release left: whose they are, which command moves them, and that counting decides."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cloud_kit.facts import cloud, container, host
from upgrader.hop_rules import HopRules
from upgrader.model import CloudFacts
from upgrader.observed import CinderFacts, NovaFacts, Observed
from upgrader.stages import online_rows, preflight
from upgrader.stages.base import StepFailed

NOVA, CINDER = ("instances.compute_id: 4",), ("volumes.use_quota: 12",)


def counted(nova: tuple[str, ...] | None = (), cinder: tuple[str, ...] | None = ()) -> CloudFacts:
    seen = cloud(
        host("ctl1", container("nova_conductor", state="exited"), container("cinder_api")),
        host("ctl2", container("nova_conductor")),
    )
    return seen.model_copy(
        update={"observed": Observed(nova=NovaFacts(unmigrated=nova), cinder=CinderFacts(unmigrated=cinder))}
    )


def test_rows_are_named_by_their_service_and_nothing_is_made_of_what_was_not_counted() -> None:
    assert online_rows.rows_left(counted()) == {}
    assert online_rows.rows_left(counted(None, None)) == {}
    assert online_rows.rows_left(cloud(host("ctl1"))) == {}
    assert online_rows.rows_left(counted(NOVA, CINDER)) == {"nova": NOVA, "cinder": CINDER}


class Stage:
    """As much of a stage's context as preflight's step needs; every look sees the next facts."""

    def __init__(self, patch: pytest.MonkeyPatch, *facts: CloudFacts, allowed: bool = True) -> None:
        self.site = SimpleNamespace(hops=HopRules(finish_online_migrations=allowed))
        self.played: list[Any] = []
        self.told: list[list[str]] = []
        coming = iter(facts)
        patch.setattr(preflight, "look", lambda *_, **__: next(coming))
        patch.setattr(online_rows, "own_play", lambda *_, values, **__: self.played.append(dict(values)))

    def step(self, _name: str) -> Any:
        from contextlib import nullcontext

        self.told.append([])
        return nullcontext(self.told[-1])

    def run(self, _play: Any) -> Any:
        stdout = "ended 0 nova-manage db online_data_migrations\n| compute_id | 4 | 0 |"
        return SimpleNamespace(collected={online_rows.ANSWER: {"ctl2": {"stdout": stdout}}})

    def migrated(self, facts: CloudFacts) -> CloudFacts:
        return preflight._migrated(self, SimpleNamespace(), SimpleNamespace(), facts)  # type: ignore[arg-type]


def test_the_services_own_command_where_its_container_runs_and_then_counted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch, counted())
    assert online_rows.rows_left(stage.migrated(counted(NOVA, CINDER))) == {}
    assert stage.played == [
        {
            "upgrader_commands": {
                "ctl2": ["nova_conductor nova-manage db online_data_migrations"],
                "ctl1": ["cinder_api cinder-manage db online_data_migrations"],
            }
        }
    ]
    assert stage.told == [
        [
            "none left, of instances.compute_id: 4; volumes.use_quota: 12",
            "ctl2: 0 nova-manage db online_data_migrations",
        ]
    ]


def test_a_command_that_ended_well_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, counted(NOVA))
    assert online_rows.rows_left(stage.migrated(counted(NOVA))) == {"nova": NOVA}, "the gates judge what is left"
    assert stage.told[0][0] == "left: instances.compute_id: 4, of instances.compute_id: 4"


@pytest.mark.parametrize(("allowed", "rows"), [(False, NOVA), (True, ())])
def test_nothing_is_run_unasked_or_for_nothing(
    monkeypatch: pytest.MonkeyPatch, allowed: bool, rows: tuple[str, ...]
) -> None:
    stage = Stage(monkeypatch, allowed=allowed)
    seen = counted(rows)
    assert stage.migrated(seen) is seen
    assert not stage.played and not stage.told


def test_a_service_that_runs_nowhere_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    without = counted(NOVA).model_copy(update={"hosts": (host("ctl1", container("nova_conductor", state="exited")),)})
    with pytest.raises(StepFailed, match="nova_conductor runs on no host"):
        stage.migrated(without)


def test_on_a_host_each_command_is_run_and_its_end_told() -> None:
    script = Path(online_rows.__file__).with_name("online_rows.sh").read_text()
    engine = 'engine() { echo "$*" >>"$seen"; cat; [ "$2" = good ] || { echo "2 rows failed" >&2; return 2; }; }'
    commands = "good nova-manage db sync\nbad cinder-manage db sync"
    done = subprocess.run(
        ["bash", "-c", f"seen=/dev/stderr\n{engine}\ncommands='{commands}'\n{script}"],
        capture_output=True, text=True, check=True, input="never read",
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == "ended 0 nova-manage db sync"
    assert "ended 2 cinder-manage db sync" in done.stdout and "2 rows failed" in done.stdout
    assert "never read" not in done.stdout
