"""Our shell scripts, run as Ansible would run them on one host, without Ansible."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import upgrader

from .hosts import ENGINE, PASSWORD

PACKAGE = Path(upgrader.__file__).parent


def run_script(
    host: Path,
    *scripts: str,
    password: str = PASSWORD,
    stdin: str = "",
    tail: str = "",
    first: str = "",
    alone: bool = False,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """`scripts` are paths in the package, in order, `tail` is run after them; `stdin` replaces the password line.

    `first` is run before them in a mount namespace of its own, where mounts are nobody else's. `alone`: in a session
    of its own, so that all of it can be killed together.
    """
    engine = " ".join(shlex.quote(str(part)) for part in (sys.executable, "-S", "-E", ENGINE, host))
    lines = [f'engine() {{ {engine} "$@"; }}', "database_user=root"]
    lines += [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += [(PACKAGE / script).read_text() for script in scripts]
    apart = ["unshare", "--map-root-user", "--mount"] if first else []
    return subprocess.run(
        [*apart, "/bin/bash", "-c", "\n".join([first, *lines, tail])],
        input=stdin or f"{password}\n",
        capture_output=True,
        text=True,
        check=False,
        start_new_session=alone,
    )
