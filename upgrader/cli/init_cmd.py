"""`upgrader init`: look at an existing Kolla-Ansible configuration and write `upgrader.toml` for it."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from upgrader.cli.verb import verb_app
from upgrader.config import SITE_FILE, load_site
from upgrader.errors import ConfigError, UsageError

app = verb_app()

_NAMES = ("multinode", "inventory", "inventory.ini", "hosts", "hosts.ini", "inventory.yml", "hosts.yml", "all-in-one")
_VAULT = b"$ANSIBLE_VAULT"


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen of an existing configuration."""

    config_dir: Path
    inventories: tuple[Path, ...]
    passwords: Path
    vaulted: bool
    engine: str
    notes: tuple[str, ...]


@app.command()
def init(
    config_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Kolla's configuration folder, the one with globals.yml.")
    ] = Path("/etc/kolla"),
    inventory: Annotated[
        str | None, typer.Option(metavar="PATH", help="The Ansible inventory; needed when several are found.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the site; the name of this machine by default.")] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write.")] = Path(SITE_FILE),
) -> None:
    """Look at /etc/kolla (or --config-dir) and write upgrader.toml. Reads only; an existing file is never replaced."""
    found = look(config_dir.expanduser().absolute(), Path.cwd())
    chosen = _choose(found, inventory)
    target = out / SITE_FILE if out.is_dir() else out
    text = site_text(name or _machine_name(), found, chosen)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            f"{target} is there already and was left as it is.",
            cloud="Nothing was looked at or changed.",
            next_command=f"upgrader init --out OTHER-{SITE_FILE}",
            reason="site-exists",
        ) from None
    site = load_site(target)
    typer.echo(f"Found  {found.config_dir / 'globals.yml'}, engine {found.engine}")
    typer.echo(f"       inventory {chosen}")
    for note in found.notes:
        typer.echo(f"       {note}")
    typer.echo(f"Wrote  {target}  (site {site.name})")
    option = "" if target.absolute() == Path.cwd() / SITE_FILE else f" --site {target}"
    typer.echo(f"Next:  upgrader{option} plan --to RELEASE")


def look(config_dir: Path, here: Path) -> Found:
    """Look at a configuration folder and for inventories in and around it. Raises ConfigError when it is none."""
    settings = config_dir / "globals.yml"
    if not settings.is_file():
        raise ConfigError(
            f"{config_dir} is not a configuration folder of Kolla: it has no globals.yml.",
            cloud="Nothing was looked at or changed.",
            next_command="upgrader init --config-dir DIR",
            reason="no-globals",
        )
    passwords = config_dir / "passwords.yml"
    notes, vaulted = _passwords(passwords)
    if _locked(settings):
        notes += ("globals.yml is encrypted: set [secrets] vault_password_file, and look whether the engine is right",)
        vaulted = True
    return Found(config_dir, tuple(_inventories(config_dir, here)), passwords, vaulted, _engine(settings), notes)


def _inventories(config_dir: Path, here: Path) -> list[Path]:
    found: list[Path] = []
    for folder in dict.fromkeys((config_dir, here, Path("/etc/kolla"), config_dir / "ansible")):
        for name in _NAMES:
            path = folder / name
            if path.exists() and path.resolve() not in [other.resolve() for other in found]:
                found.append(path)
    return found


def _passwords(path: Path) -> tuple[tuple[str, ...], bool]:
    try:
        with path.open("rb") as file:
            vaulted = file.read(len(_VAULT)) == _VAULT
    except FileNotFoundError:
        return (f"{path} is missing: set [kolla] passwords to where it is",), False
    except OSError as error:
        return (f"{path} cannot be read by this user ({error.strerror})",), False
    if vaulted:
        return ("passwords.yml is encrypted: set [secrets] vault_password_file",), True
    return (), False


def _locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_VAULT)) == _VAULT
    except OSError:
        return False  # whoever reads it next says so


def _engine(settings: Path) -> str:
    """What globals.yml says; docker is Kolla-Ansible's default. Commented lines do not count."""
    try:
        text = settings.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{settings} cannot be read: {error.strerror}.", reason="unreadable-globals") from None
    match = re.search(r"^kolla_container_engine:\s*[\"']?(docker|podman)\b", text, re.MULTILINE)
    return match[1] if match else "docker"


def _choose(found: Found, option: str | None) -> Path:
    if option:
        path = Path(option).expanduser().absolute()
        if not path.exists():
            raise ConfigError(f"There is no inventory {path}.", reason="no-inventory")
        return path
    if len(found.inventories) == 1:
        return found.inventories[0].absolute()
    if found.inventories:
        raise UsageError(
            "Several inventories were found; which one is this cloud's?",
            details=[str(path) for path in found.inventories],
            next_command=f"upgrader init --config-dir {found.config_dir} --inventory {found.inventories[0]}",
            reason="several-inventories",
        )
    raise ConfigError(
        f"No inventory was found in {found.config_dir} or here.",
        next_command=f"upgrader init --config-dir {found.config_dir} --inventory PATH",
        reason="no-inventory",
    )


def _machine_name() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname().split(".")[0]).strip("-._") or "cloud"


def _toml(text: str | os.PathLike[str]) -> str:
    """A TOML basic string."""
    import json

    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def site_text(name: str, found: Found, inventory: Path) -> str:
    """The file, with every key it can hold; those that keep their default are commented out."""
    vault = "vault_password_file = " if found.vaulted else "# vault_password_file = "
    return f"""\
# One cloud, for upgrader. Paths are relative to this file's folder.

[site]
name = {_toml(name)}
engine = {_toml(found.engine)}          # docker or podman, what runs the containers
# engine_command = "docker"  # what is typed on a host to reach the engine

[kolla]
config_dir = {_toml(found.config_dir)}   # the folder with globals.yml and globals.d
inventory = {_toml(inventory)}           # a file or a folder
passwords = {_toml(found.passwords)}
# extra_vars = ["more.yml"]  # further files that you give kolla-ansible with -e @FILE

[secrets]
# The file (or executable) that gives the Ansible Vault password; only its path is ever passed on.
{vault}{_toml("vault-password")}

[staging]
# The site file of a staging cloud: every hop is rehearsed there before it comes here.
# site = "../staging/upgrader.toml"
# database = "copy"        # copy: the hop's backup set is loaded there first; own: staging keeps its own data
# max_age = "7d"           # a rehearsal there counts that long
# inventory = "staging-hosts"          # what upgrader staging prepare makes staging's configuration with:
# overrides_file = "staging.yml"       # settings that staging has in place of production's
# config = "staging-config"            # files in place of those of the configuration folder
# passwords = "staging-passwords.yml"  # staging's own; others are made anew

# [staging.overrides]
#   kolla_internal_vip_address = "10.30.0.250"

[backup]
target = "backups"         # needs room for the databases; holds secrets, kept at mode 0700
database = "logical"       # logical: mydumper where it is installed here, else mariadb-dump; mariabackup: Kolla's own
# max_age = "24h"          # how old a set may be that an upgrade rests on
# address = "10.0.0.11:3306"   # where mydumper reaches the database from here, if not where the server listens
# mariadb_programs = "/opt/mariadb-10.11/bin"   # programs of the cloud's MariaDB series, if not the ones on the path

[rehearsal]
# Without a staging cloud every hop is tried on a copy of its backup set on this machine (needs MariaDB's programs).
# by = "environment"       # environment: the services' programs from PyPI; images: the target's own images
# workers = 0              # services at once; 0: one for each processor
# limit = "1h"             # for one command; online migrations of a million rows need that long

[toolchains]
dir = "toolchains"         # one pinned environment per release is built here
# wheelhouse = "wheelhouse"  # build without a network from this folder

[state]
dir = "state"              # the journal; has to be on a local disk

[run]
# soak = "30min"           # how long a hop is watched after it was verified
# min_free = "10G"         # disk space every host must have left
# forks = 10               # hosts that Ansible works on at the same time
# max_attempts = 5         # attempts of one stage before a human is asked
# pause_between_hops = true  # rest after each hop until upgrader approve or upgrader resume
# finish_online_migrations = true  # preflight has left rows migrated by the services' own commands; else it asks you to
# prune_images = true      # after finalize: remove the images that the hop replaced, on every host

[rolling]
# Where hosts only run instances, the control plane comes first, then a canary, then the others in batches.
# computes = "waves"       # or together: all hosts in one run
# control = "whole"        # or services: one service after the other, with a health gate after each
# canary = 1               # compute hosts that go first, or their names: ["cmp1"]
# batch = "25%"            # compute hosts at a time after that: a share, or a number
# zones = ["az1", "az2"]   # groups of the inventory, one after the other
# exclude = ["cmp9"]       # hosts that stay on the old release for now; the next hop wants them upgraded
# failed_hosts = 0         # compute hosts that may fail, after the canary, before the run stops
# drain = true             # move instances away first by live migration; else they run on
# drain_budget = "30min"   # for one host
# trial = true             # create, move and delete an instance on an upgraded canary
# gate_timeout = "10min"   # for the cloud to be healthy between two waves

[verify]
# After a hop the cloud is looked at, and worked with as a member user of its own making; all of it is removed again.
# smoke = true             # or "read-only": nothing is made; or false
# settle = "3min"          # so long services may take until they are healthy and report
# limit = "10min"          # for the whole trial of the APIs
# server = "3min"          # for its server to become active, and to go
# flavor = "m1.tiny"       # of that server; without it one of the trial's own (64 MB)
# logs = true              # compare errors since the upgrade with those of the hour before
# error_count = 10         # fewer new errors of a service are no rise
# error_factor = 3         # a rise is so many times the errors per minute of before

[availability]
# A process of its own asks the public APIs while a hop can take them away: upgrader availability
# enabled = true
# keystone = "https://cloud.example.org:5000"   # without it: the address in Keystone's own catalogue
# interval = "500ms"       # between two questions to one API
# timeout = "5s"           # so long without an answer is away
# token_interval = "5s"    # tokens cost Keystone more than the rest
# ca_file = "ca.crt"       # besides the system's authorities

[availability.endpoints]
# More to ask, or another address for a service of the catalogue.
# dashboard = "https://cloud.example.org/"

[answers]
# What no probe can find out; upgrader check names the question and the word to put here.
# clients_use_volumev3 = false

# [runbook]
# templates = "runbook"    # your own texts of the change document; files of the same name win
# language = "de"          # what the translation lacks is English
# logo = "logo.svg"        # PNG, JPEG or SVG

# [[contacts]]             # once for each, in the order of the escalation
# name = "Anna Berg"
# role = "Change owner"
# phone = "+49 69 5550 101"
# mail = "anna.berg@example.org"

[serve]
# The live page of a run: upgrader serve
# listen = "127.0.0.1:8620"
# token_file = "serve.token"   # what is in it opens the page; a must for all but loopback
# names = ["upgrade.example.org"]   # host names of the page behind a proxy, which has TLS

[metrics]
# For Prometheus, by node_exporter's textfile collector; written while a run works, whoever follows it.
# textfile = "/var/lib/node_exporter/textfile/upgrader.prom"

[notices]
# Who is told when a run waits, fails, crosses its line or is done; try it with: upgrader notices test
# urls_file = "notices.urls"   # one address per line, mode 0600: mailto://…, slack://… (Apprise), webhook+https://…
# webhook_secret_file = "notices.key"   # signs the webhooks, mode 0600
# events = ["waiting", "failed", "rolled_back", "point_of_no_return", "hop_done", "unattended"]
# title = "Cloud Frankfurt"    # how messages begin

[window]
# When the cloud may be changed: no backup, queue migration or upgrade begins outside, or if it would not fit.
# start = "22:00"          # of every day, of the days below; or once: "2026-12-05 22:00"
# days = ["sat", "sun"]
# length = "8h"
# timezone = "Europe/Berlin"   # without it times are UTC
# freeze = [{{ from = "2026-12-18", to = "2027-01-06", why = "end of year" }}]
"""
