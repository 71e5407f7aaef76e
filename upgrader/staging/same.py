"""Is it the same plan? What of a hop has to be equal for a rehearsal elsewhere to speak for it. Pure.

Hosts, addresses, names of sites and times are left out on purpose: they always differ. What is compared is what
decides how the hop goes: releases, tool and release data, toolchains to the exact version, stages, services with their
schemas, queue migration, and what is edited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upgrader.model import HopPlan, Plan, ToolchainPin, digest

Built = Mapping[str, ToolchainPin]
"""Release → toolchain with exact versions, of what is built for a site."""


def parts(plan: Plan, hop: HopPlan, built: Built) -> dict[str, Any]:
    """Part → what it says, for everything that has to be equal. `built` fills in toolchains that the plan knows as
    ranges only, because they were not built when it was made."""
    return {
        "hop": hop.name,
        "upgrader": plan.tool_version,
        "release data": plan.graph_sha256,
        f"toolchain {hop.target}": _toolchain(hop.toolchain, built),
        f"toolchain {hop.source}": _toolchain(hop.toolchain_back, built),
        "stages": [[stage.name, stage.changes_cloud, stage.way_back.value] for stage in hop.stages],
        "services": sorted(_service(row.document()) for row in hop.way_back if row.enabled is not False),
        "queue migration": [hop.broker.migration, hop.broker.before, hop.broker.after, sorted(hop.broker.services)],
        "settings edited": sorted([key, value] for key, value in (*hop.settings, *hop.broker.settings)),
        "groups added": sorted(hop.groups_added),
        "passwords added": sorted(hop.passwords_added),
        "done by hand": sorted([action.id, action.applies] for action in hop.by_hand if action.applies != "no"),
    }


def rehearsal_sha256(plan: Plan, hop: HopPlan, built: Built) -> str:
    """One digest of all parts: equal for two plans that differ in nothing but hosts, names and times."""
    return digest(parts(plan, hop, built))


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[str, ...]:
    """One line for each part that is not the same on staging as here; empty: it is the same plan."""
    lines = []
    for part in dict.fromkeys((*here, *there)):
        ours, theirs = here.get(part), there.get(part)
        if ours != theirs:
            lines.append(f"{part}: {_told(ours, theirs)}")
    return tuple(lines)


def _toolchain(pin: ToolchainPin, built: Built) -> list[str]:
    exact = pin if pin.lock_sha256 else built.get(pin.release, pin)
    return [exact.kolla_ansible, exact.ansible_core, exact.python, exact.lock_sha256]


def _service(row: Mapping[str, Any]) -> list[str]:
    heads = [" + ".join(row.get(name, ())) for name in ("heads_before", "heads_after")]
    return [str(row["service"]), str(row.get("database", "")), *heads, str(row["way"])]


def _told(ours: Any, theirs: Any) -> str:
    """Both sides in few words: of lists only what the other side lacks."""
    if isinstance(ours, list) and isinstance(theirs, list) and any(isinstance(item, list) for item in (*ours, *theirs)):
        only_here = [_words(item) for item in ours if item not in theirs]
        only_there = [_words(item) for item in theirs if item not in ours]
        said = [f"only here {', '.join(only_here[:4])}"] if only_here else []
        said += [f"only on staging {', '.join(only_there[:4])}"] if only_there else []
        return "; ".join(said) or "in another order"
    return f"here {_words(ours)}, on staging {_words(theirs)}"


def _words(item: Any) -> str:
    if item in (None, "", []):
        return "nothing"
    if isinstance(item, list):
        return " ".join(_short(str(part)) for part in item if part not in ("", None)) or "nothing"
    return _short(str(item))


def _short(text: str) -> str:
    """Digests are told by their beginning."""
    return text[:12] if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text) else text
