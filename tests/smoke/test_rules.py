"""`[verify]` of the site file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from upgrader.config_table import Table
from upgrader.verify_rules import VerifyRules, verify_rules


def read(**section: Any) -> tuple[VerifyRules, list[str]]:
    table = Table(Path("/s/upgrader.toml"), {"verify": section})
    return verify_rules(table), table.faults


def test_the_section_may_be_left_out() -> None:
    table = Table(Path("/s/upgrader.toml"), {})
    assert verify_rules(table) == VerifyRules()
    assert table.faults == []


@pytest.mark.parametrize(
    ("key", "value", "seen"),
    [
        ("smoke", True, "full"), ("smoke", False, "off"), ("smoke", "read-only", "read-only"), ("settle", "5min", 300),
        ("settle", 0, 0), ("server", "90s", 90), ("flavor", "m1.tiny", "m1.tiny"), ("logs", False, False),
        ("error_factor", 5, 5),
    ],
)  # fmt: skip
def test_what_may_be_said(key: str, value: object, seen: object) -> None:
    rules, faults = read(**{key: value})
    assert (getattr(rules, key), faults) == (seen, [])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("smoke", "no"), ("smoke", 1), ("settle", "2h"), ("settle", "soon"), ("settle", True), ("server", "0s"),
        ("limit", "5s"), ("logs", "yes"), ("error_count", 0), ("error_factor", "three"), ("flavor", 3),
    ],
)  # fmt: skip
def test_what_may_not(key: str, value: object) -> None:
    rules, faults = read(**{key: value})
    assert getattr(rules, key) == getattr(VerifyRules(), key)
    assert len(faults) == 1
    assert f"[verify] {key}: " in faults[0]
