"""The parts of `upgrader backup` that speak with the place where copies are: make it, list it, fetch from it.

`named` is what `--site` says; the commands that are offered repeat it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from upgrader.cli.verb import say, silent, with_site

if TYPE_CHECKING:
    from upgrader.config import Site


def make_repository(site: Site, *, named: str | None = None, as_json: bool = False) -> None:
    """Make the repository of [backup.offbox]; one that is there is never made over."""
    from upgrader.database.offbox_copies import start_repository

    where = start_repository(site)
    if as_json:
        _print({"schema_version": 1, "kind": "offbox-repository", "repository": where})
        return
    typer.echo(f"There is a repository at {where} now. Without its password nobody can read what is in it:")
    assert site.offbox is not None  # noqa: S101 - a repository was made
    typer.echo(f"keep a copy of {site.offbox.password_file} where this machine's loss does not reach it.")
    _next("upgrader backup", named)


def fetch(site: Site, wanted: str, *, named: str | None = None, as_json: bool = False) -> None:
    """Bring a set back: a copy's id, a set's name, or `latest`. Exit code 0: it is whole."""
    from upgrader.database.offbox_fetch import fetch_set

    found = fetch_set(site, wanted, silent if as_json else say)
    manifest = found.manifest
    if as_json:
        _print(
            {
                "schema_version": 1,
                "kind": "fetched-backup",
                "folder": str(found.folder),
                "copy": found.copy.id,
                "release": manifest.release,
                "made_at": manifest.made_at,
                "state": manifest.state,
                "bytes": manifest.bytes,
            }
        )
        return
    typer.echo(f"{found.folder}")
    typer.echo(f"{manifest.state}, taken {manifest.made_at} from {manifest.release}, {manifest.bytes} bytes, "
               f"every one as its manifest says (copy {found.copy.short})")  # fmt: skip
    _next(f"upgrader backup --prove {found.folder.name}", named)


def list_copies(site: Site, *, named: str | None = None, as_json: bool = False) -> None:
    """The copies of this site's sets, oldest first."""
    from upgrader.database.offbox_copies import copies, repository

    there = repository(site)
    found = copies(there, site.name)
    if as_json:
        rows = [
            {
                "copy": one.id,
                "set": one.set_name,
                "made_at": one.made_at,
                "copied_at": one.copied_at.isoformat(timespec="seconds"),
                "state": one.state,
                "verified": one.verified,
            }
            for one in found
        ]
        _print({"schema_version": 1, "kind": "offbox-copies", "repository": there.shown, "copies": rows})
        return
    for one in found:
        counts = "read back" if one.verified else "not read back, does not count"
        typer.echo(f"{one.short}  {one.set_name}  {one.state}, {counts}")
    if not found:
        typer.echo(f"{there.shown} holds no copy of this site.")
    _next(f"upgrader backup --fetch {found[-1].short}" if found else "upgrader backup", named)


def _next(command: str, named: str | None) -> None:
    typer.echo(f"Next:  {with_site(command, named)}")


def _print(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
