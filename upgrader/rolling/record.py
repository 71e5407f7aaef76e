"""What the waves of a hop have done, on the disk of this machine: it outlives the attempt that wrote it.

A host is written down as done once it runs the target release, its services are up and the gate after its wave was
passed: a later attempt does not work on it again. Whether it still runs the target is looked at all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upgrader.durable import make_dir, read_json, write_json
from upgrader.model import AttemptRequest

FOLDER = "rolling"


@dataclass(slots=True)
class RollRecord:
    """One attempt's copy of the record: whatever is changed through `keep` is on the disk when that returns."""

    path: Path
    done: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    """(host, why), of the attempt that wrote it last."""
    services: tuple[str, ...] = ()
    """Pieces of the control plane that are done, where it is worked on service by service."""
    closed: bool = False
    """What follows the last wave was done."""
    known: tuple[str, ...] | None = None
    """What was already wrong when the hop's upgrade began; None: nobody has looked yet."""

    @classmethod
    def of(cls, request: AttemptRequest) -> RollRecord:
        """The record of the request's hop; an empty one where there is none."""
        path = Path(request.state_dir) / FOLDER / f"{request.run}-{request.hop}.json"
        found = read_json(path).document or {}
        return cls(
            path,
            done=tuple(str(name) for name in found.get("done", ())),
            failed=tuple((str(name), str(why)) for name, why in found.get("failed", {}).items()),
            services=tuple(str(name) for name in found.get("services", ())),
            closed=bool(found.get("closed")),
            known=None if found.get("known") is None else tuple(str(line) for line in found["known"]),
        )

    def keep(self, **changes: Any) -> None:
        """Change these fields and write the whole; durable when this returns."""
        for name, value in changes.items():
            setattr(self, name, value)
        self._write()

    def _write(self) -> None:
        make_dir(self.path.parent, exist_ok=True)
        document = {
            "done": list(self.done),
            "failed": dict(self.failed),
            "services": list(self.services),
            "closed": self.closed,
            "known": None if self.known is None else list(self.known),
        }
        write_json(self.path, document)
