from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.graph import ReleaseGraph, image_tag_release


@pytest.mark.parametrize(
    ("tag", "release"),
    [
        ("2025.1", "2025.1"),
        ("2025.1-debian-bookworm", "2025.1"),
        ("2025.1-rocky-9-local.7", "2025.1"),
        ("2024.2-ubuntu-noble", "2024.2"),
        ("2025.10", None),
        ("2025.3", None),
        ("2025.1x", None),
        ("2025.1.4", None),
        ("20250101", None),
        ("master-debian-bookworm", None),
        ("epoxy", None),
        ("prod-2025.1", None),
        ("latest", None),
        ("", None),
        ("2025.1\n", None),
    ],
)
def test_a_tag_names_a_release_or_nothing(tag: str, release: str | None) -> None:
    assert image_tag_release(tag) == release


def test_every_example_of_the_data_names_its_release(graph: ReleaseGraph) -> None:
    for release in graph.releases:
        assert release.image_tag.examples
        for tag in release.image_tag.examples:
            assert image_tag_release(tag) == release.id


@given(st.text(max_size=20))
def test_nothing_is_guessed(tag: str) -> None:
    found = image_tag_release(tag)
    assert found is None or tag == found or tag.startswith(f"{found}-")
