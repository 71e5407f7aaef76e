"""`python -m upgrader` is the same as the `upgrader` command."""

from __future__ import annotations

import sys

from upgrader.cli.main import main

sys.exit(main())
