"""`python -m upgrader.lab`: the same as `upgrader lab`."""

from __future__ import annotations

import sys

from upgrader.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["lab", *sys.argv[1:]]))
