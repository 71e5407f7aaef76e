"""What an operator would type with kolla-ansible to do by hand what a stage does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from upgrader.planner import Typed, TypedAction

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.kolla.commands import Action

_ACTIONS: Mapping[str, Action] = {"preflight": "prechecks", "pull": "pull", "upgrade": "upgrade"}


def typed(site: Site | None = None) -> Typed:
    """What an operator would type with kolla-ansible for a stage; INVENTORY stands for the inventory without a site."""
    from upgrader.kolla.commands import command

    def commands(release: str, stage: str) -> tuple[str, ...]:
        action: Action | None = "mariadb-backup" if stage == "backup" and _physical(site) else _ACTIONS.get(stage)
        if action is None:
            return ()
        if site is None:
            return (" ".join(command(action, release)),)
        words = command(action, release, inventory=str(site.inventory), config_dir=str(site.config_dir))
        return (" ".join(words),)

    return commands


def typed_action(site: Site | None = None) -> TypedAction:
    """What an operator would type for one action of kolla-ansible on chosen tags."""
    from upgrader.kolla.commands import command

    def words(release: str, action: str, tags: tuple[str, ...]) -> str:
        chosen = cast("Action", action)
        if site is None:
            return " ".join(command(chosen, release, tags=tags))
        place, config = str(site.inventory), str(site.config_dir)
        return " ".join(command(chosen, release, tags=tags, inventory=place, config_dir=config))

    return words


def _physical(site: Site | None) -> bool:
    return site is not None and site.backup_database == "mariabackup"
