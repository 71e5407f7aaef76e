"""A controller on a prepared place that tells: `python -m tests.herald.controller PLACE`.

Drives the run (begins it where there is none) until it rests; what it says goes to PLACE/said.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.engine_kit.place import a_plan, opened, site_of
from upgrader.config import load_site
from upgrader.engine import Engine


def main() -> None:
    place = Path(sys.argv[1])
    told = load_site(place / "upgrader.toml")
    site = replace(site_of(place), notices=told.notices, metrics=told.metrics)

    def say(kind: str, data: dict[str, Any]) -> None:
        with (place / "said").open("a") as stream:
            stream.write(json.dumps([kind, data], default=str) + "\n")

    with opened(site, say) as session:
        if session.journal.snapshot().run is None:
            session.begin(a_plan(session.journal))
        Engine(session.conduct(session.journal.snapshot()), "anna", auto_approve=True).drive()


if __name__ == "__main__":
    main()
