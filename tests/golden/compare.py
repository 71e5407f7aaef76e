"""Golden files: what a view said when a person last looked at it. UPGRADER_REGENERATE=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def check(name: str, text: str) -> None:
    """Fail when `text` is not what the golden file `name` holds."""
    path = FOLDER / name
    if os.environ.get("UPGRADER_REGENERATE"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"no golden file {name}; UPGRADER_REGENERATE=1 writes it"
    expected = path.read_text(encoding="utf-8")
    assert text == expected, f"{name} differs from its golden file; look, then UPGRADER_REGENERATE=1"
