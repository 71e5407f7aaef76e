"""The lab as a fixture: brought up once for all lab tests, taken down after them.

`UPGRADER_LAB_DIR` names a folder to use; with `UPGRADER_LAB_KEEP=1` the lab stays up afterwards, for looking at it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from upgrader.lab import LabSite, lab_down, lab_up


@pytest.fixture(scope="session")
def lab() -> Iterator[LabSite]:
    folder = Path(os.environ.get("UPGRADER_LAB_DIR", "/var/lib/upgrader-lab-test"))
    try:
        yield lab_up(folder)
    finally:
        if not os.environ.get("UPGRADER_LAB_KEEP"):
            lab_down(folder)
