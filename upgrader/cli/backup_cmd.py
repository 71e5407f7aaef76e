"""`upgrader backup`: take a backup set outside of a run, list the sets there are, check one, prove one by restoring."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from upgrader.cli.verb import Invocation, invocation, say, silent, verb_app, with_site
from upgrader.errors import FailedCleanError, RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from upgrader.config import Site
    from upgrader.database.manifest import Manifest
    from upgrader.database.sets import SetNow
    from upgrader.model import Finding
    from upgrader.session import Session

app = verb_app()
_SET = "NAME|PATH|newest"


@app.command()
def backup(
    ctx: typer.Context,
    list_: Annotated[bool, typer.Option("--list", help="Show the sets there are; takes none.")] = False,
    check: Annotated[
        str, typer.Option("--check", metavar=_SET, help="Read every byte of a set again and compare.")
    ] = "",
    prove: Annotated[
        str, typer.Option("--prove", metavar=_SET, help="Restore a set into a throwaway server and compare.")
    ] = "",
    for_run: Annotated[
        bool, typer.Option("--for-run", help="Make the new set the way back of the hop that waits to be upgraded.")
    ] = False,
    proof: Annotated[
        bool, typer.Option("--proof/--no-proof", help="Prove the new set by restoring it (the default).")
    ] = True,
    copy: Annotated[
        str, typer.Option("--copy", metavar=_SET, help="Copy a set off this machine again and read it back.")
    ] = "",
    copies: Annotated[bool, typer.Option("--copies", help="Show the copies off this machine.")] = False,
    fetch: Annotated[
        str, typer.Option("--fetch", metavar="COPY|SET|latest", help="Bring a set back from off this machine.")
    ] = "",
    init_offbox: Annotated[
        bool, typer.Option("--init-offbox", help="Make the repository of [backup.offbox], once.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> None:
    """Take a backup set of databases, keys, configuration and what else a way back needs. The cloud is only read.

    Exit code 3 when the set that was asked for is not whole, 6 when a set was not taken, proved or copied.
    """
    given = invocation(ctx)
    chosen = (list_, bool(check), bool(prove), for_run, bool(copy), copies, bool(fetch), init_offbox)
    if sum(chosen) > 1 or (any(chosen) and not proof):
        raise UsageError(
            "These options exclude each other, and what a run rests on is proved.",
            cloud="Nothing was looked at or changed.",
            next_command="upgrader backup --help",
            reason="usage",
        )
    from upgrader.cli.driving import site_of

    site = site_of(given)
    narrate = silent if as_json else say
    if list_:
        _list(site, given, as_json=as_json)
    elif check:
        _check(site, given, check, as_json=as_json)
    elif prove:
        _prove(site, given, prove, narrate, as_json=as_json)
    elif copy:
        _copy(site, given, copy, narrate, as_json=as_json)
    elif copies or fetch or init_offbox:
        _offbox(site, given, fetch, init=init_offbox, as_json=as_json)
    else:
        _take(site, given, narrate, for_run=for_run, proof=proof, as_json=as_json)


# ---------------------------------------------------------------- reading


def _list(site: Site, given: Invocation, *, as_json: bool) -> None:
    from upgrader.cli.backup_record import journal_words
    from upgrader.database.sets import sets_of

    words = journal_words(site)
    found = sets_of(site, datetime.now(UTC), words.last_write, words.in_use)
    if as_json:
        _json({"schema_version": 1, "kind": "backups", "site": site.name, "folder": str(site.backup_dir),
               "sets": [one.document() for one in found]})  # fmt: skip
        return
    from upgrader.views.backup import sets_page

    _show(sets_page(site.name, str(site.backup_dir), found, with_site("upgrader backup", given.named)), given)


def _check(site: Site, given: Invocation, name: str, *, as_json: bool) -> None:
    from upgrader.cli.backup_record import head_findings, journal_words
    from upgrader.database.manifest import check, read_manifest
    from upgrader.database.sets import find_set, set_now

    folder = find_set(site, name)
    manifest = read_manifest(folder)
    words = journal_words(site)
    found = (*check(folder, manifest), *words.recorded(folder), *head_findings(site, manifest))
    findings = found or (_as_recorded(manifest),)
    last = "" if str(folder) == words.in_use else words.last_write
    one = set_now(folder, site, datetime.now(UTC), last)
    bad = [finding for finding in findings if finding.blocks]
    again = with_site("upgrader backup" if bad else f"upgrader backup --prove {folder.name}", given.named)
    if as_json:
        _json(one.document() | {"schema_version": 1, "kind": "backup-check", "site": site.name,
                                "findings": [finding.document() for finding in findings]})  # fmt: skip
    else:
        from upgrader.views.backup import set_page

        _show(set_page(one, findings, again), given)
    if bad or one.state in ("in-progress", "incomplete"):
        raise typer.Exit(RefusedError.exit_code)


def _as_recorded(manifest: Manifest) -> Finding:
    from upgrader.model import Code, Finding

    files = sum(len(part.files) for part in manifest.parts)
    return Finding(id="backup-check", code=Code.SUCCESS, message=f"every byte of {files} files is as it was recorded")


def _offbox(site: Site, given: Invocation, wanted: str, *, init: bool, as_json: bool) -> None:
    from upgrader.cli import backup_offbox

    if init:
        backup_offbox.make_repository(site, named=given.named, as_json=as_json)
    elif wanted:
        backup_offbox.fetch(site, wanted, named=given.named, as_json=as_json)
    else:
        backup_offbox.list_copies(site, named=given.named, as_json=as_json)


# ---------------------------------------------------------------- taking and proving


def _take(
    site: Site, given: Invocation, narrate: Callable[[str], None], *, for_run: bool, proof: bool, as_json: bool
) -> None:
    from upgrader.cli.backup_offbox import copied
    from upgrader.cli.backup_record import replace_set_of_hop, waiting_hop
    from upgrader.cli.backup_taking import take
    from upgrader.cli.driving import must_rest
    from upgrader.session import session

    with session(site, "backup") as opened:
        must_rest(opened)
        hop = waiting_hop(opened) if for_run else None
        folder = take(opened, narrate, hop=hop)
        _note(opened, folder)
        findings: tuple[Finding, ...] = ()
        if proof:
            findings = _proved(opened, folder, narrate)
        findings = (*findings, *copied(opened.site, folder, narrate))
        if hop is not None:
            replace_set_of_hop(opened, hop, folder)
    _tell(site, given, folder, findings, as_json=as_json)


def _prove(site: Site, given: Invocation, name: str, narrate: Callable[[str], None], *, as_json: bool) -> None:
    from upgrader.cli.backup_record import keep_digest
    from upgrader.cli.driving import must_rest
    from upgrader.database.sets import find_set
    from upgrader.session import session

    folder = find_set(site, name)
    with session(site, "backup --prove") as opened:
        must_rest(opened)
        try:
            findings = _proved(opened, folder, narrate)
        finally:
            keep_digest(opened, folder)
    _tell(site, given, folder, findings, as_json=as_json)


def _copy(site: Site, given: Invocation, name: str, narrate: Callable[[str], None], *, as_json: bool) -> None:
    from upgrader.cli.backup_offbox import copied
    from upgrader.database.sets import find_set
    from upgrader.session import session

    folder = find_set(site, name)
    with session(site, "backup --copy") as opened:
        findings = copied(opened.site, folder, narrate, asked=True)
    _tell(site, given, folder, findings, as_json=as_json)


def _proved(opened: Session, folder: Path, narrate: Callable[[str], None]) -> tuple[Finding, ...]:
    """Findings of the proof. Raises FailedCleanError where it failed; what it found is recorded either way."""
    from upgrader.database.prove import PROOFS, prove

    parent = opened.site.state_dir / PROOFS
    try:
        made = prove(folder, parent, site=opened.site, say=narrate)
    finally:
        _note(opened, folder)
    if made.proved:
        return made.findings
    raise FailedCleanError(
        f"Backup set {folder.name} is not proved: {made.failures[0].message}.",
        cloud="It was only read.",
        details=[finding.message for finding in made.failures],
        next_command="upgrader backup",
        reason="backup-not-proved",
    )


def _note(opened: Session, folder: Path) -> None:
    """The journal keeps the digest of the manifest, as the manifest keeps the head of the journal."""
    from upgrader.database.manifest import manifest_sha256, read_manifest
    from upgrader.database.sets import NOTE

    opened.journal.note(
        NOTE,
        {
            "backup_set": str(folder),
            "state": read_manifest(folder).state,
            "backup_manifest_sha256": manifest_sha256(folder),
            "actor": opened.actor,
        },
    )


def _tell(site: Site, given: Invocation, folder: Path, findings: Sequence[Finding], *, as_json: bool) -> None:
    from upgrader.database.sets import set_now

    one: SetNow = set_now(folder, site, datetime.now(UTC))
    if as_json:
        _json(one.document() | {"schema_version": 1, "kind": "backup", "site": site.name,
                                "findings": [finding.document() for finding in findings]})  # fmt: skip
        return
    from upgrader.views.backup import set_page

    onward = f"upgrader backup --prove {folder.name}" if one.state == "unverified" else "upgrader status"
    _show(set_page(one, findings, with_site(onward, given.named)), given)


def _json(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _show(page: Any, given: Invocation) -> None:
    from upgrader.views.terminal import show

    show(page, color=given.color)
