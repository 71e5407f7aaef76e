"""One task of the sandbox's playbooks on one host, with everything it may look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrader.sandbox import store, world

Result = dict[str, Any]


class Unreachable(Exception):  # noqa: N818 - becomes Ansible's own "unreachable"
    """The host does not answer."""


@dataclass
class Step:
    """One task on one host, as the play gave it."""

    root: str
    host: world.Host
    task: str
    args: dict[str, Any]
    cloud: dict[str, Any]
    """The toolchain's `sandbox.json`: roles, containers, heads and versions of its release."""
    groups: dict[str, list[str]]
    """The inventory's groups."""
    secrets: dict[str, str] = field(default_factory=dict)
    check: bool = False
    counted: bool = True
    """Whether effects are counted; not while a sandbox is made."""

    @property
    def release(self) -> str:
        """Release of the images: what the configuration says, not what the toolchain is."""
        return str(self.args.get("release", ""))

    @property
    def role(self) -> str:
        return str(self.args["role"])

    def left_out(self) -> bool:
        """Whether this cloud goes without the role, or the task is for another host of the role's group."""
        if not self.args.get("enabled", True):
            return True
        where = {"first": 0, "last": -1}.get(str(self.args.get("where", "")))
        return where is not None and self.groups[self.role][where] != self.host.name

    def here(self, name: str) -> bool:
        """Whether the container belongs on this host."""
        return any(self.host.name in self.groups.get(group, ()) for group in self.cloud["containers"][name]["groups"])

    def mine(self) -> list[str]:
        """The role's containers that belong on this host."""
        role, containers = self.role, self.cloud["containers"]
        return [name for name, item in containers.items() if item["role"] == role and self.here(name)]

    def image(self, name: str) -> str:
        return f"{self.args['url']}{self.cloud['containers'][name]['image']}:{self.args['tag']}"

    def note(self, key: str) -> None:
        if self.counted:
            store.note(self.root, key)

    def fault(self, kind: str, **about: str) -> dict[str, Any] | None:
        given = {"task": self.task, "host": self.host.name, "release": self.release, "action": self.args["action"]}
        return store.take_fault(self.root, kind, **{**given, **about})


def failed(message: str) -> Result:
    """Result of a task that did not come right."""
    return {"failed": True, "msg": message, "changed": False}
