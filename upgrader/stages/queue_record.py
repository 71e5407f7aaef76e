"""What a queue migration of a hop has begun, on the disk of this machine: it outlives the attempt that wrote it.

After a reset nothing on the cloud says any more that queues were mirrored, or that services stand still because this
tool stopped them. So it is written down before the first change, and read by a later attempt and by the way back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from upgrader.durable import make_dir, read_json, write_json
from upgrader.model import AttemptRequest

FOLDER = "broker"


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """`begun`: something may have been changed. `done`: the queues are the new ones. Both false: nothing was."""

    path: Path
    begun: bool = False
    done: bool = False
    mirrored: bool = False
    services: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, request: AttemptRequest) -> QueueRecord:
        """The record of the request's hop; a fresh one where there is none."""
        path = Path(request.state_dir) / FOLDER / f"{request.run}-{request.hop}.json"
        found = read_json(path).document
        if not found:
            return cls(path)
        return cls(
            path,
            begun=bool(found.get("begun")),
            done=bool(found.get("done")),
            mirrored=bool(found.get("mirrored")),
            services=tuple(str(name) for name in found.get("services", ())),
            settings=tuple((str(name), str(value)) for name, value in found.get("settings", {}).items()),
        )

    @property
    def open(self) -> bool:
        """A migration was begun and is not done: queues and services may be in any state."""
        return self.begun and not self.done

    def keep(self, **changes: Any) -> QueueRecord:
        """Write it with these changes of fields; durable when this returns."""
        made = replace(self, **changes)
        make_dir(self.path.parent, exist_ok=True)
        write_json(
            self.path,
            {
                "begun": made.begun,
                "done": made.done,
                "mirrored": made.mirrored,
                "services": list(made.services),
                "settings": dict(made.settings),
            },
        )
        return made
