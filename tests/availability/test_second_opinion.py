"""The lab's comparison itself: it agrees with what agrees, and cries where the two cannot both be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.availability_check import Opinion, compare
from upgrader.availability.records import Answer, Api, Header, answer_line, folder_of

BASE = 1_800_000_000.0


def recorded(state: Path, began: float, ended: float) -> None:
    folder = folder_of(state, "run")
    folder.mkdir(parents=True)
    lines = [Header("b", BASE, 0.0, 5.0, (Api("keystone", "http://k/", 0.5),)).line()]
    for number in range(120):
        asked = number / 2
        lines.append(answer_line(Answer(0, asked, asked + 0.01, not began <= asked < ended, ""), 0.0))
    (folder / "answers-0001.log").write_text("".join(lines))


def opinion(folder: Path, began: float, ended: float) -> Opinion:
    lines = []
    for number in range(280):
        asked = 1 + number * 0.21
        code = 503 if began <= asked < ended else 300
        lines.append(f"{BASE + asked:.3f} {BASE + asked + 0.01:.3f} {code}\n")
    (folder / "second.txt").write_text("".join(lines))
    return Opinion(folder / "second.txt")


def test_two_that_agree(tmp_path: Path) -> None:
    recorded(tmp_path, 20, 31)
    (line,) = compare(tmp_path, "run", opinion(tmp_path, 20, 31))
    assert "second opinion 10.7" in line


@pytest.mark.parametrize(
    ("probe", "other"),
    [((20, 31), (20, 25)), ((20, 25), (20, 31)), ((20, 31), (99, 99)), ((99, 99), (20, 31)), ((20, 31), (40, 51))],
)
def test_two_that_cannot_both_be_right(
    tmp_path: Path, probe: tuple[float, float], other: tuple[float, float]
) -> None:  # fmt: skip
    recorded(tmp_path, *probe)
    with pytest.raises(AssertionError):
        compare(tmp_path, "run", opinion(tmp_path, *other))
