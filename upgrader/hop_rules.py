"""`[run]` of upgrader.toml as far as it is about a hop's end and what comes between two hops. Light: no pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from upgrader.config_table import Table

SECTION = "run"
PAUSE = "pause_between_hops"
"""Key of the site file, and name of the journal's flag in which a run keeps what its operator asked for."""


@dataclass(frozen=True, slots=True)
class HopRules:
    """What happens after a hop."""

    pause_between_hops: bool = False
    """A run of several hops rests after each one until a person lets the next one begin."""
    finish_online_migrations: bool = False
    """Preflight has rows of the old form migrated by the services' own commands, instead of asking for it."""
    prune_images: bool = False
    """Finalize removes the images that the hop left unused."""


def hop_rules(table: Table) -> HopRules:
    """Raises nothing itself; the table collects faults."""
    plain = HopRules()
    return HopRules(
        pause_between_hops=table.flag(SECTION, PAUSE, plain.pause_between_hops),
        finish_online_migrations=table.flag(SECTION, "finish_online_migrations", plain.finish_online_migrations),
        prune_images=table.flag(SECTION, "prune_images", plain.prune_images),
    )


def pause_words(wanted: bool, plan_sha256: str) -> str:
    """Value of the flag: what was asked for, and for which plan's run. A later run never takes it for its own."""
    return f"{'yes' if wanted else 'no'}, in the run of plan {plan_sha256[:12]}"


def pauses(rules: HopRules, flags: Mapping[str, str], plan_sha256: str) -> bool:
    """Whether the run of this plan rests between hops: its operator's word, else the site's rule."""
    asked = {pause_words(wanted, plan_sha256): wanted for wanted in (True, False)}
    return asked.get(flags.get(PAUSE, ""), rules.pause_between_hops)
