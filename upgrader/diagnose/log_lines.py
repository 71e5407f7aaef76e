"""Lines of logs: their times, the window they are in, and which of them are worth carrying.

Runs here and on the hosts, where its text stands in front of on_host.py's. Standard library only, and nothing newer
than Python 3.8.
"""

from __future__ import annotations

import calendar
import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO, Any

    Question = dict[str, Any]
    Row = tuple[float, str]

LONGEST_LINE = 2000
"""Bytes of one line that are kept."""
KEPT_LINES = 40000
BLOCK = 64 * 1024
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: at for at, name in enumerate(_NAMES, 1)}
# 2026-11-22 03:12:05.123, 2026-11-22  3:12:05 (MariaDB), 2026-11-22T03:12:05.1+01:00 (engines, RabbitMQ)
_ISO = re.compile(
    r"^\W{0,2}(\d{4})-(\d\d)-(\d\d)[T ]{1,2}(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?(?=\W|$)"
)
# [Sun Nov 22 03:12:05.123456 2026] (Apache), Nov 22 03:12:05 (syslog)
_WORDS = re.compile(r"^\[?(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?: (\d{4}))?")
# 10.0.0.1 - - [22/Nov/2026:03:12:05 +0000] (access logs)
_ACCESS = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?: ([+-]\d{4}))?\]")
BAD = re.compile(
    r"\b(ERROR|CRITICAL|FATAL|ALERT|EMERG|PANIC|Traceback|[A-Z]\w+(?:Error|Exception|Timeout))\b"
    r"|\[(?:error|crit|emerg|alert)\]|^panic:|\" 50\d |is DOWN|FAULT STATE|non-Primary|[Dd]enied|[Rr]efused"
)
_WARN = re.compile(r"\bWARN(?:ING)?\b|\[warn(?:ing)?\]", re.I)


def stamp(line: str, now: float) -> float | None:
    """Seconds since the epoch at the front of a line; None when there is no time. Without a zone it is this host's."""
    found = _ISO.match(line)
    if found:
        return _moment(tuple(int(found.group(at)) for at in range(1, 7)), found.group(7), found.group(8))
    found = _WORDS.match(line)
    if found and found.group(1) in _MONTHS:
        day, hour, minute, second = (int(found.group(at)) for at in range(2, 6))
        year = int(found.group(7) or time.localtime(now).tm_year)
        told = _moment((year, _MONTHS[found.group(1)], day, hour, minute, second), found.group(6), None)
        if told is not None and not found.group(7) and told > now + 86400:
            return _moment((year - 1, _MONTHS[found.group(1)], day, hour, minute, second), found.group(6), None)
        return told
    found = _ACCESS.search(line[:300])
    if found and found.group(2) in _MONTHS:
        numbers = [int(found.group(at)) for at in (3, 1, 4, 5, 6)]
        return _moment((numbers[0], _MONTHS[found.group(2)], *numbers[1:]), None, found.group(7))
    return None


def _moment(parts: tuple[int, ...], fraction: str | None, zone: str | None) -> float | None:
    try:
        if zone is None:
            seconds = time.mktime((*parts, 0, 0, -1))  # type: ignore[arg-type] # six numbers come before
        else:
            seconds = float(calendar.timegm((*parts, 0, 0, 0)))
            if zone != "Z":
                digits = zone[1:].replace(":", "")
                away = int(digits[:2]) * 3600 + int(digits[2:]) * 60
                seconds -= -away if zone[0] == "-" else away
    except (ValueError, OverflowError):
        return None
    return seconds + (float("0." + fraction) if fraction else 0.0)


# ---------------------------------------------------------------- lines of a stream


def lines_of(stream: IO[bytes], limit: int, deadline: float) -> Iterator[tuple[str | None, str]]:
    """Lines of a byte stream as text, each cut at LONGEST_LINE; ends at `limit` bytes or the deadline, and says so."""
    read = 0
    while read < limit:
        if time.time() > deadline:
            yield None, "it took too long to read to its end"
            return
        raw = stream.readline(LONGEST_LINE)
        if not raw:
            return
        read += len(raw)
        dropped = 0
        while not raw.endswith(b"\n") and read < limit and time.time() < deadline:
            more = stream.readline(BLOCK)
            if not more:
                break
            read += len(more)
            dropped += len(more.rstrip(b"\n"))
            if more.endswith(b"\n"):
                break
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        yield (text + (f" ... [{dropped} bytes of this line left out]" if dropped else "")), ""
    yield None, f"it is longer than {limit // 1024 // 1024} MiB in this time"


def seek(stream: IO[bytes], size: int, begin: float, now: float) -> None:
    """Go near the first line from `begin` on in a long file, by halving; lines of a log are in order."""
    low, high = 0, size
    while high - low > 4 * BLOCK:
        middle = (low + high) // 2
        stream.seek(middle)
        stream.readline(BLOCK)
        at = None
        for _ in range(200):
            line = stream.readline(BLOCK)
            if not line or stream.tell() >= high:
                break
            at = stamp(line[:400].decode("utf-8", "replace"), now)
            if at is not None:
                break
        if at is not None and at < begin:
            low = middle
        else:
            high = middle
    stream.seek(low)
    if low:
        stream.readline(BLOCK)


def in_window(lines: Iterable[tuple[str | None, str]], question: Question, now: float) -> tuple[list[Row], str]:
    """(time, text) of the lines of the window; a line without a time has that of the one before it."""
    wanted = question["ids"]
    last: float | None = None
    kept: list[Row] = []
    trouble, beyond = "", 0
    for text, words in lines:
        if text is None:
            trouble = words
            continue
        at = stamp(text, now)
        if at is not None:
            last = at
        if last is None or last < question["begin"]:
            continue
        if last > question["end"]:
            # one odd time must not hide what follows it; many of them are the end of the window
            beyond += 1
            if beyond > 500:
                break
            continue
        if wanted and not any(one in text for one in wanted):
            continue
        kept.append((last, text))
        if len(kept) > KEPT_LINES:
            del kept[: KEPT_LINES // 2]
            trouble = "only the end of a very long log was looked at"
    return kept, trouble


MASKS = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|0x[0-9a-f]+|\d+")


def chosen(kept: list[Row], question: Question) -> tuple[list[list[Any]], int]:
    """The lines worth carrying: errors with what follows them, then what is nearest to the moment.

    Returns (lines, left out). The third and further line of the same words counts as an ordinary one.
    """
    scored = []
    seen: dict[str, int] = {}
    weight = 0
    for at, (moment, text) in enumerate(kept):
        if stamp(text, moment) is not None or not text[:1].isspace():
            weight = 2 if BAD.search(text) else 1 if _WARN.search(text) else 0
            if weight:
                key = MASKS.sub("#", text[24:])
                seen[key] = seen.get(key, 0) + 1
                if seen[key] > 2:
                    weight = 0
        scored.append((-weight, abs(moment - question["moment"]), at))
    room, count = question["bytes"], question["lines"]
    picked: list[int] = []
    for _, _, at in sorted(scored):
        room -= len(kept[at][1]) + 40
        if room < 0 or len(picked) >= count:
            break
        picked.append(at)
    picked.sort()
    return [[round(kept[at][0], 3), kept[at][1]] for at in picked], len(kept) - len(picked)
