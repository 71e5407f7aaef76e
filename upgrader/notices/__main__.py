"""The process that sends one notice; its order comes on standard input, because tokens are part of it."""

from __future__ import annotations

import json
import resource
import signal
import sys

from upgrader.notices.sending import main

if __name__ == "__main__":
    # no image of this process, with the tokens in it, is ever left on a disk
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    order = sys.stdin.buffer.read()
    sys.stdin.close()
    # whatever it hangs in, and whoever started it is there no more: the kernel ends it
    signal.alarm(int(json.loads(order)["timeout"]) + 10)
    main(order)
