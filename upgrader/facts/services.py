"""What the services' own scripts say → parts of Observed. The hook that observe.py calls after hosts and databases.

Owns the names of the debug tasks that show those scripts' answers, and which field of Observed each answer fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upgrader.facts.plays import HasHosts
from upgrader.model import HostFacts
from upgrader.runner.base import PlayResult

ANSWERS: tuple[str, ...] = ()
"""Tasks of observe.yml whose answers are collected for `services_of`."""


def services_of(result: PlayResult, hosts: tuple[HostFacts, ...], inventory: HasHosts) -> Mapping[str, Any]:
    """Fields of Observed that the services' own answers fill; what was not asked or not answered is left out.

    `hosts` are the finished facts of every host, addresses included. Never raises for an odd answer.
    """
    return {}
