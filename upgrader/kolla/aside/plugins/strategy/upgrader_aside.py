"""Ansible's strategy while a release's configuration is rendered aside: no task acts on a host, none stops the rest.

Runs inside the release's own ansible-core (2.15 to 2.20). Every task that could do anything is handed to the action
of the same name beside this folder, which writes below one folder of this machine and nowhere else. Facts come from
files, because every connection is local and would describe this machine instead of the hosts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.strategy.linear import StrategyModule as Linear

DOCUMENTATION = """
name: upgrader_aside
short_description: renders configuration below one folder of this machine
description: [see the module's own words]
options: {}
"""

GUARD = "upgrader_aside"
FACTS = "UPGRADER_ASIDE_FACTS"
HARMLESS = frozenset(
    (
        *("set_fact", "debug", "assert", "fail", "group_by", "add_host", "meta", "validate_argument_spec"),
        *("include_vars", "include_tasks", "import_tasks", "include_role", "import_role", "include"),
    )
)
"""Actions that only change Ansible's own memory of the play."""


def plain(action: str) -> str:
    """The short name of one of Ansible's own actions; others keep their full one."""
    for front in ("ansible.builtin.", "ansible.legacy."):
        action = action.removeprefix(front)
    return action


class StrategyModule(Linear):  # type: ignore[misc]
    _told = False

    def run(self, iterator: Any, play_context: Any) -> Any:
        if not StrategyModule._told:
            StrategyModule._told = True
            for file in sorted(Path(os.environ[FACTS]).glob("*.json")):
                self._variable_manager.set_host_facts(file.stem, json.loads(file.read_text(encoding="utf-8")))
        return super().run(iterator, play_context)

    def _queue_task(self, host: Any, task: Any, task_vars: Any, play_context: Any) -> None:
        action = plain(task.action)
        task = task.copy()
        # what cannot be rendered is told and costs one file, not the rest of the play
        task.ignore_errors = True
        if action not in HARMLESS:
            task.args = {**task.args, GUARD: action}
            # with_first_found looks among templates for actions that are called so (TaskExecutor._get_loop_items)
            task.action = f"{GUARD}_template" if action == "template" else GUARD
            task.become = False
            task.retries, task.delay = 0, 0  # nothing will have changed at the second look
        super()._queue_task(host, task, task_vars, play_context)
