"""One controller on a prepared place, for the resume benchmark: `python -m benchmarks.resume PLACE`.

Drives the run, and as soon as it knows what became of an attempt that it found without a result, says so in the
file `told` and ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tests.engine_kit.place import a_plan, opened, site_of
from upgrader.engine import Engine


def main() -> None:
    place = Path(sys.argv[1])

    def say(kind: str, data: dict[str, Any]) -> None:
        if kind in ("lost", "result"):
            (place / "told").write_text(f"{kind} {data.get('event', '')}")
            os._exit(0)  # what it would do next is not measured

    with opened(site_of(place), say) as session:
        if session.journal.snapshot().run is None:
            session.begin(a_plan(session.journal))
        Engine(session.conduct(session.journal.snapshot()), "bench", auto_approve=True).drive()


if __name__ == "__main__":
    main()
