"""Reports of rehearsals on this machine: `<state>/rehearsals/<id>/report.json`, newest last."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from upgrader.durable import make_dir, read_json, write_json
from upgrader.errors import ConfigError
from upgrader.rehearsal.report import Rehearsal

FOLDER = "rehearsals"
REPORT = "report.json"


def new_folder(state_dir: Path) -> Path:
    """A folder for the next rehearsal, private; its name is the rehearsal's id."""
    folder = state_dir / FOLDER / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    make_dir(folder.parent.parent, exist_ok=True)
    make_dir(folder.parent, exist_ok=True)
    make_dir(folder)
    return folder


def keep(report: Rehearsal, folder: Path) -> Path:
    """Write the report durably; its path."""
    write_json(folder / REPORT, report.document())
    return folder / REPORT


def kept(state_dir: Path) -> tuple[Rehearsal, ...]:
    """Every report that can be read, oldest first."""
    found = []
    for path in sorted((state_dir / FOLDER).glob(f"*/{REPORT}")):
        reading = read_json(path)
        if reading.state == "whole":
            try:
                found.append(Rehearsal.model_validate_json(json.dumps(reading.document)))
            except ValidationError:
                continue  # of a version that this one does not know
    return tuple(found)


def of_id(state_dir: Path, wanted: str) -> Rehearsal:
    """The report whose id begins with `wanted`; `last` is the newest. Raises ConfigError."""
    reports = kept(state_dir)
    fitting = reports[-1:] if wanted == "last" else [one for one in reports if one.id.startswith(wanted)]
    if len(fitting) != 1:
        how = "no rehearsal" if not fitting else f"{len(fitting)} rehearsals"
        raise ConfigError(
            f"There {'is' if len(fitting) < 2 else 'are'} {how} {wanted!r}.",
            next_command="upgrader rehearse --list",
            reason="no-rehearsal",
        )
    return fitting[0]
