"""Runs mydumper on this machine against the server a play named. A script of its own, with the standard library alone.

`take_mydumper.py OUT HOST PORT USER SCHEMA…`, the password as first line of standard input. The password is in no
argument, no environment and no file: the option file is a piece of memory without a name, which only the child
inherits, so that nothing is left of it however this ends. Exit codes: 0 dumped · 3 it could not, but another program
may (not installed, no way to the server, a long statement in its way, hung), and nothing of it is left · 1 no other
could either: the disk is full. The reason is the last line of standard error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

ANOTHER_MAY = 3
GUARD_SECONDS = 60
"""Statements running longer than this would hold up the moment's lock, and with it every writer: then no dump."""
CONNECT_SECONDS = 10
ROOM = 1024 * 1024
"""Bytes that have to stay free on the disk that is written to; below that it counts as full."""
STALL_SECONDS = 600
"""Seconds without a byte written after which it is taken for hung: 0.10.0 does so at its end now and then."""


def main(words: Sequence[str], stdin: TextIO) -> int:
    out, host, port, user, *schemas = words
    program = shutil.which("mydumper")
    if program is None:
        return _leave(ANOTHER_MAY, "mydumper is not installed on this machine")
    if not schemas:
        return _leave(1, "there is no schema to dump")
    password = stdin.readline().rstrip("\n")
    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out, 0o700)  # noqa: PTH102
    options = _options(password)
    command = [
        program, f"--defaults-file=/proc/self/fd/{options}", f"--outputdir={out}",
        *((f"--socket={host}",) if host.startswith("/") else (f"--host={host}", f"--port={port}")), f"--user={user}",
        f"--threads={max(1, min(4, os.cpu_count() or 1))}", "--rows=250000", _compress(program), "--events",
        "--triggers", "--routines", "--trx-consistency-only", f"--long-query-guard={GUARD_SECONDS}", "--verbose=2",
        f"--regex=^({'|'.join(map(re.escape, schemas))})\\.",
    ]  # fmt: skip
    with os.fdopen(os.memfd_create("upgrader-words", 0), "w+b") as heard:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=heard,
            stderr=subprocess.STDOUT,
            pass_fds=(options,),
            umask=0o077,
        )
        trouble = _watch(process, out)
        heard.seek(0)
        said = heard.read().decode(errors="replace")
    if trouble == "full" or "No space left" in said:
        return _leave(1, f"no space left on this machine in {out}")
    if trouble == "hung":
        shutil.rmtree(out, ignore_errors=True)
        return _leave(ANOTHER_MAY, f"mydumper wrote nothing for {STALL_SECONDS} s and was ended")
    code = _judge(process.returncode, said.replace(password, "***") if password else said)
    if code:
        shutil.rmtree(out, ignore_errors=True)
    return code


def _compress(program: str) -> str:
    """zstd where this mydumper knows it (0.12 and newer); older ones have zlib alone."""
    said = subprocess.run([program, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return "--compress=ZSTD" if "ZSTD" in said.stdout else "--compress"


def _options(password: str) -> int:
    """A descriptor of an option file that has no name. World-readable ones are ignored by the client library."""
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    lines = [f'password="{quoted}"', f"connect_timeout={CONNECT_SECONDS}"]
    text = "".join(f"[{group}]\n" + "".join(f"{line}\n" for line in lines) for group in ("client", "mydumper"))
    descriptor = os.memfd_create("upgrader-options", 0)
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, text.encode())
    return descriptor


def _watch(process: subprocess.Popen[bytes], out: str) -> str:
    """Wait for the end (empty), for a full disk (mydumper 0.10.0 then tries the same write for ever), or a hang."""
    written, since = -1, time.monotonic()
    while True:
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            seen = os.statvfs(out)
            now = _bytes(out)
            if now != written:
                written, since = now, time.monotonic()
            full = seen.f_bavail * seen.f_frsize < ROOM
            if full or time.monotonic() - since > STALL_SECONDS:
                process.kill()
                process.wait()
                return "full" if full else "hung"
        else:
            return ""


def _bytes(folder: str) -> int:
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # its metadata gets another name at the end
                total += entry.stat().st_size
    return total


def _judge(code: int, said: str) -> int:
    bad = [line for line in said.splitlines() if "CRITICAL" in line or "ERROR" in line or "Error" in line]
    spoken = [line for line in said.splitlines() if line.strip()]
    told = bad[:1] or (spoken[-1:] if code else [])
    line = re.sub(r"^\*\* \(mydumper[^)]*\): |^\*\* ", "", told[0] if told else "")
    reason = re.sub(r"^CRITICAL \*\*: [\d:.]+: ", "", line).strip()
    if code or bad:
        return _leave(ANOTHER_MAY, reason or f"mydumper ended with exit code {code}")
    return 0


def _leave(code: int, words: str) -> int:
    sys.stderr.write(f"{words}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin))
