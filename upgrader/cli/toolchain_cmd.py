"""`upgrader toolchain`: the pinned environment that drives one release."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from upgrader.cli.verb import invocation, verb_app

if TYPE_CHECKING:
    from upgrader.config import Site

app = verb_app()

Release = Annotated[str, typer.Argument(metavar="RELEASE", help="2025.2, or its codename.")]
Folder = Annotated[str, typer.Option("--dir", metavar="DIR", help="Where toolchains are; the site's by default.")]
Wheels = Annotated[str, typer.Option("--wheelhouse", metavar="DIR", help="Packages from this folder, no network.")]
Services = Annotated[
    bool, typer.Option("--services", help="The services of the release, which `rehearse` runs, not kolla-ansible.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As one JSON document.")]


@app.callback()
def toolchain() -> None:
    """The pinned environment (kolla-ansible, ansible-core, collections) that drives one release."""


@app.command()
def build(
    ctx: typer.Context,
    release: Release,
    folder: Folder = "",
    wheelhouse: Wheels = "",
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build anew even if it is whole.")] = False,
    services: Services = False,
) -> None:
    """Build the environment of a release; one that is whole is kept. Takes about half a minute."""
    if services:
        _build_services(release, _place(ctx, folder), _wheels(ctx, wheelhouse), rebuild=rebuild)
        return
    from upgrader.kolla.build import build_toolchain
    from upgrader.kolla.pins import pins_of

    place, wheels = _place(ctx, folder), _wheels(ctx, wheelhouse)
    built = build_toolchain(pins_of(release), place, wheelhouse=wheels, rebuild=rebuild, progress=_say)
    manifest = built.manifest
    typer.echo(
        f"{built.release}  kolla-ansible {manifest.get('kolla_ansible')}, ansible-core {manifest.get('ansible_core')}"
    )
    typer.echo(f"lock   sha256 {built.lock_sha256}")
    typer.echo(f"in     {built.dir}")


def _build_services(release: str, place: Path, wheels: Path | None, *, rebuild: bool) -> None:
    from upgrader.graph import load_graph
    from upgrader.rehearsal.environments import build_services, requirements

    name = load_graph().release(release).id
    built = build_services(name, place, wheelhouse=wheels, rebuild=rebuild, say=_say)
    named = requirements(name)
    typer.echo(f"{name}  keystone {named['keystone']}, nova {named['nova']}, neutron {named['neutron']} and the others")
    typer.echo(f"in      {built.dir}")


@app.command("list")
def list_(ctx: typer.Context, folder: Folder = "", as_json: AsJson = False) -> None:
    """List the environments that are built."""
    place = _place(ctx, folder)
    found = _found(place)
    services = _services_found(place)
    if as_json:
        document = {"schema_version": 1, "kind": "toolchains", "dir": str(place), "toolchains": found}
        _print(document | {"services": services})
        return
    for one in found:
        typer.echo(f"{one['release']}  kolla-ansible {one['kolla_ansible']}, ansible-core {one['ansible_core']}, "
                   f"Python {one['python']}  {one['dir']}")  # fmt: skip
    for one in services:
        typer.echo(f"{one['release']}  services, Python {one['python']}  {one['dir']}")
    if not found:
        typer.echo(f"No toolchain is built in {place}.")
        typer.echo("Next:  upgrader toolchain build RELEASE")


@app.command()
def fetch(
    ctx: typer.Context,
    release: Release,
    wheelhouse: Annotated[str, typer.Option("--wheelhouse", metavar="DIR", help="Folder to fill.")] = "",
    services: Services = False,
) -> None:
    """Fill a wheelhouse with all that building the environment needs, for a machine without a network."""
    from upgrader.errors import UsageError
    from upgrader.kolla.build import fetch_wheels
    from upgrader.kolla.pins import pins_of

    wheels = _wheels(ctx, wheelhouse)
    if wheels is None:
        raise UsageError(
            "No wheelhouse: neither --wheelhouse nor [toolchains] wheelhouse of the site says where.",
            next_command=f"upgrader toolchain fetch {release} --wheelhouse DIR",
            reason="no-wheelhouse",
        )
    if services:
        from upgrader.graph import load_graph
        from upgrader.rehearsal.environments import fetch_service_wheels

        fetched = fetch_service_wheels(load_graph().release(release).id, wheels)
    else:
        fetched = fetch_wheels(pins_of(release), wheels, progress=_say)
    also = " --services" if services else ""
    typer.echo(f"{len(fetched)} new files in {wheels}")
    typer.echo(f"Next:  upgrader toolchain build {release}{also} --wheelhouse {wheels}")


@app.command()
def verify(ctx: typer.Context, release: Release, folder: Folder = "", as_json: AsJson = False) -> None:
    """Check that an environment is as it was built, and starts; exit code 3 when it is not."""
    from upgrader.errors import EnvironmentMissingError
    from upgrader.graph import load_graph
    from upgrader.kolla.toolchain import Toolchain
    from upgrader.kolla.toolchain import verify as faults_of

    name = load_graph().release(release).id
    chain = Toolchain(name, _place(ctx, folder) / name)
    again = f"upgrader toolchain build {name}"
    if not chain.dir.is_dir():
        raise EnvironmentMissingError(
            f"The toolchain of {name} is not built: there is no {chain.dir}.",
            next_command=again,
            reason="toolchain-missing",
        )
    faults = faults_of(chain)
    if faults:
        raise EnvironmentMissingError(
            f"The toolchain of {name} in {chain.dir} is not as it was built.",
            details=faults,
            next_command=f"{again} --rebuild",
            reason="toolchain-damaged",
        )
    if as_json:
        _print({"schema_version": 1, "kind": "toolchain", "release": name, "dir": str(chain.dir), "faults": []})
        return
    typer.echo(f"The toolchain of {name} in {chain.dir} is as it was built, and starts.")


def _site(ctx: typer.Context) -> Site:
    from upgrader.config import find_site, load_site

    return load_site(find_site(invocation(ctx).site))


def _place(ctx: typer.Context, folder: str) -> Path:
    return Path(folder).expanduser().absolute() if folder else _site(ctx).toolchains_dir


def _wheels(ctx: typer.Context, wheelhouse: str) -> Path | None:
    from upgrader.errors import ConfigError

    if wheelhouse:
        return Path(wheelhouse).expanduser().absolute()
    try:
        return _site(ctx).wheelhouse
    except ConfigError as error:
        if error.reason == "no-site":
            return None
        raise


def _found(place: Path) -> list[dict[str, Any]]:
    from upgrader.kolla.toolchain import Toolchain

    found = []
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        chain = Toolchain(folder.name, folder)
        if folder.name.startswith(".") or not chain.ansible_playbook.exists():
            continue
        manifest = chain.manifest
        versions = {name: manifest.get(name, "") for name in ("kolla_ansible", "ansible_core", "python")}
        found.append({"release": folder.name, **versions, "lock_sha256": chain.lock_sha256, "dir": str(folder)})
    return found


def _services_found(place: Path) -> list[dict[str, str]]:
    from upgrader.rehearsal.environments import built_services

    return [{"release": one.release, "python": one.python, "dir": str(one.dir)} for one in built_services(place)]


def _print(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - narration
