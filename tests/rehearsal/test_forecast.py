"""Seconds in production, from seconds here: every command starts its program anew, rows have a rate."""

from __future__ import annotations

from upgrader.rehearsal.forecast import projection
from upgrader.rehearsal.report import CommandResult, ServiceResult


def command(
    phase: str, seconds: float, *, load: float = 0.0, work: float | None = None, rows: tuple[int, int] = (0, 0)
):
    batches = (("populate_x", *rows),) if rows[0] else ()
    return CommandResult(
        phase=phase, command=("nova-manage",), code=0, seconds=seconds, load_seconds=load, work_seconds=work,
        batches=batches,
    )  # fmt: skip


def result(*commands: CommandResult) -> ServiceResult:
    check = command("check", 0.1, load=2.0)
    return ServiceResult(service="nova", databases=("nova",), verdict="passed", check=check, commands=commands)


def test_every_command_pays_for_its_start() -> None:
    made = projection(result(command("sync", 0.5, load=0.5), command("sync", 1.0)))
    assert made.start_seconds == 2.5
    assert made.schema_seconds == 6.5  # 2.5 + 0.5 + 2.5 + 1.0
    assert (made.online_seconds, made.online_rate) == (0.0, None)


def test_rows_have_a_rate_and_those_left_cost_as_much() -> None:
    made = projection(result(command("online", 12.0, work=10.0, rows=(3000, 2000))))
    assert (made.online_rows, made.online_rate) == (3000, 200.0)
    assert made.online_seconds == 19.0  # start 2, 12 measured, 1000 rows left at 200/s
