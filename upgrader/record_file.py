"""A site record on disk: what was observed, computed and answered, to be judged later or elsewhere. Holds no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from upgrader.durable import write_atomic
from upgrader.errors import UsageError
from upgrader.record import SiteRecord

_LARGEST = 512 * 1024 * 1024


def write_record(record: SiteRecord, path: Path) -> None:
    """Write the record so that it is there whole or not at all, keys sorted. Raises OSError."""
    text = json.dumps(record.document(), sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    write_atomic(path, text.encode(errors="surrogateescape"), mode=0o600)


def read_record(path: Path) -> SiteRecord:
    """The record in a file. Raises UsageError naming the file, and the field that does not fit."""
    try:
        if path.stat().st_size > _LARGEST:
            raise _no_record(path, "it is larger than any record")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _no_record(path, "there is no such file") from None
    except OSError as error:
        raise _no_record(path, f"it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise _no_record(path, f"it is not UTF-8 text ({error.reason} at byte {error.start})") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_record(path, f"it is no JSON document ({error})") from None
    if not isinstance(document, dict) or document.get("kind") != "site-record":
        raise _no_record(path, "it is no document of `upgrader check --record`")
    try:
        return SiteRecord.model_validate_json(text)
    except ValueError as error:
        raise _no_record(path, f"its content does not fit this version ({_first_fault(error)})") from None


def _first_fault(error: ValueError) -> str:
    faults: list[dict[str, Any]] = getattr(error, "errors", list)()
    if not faults:
        return type(error).__name__
    return f"{'.'.join(str(part) for part in faults[0]['loc'])}: {faults[0]['msg']}"


def _no_record(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is no site record: {why}.",
        cloud="Nothing was changed.",
        next_command=f"upgrader check --record {path}",
        reason="not-a-record",
    )
