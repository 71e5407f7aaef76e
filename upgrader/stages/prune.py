"""Images that a finished hop has replaced, removed from the hosts. Optional, and only once the way back is closed.

Not kolla-ansible's own `prune-images`: that removes every Kolla image without a container, so also those that were
pulled days ahead for the next hop, and those of services that are only down. Here an image goes when the hop's own
backup set names it as one that containers ran on before the hop, no container of any host is made from it now, and its
repository is one the cloud still uses, so that a name an operator gave to keep it stays. The engine is asked without
force, so that it refuses what is in use after all. Nothing that goes wrong here undoes or holds up the hop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upgrader.database.manifest import IMAGES, read_manifest
from upgrader.errors import UpgraderError
from upgrader.facts.plays import own_play
from upgrader.kolla.images import parse_reference
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.stages.base import Inconclusive, StageCanceled, StageContext, StepFailed

ANSWER = "Remove images"
STEP = "remove the images that this hop replaced"
_PLAYBOOK = Path(__file__).parent / "prune.yml"


def prune(ctx: StageContext, toolchain: Toolchain, facts: CloudFacts) -> None:
    """Remove them on every host; what stayed, and why, is told. Raises nothing a stage would end by."""
    try:
        with ctx.step(STEP) as evidence:
            try:
                names = replaced(_before(ctx), facts)
                removed, kept = _remove(ctx, toolchain, facts, names) if names else ([], [])
            except (StepFailed, UpgraderError) as error:
                raise Inconclusive(error.message) from error
            evidence.append(
                f"{len(names)} images of {ctx.hop.source} are not used any more, {len(removed)} were removed"
            )
            evidence.extend(removed)
            if kept:
                raise Inconclusive("; ".join(kept[:8]))
    except (Inconclusive, StageCanceled) as left:
        words = f"not every image of {ctx.hop.source} was removed: {left}"
        why = "the hop is done all the same; they only take up room"
        ctx.findings.append(Finding(id="images-left", code=Code.WARNING, message=words, why=why, when="after"))


def replaced(before: Mapping[str, Any], facts: CloudFacts) -> tuple[str, ...]:
    """References to remove. `before`: image id → `tags` of what ran before the hop; `facts`: what there is now.

    Raises StepFailed where it is not known of some host what it runs.
    """
    unseen = [host.name for host in facts.hosts if host.error or not host.reachable]
    if unseen:
        raise StepFailed(f"not known what runs on {', '.join(unseen)}")
    containers = [container for host in facts.hosts for container in host.containers]
    ids = {container.image_id for container in containers}
    names = {container.image for container in containers}
    repositories = {parse_reference(name).repository for name in names}
    return tuple(
        sorted(
            name
            for image, row in before.items()
            if image not in ids
            for name in row.get("tags") or ()
            if name not in names and parse_reference(name).tag and parse_reference(name).repository in repositories
        )
    )


def _before(ctx: StageContext) -> Mapping[str, Any]:
    """What ran before the hop, as its backup set says."""
    if ctx.backup_set is None:
        raise StepFailed("this hop has no backup set that would say what ran before it")
    part = read_manifest(ctx.backup_set).part(IMAGES)
    found: dict[str, Any] = {}
    try:
        for entry in part.files if part else ():
            found |= json.loads((ctx.backup_set / entry.path).read_bytes())["images"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StepFailed(f"the backup set does not say what ran before the hop: {error}") from error
    return found


def _remove(
    ctx: StageContext, toolchain: Toolchain, facts: CloudFacts, names: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """(removed, kept with why), as `host: words`."""
    hosts = tuple(host.name for host in facts.hosts)
    play = own_play(
        ctx.site, toolchain, "prune", _PLAYBOOK, hosts,
        values=(("upgrader_images", list(names)),), collect=(ANSWER,), expected=hosts, variables=False,
    )  # fmt: skip
    result = ctx.run(play)
    lines = [
        (host, line)
        for host, answer in sorted(result.collected.get(ANSWER, {}).items())
        for line in str(answer.get("stdout", "")).splitlines()
    ]
    removed = [f"{host}: {line.removeprefix('removed ')}" for host, line in lines if line.startswith("removed ")]
    return removed, [f"{host}: {line.removeprefix('kept ')}" for host, line in lines if line.startswith("kept ")]
