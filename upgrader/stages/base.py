"""What a stage is given and what it says: the frame that every stage runs in.

Owns step recording and the way a play is judged inside a stage; knows no stage. A stage runs in the supervisor's
process, so it never touches the journal: what it has to say goes to the attempt folder, and the engine records it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from upgrader.config import Site
from upgrader.context import AttemptContext
from upgrader.decisions import data_stores, schema_changers
from upgrader.durable import failpoint
from upgrader.errors import UpgraderError
from upgrader.graph import ReleaseGraph
from upgrader.kolla.toolchain import Toolchain, locate
from upgrader.model import AttemptRequest, Code, Finding, HopPlan, Plan, StageOutcome, StepResult
from upgrader.runner.base import Play, PlayResult


class StepFailed(Exception):  # noqa: N818 - a stage's ordinary way to end early, not an error of the tool
    """A step did not come right; the stage ends with what it has."""

    def __init__(self, message: str, *, findings: Sequence[Finding] = (), evidence: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message, self.findings, self.evidence = message, tuple(findings), tuple(evidence)


class StageCanceled(Exception):  # noqa: N818
    """The operator asked to stop; seen between two steps or inside a play."""


class Inconclusive(Exception):  # noqa: N818
    """The stage ran, but something could not be told; a human decides."""

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.message, self.findings = message, tuple(findings)


@dataclass
class StageContext:
    """One attempt at one stage: what it may use, and the record it leaves behind."""

    request: AttemptRequest
    site: Site
    plan: Plan
    graph: ReleaseGraph
    attempt: AttemptContext
    steps: list[StepResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def hop(self) -> HopPlan:
        return self.plan.hops[self.request.hop]

    @property
    def backup_set(self) -> Path | None:
        return Path(self.request.backup_set) if self.request.backup_set else None

    @cached_property
    def target_toolchain(self) -> Toolchain:
        return locate(self.site, self.hop.target)

    @cached_property
    def source_toolchain(self) -> Toolchain:
        return locate(self.site, self.hop.source)

    @cached_property
    def watch(self) -> tuple[str, ...]:
        """Names of the tasks behind which only a restore leads back, for the services of this cloud on this hop."""
        services = {row.service for row in (*schema_changers(self.hop), *data_stores(self.hop))}
        tasks = self.graph.schema_tasks(self.hop.target)
        return tuple(dict.fromkeys(task.pattern for task in tasks if task.service in services))

    @contextmanager
    def step(self, name: str, *, always: bool = False) -> Iterator[list[str]]:
        """Record a step; lines put into the yielded list become its evidence, the first its message.

        Raises StageCanceled before it starts when the operator asked to stop; not where `always` is wanted, for what
        puts the cloud right again before the stage ends.
        """
        if self.attempt.cancelled() and not always:
            raise StageCanceled(name)
        evidence: list[str] = []
        started = time.monotonic()
        self.attempt.progress("step_start", step=name)
        failpoint(f"stage.{self.request.stage}.{name}.begun")
        code, message = Code.FAILURE, "broke off"
        try:
            yield evidence
            code, message = Code.SUCCESS, evidence[0] if evidence else ""
        except StepFailed as failed:
            message = failed.message
            self.findings.extend(failed.findings)
            evidence.extend(failed.evidence)
            raise
        except UpgraderError as error:
            message = error.message
            raise
        except (StageCanceled, Inconclusive) as left:
            code, message = Code.WARNING, str(left) or "stopped on request"
            raise
        finally:
            seconds = round(time.monotonic() - started)
            self.steps.append(
                StepResult(name=name, code=code, seconds=seconds, message=message, evidence=tuple(evidence))
            )
            self.attempt.progress("step_end", step=name, code=code.value, message=message, seconds=seconds)
            failpoint(f"stage.{self.request.stage}.{name}.ended")

    def run(self, play: Play) -> PlayResult:
        """Run a play; anything but its verdict on every expected host ends the step."""
        result = self.attempt.run(play)
        if result.status == "canceled":
            raise StageCanceled(play.name)
        if not result.verdict:
            raise StepFailed(result.message)
        return result

    def judge(self, findings: Sequence[Finding], message: str) -> None:
        """Keep the findings; end the step when one of them is a failure whose risk nobody took."""
        bad = tuple(finding for finding in findings if finding.blocks)
        if not bad:
            self.findings.extend(findings)
            return
        words = "; ".join(dict.fromkeys(finding.message for finding in bad[:4]))
        raise StepFailed(f"{message}: {words}", findings=findings)

    def outcome(self, verdict: str, message: str = "") -> StageOutcome:
        return StageOutcome.model_validate(
            {
                "verdict": verdict,
                "message": message,
                "steps": tuple(self.steps),
                "findings": tuple(self.findings),
                "schema_started": self._schema_started(),
                "facts": tuple(sorted(self.facts.items())),
            }
        )

    def _schema_started(self) -> bool | None:
        """Known only when every play that could have begun one gave its closing account, or there is none to begin."""
        if self.attempt.watched:
            return True
        if not self.watch or all(result.stats is not None for result in self.attempt.results):
            return False
        return None


class Stage(Protocol):
    """One stage of a hop: `work` does its steps. Raises StepFailed, StageCanceled or Inconclusive to end early."""

    def __call__(self, ctx: StageContext) -> None: ...


def conduct_stage(stage: Stage, ctx: StageContext) -> StageOutcome:
    """Run a stage to its outcome. Known troubles become outcomes; defects pass on to the supervisor's record."""
    try:
        stage(ctx)
    except StepFailed as failed:
        return ctx.outcome("failed", failed.message)
    except StageCanceled as stopped:
        return ctx.outcome("canceled", f"stopped on request at {stopped}")
    except Inconclusive as unsure:
        ctx.findings.extend(unsure.findings)
        return ctx.outcome("inconclusive", unsure.message)
    except UpgraderError as error:
        message = "; ".join((error.message, *error.details[:5]))
        ctx.findings.append(
            Finding(id=error.reason or "error", code=Code.FAILURE, message=message, next=error.next_command)
        )
        return ctx.outcome("failed", message)
    return ctx.outcome("succeeded")
