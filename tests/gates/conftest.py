from __future__ import annotations

import pytest

from tests.gates import small
from upgrader.graph import ReleaseGraph


@pytest.fixture(scope="session")
def graph() -> ReleaseGraph:
    return small.graph()
