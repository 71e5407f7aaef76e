from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud_kit.whole import WholeCloud, whole_cloud


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeCloud]:
    with whole_cloud(tmp_path_factory.mktemp("whole")) as made:
        yield made
