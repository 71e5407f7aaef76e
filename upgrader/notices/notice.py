"""One message: what it says, and the JSON form that a webhook gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["info", "success", "warning", "failure"]
SCHEMA = 1
TEST = "test"


class NotSent(Exception):  # noqa: N818 - said to people as it is
    """Why a notice did not go out, in words that hold nothing of its address."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Frozen and JSON-ready. Texts come from the journal, which holds no secret."""

    id: str
    """The same for every attempt at sending it, and for no other notice: receivers can tell a repetition by it."""
    event: str
    """One of `notice_rules.EVENTS`, or `test`."""
    level: Level
    at: str
    """UTC, ISO 8601; when it happened."""
    site: str
    title: str
    text: str
    """Lines for people; the last one is the command to type."""
    run: str = ""
    hop: int = 0
    """From 1; 0: of no hop."""
    hops: int = 0
    source: str = ""
    target: str = ""
    stage: str = ""
    command: str = ""

    def document(self) -> dict[str, Any]:
        """What a webhook gets: documented, keys are only ever added."""
        return {"schema_version": SCHEMA, "kind": "notice", **asdict(self)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Notice:
        """Raises KeyError or TypeError for a document that is none."""
        return cls(**{name: document[name] for name in cls.__slots__})
