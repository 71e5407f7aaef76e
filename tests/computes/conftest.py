from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.computes_kit import Apis, serving, small_cloud


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_cloud(tmp_path / "cloud")


@pytest.fixture
def apis(root: Path) -> Iterator[Apis]:
    with serving(root) as found:
        yield found
