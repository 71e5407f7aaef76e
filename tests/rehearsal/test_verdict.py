"""A service passes by what its databases say: exit codes alone were seen to mislead."""

from __future__ import annotations

from typing import Any

import pytest

from upgrader.rehearsal.report import CommandResult, ServiceResult
from upgrader.rehearsal.verdict import MARKER_MIGRATION, trouble

AFTER = {"nova.instances": "CREATE TABLE …"}


class Copy:
    """A server that knows one number: the marker instances."""

    def __init__(self, markers: int = 0) -> None:
        self.markers = markers

    def sql(self, _statement: str) -> list[list[str]]:
        return [[str(self.markers)]]


def result(**changes: Any) -> ServiceResult:
    command = CommandResult(phase="sync", command=("nova-manage",), code=0)
    values = {
        "service": "nova", "databases": ("nova",), "verdict": "passed", "commands": (command,),
        "heads": (("nova", ("a",), ("b",), ("b",)),), "rows": (("nova.instances", 5, 5),),
    }  # fmt: skip
    return ServiceResult.model_validate(values | changes)


def online(name: str, needed: int, completed: int) -> CommandResult:
    return CommandResult(phase="online", command=("nova-manage",), code=0, batches=((name, needed, completed),))


def commands(**changes: Any) -> tuple[CommandResult, ...]:
    return (CommandResult(phase="sync", command=("nova-manage", "db", "sync"), **changes),)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"commands": commands(code=1, last_words=("first", "Duplicate entry"))},
         "nova-manage (sync) ended with 1: Duplicate entry"),
        ({"commands": commands(code=None)}, "nova-manage (sync) was ended at its time limit"),
        ({"heads": (("nova", ("a",), ("a",), ("b",)),)}, "nova is at a, expected b"),
        ({"heads": (("nova", ("a",), (), ("b", "c")),)}, "nova is at no head, expected b + c"),
        ({"heads": (("odd", ("a",), ("z",), ()),)}, ""),
        ({"rows": (("nova.instances", 5, 4),)}, "rows were lost in nova.instances"),
        ({"rows": (("nova.dropped", 5, None), ("nova.instances", 5, 6))}, ""),
        ({"commands": (online("populate_user_id", 9, 7),)},
         "data migrations left work undone: populate_user_id: 2 of 9 rows left"),
        ({"commands": (online("populate_user_id", 9, 9),)}, ""),
    ],
)  # fmt: skip
def test_what_is_believed(changes: dict[str, Any], words: str) -> None:
    assert trouble(result(**changes), AFTER, Copy()) == words  # type: ignore[arg-type]


@pytest.mark.parametrize(("left", "markers", "fine"), [(1, 1, True), (1, 0, False), (2, 1, False)])
def test_novas_marker_is_no_work_left_but_only_the_marker(left: int, markers: int, fine: bool) -> None:
    found = result(commands=(online(MARKER_MIGRATION, 10, 10 - left),))
    assert (trouble(found, AFTER, Copy(markers)) == "") is fine  # type: ignore[arg-type]
