"""Whether this machine can try a hop on a copy of a site's databases. Asks only what is installed; starts at once."""

from __future__ import annotations

import os
import shutil

from upgrader.config import Site

_PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def why_not(site: Site) -> str:
    """Why no hop can be rehearsed on a copy here; empty when it can."""
    if site.sandbox is not None:
        return "the site names no staging cloud, and a sandbox has no databases that could be copied"
    folder = site.mariadb_programs
    where = str(folder) if folder else os.pathsep.join([os.environ.get("PATH", ""), *_PLACES])
    if shutil.which("mariadbd", path=where) is None:
        return f"the site names no staging cloud, and there is no mariadbd {f'in {folder}' if folder else 'here'}"
    if shutil.which("unshare") is None:
        return "the site names no staging cloud, and without unshare (util-linux) a copy cannot be cut off"
    return ""
