"""The last steps of stage backup: which copy ends it, which risk may be taken by name, what is kept for the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.offbox_kit import a_site
from upgrader.config import Site
from upgrader.database.offbox import Copied
from upgrader.database.restic import INSTALL
from upgrader.database.restic_process import CancelledError
from upgrader.model import Code, Finding
from upgrader.stages import offbox
from upgrader.stages.base import StageCanceled, StepFailed

BROKEN = Finding(id="offbox-unreachable", code=Code.FAILURE, message="nobody answers", overridable=True)
FACTS = {"offbox_snapshot": "abc", "offbox_verified": "no"}


class Context:
    """Of a stage's context what these steps use."""

    def __init__(self, site: Site, **acceptances: str) -> None:
        self.site, self.facts = site, dict[str, str]()
        self.attempt = SimpleNamespace(cancelled=lambda: False)
        self.request = SimpleNamespace(acceptances=tuple(acceptances.items()))
        self.steps: list[tuple[str, list[str]]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        self.steps.append((name, []))
        yield self.steps[-1][1]

    def judge(self, findings: Sequence[Finding], message: str) -> None:
        if any(finding.blocks for finding in findings):
            raise StepFailed(message, findings=findings)


def copying(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(offbox, "copy_set", lambda *_, **__: Copied(findings, FACTS))


def work(context: Context) -> None:
    offbox.copy_off_this_machine(context, Path("/b/set"))  # type: ignore[arg-type]


def test_a_copy_that_does_not_count_ends_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copying(monkeypatch, BROKEN)
    context = Context(a_site(tmp_path))
    with pytest.raises(StepFailed, match="set is whole on this machine"):
        work(context)
    assert context.facts == FACTS


def test_the_risk_may_be_taken_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copying(monkeypatch, BROKEN)
    context = Context(a_site(tmp_path), **{"offbox-unreachable": "the store is being moved"})
    work(context)
    assert context.steps == [(offbox.COPY, ["nobody answers"])]


def test_a_missing_program_is_said_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    from tests.offbox_kit import a_set

    site = a_site(tmp_path)
    context = Context(site)
    offbox.copy_off_this_machine(context, a_set(site))  # type: ignore[arg-type]
    assert "restic is not installed" in context.steps[0][1][0]
    assert context.steps[0][1][0].endswith(INSTALL)
    assert context.facts == {"offbox_verified": "no"}


def test_being_stopped_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> Copied:
        raise CancelledError("stopped", reason="offbox-cancelled")

    monkeypatch.setattr(offbox, "copy_set", stopped)
    with pytest.raises(StageCanceled):
        work(Context(a_site(tmp_path)))


def test_without_a_place_there_is_no_step(tmp_path: Path) -> None:
    from dataclasses import replace

    context = Context(replace(a_site(tmp_path), offbox=None))
    work(context)
    assert context.steps == []
