"""`upgrader lab`: a real cloud in containers on this machine, brought up, looked at and taken down."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="A real Kolla cloud in containers on this machine (needs root).",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Dir = Annotated[Path, typer.Option("--dir", help="Folder that holds everything of the lab.")]
DEFAULT = Path("/var/lib/upgrader-lab")


@app.command()
def up(
    dir: Dir = DEFAULT,  # noqa: A002 - the option's own name
    controllers: Annotated[
        int | None, typer.Option(help="1 (as a rule), or 3, 5 … with load balancers and RabbitMQ.")
    ] = None,
    computes: Annotated[
        int | None, typer.Option(help="Hosts for instances, with Nova, Glance and Placement: none (as a rule), 2 …")
    ] = None,
    release: Annotated[str | None, typer.Option(help="Release to deploy: 2025.1 as a rule.")] = None,
    also: Annotated[str | None, typer.Option(help="Release to upgrade to; its images are built too: 2025.2.")] = None,
    toolchains: Annotated[Path | None, typer.Option(help="Folder of toolchains to use and fill.")] = None,
    deploy: Annotated[bool, typer.Option(help="Deploy the cloud; without, stop at empty nodes.")] = True,
) -> None:
    """Bring the lab up, or finish what was interrupted. About 10 minutes the first time."""
    from upgrader.lab import lab_up

    lab = lab_up(
        dir,
        controllers=controllers,
        computes=computes,
        release=release,
        also=also,
        toolchains=toolchains,
        deploy=deploy,
    )
    typer.echo(f"site        {lab.site_dir}")
    typer.echo(
        f"API         {lab.api}  (admin password: keystone_admin_password in {lab.site_dir}/kolla/passwords.yml)"
    )
    typer.echo(f"engine      DOCKER_HOST={lab.docker_host}")
    typer.echo(f"registry    {lab.registry}")
    typer.echo(f"next        upgrader plan --site {lab.site_dir}/upgrader.toml --to {lab.also}")


@app.command()
def down(
    dir: Dir = DEFAULT,  # noqa: A002
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    keep_cache: Annotated[
        bool, typer.Option("--keep-cache", help="Keep images and toolchains for a quick up.")
    ] = False,
) -> None:
    """Take the lab down and leave nothing of it."""
    from upgrader.lab import lab_down

    if not yes:
        typer.confirm(f"Remove the lab in {dir} with its cloud and all data?", abort=True, err=True)
    packages = lab_down(dir, keep_cache=keep_cache)
    typer.echo(f"removed     {dir}" + (" (images and toolchains kept)" if keep_cache else ""))
    if packages:
        typer.echo(f"installed   {' '.join(packages)}  (by apt at the first up; they stay)")


@app.command()
def status(
    dir: Dir = DEFAULT,  # noqa: A002
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Say what of the lab is there."""
    from upgrader.lab.inspection import inspect

    found = inspect(dir)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
        return
    typer.echo(f"lab         {found.dir}: {found.state}")
    for name, alive in found.services.items():
        typer.echo(f"{name:<11} {'running' if alive else 'not running'}")
    for node in found.nodes:
        typer.echo(f"{node.name:<11} {node.state}, {node.address}, {len(node.containers)} containers")
        for container in node.containers:
            typer.echo(f"            {container.name:<18} {container.image}  {container.status}")
    if found.next_command:
        typer.echo(f"next        {found.next_command}")
