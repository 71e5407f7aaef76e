"""Real environments of the services, built once and kept: `UPGRADER_TEST_SERVICES` names the folder that holds them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from upgrader.errors import LockedError
from upgrader.rehearsal.environments import Services, build_services

BUILD_SECONDS = 1800.0


@pytest.fixture(scope="session")
def services_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of toolchains below which the environments lie; in pytest's own place where nobody named one."""
    named = os.environ.get("UPGRADER_TEST_SERVICES")
    folder = Path(named) if named else tmp_path_factory.getbasetemp().parent / "service-environments"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def services_of(services_root: Path) -> Callable[[str], Services]:
    """Release → its environment; built from PyPI where it is not there (a minute or two)."""
    return lambda release: built(release, services_root)


def built(release: str, folder: Path) -> Services:
    """Build it, or wait for the neighbour that is building it."""
    ends = time.monotonic() + BUILD_SECONDS
    while True:
        try:
            return build_services(release, folder)
        except LockedError:
            if time.monotonic() > ends:
                raise
            time.sleep(1)
