"""Runs in a service environment's own Python: loads a service's programs once, runs each command in a fork of that.

Standard library only. Starting such a program takes two to five seconds, nearly all of it imports; its work on a small
database takes a tenth. So one process loads the libraries that all services share, a fork of it for every service (a
desk) loads that service's programs, and a fork of the desk runs one command: the program's own entry point, in a
process of its own, with no option read and nothing connected before.

On standard input: `{"socket": path, "folder": path, "env": {…}}` opens a desk that connects to that socket and says
`{"pid": n}`. There, JSON lines: `{"argv": […], "log": path, "limit": seconds}` in, `{"code": n|null, "seconds": s,
"load": s}` out; `null` is a command ended at its limit, `load` what importing the program took. A desk ends with its
connection, all end with standard input.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module, metadata
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
# Loaded before any service is known, so only what reads no configuration, starts no thread, and is not among the
# modules that nova wants to be the first to load (urllib3, oslo_context).
SHARED = (
    "alembic.command", "alembic.config", "sqlalchemy.orm", "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "mako.template", "jinja2", "yaml", "netaddr",
    "cryptography.x509", "cryptography.fernet", "webob", "pygments", "stevedore", "oslo_i18n",
    "oslo_config.cfg", "xml.dom.minidom", "unittest",
)  # fmt: skip

Answer = dict[str, float | int | None]


def entry(program: str) -> Callable[[], object] | None:
    """The function behind a program's name; None when this environment has no such entry point."""
    for point in metadata.entry_points().select(group="console_scripts", name=program):
        loaded: Callable[[], object] = point.load()
        return loaded
    return None


def run(function: Callable[[], object], argv: list[str], log: str, limit: float) -> Answer:
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(function, argv, log)
    code = _await(pid, limit)
    return {"code": code, "seconds": round(time.monotonic() - began, 3)}


def _child(function: Callable[[], object], argv: list[str], log: str) -> NoReturn:
    code = 1
    try:
        _end_with_parent()
        gc.enable()
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(out, descriptor)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        _type(argv)
        try:
            _key_folders()
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


def _type(argv: list[str]) -> None:
    """Let the program see its own command line, also where it was looked at once, while something was loaded."""
    sys.argv[:] = argv
    checks = sys.modules.get("oslo_upgradecheck.upgradecheck")
    if checks is not None:
        checks.main.__defaults__ = (argv[1:], *checks.main.__defaults__[1:])


def _key_folders() -> None:
    """keystone-status asks where its keys are before it reads any configuration: the answer is made the default."""
    conf = sys.modules.get("keystone.conf")
    if conf is None:
        return
    conf.configure()
    for name, value in os.environ.items():
        if name.startswith("OS_") and name.endswith("__KEY_REPOSITORY"):
            section = name[len("OS_") : -len("__KEY_REPOSITORY")].lower()
            conf.CONF.set_default("key_repository", value, group=section)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


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
            with suppress(ProcessLookupError):  # it did not come to a group of its own yet
                os.killpg(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(wait)
        wait = min(wait * 1.5, 0.05)


def answered(asked: dict[str, object], loaded: dict[str, Callable[[], object] | None]) -> Answer:
    """Run one command, loading its program when it is the first of it."""
    argv, log, limit = asked["argv"], asked["log"], asked["limit"]
    assert isinstance(argv, list) and isinstance(log, str) and isinstance(limit, int | float)  # noqa: S101
    program, began = os.path.basename(argv[0]), time.monotonic()  # noqa: PTH119
    try:
        if program not in loaded:
            sys.argv[:] = argv
            loaded[program] = entry(program)
            gc.freeze()
        load = round(time.monotonic() - began, 3)
        function = loaded[program]
        if function is None:
            return {"code": 127, "seconds": 0.0, "load": load}
        return run(function, argv, log, float(limit)) | {"load": load}
    except Exception as error:
        with open(log, "a") as stream:  # noqa: PTH123
            stream.write(f"{type(error).__name__}: {error}\n")
        return {"code": 126, "seconds": 0.0, "load": 0.0}


def desk(place: str, folder: str, env: dict[str, str]) -> None:
    """Serve one service until its connection ends."""
    os.chdir(folder)
    os.environ.update(env)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(place)
        stream = line.makefile("rw", encoding="utf-8")
        loaded: dict[str, Callable[[], object] | None] = {}
        stream.write(json.dumps({"pid": os.getpid()}) + "\n")
        stream.flush()
        for text in stream:
            stream.write(json.dumps(answered(json.loads(text), loaded)) + "\n")
            stream.flush()


def main() -> None:
    # what a program prints while it is loaded is nobody's answer
    os.dup2(2, 1)
    gc.disable()  # importing makes a lot and drops nothing
    for name in SHARED:
        try:
            import_module(name)
        except ImportError:
            continue  # older environments lack some
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while text := sys.stdin.readline():
        asked = json.loads(text)
        if os.fork() == 0:
            code = 1
            try:
                _end_with_parent()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                desk(asked["socket"], asked["folder"], asked["env"])
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)


if __name__ == "__main__":
    main()
