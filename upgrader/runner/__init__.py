"""Running plays. `base` is the port, `AnsibleRunner` the real thing, `RecordingRunner` the one for tests."""

from upgrader.runner.base import HostTrouble, Play, PlayResult, Runner, TaskEvent

__all__ = ["HostTrouble", "Play", "PlayResult", "Runner", "TaskEvent"]
