"""The operator's own passwords.yml and inventory against a path: one call that finds the toolchains itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.kolla.commands import HasConfiguration
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.inventory_patch import InventoryPatch, judge_inventory, plan_patch
from upgrader.kolla.passwords_check import COVERED_ACTIONS, judge_passwords
from upgrader.kolla.toolchain import Toolchain, locate
from upgrader.model import Finding

if TYPE_CHECKING:
    from upgrader.graph import Hop


class HasFiles(HasConfiguration, Protocol):
    """What is needed of a site here."""

    @property
    def toolchains_dir(self) -> Path: ...


def judge_own_files(
    site: HasFiles, hops: Sequence[Hop], inventory: Inventory, *, running: Collection[str] | None = None
) -> tuple[Finding, ...]:
    """Findings of both files, without those that the release graph's own actions make. Writes nothing.

    Takes 1 to 2 s per hop whose toolchain is built. A file that cannot be read is a finding.
    """
    if not hops:
        return ()
    toolchains = built(site, hops)
    found = judge_passwords(
        site.passwords, hops, toolchains, vault_password_file=site.vault_password_file, running=running
    )
    patch = patch_of(site, hops, inventory)
    return (*(one for one in found if one.id not in COVERED_ACTIONS), *judge_inventory(patch, hops))


def patch_of(site: HasFiles, hops: Sequence[Hop], inventory: Inventory) -> InventoryPatch:
    """What the inventory lacks for the path. Raises ConfigError when it cannot be read."""
    return plan_patch(site.inventory, inventory, hops, built(site, hops), vault_password_file=site.vault_password_file)


def built(site: HasFiles, hops: Sequence[Hop]) -> dict[str, Toolchain]:
    """The toolchains of the path that are there, the newest last."""
    found = {}
    for release in dict.fromkeys(name for hop in hops for name in (hop.source, hop.target)):
        try:
            found[release] = locate(site, release)
        except (EnvironmentMissingError, ConfigError):
            continue
    return found
