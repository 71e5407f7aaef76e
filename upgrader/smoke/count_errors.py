"""Counts on one host what its services logged as errors, in the hour before a hop and since its end. Changes nothing.

Given to the host's own Python on standard input, with the question as one JSON argument; prints one line, `@@upgrader`
and a JSON document. The text of diagnose/log_lines.py stands in front of it there. Lines travel without numbers, ids
and whatever looks like a secret. What could not be read is said in `unread`.
Standard library only, and nothing newer than Python 3.8: it is the host's interpreter.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from upgrader.diagnose.log_lines import Question
if __package__:
    from upgrader.diagnose.log_lines import MASKS, lines_of, seek, stamp

MARK = "@@upgrader "
READ_BYTES = 48 * 1024 * 1024
"""Bytes of one file that are looked at in one of the two times."""
KEPT_KINDS = 4000
"""Kinds of lines that are told apart in one time and folder; a service in trouble has some dozens."""
TOLD = 3
# the level stands behind the time and the process, or in brackets (Apache, MariaDB, RabbitMQ)
_LEVEL = re.compile(r"^(?:\S+\s+){0,3}?(?:ERROR|CRITICAL)\s|\[(?:\w+:)?(?:error|crit|ERROR|CRITICAL)\]")
_REQUEST = re.compile(r"\[(?:None )?req-[^\]]*\]|\[- (?:- )+-\]|\breq-[0-9a-f-]{36}\b")
_WORD = re.compile(r"(?i)((?:passw|secret|token|key|auth|credential)[\w-]*[\"']?\s*(?:[:=]|=>)\s*[\"']?)[^\s\"',;)}]+")
_NO_VOLUME = re.compile(r"no such volume|no volume with name", re.I)
"""docker and podman."""
_LOGIN = re.compile(r"://[^/\s\"'<>,]*@")
_LONG = re.compile(r"(?=[^\s.]*\d)[A-Za-z0-9+/_=%-]{24,}")


def kind_of(line: str) -> str:
    """What a line says, the same for every time it is said: no time, no numbers, no ids, nothing secret."""
    found = _LEVEL.search(line[:160])
    text = line[found.end() :] if found else line
    text = _WORD.sub(r"\1...", _LOGIN.sub("://...@", _REQUEST.sub("", text)))
    return " ".join(MASKS.sub("#", _LONG.sub("...", text)).split())[:300]


def record_of(line: str) -> str:
    """What the lines of one record have in common: a traceback has the time, process and logger of its first line."""
    return " ".join(line.split(None, 5)[:5])


def counted(path: Path, question: Question, begin: float, end: float, kinds: dict[str, int]) -> tuple[int, float, str]:
    """(errors, time of the first line, trouble) of one file between two times; their kinds are added to `kinds`."""
    count, first, trouble = 0, 0.0, ""
    last = ""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > 1024 * 1024:
            seek(stream, size, begin, question["now"])
        for text, words in lines_of(stream, READ_BYTES, question["deadline"]):
            if text is None:
                trouble = words
                continue
            at = stamp(text, question["now"])
            if at is None or at < begin:
                continue
            if at > end:
                break
            first = first or at
            if not _LEVEL.search(text[:160]):
                continue
            record = record_of(text)
            if record == last:
                continue
            last = record
            count += 1
            kind = kind_of(text)
            if kind in kinds or len(kinds) < KEPT_KINDS:
                kinds[kind] = kinds.get(kind, 0) + 1
    return count, first, trouble


def logs_root(question: Question) -> tuple[Path | None, str]:
    """The folder that is /var/log/kolla in the containers; None and why, or no words where there simply is none."""
    words = ["volume", "inspect", "--format", "{{.Mountpoint}}", "kolla_logs"]
    command = ["sh", "-c", question["engine"] + ' "$@"', "engine", *words]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=15)
        place = done.stdout.decode("utf-8", "replace").strip()
        error = done.stderr.decode("utf-8", "replace").strip()[-300:]
        if _NO_VOLUME.search(error):
            error = ""
    except (OSError, subprocess.SubprocessError) as trouble:
        place, error = "", str(trouble)
    for found in (place, question["host_root"] + "/var/log/kolla"):
        if found and Path(found).is_dir():
            return Path(found), ""
    return None, error


def files(root: Path, begin: float) -> list[tuple[str, Path]]:
    """(service, path) of the log files that were written to since then, a rotated one before its successor."""
    found = []
    for folder in sorted(item for item in root.iterdir() if item.is_dir()):
        for path in sorted(folder.iterdir(), key=lambda path: (path.name.replace(".1", ""), path.suffix != ".1")):
            if not re.search(r"\.(log|err)(\.1)?$", path.name) or path.is_symlink() or not path.is_file():
                continue
            about = path.stat()
            if about.st_mtime >= begin and about.st_size:
                found.append((folder.name, path))
    return found


def answer(question: Question) -> dict[str, Any]:
    """Per service: errors `before` (and since when there are lines), errors `after`, and the new kinds of them."""
    now = time.time()
    question = {**question, "now": now, "deadline": now + question["seconds"]}
    root, why = logs_root(question)
    if root is None:
        return {"now": now, "services": {}, "unread": [["files of services", why]] if why else [], "absent": not why}
    unread: list[list[str]] = []
    services: dict[str, dict[str, Any]] = {}
    old: dict[str, dict[str, int]] = {}
    new: dict[str, dict[str, int]] = {}
    for service, path in files(root, question["begin"]):
        if time.time() > question["deadline"]:
            unread.append([f"{service}/{path.name}", "the time for this host was used up"])
            continue
        said = services.setdefault(service, {"before": 0, "from": 0.0, "after": 0, "new": []})
        try:
            before, first, trouble = counted(
                path, question, question["begin"], question["hop"], old.setdefault(service, {})
            )
            after, _, more = counted(path, question, question["end"], now, new.setdefault(service, {}))
        except (OSError, ValueError) as error:
            unread.append([f"{service}/{path.name}", str(error)])
            continue
        said["before"] += before
        said["after"] += after
        said["from"] = min(filter(None, (said["from"], first)), default=0.0)
        if trouble or more:
            unread.append([f"{service}/{path.name}", trouble or more])
    for service, said in services.items():
        kinds = [(count, kind) for kind, count in new.get(service, {}).items() if kind not in old.get(service, {})]
        said["new"] = [[kind, count] for count, kind in sorted(kinds, key=lambda one: (-one[0], one[1]))[:TOLD]]
    return {"now": now, "services": services, "unread": unread}


def main() -> None:
    sys.stdout.write(MARK + json.dumps(answer(json.loads(sys.argv[1]))) + "\n")


if __name__ == "__main__":
    main()
