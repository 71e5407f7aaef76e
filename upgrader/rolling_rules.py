"""`[rolling]` of upgrader.toml: in which waves a cloud's hosts are upgraded.

[rolling]
computes = "waves"             or "together": all hosts in one run, as upstream tests it
control = "whole"              or "services": one service after the other, with a health gate after each
canary = 1                     compute hosts that go first; or their names: ["cmp1"]
batch = "25%"                  compute hosts at a time after that: a number, or a share of them
zones = ["az1", "az2"]         groups of the inventory, one after the other
order = ["cmp7"]               hosts that go first within their zone
exclude = ["cmp9"]             hosts that stay on the old release for now
groups = ["compute"]           groups of the inventory that hold compute hosts
failed_hosts = 0               compute hosts that may fail, after the canary, before the run stops
drain = false                  move running instances away first, by live migration
drain_budget = "30min"         for one host; one that is not empty by then is left as it was
trial = true                   create, move and delete an instance on a canary that was upgraded
gate_timeout = "10min"         for the cloud to be healthy between two waves
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from upgrader.config_table import Table

SECTION = "rolling"
_DURATION = re.compile(r"^(\d+)\s*(s|min|h)$")
_SHARE = re.compile(r"^(\d{1,3})\s*%$")


@dataclass(frozen=True, slots=True)
class RollingRules:
    """As the site file says it. Which hosts that means is decided with the inventory (upgrader/rolling)."""

    together: bool = False
    by_service: bool = False
    canary: int = 1
    canaries: tuple[str, ...] = ()
    """Names; these win over the number."""
    batch: int = 25
    share: bool = True
    """`batch` is a percentage."""
    zones: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("compute",)
    failed_hosts: int = 0
    drain: bool = False
    drain_seconds: int = 1800
    trial: bool = True
    gate_seconds: int = 600


def rolling_rules(table: Table) -> RollingRules:
    """The section's values; faults go to the table."""
    default = RollingRules()
    canary = table.section(SECTION).get("canary", default.canary)
    names = table.texts(SECTION, "canary") if isinstance(canary, list) else ()
    batch, share = _batch(table)
    wants = 'a duration such as "30min"'
    return RollingRules(
        together=table.choice(SECTION, "computes", ("waves", "together"), "waves") == "together",
        by_service=table.choice(SECTION, "control", ("whole", "services"), "whole") == "services",
        canary=default.canary if isinstance(canary, list) else table.parsed(SECTION, "canary", int, 1, "a number"),
        canaries=names,
        batch=batch,
        share=share,
        zones=table.texts(SECTION, "zones"),
        order=table.texts(SECTION, "order"),
        exclude=table.texts(SECTION, "exclude"),
        groups=table.texts(SECTION, "groups") or default.groups,
        failed_hosts=table.parsed(SECTION, "failed_hosts", int, 0, "a whole number"),
        drain=table.flag(SECTION, "drain", False),
        drain_seconds=table.parsed(SECTION, "drain_budget", _seconds, default.drain_seconds, wants),
        trial=table.flag(SECTION, "trial", True),
        gate_seconds=table.parsed(SECTION, "gate_timeout", _seconds, default.gate_seconds, wants),
    )


def _batch(table: Table) -> tuple[int, bool]:
    default = RollingRules()
    found = table.value(SECTION, "batch", f"{default.batch}%")
    share = _SHARE.match(found.strip()) if isinstance(found, str) else None
    if share and 1 <= int(share[1]) <= 100:
        return int(share[1]), True
    if isinstance(found, int) and found >= 1:
        return found, False
    table.faults.append(f'[{SECTION}] batch: wants a number of hosts, or a share of them such as "25%", has {found!r}')
    return default.batch, default.share


def _seconds(value: str | int) -> int:
    if isinstance(value, int):
        return value
    match = _DURATION.match(value.strip())
    if not match:
        raise ValueError(value)
    return int(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]]
