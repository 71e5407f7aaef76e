"""The process: `python -m upgrader.herald SITE_FILE`. Works until nobody has been at work for a while."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

from upgrader.config import load_site
from upgrader.herald.place import folder_of, lock
from upgrader.herald.work import LINGER, Herald

TICK = 1.0


def main(site_file: Path, said: bytes) -> int:
    """0: its work is done, or somebody else's."""
    order = json.loads(said)
    site = load_site(site_file)
    folder = folder_of(site.state_dir)
    held = lock(folder)
    if held is None:
        return 0
    herald = Herald(site, after=int(order["after"]), variable=str(order["urls"]))
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while not stopped:
        _look(herald)
        if herald.idle < LINGER or not herald.through:
            time.sleep(TICK)
            continue
        # whoever comes now finds the lock free, or is seen here: the lease is taken before the lock is looked at
        os.close(held)
        if not herald.at_work():
            return 0
        if (held := lock(folder)) is None:
            return 0
    _look(herald)
    return 0


_SAID: set[str] = set()


def _look(herald: Herald) -> None:
    """A defect in one look must not end all telling. Said once, by place alone: its words are anybody's."""
    try:
        herald.tick()
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__} at {frame.name}, line {frame.lineno} of {Path(frame.filename).name}"
        if words not in _SAID:
            _SAID.add(words)
            print(words, file=sys.stderr, flush=True)  # noqa: T201 - the process's log


if __name__ == "__main__":
    # no image of this process, with addresses in it, is ever left on a disk
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    given = sys.stdin.buffer.read()
    sys.stdin.close()
    with suppress(OSError):
        os.nice(10)  # whoever tells waits for who works
    sys.exit(main(Path(sys.argv[1]), given))
