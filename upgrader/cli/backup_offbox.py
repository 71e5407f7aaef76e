"""What `upgrader backup` does with the place of off-box copies: make it, copy to it, list it, fetch from it.

`named` is what `--site` says; the commands that are offered repeat it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from upgrader.cli.verb import say, silent, with_site
from upgrader.errors import FailedCleanError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from upgrader.config import Site
    from upgrader.model import Finding


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


def copied(site: Site, folder: Path, narrate: Callable[[str], None], *, asked: bool = False) -> tuple[Finding, ...]:
    """Copy the set where the site has a place for copies, then remove what may go.

    Raises FailedCleanError for a copy that does not count, and ConfigError when one is `asked` for and has no place.
    """
    from upgrader.database.offbox import copy_set
    from upgrader.database.offbox_copies import repository
    from upgrader.database.retention import remove_old

    if asked:
        repository(site)
    found = copy_set(site, folder, narrate).findings
    bad = [finding for finding in found if finding.blocks]
    if not bad:
        return (*found, *remove_old(site, {folder.name}, narrate))
    todo = bad[0].next if bad[0].next.startswith("upgrader ") else f"upgrader backup --copy {folder.name}"
    raise FailedCleanError(
        f"{folder.name} is whole on this machine, but there is no copy of it that counts: {bad[0].message}.",
        cloud="It was only read.",
        details=[line for finding in bad for line in (finding.evidence, finding.next) if line and line != todo],
        next_command=todo,
        reason="backup-not-copied",
    )


def _next(command: str, named: str | None) -> None:
    typer.echo(f"Next:  {with_site(command, named)}")


def _print(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
