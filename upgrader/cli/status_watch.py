"""`upgrader status --watch`: looks again and again, and shows what it sees as the output can take it.

On a terminal the whole screen, in a pipe one line per change, with --json one document per line on change. Ends by
itself when the run ends that it watched; where none is open it waits for the next one. Ctrl-C ends it and nothing else.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from upgrader.cli.verb import Invocation, say, with_site
from upgrader.errors import InterruptedRunError

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.views.screen import Screen
    from upgrader.watch.model import Watched

AGAIN = "upgrader status --watch"
_FOOT = "Ctrl-C: stop watching, the run goes on"


def watch(site: Site, given: Invocation, *, interval: float, as_json: bool) -> None:
    """Watch until the run ends. Raises InterruptedRunError when the operator stops, and what `status` raises."""
    from upgrader.watch.sample import Watcher

    looking = Watcher(site)

    def look() -> Watched:
        seen = looking.sample()
        choices = tuple(replace(one, command=with_site(one.command, given.named)) for one in seen.report.choices)
        return replace(seen, report=replace(seen.report, choices=choices))

    first = look()  # a site that cannot be read is an error like any other, on an untouched terminal
    try:
        with _alarm() as pause:
            if as_json:
                _documents(first, look, pause, interval)
            elif sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", ""):
                _screen(first, look, pause, interval, given)
            else:
                _lines(first, look, pause, interval)
    except KeyboardInterrupt:
        _stopped(given, as_json=as_json)


def _stopped(given: Invocation, *, as_json: bool) -> NoReturn:
    message = "Stopped watching. The run is not touched by that."
    if as_json:
        say(f"{message} Next:  {with_site(AGAIN, given.named)} --json")
        raise typer.Exit(InterruptedRunError.exit_code)
    raise InterruptedRunError(message, next_command=AGAIN, reason="stopped-watching") from None


class _Ending:
    """Whether a run that was open while it was watched has ended."""

    def __init__(self) -> None:
        self._open = ""

    def reached(self, seen: Watched) -> bool:
        if seen.report.run and not seen.over:
            self._open = seen.report.run
        return seen.over and seen.report.run == self._open


def _documents(seen: Watched, look: Callable[[], Watched], pause: Callable[[float], bool], interval: float) -> None:
    ending = _Ending()
    before: tuple[object, ...] | None = None
    while True:
        if seen.settled() != before:
            before = seen.settled()
            sys.stdout.write(json.dumps(seen.document(), ensure_ascii=False, separators=(",", ":")) + "\n")
            sys.stdout.flush()
        if ending.reached(seen):
            return
        pause(interval)
        seen = look()


def _lines(seen: Watched, look: Callable[[], Watched], pause: Callable[[float], bool], interval: float) -> None:
    from upgrader.views.plain import fit, safe
    from upgrader.views.watch import changes

    ending = _Ending()
    before: Watched | None = None
    while True:
        for line in changes(before, seen):
            sys.stdout.write(fit(safe(line), sys.stdout.encoding) + "\n")
        sys.stdout.flush()
        if ending.reached(seen):
            return
        before = seen
        pause(interval)
        seen = look()


def _screen(
    seen: Watched, look: Callable[[], Watched], pause: Callable[[float], bool], interval: float, given: Invocation
) -> None:
    from upgrader.views.screen import Screen
    from upgrader.views.status import status_page
    from upgrader.views.terminal import in_colour, show
    from upgrader.views.watch import fitted

    screen = Screen(sys.stdout, color=in_colour(sys.stdout, given.color))
    ending = _Ending()
    with _taken(screen):
        size = shutil.get_terminal_size()
        while True:
            if size != (size := shutil.get_terminal_size()):
                screen.forget()
            screen.draw(fitted(seen, max(20, size.columns), max(4, size.lines), _FOOT, sys.stdout.encoding))
            if ending.reached(seen):
                break
            due = time.monotonic() + interval
            while (left := due - time.monotonic()) > 0 and not pause(left):
                if shutil.get_terminal_size() != size:
                    break
            seen = look()
    show(status_page(seen.report), color=given.color)


@contextmanager
def _taken(screen: Screen) -> Iterator[None]:
    """The screen is ours; however this ends, and while it is suspended, the terminal is as it was."""
    keys = _Keys()

    def suspend(*_: object) -> None:
        screen.close()
        keys.loud()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # it stands here until it is continued; nothing happens without a shell
        signal.signal(signal.SIGTSTP, suspend)
        keys.quiet()
        screen.open()

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    wanted: dict[signal.Signals, Callable[..., object]] = {
        signal.SIGTSTP: suspend, signal.SIGTERM: leave, signal.SIGHUP: leave,
    }  # fmt: skip
    before = {number: signal.signal(number, action) for number, action in wanted.items()}
    try:
        keys.quiet()
        screen.open()
        yield
    finally:
        with suppress(OSError, ValueError):  # the terminal is gone
            screen.close()
        keys.loud()
        for number, action in before.items():
            signal.signal(number, action)


class _Keys:
    """Keys that are typed do not show up in the middle of the screen; Ctrl-C and Ctrl-Z still do what they do."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def quiet(self) -> None:
        import termios

        try:
            descriptor = sys.stdin.fileno()
            if os.tcgetpgrp(descriptor) != os.getpgrp():
                return  # in the background: to change the terminal would stop us
            self._before = termios.tcgetattr(descriptor)
            changed = termios.tcgetattr(descriptor)
            changed[3] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
        except (OSError, ValueError, termios.error):
            self._before = None

    def loud(self) -> None:
        import termios

        if self._before is not None:
            with suppress(OSError, ValueError, termios.error):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSAFLUSH, self._before)
            self._before = None


@contextmanager
def _alarm() -> Iterator[Callable[[float], bool]]:
    """A way to sleep that a change of the terminal's size ends at once. True: the whole time went by."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    old = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    resized = signal.signal(signal.SIGWINCH, lambda *_: None)

    def pause(seconds: float) -> bool:
        woken, _, _ = select.select([reading], [], [], seconds)
        if woken:
            os.read(reading, 512)
        return not woken

    try:
        yield pause
    finally:
        signal.signal(signal.SIGWINCH, resized)
        signal.set_wakeup_fd(old)
        os.close(reading)
        os.close(writing)
