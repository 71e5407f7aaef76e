"""Commands in a rendered document: lines of fenced blocks and code spans, as somebody would copy them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token

from upgrader.cli.main import app, hoist

_READER = MarkdownIt("commonmark", {"html": False}).enable("table")


def blocks(text: str) -> Iterator[list[str]]:
    """The lines of every fenced block."""
    for token in _READER.parse(text):
        if token.type == "fence":
            yield token.content.splitlines()


def spans(text: str) -> Iterator[str]:
    """Every code span."""

    def inside(tokens: list[Token]) -> Iterator[str]:
        for token in tokens:
            if token.type == "code_inline":
                yield token.content
            yield from inside(token.children or [])

    yield from inside(_READER.parse(text))


def parse_upgrader(line: str) -> tuple[str, ...]:
    """The verbs of a command line of this tool, parsed by its own parser. Raises its usage error."""
    words = shlex.split(line)
    assert words[0] == "upgrader"
    command = typer.main.get_command(app)
    context = command.make_context("upgrader", hoist(words[1:]), resilient_parsing=False)
    verbs: list[str] = []
    while hasattr(command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        name, found, arguments = command.resolve_command(context, rest)
        assert found is not None, f"{line}: no verb {rest[:1]}"
        verbs.append(str(name))
        command, context = found, found.make_context(name, arguments, parent=context)
    return tuple(verbs)
