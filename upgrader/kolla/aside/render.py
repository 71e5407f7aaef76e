"""Rendering one release's configuration for some hosts: one play of its own `genconfig`, here, below one folder.

Owns what makes that harmless: every connection is local and without raised rights, passwords are placeholders, and
the plug-ins beside this module let files be written below the folder only. What they left out is part of the result.
"""

from __future__ import annotations

import getpass
import grp
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from upgrader.kolla.commands import HasConfiguration, variable_files

if TYPE_CHECKING:
    from upgrader.kolla.toolchain import Toolchain
    from upgrader.runner.base import Cancelled, Play, Runner, TaskEvent

PLUGINS = Path(__file__).with_name("plugins")
FACTS_PLAYBOOK = Path(__file__).with_name("facts.yml")
SAID = "said.jsonl"


@dataclass(frozen=True, slots=True)
class Rendering:
    """One release's files below `root/<host>/`, and what could not be made."""

    release: str
    root: Path
    secret: tuple[str, ...] = ()
    """Files whose content nobody may be shown: they came out of a vault, or their task said no_log."""
    left_out: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    error: str = ""
    """Why the play did not come to its end; the files are then not whole."""


def facts_play(
    site: HasConfiguration,
    toolchain: Toolchain,
    hosts: Sequence[str],
    place: Path,
    values: Iterable[tuple[str, object]],
) -> Play:
    """The one play that reaches the hosts: their facts, read-only, into `place/<host>.json` of this machine."""
    from upgrader.runner.base import Play

    return Play(
        name="facts for rendering",
        toolchain=toolchain.dir,
        playbook=FACTS_PLAYBOOK,
        inventory=(site.inventory,),
        extra_vars=(*values, ("upgrader_hosts", ",".join(hosts)), ("upgrader_facts", str(place))),
        extra_vars_files=tuple(file for file in variable_files(site, toolchain.release) if file.is_file()),
        vault_password_file=site.vault_password_file,
        forks=site.forks,
        env=_ansible_cfg(site),
    )


def render(
    site: HasConfiguration,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    *,
    hosts: Sequence[str],
    facts: Path,
    passwords: Path,
    more_inventory: tuple[Path, ...] = (),
    cancelled: Cancelled | None = None,
) -> Rendering:
    """Render for `hosts` into `folder`, which must not exist. `passwords` is the file of placeholders.

    `facts` holds one JSON file per host (`facts_play`). Contacts no host. Raises what the runner raises.
    """
    root = folder / "files"
    for made in (folder, root, folder / "tmp"):
        made.mkdir(mode=0o700)
    failed: list[str] = []
    result = runner.run(
        _play(site, toolchain, folder, hosts, facts, passwords, more_inventory),
        folder / "play",
        on_event=_failures(failed),
        cancelled=cancelled,
    )
    secret, left_out = _said(folder / SAID)
    trouble = "" if result.verdict else result.message
    return Rendering(toolchain.release, root, secret, left_out, tuple(dict.fromkeys(failed)), trouble)


def _play(
    site: HasConfiguration,
    toolchain: Toolchain,
    folder: Path,
    hosts: Sequence[str],
    facts: Path,
    passwords: Path,
    more_inventory: tuple[Path, ...],
) -> Play:
    from upgrader.runner.base import Play

    files = (passwords if file == site.passwords else file for file in variable_files(site, toolchain.release))
    chosen = (
        ("openstack_release", toolchain.release),
        ("kolla_action", "config"),
        ("CONFIG_DIR", str(site.config_dir)),
        ("node_config_directory", f"{folder / 'files'}/{{{{ inventory_hostname }}}}"),
        ("ansible_connection", "local"),
        ("ansible_become", False),
        ("ansible_python_interpreter", str(toolchain.python)),
        ("config_owner_user", getpass.getuser()),
        ("config_owner_group", grp.getgrgid(os.getgid()).gr_name),
    )
    env = (
        *_ansible_cfg(site),
        ("ANSIBLE_STRATEGY", "upgrader_aside"),
        ("ANSIBLE_STRATEGY_PLUGINS", str(PLUGINS / "strategy")),
        ("ANSIBLE_ACTION_PLUGINS", str(PLUGINS / "action")),
        ("ANSIBLE_REMOTE_TEMP", str(folder / "tmp")),
        ("ANSIBLE_CACHE_PLUGIN", "memory"),  # the operator's cache of facts is neither read nor filled
        ("ANSIBLE_DEPRECATION_WARNINGS", "0"),
        ("UPGRADER_ASIDE_ROOT", str(folder / "files")),
        ("UPGRADER_ASIDE_SAID", str(folder / SAID)),
        ("UPGRADER_ASIDE_FACTS", str(facts)),
        ("UPGRADER_ASIDE_TOOLS", str(toolchain.dir.resolve())),
    )
    return Play(
        name=f"configuration of {toolchain.release}",
        toolchain=toolchain.dir.resolve(),
        playbook=toolchain.dir.resolve() / toolchain.site_yml.relative_to(toolchain.dir),
        inventory=(site.inventory, *more_inventory),
        extra_vars=chosen,
        extra_vars_files=tuple(files),
        vault_password_file=site.vault_password_file,
        limit=",".join(hosts),
        forks=site.forks,
        expected_hosts=tuple(hosts),
        env=env,
    )


def _ansible_cfg(site: HasConfiguration) -> tuple[tuple[str, str], ...]:
    own = site.config_dir / "ansible.cfg"
    return (("ANSIBLE_CONFIG", str(own)),) if own.is_file() else ()


def _failures(found: list[str]) -> Callable[[TaskEvent], None]:
    def listen(event: TaskEvent) -> None:
        if event.kind in ("host_ignored", "host_failed"):
            words = event.message.splitlines()[0][:200] if event.message else "it failed"
            task = (
                f"{event.role} : {event.task}" if event.role and not event.task.startswith(event.role) else event.task
            )
            found.append(f"{event.host}: {task}: {words}")

    return listen


def _said(file: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(files whose content is secret, tasks left out) as the plug-ins wrote them down."""
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return (), ()
    secret = tuple(sorted({line["place"] for line in lines if line["kind"] == "secret"}))
    left_out: dict[str, list[str]] = {}
    for line in lines:
        if line["kind"] == "left out" and line["action"] != "setup":
            words = ": ".join(filter(None, (line["role"], line["task"])))
            place = f" → {line['place']}" if line["place"] else ""
            hosts = left_out.setdefault(f"{words} ({line['action']}{place})", [])
            hosts += [line["host"]] if line["host"] not in hosts else []
    return secret, tuple(f"{task} on {', '.join(hosts)}" for task, hosts in left_out.items())
