"""A wave of a rolling upgrade, as the plan freezes it."""

from __future__ import annotations

from typing import Literal

from upgrader.value import Value


class Wave(Value):
    """Hosts that are upgraded together, in one run of the target's playbooks."""

    kind: Literal["control", "canary", "batch"]
    name: str
    hosts: tuple[str, ...]
