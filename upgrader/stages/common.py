"""What several stages do the same way: look at the cloud, read the inventory, run one of kolla-ansible's actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from upgrader.durable import write_atomic, write_json
from upgrader.facts.images import SEEN, images_document
from upgrader.facts.names import release_names
from upgrader.facts.observe import observe
from upgrader.facts.plays import cloud_hosts
from upgrader.kolla.commands import Action, play
from upgrader.kolla.inventory import INVENTORIES, Inventory, missing_groups, remembered_inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts
from upgrader.runner.base import Play, PlayResult
from upgrader.stages.base import StageContext, StepFailed
from upgrader.status_read import keep_seen

EXTRA_GROUPS = "groups.ini"


def see(
    ctx: StageContext, toolchain: Toolchain, inventory: Inventory, *, heads: bool = True, services: bool = False
) -> CloudFacts:
    """Observe the cloud in a play of its own, whatever answers.

    `services`: with what gates and the services' own probes judge, which costs as much again on database hosts.
    """
    facts = observe(
        ctx.site,
        toolchain,
        ctx.attempt.runner(),
        ctx.attempt.play_folder("observe"),
        release_names(ctx.graph),
        inventory=inventory,
        heads=heads,
        services=services,
        cancelled=ctx.attempt.cancelled,
    )
    keep(ctx, facts)
    return facts


def look(
    ctx: StageContext,
    toolchain: Toolchain,
    inventory: Inventory,
    *,
    heads: bool = True,
    services: bool = False,
    spared: Sequence[str] = (),
) -> CloudFacts:
    """As `see`; an unreachable host that is not `spared` ends the step, by name."""
    facts = see(ctx, toolchain, inventory, heads=heads, services=services)
    lost = [host for host in facts.hosts if not host.reachable and host.name not in spared]
    if lost:
        raise StepFailed(
            "not reachable: " + ", ".join(host.name for host in lost),
            evidence=[f"{host.name}: {host.error}" for host in lost],
        )
    return facts


def keep(ctx: StageContext, facts: CloudFacts) -> None:
    """Keep the observation for later answers of `status`, and what ran with the attempt, whose digest covers it."""
    keep_seen(ctx.site, facts.document())
    write_json(ctx.attempt.folder / SEEN, images_document(facts))


def inventory_of(ctx: StageContext, toolchain: Toolchain) -> Inventory:
    """The inventory without the hosts that the plan leaves on their release: nobody works on them."""
    return whole_inventory(ctx, toolchain).without(ctx.plan.left)


def whole_inventory(ctx: StageContext, toolchain: Toolchain) -> Inventory:
    """With the hosts that stay behind, to look at."""
    return remembered_inventory(
        toolchain, ctx.site.inventory, ctx.site.vault_password_file, ctx.site.state_dir / INVENTORIES
    )


def extra_groups(ctx: StageContext, inventory: Inventory) -> tuple[Path, ...]:
    """An inventory file with the groups that the target release adds and the operator's inventory lacks.

    Given to Ansible beside the operator's own, so that checks and pulls work before anything of theirs is edited.
    """
    missing = missing_groups(inventory, ctx.graph.hop(ctx.hop.source, ctx.hop.target))
    if not missing:
        return ()
    lines = []
    for group, children in missing.items():
        lines += [f"[{group}:children]", *(child for child in children if child in inventory.groups), ""]
    path = ctx.attempt.folder / EXTRA_GROUPS
    write_atomic(path, "\n".join(lines))
    return (path,)


def run_action(
    ctx: StageContext,
    action: Action,
    toolchain: Toolchain,
    inventory: Inventory,
    *,
    hosts: Sequence[str] | None = None,
    release: str = "",
    more_inventory: Sequence[Path] = (),
    watch: Sequence[str] = (),
    closing: bool = False,
    tags: Sequence[str] = (),
    skip_tags: Sequence[str] = (),
) -> PlayResult:
    """One of kolla-ansible's own actions, with that release's playbooks; `hosts` have to be worked on (default: all).

    `release` overrides `openstack_release` where the operator's globals.yml is not edited yet. `closing`: the play is
    the last effect of its stage, so that its result alone says how the stage ended. Raises StepFailed for anything but
    the play's verdict.
    """
    chosen = action_play(
        ctx, action, toolchain, inventory, hosts=hosts, release=release, watch=watch, tags=tags, skip_tags=skip_tags
    )
    return ctx.run(replace(chosen, inventory=(*chosen.inventory, *more_inventory), closing=closing))


def action_play(
    ctx: StageContext,
    action: Action,
    toolchain: Toolchain,
    inventory: Inventory,
    *,
    hosts: Sequence[str] | None = None,
    release: str = "",
    watch: Sequence[str] = (),
    tags: Sequence[str] = (),
    skip_tags: Sequence[str] = (),
    limit: str = "",
    extra_vars: Sequence[tuple[str, Any]] = (),
) -> Play:
    """The play of an action, on all hosts but those that the plan leaves on their release, or within `limit`."""
    left = ":".join(("all", *(f"!{host}" for host in ctx.plan.left))) if ctx.plan.left else ""
    return play(
        action,
        toolchain,
        ctx.site,
        expected_hosts=cloud_hosts(inventory) if hosts is None else hosts,
        tags=tags,
        skip_tags=skip_tags,
        watch=watch,
        extra_vars=(*extra_vars, *((("openstack_release", release),) if release else ())),
        limit=limit or left,
    )
