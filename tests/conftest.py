"""For all tests: the same examples every time, and none is judged by the clock. Garbage is looked for seldom.

`pytest --hypothesis-profile=search` looks for new examples.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("unhurried", settings.get_profile("search"), derandomize=True)
settings.load_profile("unhurried")

gc.set_threshold(50_000, 20, 100)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """What a whole file shares is made once: one process runs all of that file. All other tests go where there is room.

    Not by `--dist loadgroup`: it asks for an attribute that pytest no longer has, and silently spreads everything.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByWhatIsShared(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if shares(config.rootpath / file) else nodeid

    return ByWhatIsShared(config, log) if config.getvalue("dist") == "load" else None


@cache
def shares(file: Path) -> bool:
    """Whether tests of a file have something of the whole file in common."""
    places = (file, file.with_name("conftest.py"))
    return any('scope="module"' in place.read_text(encoding="utf-8") for place in places if place.is_file())


@pytest.fixture(autouse=True)
def _leaves_the_process_as_it_was() -> Iterator[None]:
    """Others run in the same process afterwards, in an order that nobody knows."""
    place, mask = Path.cwd(), os.umask(0o022)
    os.umask(mask)
    yield
    left = os.umask(mask)
    assert (Path.cwd(), oct(left)) == (place, oct(mask)), "it changed the folder or the umask of the whole process"


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what was imported stays: a sixth of all time went into looking at it again and again
