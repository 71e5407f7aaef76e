"""For all tests: the same examples every time, and none is judged by the clock. Garbage is looked for seldom.

`pytest --hypothesis-profile=search` looks for new examples.
"""

from __future__ import annotations

import gc

from hypothesis import HealthCheck, settings

settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("unhurried", settings.get_profile("search"), derandomize=True)
settings.load_profile("unhurried")

gc.set_threshold(50_000, 20, 100)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what was imported stays: a sixth of all time went into looking at it again and again
