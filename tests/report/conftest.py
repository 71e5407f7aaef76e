from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.report_kit import Run, fixed_names


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    """Begins a run; its releases in order."""
    fixed_names(monkeypatch)
    made: list[Run] = []

    def start(*releases: str) -> Run:
        names = releases or ("2024.1", "2024.2")
        made.append(Run(tmp_path, list(pairwise(names))))
        return made[-1]

    yield start
    for run in made:
        run.close()
