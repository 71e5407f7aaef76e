"""The rendered samples are what the code makes of them now, and the same values always give the same bytes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runbook.made import SAMPLES, kind_of

FOLDER = Path(__file__).parents[2] / "runbooks" / "samples"


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_sample_is_what_is_made_of_it(name: str) -> None:
    text = SAMPLES[name]().render(kind_of(name))
    path = FOLDER / name
    if os.environ.get("UPGRADER_REGENERATE"):
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"no sample {name}; UPGRADER_REGENERATE=1 writes it"
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; look, then UPGRADER_REGENERATE=1"


def test_there_is_no_other_sample() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(SAMPLES)


def test_the_same_values_give_the_same_bytes() -> None:
    one = SAMPLES["site-2024.1-2025.1.html"]()
    other = replace(one, plan=type(one.plan).model_validate_json(json.dumps(one.plan.document())))
    assert one.anew("html") == other.anew("html")
