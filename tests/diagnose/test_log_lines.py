"""Lines of logs: their times, the window, and which are kept."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.diagnose_kit import AT, local
from upgrader.diagnose import log_lines
from upgrader.diagnose.log_lines import LONGEST_LINE, chosen, in_window, lines_of, stamp

QUESTION = {"begin": AT - 300, "end": AT + 120, "moment": AT, "ids": [], "bytes": 60_000, "lines": 400}
LATER = time.time() + 3600


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-22T03:12:05.500000000Z started",
        "2026-11-22 03:12:05.500000+00:00 [error] <0.9.0> x",
        "2026-11-22 04:12:05.500000+01:00 [info] x",
        '10.0.0.1 - - [22/Nov/2026:03:12:05 +0000] "GET /v3 HTTP/1.1" 503 0',
        '10.0.0.1 - - [21/Nov/2026:22:12:05 -0500] "GET /v3 HTTP/1.1" 200 0',
    ],
)
def test_a_time_with_a_zone_is_that_time(line):
    assert abs(stamp(line, AT) - AT) <= 0.5


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y-%m-%d %H:%M:%S", "{}.500 7 ERROR keystone"),
        ("%Y-%m-%d %k:%M:%S", "{} 0 [Note] WSREP: x"),
        ("[%a %b %d %H:%M:%S", "{}.500000 %Y] [wsgi:error]"),
        ("%b %d %H:%M:%S", "{} ctl1 haproxy[12]: x"),
    ],
)
def test_a_time_without_a_zone_is_the_hosts(form, text):
    there = time.localtime(AT)
    line = text.format(time.strftime(form, there)).replace("%Y", str(there.tm_year))
    assert abs(stamp(line, AT + 60) - AT) <= 0.5


def test_a_line_of_last_year_without_a_year_is_not_of_the_future():
    now = time.mktime((2026, 1, 2, 0, 0, 0, 0, 0, -1))
    assert stamp("Dec 31 23:59:00 ctl1 haproxy: x", now) < now


@given(st.text(max_size=80))
def test_any_text_has_a_time_or_none(text):
    found = stamp(text, AT)
    assert found is None or isinstance(found, float)


def _lines(*texts: str):
    return [(text, "") for text in texts]


def test_the_window_keeps_what_follows_a_line_without_a_time():
    kept, _ = in_window(
        _lines(
            f"{local(AT - 400)} before", "  of before", f"{local(AT)} ERROR it", "Traceback (most", "  File x",
            f"{local(AT + 200)} after", "  of after",
        ),
        QUESTION,
        LATER,
    )  # fmt: skip
    assert [text.split()[-1] for _, text in kept] == ["it", "(most", "x"]


def test_one_odd_time_does_not_hide_what_follows():
    kept, _ = in_window(_lines("9999-01-01 00:00:00 odd", f"{local(AT)} here"), QUESTION, LATER)
    assert [text[-4:] for _, text in kept] == ["here"]


def test_only_the_wanted_requests_are_followed():
    wanted = {**QUESTION, "ids": ["req-1"]}
    kept, _ = in_window(_lines(f"{local(AT)} req-1 a", f"{local(AT)} req-2 b"), wanted, LATER)
    assert len(kept) == 1


def test_a_line_of_ten_megabytes_is_cut_and_the_next_one_read():
    stream = io.BytesIO(b"x" * 10_000_000 + b"\n" + b"next\n")
    found = [text for text, _ in lines_of(stream, 24_000_000, LATER)]
    assert found[0].startswith("x" * LONGEST_LINE) and "9998000 bytes of this line left out" in found[0]
    assert found[1:] == ["next"]


def test_reading_ends_at_its_limit_and_at_its_time():
    endless = io.BytesIO(b"line\n" * 1000)
    assert list(lines_of(endless, 100, LATER))[-1] == (None, "it is longer than 0 MiB in this time")
    assert list(lines_of(endless, 10_000, time.time() - 1))[-1][0] is None


def test_bytes_that_are_no_text_are_read():
    assert [text for text, _ in lines_of(io.BytesIO(bytes(range(256)) + b"\n"), 1000, LATER)]


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(log_lines, "KEPT_LINES", 100)
    kept, trouble = in_window(((f"{local(AT)} {number}", "") for number in range(110)), QUESTION, LATER)
    assert len(kept) <= 100 and "very long" in trouble
    assert kept[-1][1].endswith("109")


def test_errors_are_kept_before_what_is_near():
    rows = [(AT, f"{local(AT)} INFO {number}") for number in range(100)]
    rows.insert(0, (AT - 250, f"{local(AT - 250)} ERROR far"))
    lines, left_out = chosen(rows, {**QUESTION, "lines": 10})
    assert lines[0][1].endswith("ERROR far") and len(lines) == 10 and left_out == 91


def test_a_traceback_stays_with_its_error():
    rows = [(AT - 200, f"{local(AT - 200)} ERROR x"), (AT - 200, "  File y"), (AT - 200, "  at z")]
    rows += [(AT, f"{local(AT)} INFO {number}") for number in range(50)]
    lines, _ = chosen(rows, {**QUESTION, "lines": 3})
    assert [text.split()[-1] for _, text in lines] == ["x", "y", "z"]


def test_the_same_error_a_hundred_times_leaves_room_for_another():
    rows = [(AT, f"{local(AT)} ERROR cannot connect to 10.0.0.{number}") for number in range(100)]
    rows.append((AT - 299, f"{local(AT - 299)} ERROR the disk is full"))
    lines, _ = chosen(rows, {**QUESTION, "lines": 5})
    assert any("disk" in text for _, text in lines)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(AT - 300, AT + 100), st.text(max_size=60)), max_size=60), st.integers(1, 20))
def test_what_is_kept_and_what_is_left_out_are_all(rows, count):
    lines, left_out = chosen(sorted(rows), {**QUESTION, "lines": count})
    assert len(lines) + left_out == len(rows) and len(lines) <= count
    assert [row[0] for row in lines] == sorted(row[0] for row in lines)
