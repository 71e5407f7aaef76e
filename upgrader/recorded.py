"""A site record put together: facts seen just now, effective variables, and what lies on this machine.

Contacts no host and changes nothing; what the record means is the gates' business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from upgrader.config import Site
from upgrader.effective import compute, from_defaults
from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.findings import hop_name
from upgrader.gates import variables_needed
from upgrader.graph import Hop, ReleaseGraph
from upgrader.graph.broker import variables_wanted
from upgrader.keeping import custom_files, custom_folder, custom_options, keeping
from upgrader.kolla.inventory import Inventory, plan_groups
from upgrader.kolla.passwords import PasswordNames
from upgrader.kolla.settings import site_settings
from upgrader.kolla.toolchain import locate
from upgrader.model import CloudFacts, Code, Finding, HostFacts
from upgrader.record import Effective, SiteRecord
from upgrader.runner.base import Runner

Folder = Callable[[str], Path]
"""Name → a folder for one play that does not exist yet."""


def record_of(
    site: Site,
    facts: CloudFacts,
    inventory: Inventory,
    names: PasswordNames | None,
    effective: tuple[Effective, ...],
    groups_by_tool: tuple[str, ...] = (),
) -> SiteRecord:
    """What gates are given, from facts seen just now and what lies on this machine."""
    folder = _custom_folder(site)
    files = custom_files(folder) if folder else None
    return SiteRecord(
        facts=facts,
        effective=effective,
        hosts=tuple(sorted((host, tuple(sorted(groups))) for host, groups in inventory.hosts.items())),
        groups=tuple(sorted(inventory.groups)),
        groups_by_tool=groups_by_tool,
        passwords=names.filled if names else None,
        equal_passwords=names.equal if names else None,
        answers=site.answers,
        config_files=files,
        config_options=None if folder is None or files is None else custom_options(folder, files),
        keeping=keeping(site, names, inventory.hosts),
    )


def groups_of(site: Site, inventory: Inventory, hops: Sequence[Hop]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """(groups of these hops that the upgrade adds to the inventory, findings where only a person can)."""
    added: dict[str, tuple[str, ...]] = {}
    found = []
    for hop in hops:
        later = replace(inventory, groups={**inventory.groups, **added})
        try:
            edit = plan_groups(site.inventory, later, hop)
        except ConfigError as error:
            found.append(
                Finding(
                    id=error.reason,
                    code=Code.FAILURE,
                    severity="blocker",
                    hop=hop_name(hop),
                    message=error.message,
                    why="Plays of the target release work on these groups by name, also on empty ones.",
                    fix=error.details,
                )
            )
            continue
        added |= dict.fromkeys(edit.added if edit else (), ())
    return tuple(sorted(added)), tuple(found)


def effective_of(
    site: Site,
    graph: ReleaseGraph,
    inventory: Inventory,
    releases: Sequence[str],
    runner: Runner,
    folder: Folder,
    *,
    hosts: Sequence[HostFacts] = (),
    hops: Sequence[Hop] = (),
    more: frozenset[str] = frozenset(),
    say: Callable[[str], None] = lambda _line: None,
) -> tuple[Effective, ...]:
    """Variables of each release, as its own Ansible computes them; where its toolchain is missing, what the published
    defaults alone can say.

    `hops`: only what their own gates ask for; `more` are names besides those. Contacts no host.
    """
    wanted = variables_needed(graph, hops) | variables_wanted(graph) | more
    found = []
    for release in dict.fromkeys(releases):
        try:
            toolchain = locate(site, release)
        except EnvironmentMissingError:
            found.append(from_defaults(graph, release, site, inventory, wanted))
            continue
        say(f"Working out the variables of {release} …")
        found.append(compute(site, toolchain, inventory, wanted, runner, folder(f"effective-{release}"), hosts=hosts))
    return tuple(found)


def _custom_folder(site: Site) -> Path | None:
    """None: the settings that name it are locked, which whoever looks has been told, and nobody knows where it is."""
    try:
        return custom_folder(site, site_settings(site).get("node_custom_config"))
    except ConfigError:
        return None
