"""Real environments of the services, built once and kept: `UPGRADER_TEST_SERVICES` names the folder that holds them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from upgrader.rehearsal.environments import Services, build_services


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
    return lambda release: build_services(release, services_root)
