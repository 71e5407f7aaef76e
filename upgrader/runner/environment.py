"""The environment a play runs in: built from nothing, so that nothing of the operator's shell leaks into it.

Only what is named here passes. Anything else a site needs (`ANSIBLE_CONFIG`, a proxy) is named in `Play.env`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from upgrader import durable
from upgrader.processes import ATTEMPT, PLAY
from upgrader.runner.base import Play

_PASSED = ("HOME", "USER", "LOGNAME", "TZ", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def minimal(outer: Mapping[str, str]) -> dict[str, str]:
    """What any process of ours gets: who and where we are, the locale, the way to the SSH agent."""
    chosen = {name: outer[name] for name in _PASSED if outer.get(name)}
    chosen["PATH"] = outer.get("PATH") or _DEFAULT_PATH
    # Ansible refuses to start without a UTF-8 locale
    chosen["LANG"] = chosen["LC_ALL"] = "C.UTF-8"
    chosen.update(
        {name: outer[name] for name in (ATTEMPT, durable.FAILPOINT, durable.FAILPOINT_LOG) if outer.get(name)}
    )
    return chosen


def for_play(play: Play, ident: str, outer: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment of the process that drives `play`; Ansible inherits it."""
    chosen = minimal(os.environ if outer is None else outer)
    chosen["PATH"] = f"{play.toolchain / 'bin'}:{chosen['PATH']}"
    chosen["ANSIBLE_COLLECTIONS_PATH"] = str(play.toolchain / "collections")
    chosen["ANSIBLE_NOCOLOR"] = "1"
    # an operator's log_path would get everything unredacted; the play's own output.log takes its place
    chosen["ANSIBLE_LOG_PATH"] = os.devnull
    if play.collect:
        # the event plug-in drops results longer than this; a fleet's container list is longer than its default
        chosen["MAX_EVENT_RES"] = str(64 * 1024 * 1024)
    chosen.update(play.env)
    chosen[PLAY] = ident
    return chosen


def in_folder(folder: Path) -> dict[str, str]:
    """What points Ansible's own temporary files into the play's volatile folder."""
    return {"ANSIBLE_LOCAL_TEMP": str(folder / "tmp")}
