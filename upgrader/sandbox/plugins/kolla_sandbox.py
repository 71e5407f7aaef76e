"""Action plugin of the sandbox's playbooks: hands one task on one host to `upgrader.sandbox.steps`.

Works in Ansible's forked worker without starting a module on the host, which is what keeps an upgrade of nine
hosts at seconds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

_HERE = Path(__file__).resolve().parents[1]
_CLOUD = json.loads((_HERE / "sandbox.json").read_text(encoding="utf-8"))
# <root>/toolchains/<release>/share/kolla-ansible/ansible
_ROOT = str(_HERE.parents[4])
if _CLOUD["package"] not in sys.path:
    sys.path.append(_CLOUD["package"])

from upgrader.sandbox import steps, world  # noqa: E402 - found through the path that the toolchain names

_SECRETS = ("database_password", "keystone_admin_password", "rabbitmq_password")


class ActionModule(ActionBase):  # type: ignore[misc] # ansible has no types
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        known = task_vars or {}
        step = steps.Step(
            root=_ROOT,
            host=world.Host(_ROOT, known["inventory_hostname"]),
            task=self._task.get_name(),
            args=dict(self._task.args),
            cloud=_CLOUD,
            groups=known["groups"],
            secrets={name: str(known[name]) for name in _SECRETS if name in known},
            check=self._task.check_mode,
        )
        try:
            return steps.run(step)
        except steps.Unreachable as trouble:
            raise AnsibleConnectionFailure(str(trouble)) from None
