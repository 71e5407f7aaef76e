"""A site's settings with the key to them: globals.yml, globals.d and further files, encrypted as a whole or not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.kolla.globals_yml import Globals, Key, globals_files, read_globals
from upgrader.kolla.toolchain import locate
from upgrader.kolla.vault import Vault

MOST_FILES = "2024.2"
"""From this release on the most files are read; one that older releases would skip is rare and worth knowing."""


class HasSettings(Protocol):
    """What is needed of a site here."""

    @property
    def config_dir(self) -> Path: ...
    @property
    def extra_vars(self) -> Sequence[Path]: ...
    @property
    def toolchains_dir(self) -> Path: ...
    @property
    def vault_password_file(self) -> Path | None: ...


def site_settings(site: HasSettings, release: str = MOST_FILES) -> Globals:
    """What the site's files set, as `release` reads them. Raises ConfigError (broken, or encrypted and not opened),
    EnvironmentMissingError when a file is encrypted and no toolchain is built that could open it.
    """
    return read_globals(globals_files(site.config_dir, release, site.extra_vars), site_key(site))


def site_key(site: HasSettings) -> Key:
    """Opens the site's encrypted files with whatever toolchain is built, the newest first: Vault's form is the same in
    all of them. No toolchain is looked for before a file wants it.
    """
    return partial(_vault, site)


def _vault(site: HasSettings) -> Vault | None:
    if site.vault_password_file is None:
        return None
    folder = site.toolchains_dir
    names = sorted((item.name for item in folder.iterdir()), reverse=True) if folder.is_dir() else []
    for name in names:
        try:
            return Vault(locate(site, name), site.vault_password_file)
        except (EnvironmentMissingError, ConfigError):
            continue
    raise EnvironmentMissingError(
        f"No toolchain is built in {folder}, so encrypted settings in {site.config_dir} cannot be opened.",
        cloud="Nothing was looked at or changed.",
        next_command="upgrader toolchain build RELEASE",
        reason="toolchain-missing",
    )
