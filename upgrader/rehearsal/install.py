"""A whole lock put into an environment: by uv where it is installed, which takes half a minute, else by pip.

uv does not read pip's settings, so where the operator's packages come from is told to it; what uv cannot get, pip is
asked for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from upgrader.errors import EnvironmentMissingError
from upgrader.kolla.build import builder_environment, make_venv, pip, run_builder

Say = Callable[[str], None]

_SETTING = re.compile(r"^(?:global|install|:env:)\.(index-url|extra-index-url|find-links|cert)='(.*)'$")
_UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


def uv_program() -> str:
    """uv on the search path or beside this Python; empty without one."""
    where = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    return shutil.which("uv", path=where) or ""


def install_lock(interpreter: Path, folder: Path, lock_text: str, wheelhouse: Path | None, say: Say) -> None:
    """Make an environment in `folder` with exactly what the lock names. Raises EnvironmentMissingError."""
    uv = uv_program()
    python = make_venv(interpreter, folder, with_pip=not uv)
    lock = folder / "lock.txt"
    lock.write_text(lock_text)
    if uv:
        try:
            _by_uv(uv, python, lock, wheelhouse)
            return
        except EnvironmentMissingError as error:
            say(f"uv could not install it ({error.details[-1] if error.details else error.message}); pip is asked")
        shutil.rmtree(folder)
        python = make_venv(interpreter, folder)
        lock.write_text(lock_text)
    # the lock is whole: nothing is left for pip to resolve
    pip(python, ["install", "--no-deps", "--requirement", lock], wheelhouse)


def _by_uv(uv: str, python: Path, lock: Path, wheelhouse: Path | None) -> None:
    environment = builder_environment(wheelhouse)
    words: list[str | Path] = [uv, "pip", "install", "--python", python, "--no-deps", "--requirement", lock]
    if wheelhouse:
        words += ["--offline", "--no-index", "--find-links", wheelhouse]
        environment = {name: value for name, value in environment.items() if not name.startswith("UV_")}
    else:
        # the lock names versions; which of the operator's indexes has one does not matter
        environment = _places() | {"UV_INDEX_STRATEGY": "unsafe-best-match"} | environment
    # without its byte code every first command of a rehearsal would compile what it imports
    words.append("--compile-bytecode")
    run_builder(words, "uv did not deliver", environment)


def _places() -> dict[str, str]:
    """Where pip is told to look, in uv's names; never shown, as addresses may hold logins."""
    said = subprocess.run(
        [sys.executable, "-I", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    found = (match for line in said.stdout.splitlines() if (match := _SETTING.match(line.strip())))
    return {_UV_NAMES[match[1]]: match[2] for match in found}
