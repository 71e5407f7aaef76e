"""A plan on disk: one JSON document `{"plan": …, "sha256": …}` that is refused when a single byte was changed.

Owns the file's form, and the answer to "does this plan still belong here?" as far as the journal can tell (site,
lineage, serial). Drift of the cloud itself is `upgrader.facts`' to find.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from upgrader.durable import write_atomic
from upgrader.errors import RefusedError, StaleError, UsageError
from upgrader.model import PLAN_SCHEMA, Plan, digest

UNCHANGED = "Nothing was changed."


def render_plan(plan: Plan) -> bytes:
    """The file's bytes: keys sorted, one item per line so that two plans can be compared by eye."""
    return _render({"plan": plan.document(), "sha256": plan.sha256})


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan so that it is there whole or not at all. Raises OSError."""
    write_atomic(path, render_plan(plan), mode=0o644)


def read_plan(path: Path) -> Plan:
    """The plan of a file that this tool wrote and nobody changed.

    Raises UsageError (no such file, not a plan), StaleError (`plan-edited`), RefusedError (made by a newer version).
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise _not_a_plan(path, "there is no such file") from None
    except OSError as error:
        raise _not_a_plan(path, f"it cannot be read ({error.strerror})") from None
    return parse_plan(data, str(path))


def parse_plan(data: bytes, name: str = "the plan") -> Plan:
    """As `read_plan`, of the file's bytes."""
    document = _document(data, name)
    body = document["plan"]
    _known_schema(body, name)
    if document["sha256"] != digest(body) or data != _render(document):
        raise StaleError(
            f"{name} was changed after it was made.",
            cloud=UNCHANGED,
            details=(f"It names itself {str(document['sha256'])[:12]}, its content is {digest(body)[:12]}.",),
            next_command=f"upgrader plan --to {body.get('to', 'RELEASE')} --out {name}",
            reason="plan-edited",
        )
    try:
        return Plan.model_validate_json(json.dumps(body))
    except ValueError as error:
        raise _not_a_plan(Path(name), f"its content does not fit this version ({_first_fault(error)})") from None


def check_belongs(plan: Plan, *, site: str, lineage: str, serial: int) -> None:
    """Refuse a plan of another site or another journal, and one made before the run last moved.

    Raises StaleError `plan-foreign` or `plan-stale`, with every difference.
    """
    foreign = [
        f"{what}: the plan has {theirs or 'none'}, here it is {ours or 'none'}"
        for what, theirs, ours in (("site", plan.site, site), ("lineage", plan.lineage, lineage))
        if theirs != ours
    ]
    next_command = f"upgrader plan --to {plan.target}"
    if foreign:
        raise StaleError(
            "This plan was made for another cloud or another journal.",
            cloud=UNCHANGED,
            details=foreign,
            next_command=next_command,
            reason="plan-foreign",
        )
    if plan.serial != serial:
        raise StaleError(
            "This plan is stale: work was done on the cloud after it was made.",
            cloud=UNCHANGED,
            details=(f"serial: the plan has {plan.serial}, the journal is at {serial}",),
            next_command=next_command,
            reason="plan-stale",
        )


def _render(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _document(data: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
        # a plan never holds what JSON text can say and UTF-8 cannot
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise StaleError(
            f"{name} is not a whole JSON document: it was cut or changed.",
            cloud=UNCHANGED,
            next_command=f"upgrader plan --to RELEASE --out {name}",
            reason="plan-edited",
        ) from None
    if not isinstance(document, dict) or set(document) != {"plan", "sha256"} or not isinstance(document["plan"], dict):
        raise _not_a_plan(Path(name), "it is not a document of `upgrader plan --out`")
    return document


def _known_schema(body: dict[str, Any], name: str) -> None:
    version = body.get("schema_version")
    if isinstance(version, int) and version > PLAN_SCHEMA:
        made_by = body.get("tool_version", "unknown")
        raise RefusedError(
            f"{name} was made by a newer upgrader ({made_by}, plan format {version}); this one reads {PLAN_SCHEMA}.",
            cloud=UNCHANGED,
            next_command=f"upgrader plan --to {body.get('to', 'RELEASE')} --out {name}",
            reason="plan-from-newer-version",
        )


def _not_a_plan(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not a plan: {why}.",
        cloud=UNCHANGED,
        next_command="upgrader plan --to RELEASE --out plan.json",
        reason="not-a-plan",
    )


def _first_fault(error: ValueError) -> str:
    faults: list[dict[str, Any]] = getattr(error, "errors", list)()
    if not faults:
        return type(error).__name__
    return f"{'.'.join(str(part) for part in faults[0]['loc'])}: {faults[0]['msg']}"
