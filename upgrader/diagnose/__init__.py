"""A diagnosis of a failed attempt: one Markdown file, ready to hand to a colleague or to paste to an LLM.

`diagnose(site, attempt="", offline=False, …) -> (Diagnosis, Path)` reads the attempt's folder, asks the cloud (only
reading, bounded in time), matches what is known, takes secrets out, and writes the file (mode 0600, whole).
`automatic(site)` is the same for the engine: it never raises. `status_read.diagnosis_of(site, attempt)` names the
newest file of an attempt, light.

    story.py     what this machine knows of the attempt        cloud.py     the look, in a diagnosis' words
    choose.py    whose logs are read                           known.py     faults and risks that fit
    asking.py    plays that look and read                      rules.py     what to check next (rules.toml)
    on_host.py, log_lines.py  the script on the hosts          select.py    which lines are shown
    scrub.py     secrets out                                   markdown.py  the file
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upgrader.config import Site

AUTOMATIC_SECONDS = 90.0
"""What a diagnosis made by a run itself may ask the cloud; each host adds a little."""


def automatic(site: Site, attempt: str, stop: Callable[[], bool]) -> tuple[Path | None, str]:
    """Diagnose an attempt that has just failed: (file, why there is none). Never raises, whatever is wrong."""
    try:
        from upgrader.diagnose.making import diagnose

        return diagnose(site, attempt=attempt, stop=stop, seconds=AUTOMATIC_SECONDS)[1], ""
    except Exception as error:  # a diagnosis must not become the trouble
        return None, f"{type(error).__name__}: {error}"[:300]
