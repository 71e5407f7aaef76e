"""Whether a service came through. Exit codes alone mislead, so they are one witness among four.

Measured: Cinder, Neutron, Nova and Barbican end with 0 where work was left undone. A service passes only if every
command ended with 0, its heads are the target's, no table lost rows, and no data migration left rows behind.
"""

from __future__ import annotations

from collections.abc import Mapping

from upgrader.database.throwaway import Server
from upgrader.rehearsal.report import ServiceResult

MARKER_MIGRATION = "populate_instance_compute_id"
"""Nova's marker instance (uuid of zeros) is counted by it and never done (seen in 2024.1 and newer)."""


def trouble(result: ServiceResult, after: Mapping[str, str], server: Server) -> str:
    """Why the service did not come through; empty when it did. `after`: its tables now."""
    return _commands(result) or _heads(result) or _rows(result, after) or _left_undone(result, server)


def _commands(result: ServiceResult) -> str:
    for command in result.commands:
        if command.code != 0:
            how = "was ended at its time limit" if command.code is None else f"ended with {command.code}"
            words = f": {command.last_words[-1]}" if command.last_words else ""
            return f"{command.command[0]} ({command.phase}) {how}{words}"
    return ""


def _heads(result: ServiceResult) -> str:
    for database, _before, now, expected in result.heads:
        if expected and sorted(now) != sorted(expected):
            return f"{database} is at {' + '.join(now) or 'no head'}, expected {' + '.join(expected)}"
    return ""


def _rows(result: ServiceResult, after: Mapping[str, str]) -> str:
    lost = [table for table, was, now in result.rows if table in after and (now or 0) < (was or 0)]
    return f"rows were lost in {', '.join(lost)}" if lost else ""


def _left_undone(result: ServiceResult, server: Server) -> str:
    undone = [
        f"{name}: {needed - completed} of {needed} rows left"
        for command in result.commands
        for name, needed, completed in command.batches
        if needed > completed and not _only_marker(name, needed - completed, server)
    ]
    return f"data migrations left work undone: {'; '.join(undone)}" if undone else ""


def _only_marker(name: str, left: int, server: Server) -> bool:
    if name != MARKER_MIGRATION or left != 1:
        return False
    rows = server.sql("SELECT COUNT(*) FROM nova.instances WHERE uuid = '00000000-0000-0000-0000-000000000000'")
    return bool(rows) and rows[0][0] == "1"
