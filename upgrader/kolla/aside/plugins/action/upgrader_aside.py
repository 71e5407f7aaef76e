"""What a task does while configuration is rendered aside: files go below one folder, everything else is left out.

Runs inside the release's own ansible-core (2.15 to 2.20). Templates are rendered by the release's own plug-ins; only
the last step, putting the file in its place, is done here. What was left out is written down, one JSON line each.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

GUARD = "upgrader_aside"
ROOT, SAID, TOOLS = "UPGRADER_ASIDE_ROOT", "UPGRADER_ASIDE_SAID", "UPGRADER_ASIDE_TOOLS"
VAULTED = b"$ANSIBLE_VAULT"
NEUTRAL = {"changed": False, "rc": 0, "stdout": "", "stdout_lines": [], "stderr": "", "stderr_lines": []}
"""What a task that was left out leaves to those that look at its result."""
ONE = [{"id": "ID-ONLY-THE-CLOUD-KNOWS", "name": "NAME-ONLY-THE-CLOUD-KNOWS", "subnet_ids": [], "mtu": 1500}]
CLOUD = {"resources": [], "networks": ONE, "flavors": ONE, "projects": ONE, "security_group": ONE[0]}
"""What the cloud itself would have answered (kolla_toolbox): the same for every release, so that it makes none."""
HERE = ("localhost", "127.0.0.1", "::1")


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    supports_raw_params = True  # command and shell keep theirs; asked by ansible-core 2.19 and newer

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = self._task.args
        action = str(arguments.pop(GUARD))
        self._task.action = action
        self._vars = task_vars or {}
        does = {
            "file": self._file,
            "copy": self._copied,
            "template": self._rendered,
            "merge_configs": self._rendered,
            "merge_yaml": self._rendered,
            "assemble": self._edited,
            "blockinfile": self._edited,
            "lineinfile": self._edited,
            "stat": self._looked,
            "find": self._looked,
            "command": self._asked,
        }.get(action)
        if does is None:
            return self._left_out("", **(CLOUD if action == "kolla_toolbox" else {}))
        return does()

    # ------------------------------------------------------------ files below the folder

    def _file(self) -> dict[str, Any]:
        args = self._task.args
        place = str(args.get("path") or args.get("dest") or args.get("name") or "")
        if not inside(place):
            return self._left_out(place)
        state = args.get("state", "file")
        if state == "directory":
            Path(place).mkdir(parents=True, exist_ok=True)
        elif state == "touch":
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            Path(place).touch()
        elif state == "absent":
            shutil.rmtree(place, ignore_errors=True) if Path(place).is_dir() else Path(place).unlink(missing_ok=True)
        elif state in ("link", "hard"):
            return self._left_out(place)
        return {"changed": False, "path": place, "state": state}

    def _copied(self) -> dict[str, Any]:
        args = self._task.args
        source = args.get("src")
        if args.get("remote_src") and not inside(str(source)):
            return self._left_out(str(args.get("dest")))
        if source is not None and not args.get("remote_src"):
            slash = "/" if str(source).endswith("/") else ""
            args["src"] = self._find_needle("files", str(source)) + slash
        return self._put()

    def _rendered(self) -> dict[str, Any]:
        """Rendered by the release's own plug-in, whose own copying is replaced."""
        place = str(self._task.args.get("dest", ""))
        if not inside(place):
            return self._left_out(place)
        return self._original(Loaders(self._shared_loader_obj, self))

    def _edited(self) -> dict[str, Any]:
        args = self._task.args
        place = str(args.get("path") or args.get("dest") or "")
        if not inside(place) or (args.get("src") and not inside(str(args["src"]))):
            return self._left_out(place)
        for name in ("owner", "group", "validate"):
            args.pop(name, None)
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        return self._original(self._shared_loader_obj)

    def _put(self) -> dict[str, Any]:
        """Put `src` or `content` at `dest`, as copy does; owners and modes are not kept."""
        args = self._task.args
        place = str(args.get("dest", ""))
        if not inside(place):
            return self._left_out(place)
        if args.get("content") is not None:
            content = args["content"]
            text = content if isinstance(content, str) else json.dumps(content)
            return self._written(Path(place), text.encode())
        source = str(args["src"])
        if Path(source).is_dir():
            base = Path(source) if source.endswith("/") else Path(source).parent
            for file in sorted(found for found in Path(source).rglob("*") if found.is_file()):
                self._written(Path(place) / file.relative_to(base), self._read(file))
            return _put_there(place)
        target = Path(place)
        if place.endswith("/") or target.is_dir():
            target = target / Path(source).name
        return self._written(target, self._read(Path(source)))

    def _read(self, file: Path) -> bytes:
        data = file.read_bytes()
        if not data.startswith(VAULTED):
            return data
        self._say("secret", place=str(self._task.args.get("dest", "")))
        return Path(self._loader.get_real_file(str(file))).read_bytes()

    def _written(self, target: Path, data: bytes) -> dict[str, Any]:
        if not inside(str(target)):
            return self._left_out(str(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        if self._task.no_log:
            self._say("secret", place=str(target))
        return _put_there(str(target))

    # ------------------------------------------------------------ questions

    def _looked(self) -> dict[str, Any]:
        """Questions about this machine are answered, those about a host are not asked."""
        args = self._task.args
        place = args.get("path") or args.get("paths") or args.get("name") or ""
        places = place if isinstance(place, list) else [place]
        asked_here = str(self._task.delegate_to) in HERE or all(inside(str(one)) for one in places)
        if self._task.action == "find":
            return self._original(self._shared_loader_obj) if asked_here else self._left_out(str(place), files=[])
        if not asked_here:
            return self._left_out(str(place), stat={"exists": False})
        there = Path(str(place))
        if not (there.exists() or there.is_symlink()):
            return {"changed": False, "stat": {"exists": False}}
        found: dict[str, Any] = {"exists": True, "path": str(place), "isdir": there.is_dir(), "isreg": there.is_file()}
        found |= {"islnk": there.is_symlink(), "size": there.stat().st_size if there.exists() else 0}
        return {"changed": False, "stat": found}

    def _asked(self) -> dict[str, Any]:
        """A program of the toolchain itself may run here; nothing else."""
        words = self._task.args.get("argv") or str(self._task.args.get("_raw_params", "")).split()
        own = [Path(str(word)).is_relative_to(os.environ[TOOLS]) for word in words[:2]]
        if str(self._task.delegate_to) in HERE and len(own) == 2 and all(own) and words[1].endswith(".py"):
            return self._original(self._shared_loader_obj)
        return self._left_out(" ".join(str(word) for word in words[:1]))

    # ------------------------------------------------------------ the rest

    def _original(self, loaders: Any) -> dict[str, Any]:
        real = self._shared_loader_obj.action_loader
        name = self._task.action if real.has_plugin(self._task.action) else "ansible.legacy.normal"
        handler = real.get(
            name,
            task=self._task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=loaders,
        )
        if loaders is not self._shared_loader_obj:
            handler.TRANSFERS_FILES = False
        result: dict[str, Any] = handler.run(task_vars=self._vars)
        return result

    def _left_out(self, place: str, **more: Any) -> dict[str, Any]:
        self._say("left out", place=place)
        return {**NEUTRAL, **more, "msg": "left out while rendering aside"}

    def _say(self, kind: str, *, place: str) -> None:
        role = self._task._role
        line = {
            "kind": kind,
            "host": str(self._vars.get("inventory_hostname", "")),
            "role": role.get_name() if role else "",
            "task": str(self._task.name or ""),
            "action": self._task.action,
            "place": place,
        }
        file = os.open(os.environ[SAID], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, (json.dumps(line) + "\n").encode())
        finally:
            os.close(file)


class Loaders:
    """Ansible's plug-in loaders, with copying replaced."""

    def __init__(self, real: Any, guard: ActionModule) -> None:
        self._real = real
        self.action_loader = _Actions(real.action_loader, guard)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Actions:
    def __init__(self, real: Any, guard: ActionModule) -> None:
        self._real, self._guard = real, guard

    def get(self, name: str, **parts: Any) -> Any:
        if name.rpartition(".")[2] != "copy":
            return self._real.get(name, **parts)
        return _Copy(self._guard, parts["task"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Copy:
    def __init__(self, guard: ActionModule, task: Any) -> None:
        self._guard, self._task = guard, task

    def run(self, task_vars: Any = None) -> dict[str, Any]:
        mine, self._guard._task = self._guard._task, self._task
        try:
            return self._guard._put()
        finally:
            self._guard._task = mine


def inside(place: str) -> bool:
    """Whether a path is below the one folder, links followed."""
    root = os.path.realpath(os.environ[ROOT])
    return bool(place) and os.path.realpath(place).startswith(root + os.sep)


def _put_there(place: str) -> dict[str, Any]:
    return {"changed": True, "dest": place, "invocation": {"module_args": {}}}
