"""What every verb file needs: its Typer app and the options given before the verb.

A verb lives in one file `upgrader/cli/<verb>_cmd.py` that exposes `app = verb_app()` with one `@app.command()`
(or several, for a verb with sub-commands). `upgrader.cli.main.VERBS` names it; nothing is imported before it is used.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

import typer

_OF_A_SITE = re.compile(
    r"\bupgrader (check|plan|runbook|backup|rehearse|run|status|serve|resume|approve|abort|rollback|history|toolchain"
    r"|staging|diagnose|availability|report|notices)\b"
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options that stand before (or after) every verb; Typer carries it as `ctx.obj`."""

    site: str | None = None
    """What `--site` or UPGRADER_SITE says: a path, or `sandbox`; None: look in the current folder."""
    named: str | None = None
    """What `--site` alone says: it has to be repeated in every command that is offered."""
    color: bool = True
    """False after `--no-color`; NO_COLOR and a pipe are the views' own business."""


def with_site(command: str, site: str | None) -> str:
    """A command to type, naming the site where the operator named it; otherwise it would speak of another cloud."""
    if not site:
        return command
    return _OF_A_SITE.sub(lambda found: f"upgrader --site {shlex.quote(site)} {found[1]}", command)


def verb_app() -> typer.Typer:
    """A Typer app as every verb uses it: plain help (no rich), completion only at the root."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def invocation(ctx: typer.Context) -> Invocation:
    """The options given beside the verb; defaults when a verb's app runs alone (tests)."""
    found = ctx.find_root().obj
    return found if isinstance(found, Invocation) else Invocation()


def say(line: str) -> None:
    """Narration: on stderr, so that results on stdout stay alone."""
    typer.echo(line, err=True)


def silent(_line: str) -> None:
    """Narration that nobody wants, as with --json."""
