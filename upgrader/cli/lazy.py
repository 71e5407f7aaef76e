"""A command group that knows its verbs by name and help line, and imports a verb's file only when it is run.

Without this `upgrader --help`, completion and `status` would pay for pydantic, networkx and rich.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

Verbs = Mapping[str, tuple[str, str]]
"""Verb → (module, one line of help). The module exposes `app`, a Typer app."""


class LazyGroup(TyperGroup):
    """Lists its verbs from a table; resolves one by importing its module."""

    verbs: ClassVar[Verbs] = {}

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self._listing = False
        for name, (_, line) in self.verbs.items():
            self.commands[name] = TyperCommand(name, help=line, short_help=line, rich_markup_mode=None)

    def list_commands(self, ctx: Any) -> list[str]:
        """In the table's order: the order of use, not the alphabet."""
        return list(self.verbs)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if self._listing or cmd_name not in self.verbs:
            return self.commands.get(cmd_name)
        command = get_command(importlib.import_module(self.verbs[cmd_name][0]).app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with self._only_names():
            super().format_commands(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        with self._only_names():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _only_names(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False
