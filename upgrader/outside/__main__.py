"""The process: asks until its run is at rest. Told what to do on standard input, because a password is part of it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from upgrader.availability.probe import main
from upgrader.outside.rest import watcher

if __name__ == "__main__":
    # no image of this process, with the password in it, is ever left on a disk
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # an API that hangs has as many connections open as its timeout has intervals
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536) if most != resource.RLIM_INFINITY else 65536, most))
    said = sys.stdin.buffer.read()
    sys.stdin.close()
    sys.exit(main(Path(sys.argv[1]), said, watcher))
