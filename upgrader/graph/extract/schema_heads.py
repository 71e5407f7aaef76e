"""Heads of a service's schema, read from the migration scripts in its published package without importing them."""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upgrader.errors import DataError


@dataclass(frozen=True, slots=True)
class Script:
    """One Alembic revision: what it follows, and what it needs from other branches."""

    revision: str
    follows: tuple[str, ...]
    needs: tuple[str, ...]


def scripts(wheel: Path, folder: str) -> tuple[Script, ...]:
    """Every revision below a folder of a wheel, such as `keystone/common/sql/migrations/versions`.

    Raises DataError when the wheel cannot be read or holds none there.
    """
    found = []
    inside = re.compile(rf"^{re.escape(folder.rstrip('/'))}/.*\.py$")
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                script = _script(archive.read(name).decode(), name) if inside.match(name) else None
                if script is not None:
                    found.append(script)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{wheel.name} cannot be read as a wheel: {error}", reason="package") from error
    if not found:
        raise DataError(f"{wheel.name} holds no migration scripts below {folder}", reason="package")
    return tuple(found)


def heads(found: Iterable[Script]) -> tuple[str, ...]:
    """Rows of the version table after a complete migration, sorted.

    A revision that another one follows is no head; neither is one that a head needs, for Alembic keeps no row of it.
    """
    known = {script.revision: script for script in found}
    followed = {before for script in known.values() for before in script.follows}
    ends = {revision for revision in known if revision not in followed}
    implied = {before for revision in ends for before in _behind(revision, known)} & ends
    return tuple(sorted(ends - implied))


def _behind(revision: str, known: Mapping[str, Script]) -> set[str]:
    """Everything that has to be there before a revision."""
    found: set[str] = set()
    open_ = [revision]
    while open_:
        script = known.get(open_.pop())
        for before in (*script.follows, *script.needs) if script else ():
            if before not in found:
                found.add(before)
                open_.append(before)
    return found - {revision}


def _script(text: str, name: str) -> Script | None:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise DataError(f"{name} is not Python: {error}", reason="package") from error
    told: dict[str, Any] = {}
    for statement in tree.body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        for target in targets:
            if isinstance(target, ast.Name):
                told[target.id] = _plain(value)
    revision = told.get("revision")
    if not isinstance(revision, str):
        return None
    return Script(revision, _names(told.get("down_revision")), _names(told.get("depends_on")))


def _plain(value: ast.expr) -> Any:
    """A literal; anything that is computed counts as nothing."""
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, (list, tuple)) else ()
