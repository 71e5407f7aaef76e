"""Runs in a service environment's own Python: loads one service's programs once and runs each command in a fork of it.

Standard library only. Starting such a program takes two to five seconds, nearly all of it imports; its work on a small
database takes a tenth. Every command still runs the program's own entry point in a process of its own, with nothing
read or connected before. Speaks JSON lines: `{"argv": [...], "log": path, "limit": seconds}` in, `{"code": n|null,
"seconds": s}` out; `null` is a command ended at its limit. Ends with its standard input.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import NoReturn

_PR_SET_PDEATHSIG = 1


def entry(program: str) -> Callable[[], object] | None:
    """The function behind a program's name, and how it is run; None when this environment has no such entry point."""
    for point in metadata.entry_points().select(group="console_scripts", name=program):
        loaded: Callable[[], object] = point.load()
        return loaded
    return None


def run(function: Callable[[], object], argv: list[str], log: str, limit: float) -> dict[str, float | int | None]:
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(function, argv, log)
    code = _await(pid, limit)
    return {"code": code, "seconds": round(time.monotonic() - began, 3)}


def _child(function: Callable[[], object], argv: list[str], log: str) -> NoReturn:
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(out, descriptor)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        sys.argv = list(argv)
        try:
            code = _code(function())
        except SystemExit as ended:
            code = _code(ended.code)
        except BaseException:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _code(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value & 255
    sys.stderr.write(f"{value}\n")
    return 1


def _await(pid: int, limit: float) -> int | None:
    ends = time.monotonic() + limit
    wait = 0.002
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > ends:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(wait)
        wait = min(wait * 1.5, 0.05)


def main() -> None:
    loaded: dict[str, Callable[[], object] | None] = {}
    # what a program prints while it is loaded must not be taken for an answer
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        program = asked["argv"][0]
        try:
            if program not in loaded:
                loaded[program] = entry(os.path.basename(program))  # noqa: PTH119
            function = loaded[program]
            lost: dict[str, float | int | None] = {"code": 127, "seconds": 0.0}
            reply = lost if function is None else run(function, **asked)
        except Exception as error:
            with open(asked["log"], "a") as stream:  # noqa: PTH123
                stream.write(f"{type(error).__name__}: {error}\n")
            reply = {"code": 126, "seconds": 0.0}
        answers.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
