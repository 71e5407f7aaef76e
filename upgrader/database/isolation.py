"""Run a program so that it can reach no network at all, not even this machine's own loopback.

A restored copy knows production's addresses (nova keeps whole URLs in rows); whatever runs against it runs here.
Databases are reached through their sockets, which are files and need no network. Works from Linux namespaces, with
util-linux's `unshare` and `setpriv`; an
ordinary user needs a user namespace, where the system allows those.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

from upgrader.errors import EnvironmentMissingError

_WAYS = (("--net",), ("--user", "--map-current-user", "--net"))


def without_network(argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` without any network; what it starts is killed when the caller's thread ends.

    Raises EnvironmentMissingError where that is impossible.
    """
    # setpriv after unshare: the kernel forgets the wish when a process enters a user namespace
    return [*_prefix(), "setpriv", "--pdeathsig", "KILL", *argv]


@cache
def _prefix() -> tuple[str, ...]:
    program = shutil.which("unshare")
    words = "unshare (util-linux) is not installed"
    for way in _WAYS if program else ():
        prefix = (str(program), *way, "--")
        tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return prefix
        words = (
            tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else f"unshare ended with {tried.returncode}"
        )
    raise EnvironmentMissingError(
        f"Nothing can be run without network on this machine: {words}.",
        cloud="Nothing was restored or run: a copy must not be able to reach production.",
        next_command="run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone, AppArmor)",
        reason="no-isolation",
    )
