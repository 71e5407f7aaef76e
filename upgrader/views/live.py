"""What happens, as it happens: one line per step that stays, and on a terminal one line that changes with every task.

Goes to stderr; decides nothing and never raises, so that watching cannot disturb the work. Host texts are shown with
control characters made visible.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from upgrader.views.plain import fit, safe

_TICK_SECONDS = 0.1


class Live:
    """Listener for `Conduct.say`. `terminal`: the stream shows cursor movement and colour."""

    def __init__(self, stream: TextIO, *, terminal: bool, quiet: bool = False) -> None:
        self._stream, self._terminal, self._quiet = stream, terminal, quiet
        self._open = False
        self._step = self._waiting = ""
        self._tasks = 0
        self._drawn = 0.0
        self._began = time.monotonic()
        self._kinds: dict[str, Callable[[dict[str, Any]], None]] = {
            "hop": self._hop,
            "attempt": self._attempt,
            "progress": self._progress,
            "result": self._result,
            "approved": lambda data: self._line(f"  approved    {data['hold']} (given in advance)"),
            "skipped": lambda data: self._line(f"  {data['stage']:<11} passed by: {data['why']}"),
            "outside": lambda data: self._line(f"  window      {data['stage']} begins outside: {data['why']}"),
            "ponr": self._ponr,
            "evidence": lambda data: self._line(f"  evidence    {data['judgement']}", *data["faults"]),
            "probing": lambda _data: self._line("  probing     looking at the cloud: the end of the attempt is lost"),
            "lost": lambda data: self._line(f"  {data['stage']:<11} {data['event']}: {data['message']}"),
            "diagnosing": lambda _data: self._line("  diagnosing  reading logs and the cloud, up to two minutes"),
            "diagnosed": lambda data: self._line(f"  diagnosis   {data['file'] or 'none: ' + data['why']}"),
            "note": lambda data: self._line(str(data["text"])),
        }

    def __call__(self, kind: str, data: dict[str, Any]) -> None:
        if self._quiet:
            return
        with suppress(OSError, ValueError, KeyError):
            handler = self._kinds.get(kind)
            if handler is not None:
                handler(data)

    def close(self) -> None:
        """Leave the cursor at the beginning of a fresh line."""
        with suppress(OSError, ValueError):
            self._wipe()

    def _hop(self, data: dict[str, Any]) -> None:
        self._line("", f"Hop {data['index'] + 1} of {data['hops']}   {data['hop']}")

    def _attempt(self, data: dict[str, Any]) -> None:
        self._began = time.monotonic()
        self._tasks = 0
        again = f" (attempt {data['number']})" if data["number"] > 1 else ""
        self._line(f"  {data['stage']}{again}")

    def _progress(self, line: dict[str, Any]) -> None:
        kind = line.get("kind")
        if kind == "step_start":
            self._step, self._tasks, self._waiting = str(line.get("step", "")), 0, ""
            self._moving(self._step)
        elif kind == "step_end":
            mark = {"success": "✓", "warning": "!"}.get(str(line.get("code")), "✗")
            message = f"  {line.get('message')}" if line.get("message") else ""
            self._line(f"    {mark} {line.get('step')}  {line.get('seconds', 0)} s{message}")
        elif kind == "task_start":
            self._tasks += 1
            role = f"{line.get('role')} : " if line.get("role") else ""
            self._moving(f"{self._step}  task {self._tasks}  {role}{line.get('task', '')}")
        elif kind == "waiting" and line.get("message") != self._waiting:
            self._waiting = str(line.get("message", ""))
            self._line(f"    … {self._waiting}, at most {line.get('left', 0)} s more")
        elif kind in ("host_failed", "host_unreachable"):
            word = "failed" if kind == "host_failed" else "unreachable"
            self._line(f"    ✗ {line.get('host')} {word}: {line.get('task', '')}: {str(line.get('message', ''))[:300]}")

    def _result(self, data: dict[str, Any]) -> None:
        verdict = str(data["outcome"].get("verdict", ""))
        if verdict != "succeeded":
            self._line(f"  ✗ {data['stage']} {verdict}: {data['outcome'].get('message', '')}")

    def _ponr(self, data: dict[str, Any]) -> None:
        self._line(f"══════ point of no return crossed: {data['task']} ══════")

    def _line(self, *texts: str) -> None:
        self._wipe()
        for text in texts:
            self._stream.write(fit(safe(text), self._stream.encoding) + "\n")
        self._stream.flush()

    def _moving(self, text: str) -> None:
        now = time.monotonic()
        if not self._terminal or (self._open and now - self._drawn < _TICK_SECONDS):
            return
        self._drawn = now
        width = shutil.get_terminal_size().columns
        elapsed = int(now - self._began)
        words = f"    … {elapsed // 60}:{elapsed % 60:02d}  {safe(text)}"
        self._stream.write("\r\x1b[K" + fit(words[: max(10, width - 1)], self._stream.encoding))
        self._stream.flush()
        self._open = True

    def _wipe(self) -> None:
        if self._open:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._open = False
