from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox_kit import ONE_OF_EACH
from upgrader.sandbox.create import create_sandbox


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    """Root of a fresh cloud of three hosts at 2024.1 with every service."""
    root = tmp_path / "cloud"
    create_sandbox(root, "2024.1", ONE_OF_EACH)
    return root


@pytest.fixture
def ha_cloud(tmp_path: Path) -> Path:
    """Three database servers, and no services besides the core ones."""
    root = tmp_path / "ha"
    create_sandbox(root, "2024.1", (3, 0, 0), services=())
    return root
