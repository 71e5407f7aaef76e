"""What the rehearsal says of production: seconds per service, with every program started anew, and rows per second.

On this machine, and on a copy that writes without waiting for the disk; so it is an order of magnitude, measured on
all of the cloud's own rows, not a promise.
"""

from __future__ import annotations

from upgrader.rehearsal.report import CommandResult, Projection, ServiceResult

ONLINE = "online"
"""Phase that runs beside running services; all others are between the old and the new containers."""


def projection(result: ServiceResult) -> Projection:
    """Seconds that the service's commands take one after the other, each started as kolla-ansible starts it."""
    start = _start_seconds(result)
    schema = [command for command in result.commands if command.phase != ONLINE]
    online = [command for command in result.commands if command.phase == ONLINE]
    rows = sum(needed for command in online for _, needed, _ in command.batches)
    done = sum(completed for command in online for _, _, completed in command.batches)
    work = sum(_work(command) for command in online)
    rate = done / work if done and work > 0 else None
    return Projection(
        service=result.service,
        start_seconds=round(start, 1),
        schema_seconds=round(sum(start + command.seconds for command in schema), 1),
        online_seconds=round(sum(start + command.seconds for command in online) + _rest(rows - done, rate), 1),
        online_rows=rows,
        online_rate=None if rate is None else round(rate, 1),
    )


def _start_seconds(result: ServiceResult) -> float:
    """Loading the service's programs; what the check has loaded, its other programs had not to load again."""
    check = result.check.load_seconds if result.check else 0.0
    return check + max((command.load_seconds for command in result.commands), default=0.0)


def _work(command: CommandResult) -> float:
    return command.seconds if command.work_seconds is None else command.work_seconds


def _rest(rows: int, rate: float | None) -> float:
    """Seconds for rows that were found and not done, at the rate of those that were."""
    return rows / rate if rate and rows > 0 else 0.0
