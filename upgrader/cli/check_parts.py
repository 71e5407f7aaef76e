"""Parts of `check` and `plan` that are asked for apart: the configuration's difference, the inventory's patch.

Each is one call that looks, writes what was asked for, and gives back a value to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from upgrader.errors import ConfigError, RefusedError

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.estimates import HopFit
    from upgrader.graph import Hop, ReleaseGraph
    from upgrader.kolla.inventory import Inventory
    from upgrader.kolla.inventory_patch import InventoryPatch
    from upgrader.model import Plan
    from upgrader.record import SiteRecord
    from upgrader.rendered import ConfigDifference
    from upgrader.status import Standing
    from upgrader.views.page import Page

    WindowSeen = tuple[Standing | None, tuple[HopFit, ...]]

Say = Callable[[str], None]


def further_parts(
    site: Site,
    graph: ReleaseGraph,
    hops: Sequence[Hop],
    *,
    config_diff: bool,
    patch: Path | None,
    details: bool,
    say: Say,
) -> tuple[dict[str, object], list[Page]]:
    """(what JSON gets besides, pages to show) of the parts that were asked for. Raises as they do."""
    from upgrader.views.configuration import configuration_page, patch_page

    document: dict[str, object] = {}
    pages = []
    inventory = site_inventory(site, graph)
    if patch is not None:
        made = write_inventory_patch(site, hops, inventory, patch)
        document["inventory_patch"] = {
            "file": str(patch) if made.added else "",
            "added": {name: list(children) for name, children in made.added.items()},
        }
        pages.append(patch_page(str(patch), made.added, str(site.inventory.parent)))
    if config_diff:
        accounts = config_differences(site, hops, inventory, say=say)
        document["configuration"] = [
            {"hop": f"{hop.source}→{hop.target}", **account.document()}
            for hop, account in zip(hops, accounts, strict=True)
        ]
        named = [(hop.title, account) for hop, account in zip(hops, accounts, strict=True)]
        pages.append(configuration_page(named, details=details))
    return document, pages


def site_inventory(site: Site, graph: ReleaseGraph) -> Inventory:
    """The site's inventory, read with whatever toolchain is built. Raises ConfigError, EnvironmentMissingError."""
    from upgrader.kolla.inventory import read_inventory
    from upgrader.survey import looking_glass, read_settings

    toolchain = looking_glass(site, graph, read_settings(site).get("openstack_release", ""))
    return read_inventory(toolchain, site.inventory, site.vault_password_file).without(site.rolling.exclude)


def config_differences(
    site: Site, hops: Sequence[Hop], inventory: Inventory, *, say: Say = lambda _line: None
) -> tuple[ConfigDifference, ...]:
    """What each hop changes in the rendered configuration, in order; the texts lie below the site's state folder.

    Asks the hosts for their facts and changes nothing there. Takes minutes. Raises ConfigError for a passwords.yml
    that cannot be read, EnvironmentMissingError when no toolchain is built.
    """
    from upgrader.facts.plays import host_vars
    from upgrader.kolla.aside.differences import differences
    from upgrader.kolla.own_files import built
    from upgrader.kolla.passwords import secret_values
    from upgrader.kolla.vault import Vault
    from upgrader.runner.ansible import AnsibleRunner
    from upgrader.survey import binding_key

    toolchains = list(built(site, hops).values())
    vault = Vault(toolchains[0], site.vault_password_file) if toolchains and site.vault_password_file else None
    runner = AnsibleRunner(secrets=secret_values(site.passwords, vault))
    return differences(site, hops, inventory, runner, key=binding_key(site), variables=host_vars(site), say=say)


def with_configuration(plan: Plan, accounts: Sequence[ConfigDifference]) -> Plan:
    """The plan with each hop's account; its digest then names the differences too."""
    hops = (hop.model_copy(update={"configuration": account}) for hop, account in zip(plan.hops, accounts, strict=True))
    return plan.model_copy(update={"hops": tuple(hops)})


def write_inventory_patch(site: Site, hops: Sequence[Hop], inventory: Inventory, file: Path) -> InventoryPatch:
    """Write the patch for the path into `file`; nothing when the inventory lacks nothing. Applies nothing.

    Raises RefusedError, with the lines to add, where only a person can extend the inventory, ConfigError when the
    file is the inventory's own or cannot be written.
    """
    from upgrader.durable import write_atomic
    from upgrader.kolla.own_files import patch_of

    patch = patch_of(site, hops, inventory)
    if not patch.added:
        return patch
    if not patch.text:
        raise RefusedError(
            f"No patch can be written for {site.inventory}: {patch.by_hand}",
            cloud="Nothing was changed.",
            details=patch.lines,
            reason="groups-missing",
        )
    target = file.absolute()
    own = site.inventory.absolute()
    if target == own or own in target.parents:
        raise ConfigError(
            f"{file} belongs to the inventory; name another file for the patch.", reason="unwritable-file"
        )
    try:
        # an inventory may hold variables nobody else should read
        write_atomic(target, patch.text.encode(errors="surrogateescape"), mode=0o600)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.", reason="unwritable-file") from None
    return patch


def window_of(site: Site | None, graph: ReleaseGraph, hops: Sequence[Hop], record: SiteRecord) -> WindowSeen:
    """The site's change windows, and the hops against them; (None, ()) for a site without."""
    if site is None or site.window is None:
        return None, ()
    from datetime import UTC, datetime

    from upgrader.estimates import estimates, hop_fits
    from upgrader.graph import services_of
    from upgrader.graph.wayback import way_back
    from upgrader.status_read import schedule_now

    containers = [container.name for host in record.facts.hosts for container in host.containers]
    services = services_of(graph, containers) if containers else None
    document = {
        "hosts": record.hosts,
        "hops": [
            {
                "from": hop.source,
                "to": hop.target,
                "stages": (),
                "way_back": [row.document() for row in way_back(graph, hop, services)],
            }
            for hop in hops
        ],
    }
    now = datetime.now(UTC)
    fits = hop_fits(site.window, now, document, estimates(site, document))
    return schedule_now(site.window, now), fits


def window_document(window: Standing | None, fits: Sequence[HopFit]) -> dict[str, object]:
    """What JSON gets besides; nothing for a site without windows."""
    if window is None:
        return {}
    from upgrader.views.window import fit_document

    return {"window": fit_document(window, fits)}
