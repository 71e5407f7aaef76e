"""What every verb file needs: its Typer app and the options given before the verb.

A verb lives in one file `upgrader/cli/<verb>_cmd.py` that exposes `app = verb_app()` with one `@app.command()`
(or several, for a verb with sub-commands). `upgrader.cli.main.VERBS` names it; nothing is imported before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import typer


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options that stand before (or after) every verb; Typer carries it as `ctx.obj`."""

    site: str | None = None
    """What `--site` or UPGRADER_SITE says: a path, or `sandbox`; None: look in the current folder."""
    color: bool = True
    """False after `--no-color`; NO_COLOR and a pipe are the views' own business."""


def verb_app() -> typer.Typer:
    """A Typer app as every verb uses it: plain help (no rich), completion only at the root."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def invocation(ctx: typer.Context) -> Invocation:
    """The options given beside the verb; defaults when a verb's app runs alone (tests)."""
    found = ctx.find_root().obj
    return found if isinstance(found, Invocation) else Invocation()
