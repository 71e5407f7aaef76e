"""What a staging cloud has in place of production's settings: `[staging.overrides]`, a YAML file, a folder of files."""

from __future__ import annotations

import json
from pathlib import Path

from upgrader.config import Site
from upgrader.errors import ConfigError
from upgrader.kolla.globals_yml import read_globals
from upgrader.kolla.settings import site_key


def overrides(production: Site) -> dict[str, str]:
    """Setting → staging's value as it is written. Raises ConfigError when the YAML file cannot be read."""
    rules = production.staging_rules
    found = {name: _written(json.loads(text)) for name, text in rules.overrides}
    if rules.overrides_file is not None:
        found |= read_globals([rules.overrides_file], site_key(production)).values
    return found


def own_config(production: Site) -> dict[str, Path]:
    """Name below the configuration folder → staging's own file for it. Raises ConfigError without the folder."""
    folder = production.staging_rules.config
    if folder is None:
        return {}
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder ([staging] config).", reason="missing-file")
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def left_out(production: Site) -> tuple[str, ...]:
    """Names of settings and files that are meant to differ, and are not compared."""
    return (*overrides(production), *own_config(production))


def _written(value: object) -> str:
    """As an operator writes it in globals.yml; Kolla-Ansible reads yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
