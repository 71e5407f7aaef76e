"""The same action under a name with `template` in it: Ansible looks for a loop's files by the action's name."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

_spec = importlib.util.spec_from_file_location("upgrader_aside_action", Path(__file__).with_name("upgrader_aside.py"))
assert _spec is not None and _spec.loader is not None  # noqa: S101 - for the type checker
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

ActionModule: Any = _module.ActionModule
