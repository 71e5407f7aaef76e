"""`upgrader serve`: the live page. Looks only; there is nothing in it that could reach the run."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import invocation, say, verb_app
from upgrader.errors import EnvironmentMissingError, InterruptedRunError

if TYPE_CHECKING:
    from upgrader.serve.address import Address
    from upgrader.serve.loop import Loop

app = verb_app()


@app.command(
    epilog="The page speaks plain HTTP: for other machines put it behind your proxy, which has TLS, or read it through "
    "an ssh tunnel: ssh -L 8620:127.0.0.1:8620 HOST"
)
def serve(
    ctx: typer.Context,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="ADDRESS:PORT", help="Where to listen (127.0.0.1:8620).")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="What is in it opens the page; a must for all but loopback."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="A host name of the page, as behind a proxy. Repeatable."),
    ] = None,
) -> None:
    """Show the run on a page that updates itself, for browsers and phones. Read-only, takes no lock."""
    from upgrader.config import find_site, load_site

    given = invocation(ctx)
    site = load_site(find_site(given.site))
    _must_be_installed()
    from upgrader.serve.access import must_be_guarded, read_token
    from upgrader.serve.address import Address, parse
    from upgrader.serve.app import App
    from upgrader.serve.feed import Feed
    from upgrader.serve.loop import Loop
    from upgrader.watch.sample import Watcher

    address = parse(listen if listen is not None else site.serve.listen)
    file = token_file.absolute() if token_file else site.serve.token_file
    must_be_guarded(address, file)
    token = read_token(file) if file else None
    watcher = Watcher(site)
    watcher.sample()  # what cannot be read is said here, and not to a browser
    names = {one.lower() for one in (*site.serve.names, *(name or ()))}
    if not address.loopback:
        names.add(socket.gethostname().lower())
    listening = listen_at(address)
    app_ = App(address, token, frozenset(names))
    loop = Loop(listening, app_.answer)
    feed = Feed(watcher.sample, loop.wake)
    port = listening.getsockname()[1]
    say(f"http://{Address(address.host, port)}/  {_who(address, guarded=bool(token))}".rstrip())
    say("Read-only. TLS: put it behind your proxy. Ctrl-C ends the page, not the run.")
    with suppress(OSError):
        os.nice(10)  # whoever looks waits for who works
    _run(loop, feed)


def _who(address: Address, *, guarded: bool) -> str:
    if guarded:
        return "(any user name; the password is the token)"
    return "(this machine alone)" if address.loopback else ""


def _run(loop: Loop, feed: object) -> None:
    from upgrader.serve.feed import Feed

    assert isinstance(feed, Feed)  # noqa: S101 - for the type checker: the module is imported late
    interrupted = False

    def stop(number: int, _frame: object) -> None:
        nonlocal interrupted
        interrupted = number == signal.SIGINT
        loop.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    feed.start()
    try:
        loop.run(feed)
    finally:
        feed.stop()
    if interrupted:
        message = "The page has ended. The run is not touched by that."
        raise InterruptedRunError(message, next_command="upgrader serve", reason="stopped-serving")


def _must_be_installed() -> None:
    """Raises EnvironmentMissingError without the optional extra."""
    import importlib.util

    if importlib.util.find_spec("h11") is None:
        raise EnvironmentMissingError(
            "The page needs h11, which is not installed.",
            cloud="Not looked at.",
            details=[f"For the Python of this upgrader: {sys.executable}"],
            next_command="pip install 'upgrader[serve]'",
            reason="extra-not-installed",
        )


def listen_at(address: Address) -> socket.socket:
    """A listening socket. Raises EnvironmentMissingError: taken, not ours, or not allowed."""
    import errno

    family = socket.AF_INET6 if address.v6 else socket.AF_INET
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _no_place(address, f"this machine has no {'IPv6' if address.v6 else 'IPv4'}: {error.strerror}") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address.host, address.port))
        made.listen(128)
    except OSError as error:
        made.close()
        why = {
            errno.EADDRINUSE: "another process listens there",
            errno.EADDRNOTAVAIL: "this machine does not have that address",
            errno.EACCES: "ports below 1024 are for root",
        }.get(error.errno or 0, error.strerror or str(error))
        raise _no_place(address, why) from None
    return made


def _no_place(address: Address, why: str) -> EnvironmentMissingError:
    other = address.port + 1 if 1024 <= address.port < 65535 else 8620
    host = f"[{address.host}]" if address.v6 else address.host
    return EnvironmentMissingError(
        f"The page cannot be served at {address}: {why}.",
        cloud="Not looked at.",
        next_command=f"upgrader serve --listen {host}:{other}",
        reason="port-taken" if "another process" in why else "cannot-listen",
    )
