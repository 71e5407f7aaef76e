"""`upgrader staging`: make a staging cloud's configuration from production's, and look whether the two are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from upgrader.cli.driving import site_of
from upgrader.cli.verb import invocation, say, verb_app

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.staging.prepare import Prepared

app = verb_app()


@app.callback()
def staging() -> None:
    """A staging cloud: made like production, kept apart from it, on which every hop is rehearsed first."""


@app.command()
def prepare(
    ctx: typer.Context,
    release: Annotated[
        str, typer.Option(metavar="RELEASE", help="Release staging is pinned to; by default production's.")
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace files that are there; copies of them are kept beside them.")
    ] = False,
) -> None:
    """Make staging's configuration folder from production's, with the overrides of [staging.overrides].

    Refused by name: an address that staging would share with production, a host in both inventories, a file that leads
    to production's storage. Deploying staging with the result is yours; the command for it is said last.
    """
    from upgrader.by_hand import typed_action
    from upgrader.config import load_site
    from upgrader.graph import load_graph
    from upgrader.staging.prepare import prepare as make
    from upgrader.survey import looking_glass, read_settings

    production = site_of(invocation(ctx))
    graph = load_graph()
    if release:
        release = graph.release(release).id
    toolchain = looking_glass(production, graph, release or read_settings(production).get("openstack_release", ""))
    made = make(production, toolchain, release=release, replace=replace)
    _tell(made)
    typer.echo(f"Next:  {typed_action(load_site(made.site_file))(made.release, 'deploy', ())}")
    typer.echo(f"then:  upgrader --site {made.site_file} check")


def _tell(made: Prepared) -> None:
    typer.echo(f"Wrote  {made.config_dir}  ({len(made.files)} files and passwords.yml, pinned to {made.release})")
    typer.echo(f"       set: {', '.join(made.overrides)}")
    typer.echo(f"       {len(made.from_production)} passwords are production's, because its data bring them along")
    if made.left_out:
        typer.echo(f"       not taken over: {', '.join(made.left_out)}")
    if made.kept is not None:
        typer.echo(f"       what was there is in {made.kept}")
    say("Staging holds production's data once it is filled: guard it as you guard production.")


@app.command()
def check(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> None:
    """Look whether staging and production are apart, and what staging has walked. Changes nothing."""
    production = site_of(invocation(ctx))
    document = looked(production)
    if as_json:
        import json

        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _show(document)
    if document["shared"]:
        from upgrader.staging.apart import refuse_shared

        refuse_shared(document["shared"])


def looked(production: Site) -> dict[str, Any]:
    """What both clouds share, which passwords do not fit, what staging's journal says."""
    from upgrader.config import load_site
    from upgrader.errors import UsageError
    from upgrader.graph import load_graph
    from upgrader.kolla.settings import site_settings
    from upgrader.staging import apart
    from upgrader.staging.passes import standing
    from upgrader.staging.passwords import not_production
    from upgrader.status_read import facts_seen
    from upgrader.survey import looking_glass

    if production.staging is None:
        raise UsageError(f"{production.file} names no staging site.", next_command="upgrader init", reason="no-staging")
    staging = load_site(production.staging)
    shared = list(apart.same_site(production, staging))
    strangers: tuple[str, ...] = ()
    if not shared:
        settings = [site_settings(site).values for site in (production, staging)]
        toolchain = looking_glass(production, load_graph(), settings[0].get("openstack_release", ""))
        hosts = [apart.reached(toolchain, site.inventory, site.vault_password_file) for site in (production, staging)]
        shared += [*apart.same_addresses(settings[0], settings[1]), *apart.same_hosts(hosts[0], hosts[1])]
        shared += apart.same_interfaces(facts_seen(production), facts_seen(staging))
        strangers = not_production(production, staging, toolchain)
    there = standing(staging)
    return {
        "schema_version": 1,
        "kind": "staging",
        "site": production.name,
        "staging": staging.name,
        "staging_file": str(staging.file),
        "shared": shared,
        "passwords_not_productions": list(strangers),
        "run": there.run.id if there.run else "",
        "walks": [
            {"hop": walk.hop.name, "state": walk.hop.state.value, "since": walk.hop.since} for walk in there.walks
        ],
        "copies": [
            {"site": copy.site, "backup_set": copy.backup_set, "release": copy.release, "at": copy.at,
             "whole": copy.whole}
            for copy in there.copies
        ],
    }  # fmt: skip


def _show(document: dict[str, Any]) -> None:
    apart = "shares nothing with" if not document["shared"] else "is NOT APART from"
    typer.echo(f"{document['staging']} {apart} {document['site']}")
    for line in document["shared"]:
        typer.echo(f"  {line}")
    if document["passwords_not_productions"]:
        names = document["passwords_not_productions"]
        typer.echo(f"  {len(names)} passwords do not fit production's data: {', '.join(names[:6])}")
    for walk in document["walks"]:
        typer.echo(f"  walked {walk['hop']}: {walk['state']} since {walk['since']}")
    for copy in document["copies"][-1:]:
        kind = "" if copy["whole"] else " (not whole)"
        typer.echo(f"  holds {copy['site']}'s databases of {copy['release']}{kind}, loaded {copy['at']}")
    if not document["walks"] and not document["copies"]:
        typer.echo("  nothing was walked or loaded there yet")
