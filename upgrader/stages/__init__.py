"""The stages of a hop, and the function the supervisor of an attempt calls.

Each module of this package is one stage: `work(ctx)` does its steps with the real cloud, in order, each recorded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upgrader.context import AttemptContext
    from upgrader.model import AttemptRequest, StageOutcome


def run_stage(request: AttemptRequest, attempt: AttemptContext) -> StageOutcome:
    """Work on the stage the request names, and say what became of it. Raises only for defects of the tool."""
    from importlib import import_module

    from upgrader.config import load_site
    from upgrader.graph import load_graph
    from upgrader.kolla.passwords import secret_values
    from upgrader.kolla.vault import Vault
    from upgrader.plan_file import read_plan
    from upgrader.stages.base import StageContext, conduct_stage
    from upgrader.states import STAGES, State

    stage = State(request.stage)
    if stage not in STAGES:
        raise ValueError(f"{request.stage} is not a stage")
    site = load_site(Path(request.site_file))
    plan = read_plan(Path(request.plan_file))
    context = StageContext(request, site, plan, load_graph(), attempt)
    module = import_module(f"upgrader.stages.{stage.value}")

    def work(ctx: StageContext) -> None:
        vault = Vault(ctx.source_toolchain, site.vault_password_file) if site.vault_password_file else None
        attempt.learn(secret_values(site.passwords, vault))
        module.work(ctx)

    return conduct_stage(work, context)
