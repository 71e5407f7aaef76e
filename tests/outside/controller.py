"""A controller on a prepared place whose public APIs are asked: `python -m tests.outside.controller PLACE URL`.

Drives the run (begins it where there is none) until it rests; what it says goes to PLACE/said.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.engine_kit.place import a_plan, opened, site_of
from upgrader.availability_rules import AvailabilityRules
from upgrader.config import Site
from upgrader.engine import Engine


def asked_site(place: Path, url: str) -> Site:
    rules = AvailabilityRules(interval=0.1, timeout=1.0, token_interval=0.2, keystone=url)
    return site_of(place, availability=rules)


def main() -> None:
    place = Path(sys.argv[1])

    def say(kind: str, data: dict[str, Any]) -> None:
        with (place / "said").open("a") as stream:
            stream.write(json.dumps([kind, data], default=str) + "\n")

    with opened(asked_site(place, sys.argv[2]), say) as session:
        if session.journal.snapshot().run is None:
            session.begin(a_plan(session.journal))
        conduct = session.conduct(session.journal.snapshot())
        Engine(conduct, "anna", auto_approve=True).drive()


if __name__ == "__main__":
    main()
