from __future__ import annotations

import pytest

from upgrader.graph import ReleaseGraph, load_graph
from upgrader.graph.load import data_folder, read_files


@pytest.fixture(scope="session")
def graph() -> ReleaseGraph:
    return load_graph()


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    return read_files(data_folder())
