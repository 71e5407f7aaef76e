"""Reads on one host what its services logged around a moment, and how the host itself is. Changes nothing.

Given to the host's own Python on standard input, with the question as one JSON argument; prints one line, `@@upgrader`
and a JSON document. The text of log_lines.py stands in front of it there. Every part is bounded in lines, bytes and
seconds; what could not be read is said in `unread`.
Standard library only, and nothing newer than Python 3.8: it is the host's interpreter.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from upgrader.diagnose.log_lines import Question, Row
if __package__:
    from upgrader.diagnose.log_lines import BAD, chosen, in_window, lines_of, seek

MARK = "@@upgrader "
READ_BYTES = 24 * 1024 * 1024
"""Bytes that are looked at in one file or output; a service in trouble writes some megabytes in ten minutes."""
_OOM = re.compile(r"out of memory|oom-kill|killed process|i/o error|no space left|hung task|soft lockup", re.I)


# ---------------------------------------------------------------- what is read


def engine(question: Question, *words: str) -> subprocess.Popen[bytes]:
    """The engine's words as a shell's: they may be several and quoted."""
    return subprocess.Popen(
        ["sh", "-c", question["engine"] + ' "$@"', "engine", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        return


def asked(question: Question, seconds: float, *words: str) -> tuple[str, str]:
    """(output, error) of one short call of the engine."""
    process = engine(question, *words)
    timer = threading.Timer(seconds, _end, (process,))
    timer.start()
    assert process.stdout is not None  # noqa: S101 - for the type checker
    try:
        data = process.stdout.read(1024 * 1024)
        if len(data) == 1024 * 1024:
            _end(process)
        code = process.wait()
    finally:
        timer.cancel()
        process.stdout.close()
    text = data.decode("utf-8", "replace")
    if code:
        return "", (text.strip()[-300:] or f"exit code {code}") if code > 0 else f"no answer within {seconds:.0f} s"
    return text, ""


def utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def output(question: Question, name: str, seconds: float) -> tuple[list[Row], str]:
    """What a container printed in the window."""
    process = engine(
        question, "logs", "--timestamps", "--since", utc(question["begin"]), "--until", utc(question["end"] + 1), name
    )
    timer = threading.Timer(seconds, _end, (process,))
    timer.start()
    assert process.stdout is not None  # noqa: S101 - for the type checker
    try:
        lines = lines_of(process.stdout, READ_BYTES, time.time() + seconds)
        kept, trouble = in_window(lines, question, question["now"])
        if process.poll() is None:
            _end(process)
        code = process.wait()
    finally:
        timer.cancel()
        process.stdout.close()
    if code > 0 and not kept:
        trouble = trouble or f"the engine ended with code {code}"
    # the engine's time is said once, in front of the line
    return [(at, re.sub(r"^\S+Z ", "", text, count=1)) for at, text in kept], trouble


def file(question: Question, path: Path, deadline: float) -> tuple[list[Row], str]:
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > 1024 * 1024:
            seek(stream, size, question["begin"], question["now"])
        return in_window(lines_of(stream, READ_BYTES, deadline), question, question["now"])


def files(question: Question, root: Path) -> list[tuple[str, Path]]:
    """Log files of the wanted folders that were written to since the window began: (folder, path)."""
    found = []
    folders = question["folders"] or sorted(item.name for item in root.iterdir())
    for folder in folders:
        try:
            paths = sorted((root / folder).iterdir())
        except OSError:
            continue
        for path in paths:
            if not re.search(r"\.(log|err)(\.1)?$", path.name) or path.is_symlink() or not path.is_file():
                continue
            about = path.stat()
            if about.st_mtime >= question["begin"] and about.st_size:
                found.append((folder, path))
    return found


# ---------------------------------------------------------------- the host itself


def host(question: Question, unread: list[list[str]]) -> dict[str, Any]:
    """Memory, file systems, start of the machine, and what the kernel said of memory and disks."""
    root = question["host_root"]
    said: dict[str, Any] = {}
    try:
        with Path(root + "/proc/meminfo").open() as stream:
            table = dict(line.split(":", 1) for line in stream if ":" in line)
        said["memory"] = {
            key: int(table[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable") if key in table
        }
        with Path(root + "/proc/stat").open() as stream:
            starts = [int(line.split()[1]) for line in stream if line.startswith("btime")]
        said["booted"] = starts[0] if starts else None
    except (OSError, ValueError) as error:
        # a host that is a folder has no memory of its own
        if not root:
            unread.append(["memory", str(error)])
    said["kernel"] = kernel(question, unread)
    said["disks"] = disks(question)
    return said


def kernel(question: Question, unread: list[list[str]]) -> list[str]:
    root = question["host_root"]
    if root:
        try:
            with Path(root + "/kernel.log").open() as stream:
                return [line.rstrip() for line in stream if _OOM.search(line)][-12:]
        except OSError:
            return []
    words = ["journalctl", "--dmesg", "--quiet", "--no-pager", "--since", f"@{question['begin'] - 3600:.0f}"]
    for command in (words, ["dmesg", "-T"]):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10)
        except (OSError, subprocess.SubprocessError) as error:
            why = str(error)
            continue
        if done.returncode == 0:
            lines = done.stdout.decode("utf-8", "replace").splitlines()
            return [line[:300] for line in lines if _OOM.search(line)][-12:]
        why = done.stderr.decode("utf-8", "replace").strip()[-200:]
    unread.append(["kernel messages", why])
    return []


def disks(question: Question) -> list[list[Any]]:
    """(path, bytes in all, bytes free, inodes free in percent) of the file systems that matter, each once."""
    if question["host_root"]:
        return []
    seen: set[int] = set()
    rows: list[list[Any]] = []
    for path in ("/", "/var", "/var/log", "/var/lib/docker", "/var/lib/containers", question.get("logs", "")):
        try:
            device = Path(path).stat().st_dev
            figures = os.statvfs(path)
        except OSError:
            continue
        if device not in seen and figures.f_blocks:
            seen.add(device)
            inodes = 100 * figures.f_favail // figures.f_files if figures.f_files else 100
            rows.append([path, figures.f_blocks * figures.f_frsize, figures.f_bavail * figures.f_frsize, inodes])
    return rows


# ---------------------------------------------------------------- the whole


def states(question: Question, unread: list[list[str]]) -> dict[str, str]:
    """Container → how the engine's list shows its state."""
    text, error = asked(question, 15, "ps", "-a", "--no-trunc", "--format", "{{.Names}}\t{{.Status}}")
    if error:
        unread.append(["containers", error])
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)


def logs_root(question: Question, unread: list[list[str]]) -> Path | None:
    """The folder that is /var/log/kolla in the containers; None when there is none."""
    text, error = asked(question, 15, "volume", "inspect", "--format", "{{.Mountpoint}}", "kolla_logs")
    for place in (text.strip(), f"{question['host_root']}/var/log/kolla"):
        if place and Path(place).is_dir():
            return Path(place)
    unread.append(["files of services", error or "there is no volume kolla_logs and no /var/log/kolla"])
    return None


def answer(question: Question) -> dict[str, Any]:
    """Everything this host can say, within the limits of the question."""
    began = time.time()
    deadline = began + question["seconds"]
    question["now"] = began
    unread: list[list[str]] = []
    sources: list[dict[str, Any]] = []
    following = bool(question["ids"])
    found = {} if following else states(question, unread)
    wanted = [name for name in question["containers"] if name in found]
    wanted += sorted(name for name in found if name.startswith("bootstrap_") and name not in wanted)
    root = logs_root(question, unread)
    places = files(question, root) if root else []
    reads: list[tuple[str, Path | None, str]] = [(name, None, "") for name in wanted]
    reads += [("", path, folder) for folder, path in places]
    for container, path, folder in reads:
        what = container or str(path)
        if time.time() > deadline:
            unread.append([what, "the time for this host was used up"])
            continue
        left = max(1.0, min(15.0, deadline - time.time()))
        try:
            kept, trouble = file(question, path, time.time() + left) if path else output(question, container, left)
        except (OSError, ValueError) as error:
            kept, trouble = [], str(error)
        if trouble:
            unread.append([what, trouble])
        if kept:
            lines, left_out = chosen(kept, question)
            place = f"/var/log/kolla/{path.relative_to(root)}" if path and root else ""
            about = {"container": container, "path": place, "folder": folder}
            sources.append({**about, "lines": lines, "left_out": left_out})
    said = {"now": began, "zone": time.strftime("%z"), "states": found, "unread": unread}
    said["sources"] = fitting(sources, question)
    if not following:
        question["logs"] = str(root or "")
        said["host"] = host(question, unread)
    return said


def fitting(sources: list[dict[str, Any]], question: Question) -> list[dict[str, Any]]:
    """No more than the host's share: the longest sources give lines away, those furthest from the moment first."""
    room = question["total"]
    share = room // max(1, len(sources))
    for source in sources:
        lines = sorted(source["lines"], key=lambda row: (not BAD.search(row[1]), abs(row[0] - question["moment"])))
        kept, used = [], 0
        for row in lines:
            used += len(row[1]) + 20
            if used > max(share, 2000):
                break
            kept.append(row)
        source["left_out"] += len(lines) - len(kept)
        source["lines"] = [row for row in source["lines"] if row in kept] if len(kept) < len(lines) else source["lines"]
    return sources


def main() -> None:
    sys.stdout.write(MARK + json.dumps(answer(json.loads(sys.argv[1]))) + "\n")


if __name__ == "__main__":
    main()
