"""What is typed: upgrader's own commands, and kolla-ansible's of each release with the site's real paths.

Every word is quoted for a shell. Without a site, INVENTORY and CONFIG_DIR stand for what is not known. No password is
ever part of a command: programs ask for it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args

from upgrader.errors import UsageError
from upgrader.kolla.commands import FIRST_PYTHON_CLI, Action, command, genpwd, mergepwd
from upgrader.secret_sources import typed

if TYPE_CHECKING:
    from upgrader.config import Site

INVENTORY, CONFIG_DIR, TOOLCHAINS = "INVENTORY", "/etc/kolla", "TOOLCHAINS"
_MORE = {"prune-images": ("--yes-i-really-really-mean-it",)}
"""Commands of kolla-ansible that no stage needs, with the options they insist on (release_graph/cli.toml)."""


@dataclass(frozen=True, slots=True)
class Typist:
    """Composes commands for one site, or for none."""

    site: Site | None = None

    # ------------------------------------------------------------ upgrader

    def upgrader(self, *words: str) -> str:
        """`upgrader --site FILE …`; words are given one by one."""
        place = ("--site", str(self.site.file)) if self.site else ()
        return shlex.join(("upgrader", *place, *words))

    # ------------------------------------------------------------ kolla-ansible

    def enter(self, release: str) -> str:
        """Makes a shell use the kolla-ansible of a release."""
        return f". {shlex.quote(f'{self.toolchain(release)}/bin/activate')}"

    def toolchain(self, release: str) -> str:
        """Folder of the release's environment."""
        return f"{self.site.toolchains_dir if self.site else TOOLCHAINS}/{release}"

    def kolla(
        self,
        action: str,
        release: str,
        *,
        tags: Sequence[str] = (),
        limit: str = "",
        extra: Iterable[tuple[str, str]] = (),
        inventory: str = "",
    ) -> str:
        """One command of kolla-ansible. Raises UsageError or, where the release lacks it, RefusedError."""
        variables = [word for name, value in extra for word in ("-e", f"{name}={value}")]
        if action in _MORE:
            words = list(self._words("pull", release, tags, limit, inventory))
            words[words.index("pull")] = action
            words += _MORE[action]
        elif action in get_args(Action):
            words = list(self._words(action, release, tags, limit, inventory))
        else:
            raise UsageError(f"kolla-ansible has no command {action!r} that this tool knows.", reason="no-such-action")
        # the shell script takes options before the action, the Python program after it
        at = len(words) if release >= FIRST_PYTHON_CLI else len(words) - 1
        return shlex.join([*words[:at], *variables, *words[at:]])

    def _words(self, action: str, release: str, tags: Sequence[str], limit: str, inventory: str) -> tuple[str, ...]:
        site = self.site
        if site is None:
            return command(cast("Action", action), release, inventory=inventory or INVENTORY, tags=tags, limit=limit)
        own = site.passwords != site.config_dir / "passwords.yml"
        return command(
            cast("Action", action),
            release,
            inventory=inventory or str(site.inventory),
            config_dir=str(site.config_dir),
            passwords=str(site.passwords) if own else "",
            vault_password_file=typed.password_file(site),
            extra_vars_files=[str(path) for path in site.extra_vars],
            tags=tags,
            limit=limit,
        )

    # ------------------------------------------------------------ files and containers

    @property
    def config_dir(self) -> str:
        return str(self.site.config_dir) if self.site else CONFIG_DIR

    @property
    def inventory(self) -> str:
        return str(self.site.inventory) if self.site else INVENTORY

    @property
    def passwords(self) -> str:
        return str(self.site.passwords) if self.site else f"{CONFIG_DIR}/passwords.yml"

    @property
    def globals_file(self) -> str:
        return f"{self.config_dir}/globals.yml"

    def engine(self, *words: str) -> str:
        """A command of the container engine, typed on a host."""
        return shlex.join((self.site.engine if self.site else "docker", *words))

    def sql(self, statement: str) -> str:
        """A statement for the database, typed on a host that has a server; the password is asked for."""
        return self.engine("exec", "-it", "mariadb", "mariadb", "-u", "root", "-p", "-e", statement)

    def unit(self, action: str, container: str) -> str:
        """systemctl for a container; kolla-ansible makes a unit for each (module_utils/kolla_systemd_worker.py)."""
        return shlex.join(("systemctl", action, f"kolla-{container}-container.service"))

    def keep_files(self, name: str) -> tuple[str, ...]:
        """Copies of the configuration and the inventory beside them, named after what follows."""
        return (
            shlex.join(("cp", "-a", self.config_dir, f"{self.config_dir}.{name}")),
            shlex.join(("cp", "-a", self.inventory, f"{self.inventory}.{name}")),
        )

    def merge_passwords(self, release: str) -> tuple[str, ...]:
        """New keys of a release into passwords.yml, as kolla-ansible's own upgrade guide does it."""
        new = f"{self.toolchain(release)}/share/kolla-ansible/etc_examples/kolla/passwords.yml"
        fresh = f"{self.passwords}.new"
        return (
            shlex.join(("cp", new, fresh)),
            shlex.join(("chmod", "600", fresh)),
            shlex.join(genpwd(fresh)),
            shlex.join(mergepwd(self.passwords, fresh, self.passwords)),
        )

    def here(self, line: str) -> str:
        """A line of the release data or of a finding, with this site's paths where it is a command."""
        if self.site is None:
            return line
        if line.startswith("upgrader ") and " --site " not in line:
            return f"upgrader --site {shlex.quote(str(self.site.file))} {line.removeprefix('upgrader ')}"
        if line.startswith("kolla-ansible "):
            words = f"-i {shlex.quote(self.inventory)} --configdir {shlex.quote(self.config_dir)}"
            return line.replace("-i INVENTORY", words)
        return line

    def again(self, typed: str, release: str, extra: Iterable[tuple[str, str]] = ()) -> str:
        """A command that a plan holds, with everything this site's commands need; one that is not known stays."""
        words = shlex.split(typed)
        actions = [word for word in words[1:] if word in get_args(Action)]
        if not words or words[0] != "kolla-ansible" or len(actions) != 1:
            return typed
        tags = words[words.index("--tags") + 1].split(",") if "--tags" in words else ()
        return self.kolla(actions[0], release, tags=tags, extra=extra)
