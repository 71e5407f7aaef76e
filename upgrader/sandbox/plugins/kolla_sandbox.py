"""Action plugin of the sandbox's playbooks: hands one task on one host to `upgrader.sandbox.steps`.

Works in Ansible's forked worker without starting a module on the host, which is what keeps an upgrade of nine
hosts at seconds.
"""

from __future__ import annotations

import json
import sys
from functools import partial
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

from upgrader.sandbox import step as tasks  # noqa: E402 - found through the path that the toolchain names
from upgrader.sandbox import steps, world  # noqa: E402

_SECRETS = ("database_password", "keystone_admin_password", "rabbitmq_password")


class ActionModule(ActionBase):  # type: ignore[misc] # ansible has no types
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        known = task_vars or {}
        args = {"action": self._setting(known, "kolla_action"), **self._task.args}
        if self._task._role is not None:
            # tasks that all roles share do not name it
            args.setdefault("role", self._task._role.get_name())
        args |= {"enabled": self._enabled(known, str(args.get("role", ""))), **self._image(known)}
        if args.get("do") == "restart":
            args["durable_queues"] = self._durable(known)
        step = tasks.Step(
            root=_ROOT,
            host=world.Host(_ROOT, known["inventory_hostname"]),
            task=self._task.get_name(),
            args=args,
            cloud=_CLOUD,
            groups=known["groups"],
            secrets={name: str(known[name]) for name in _SECRETS if name in known},
            check=self._task.check_mode,
        )
        try:
            result = steps.run(step)
        except tasks.Unreachable as trouble:
            raise AnsibleConnectionFailure(str(trouble)) from None
        if "notify" in result and self._task.notify:
            # this is the worker's own copy of the task; Ansible reads it once the action is done
            self._task.notify = result.pop("notify")
        return result

    def _setting(self, known: dict[str, Any], name: str) -> str:
        """A setting as text; only one that is a template is worked out, since that costs more than the step."""
        value = known.get(name, "")
        return str(self._templar.template(value) if isinstance(value, str) and "{{" in value else value).strip()

    def _image(self, known: dict[str, Any]) -> dict[str, str]:
        get = partial(self._setting, known)
        release, registry = get("openstack_release"), get("docker_registry")
        tag = f"{release}-{get('kolla_base_distro')}-{get('kolla_base_distro_version')}{get('openstack_tag_suffix')}"
        if "openstack_release" not in str(known.get("openstack_tag", "openstack_release")):
            tag = get("openstack_tag")
        url = f"{registry}/" if registry else ""
        return {
            "release": release,
            "tag": tag,
            "url": f"{url}{get('docker_namespace')}/{get('docker_image_name_prefix')}",
        }

    def _durable(self, known: dict[str, Any]) -> bool:
        """Whether services declare all their queues as quorum queues and streams."""
        names = ("om_enable_rabbitmq_quorum_queues", "om_enable_queue_manager")
        on = all(self._setting(known, name).lower() in ("yes", "true", "on", "1") for name in names)
        return on or _CLOUD["release"] >= "2025.1"

    def _enabled(self, known: dict[str, Any], role: str) -> bool:
        name = "enable_" + role.removesuffix("-cell").replace("-", "_")
        return self._setting(known, name).lower() not in ("no", "false", "off", "0")
