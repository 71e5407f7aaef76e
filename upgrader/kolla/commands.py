"""What an operator would type with the kolla-ansible of a release, and the play that does the same.

Read from the published packages: a shell script (tools/kolla-ansible) up to 2024.1, a Python program
(kolla_ansible/cli/commands.py, kolla_ansible/ansible.py) from 2024.2 on. Pure, apart from listing globals.d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from upgrader.errors import RefusedError
from upgrader.kolla.globals_yml import globals_files

if TYPE_CHECKING:
    from upgrader.kolla.toolchain import Toolchain
    from upgrader.runner.base import Play

Action = Literal[
    "prechecks",
    "pull",
    "genconfig",
    "validate-config",
    "deploy",
    "upgrade",
    "reconfigure",
    "stop",
    "check",
    "post-deploy",
    "mariadb-backup",
    "mariadb-recovery",
    "rabbitmq-reset-state",
]

FIRST_PYTHON_CLI = "2024.2"
"""Older releases have the shell script. Release ids compare as text."""


class HasConfiguration(Protocol):
    """What is needed of a site here."""

    @property
    def config_dir(self) -> Path: ...
    @property
    def inventory(self) -> Path: ...
    @property
    def passwords(self) -> Path: ...
    @property
    def extra_vars(self) -> tuple[Path, ...]: ...
    @property
    def vault_password_file(self) -> Path | None: ...
    @property
    def forks(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Form:
    """One action: its variables in the order kolla-ansible gives them, its playbook, and where it exists."""

    variables: tuple[tuple[str, str], ...] = ()
    playbook: str = "site"
    options: tuple[str, ...] = ()
    since: str = "2023.1"


_SITE_ACTIONS = {
    "prechecks": "precheck",
    "pull": "pull",
    "genconfig": "config",
    "validate-config": "config_validate",
    "deploy": "deploy",
    "upgrade": "upgrade",
    "reconfigure": "reconfigure",
    "stop": "stop",
    "check": "check",
}


def command(
    action: Action,
    release: str,
    *,
    inventory: str = "INVENTORY",
    config_dir: str = "",
    passwords: str = "",
    vault_password_file: str = "",
    extra_vars_files: Sequence[str] = (),
    tags: Sequence[str] = (),
    skip_tags: Sequence[str] = (),
    limit: str = "",
    test_images: bool = False,
) -> tuple[str, ...]:
    """Words of the command line; the shell script gets its options before the action, the Python program after it.

    `passwords` only when it is not `<config_dir>/passwords.yml`. Raises RefusedError for an action the release lacks.
    """
    form = _form(action, release, test_images=test_images)
    python_cli = release >= FIRST_PYTHON_CLI
    options = ["-i", inventory]
    options += ["--configdir", config_dir] if config_dir else []
    if passwords:
        # The Python program checks the file named by --passwords but reads <configdir>/passwords.yml all the same
        # (kolla_ansible/ansible.py, build_args), so the file is given as variables.
        options += ["-e", f"@{passwords}"] if python_cli else ["--passwords", passwords]
    options += ["--vault-password-file", vault_password_file] if vault_password_file else []
    for path in extra_vars_files:
        options += ["-e", f"@{path}"]
    options += ["--tags", ",".join(tags)] if tags else []
    options += ["--skip-tags", ",".join(skip_tags)] if skip_tags else []
    options += ["--limit", limit] if limit else []
    options += form.options
    name = action if python_cli else action.replace("mariadb-", "mariadb_")
    return ("kolla-ansible", name, *options) if python_cli else ("kolla-ansible", *options, name)


def genpwd(passwords: str) -> tuple[str, ...]:
    """Fills the empty values of a passwords file; the same words in every release."""
    return ("kolla-genpwd", "--passwords", passwords)


def mergepwd(old: str, new: str, final: str) -> tuple[str, ...]:
    """Takes over the old values into a new list of keys; the same words in every release."""
    return ("kolla-mergepwd", "--old", old, "--new", new, "--final", final)


def play(
    action: Action,
    toolchain: Toolchain,
    site: HasConfiguration,
    *,
    name: str = "",
    expected_hosts: Sequence[str] = (),
    tags: Sequence[str] = (),
    skip_tags: Sequence[str] = (),
    limit: str = "",
    watch: Sequence[str] = (),
    extra_vars: Sequence[tuple[str, Any]] = (),
    test_images: bool = False,
) -> Play:
    """The play kolla-ansible itself would start, for the runner.

    Files of variables come in kolla-ansible's own order (the last wins), then `extra_vars`, then its own variables.
    Raises ConfigError when globals.yml is missing and RefusedError for an action the release lacks.
    """
    from upgrader.runner.base import Play

    form = _form(action, toolchain.release, test_images=test_images)
    own_settings = site.config_dir / "ansible.cfg"
    return Play(
        name=name or action,
        toolchain=toolchain.dir,
        playbook=toolchain.playbook(form.playbook),
        inventory=(site.inventory,),
        extra_vars=(*extra_vars, *form.variables, ("CONFIG_DIR", str(site.config_dir))),
        extra_vars_files=variable_files(site, toolchain.release),
        vault_password_file=site.vault_password_file,
        limit=limit,
        tags=tuple(tags),
        skip_tags=tuple(skip_tags),
        forks=site.forks,
        expected_hosts=tuple(expected_hosts),
        env=(("ANSIBLE_CONFIG", str(own_settings)),) if own_settings.is_file() else (),
        watch=tuple(watch),
    )


def variable_files(site: HasConfiguration, release: str) -> tuple[Path, ...]:
    """Files given to Ansible with `-e @`, in kolla-ansible's order; the site's own extra ones come last.

    Up to 2024.1 passwords.yml comes after globals.d, from 2024.2 on before it.
    """
    main, *more = globals_files(site.config_dir, release)
    if release < FIRST_PYTHON_CLI:
        return (main, *more, site.passwords, *site.extra_vars)
    return (main, site.passwords, *more, *site.extra_vars)


def _form(action: Action, release: str, *, test_images: bool) -> _Form:
    form = _forms(action, release)
    if release < form.since:
        raise RefusedError(f"kolla-ansible of {release} has no action {action}.", reason="no-such-action")
    if action == "prechecks" and test_images and release >= "2026.1":
        return _Form((*form.variables, ("kolla_test_images", "yes")), options=("--use-test-images",))
    return form


def _forms(action: Action, release: str) -> _Form:
    if action in _SITE_ACTIONS:
        variables = [("kolla_action", _SITE_ACTIONS[action])]
        if action in ("upgrade", "reconfigure"):  # serial runs are discouraged upstream; 0 is its own default
            variables.append(("kolla_serial", "0"))
        if action == "stop" and release >= "2025.1":
            variables.append(("kolla_action_stop_ignore_missing", "no"))
        options = ("--yes-i-really-really-mean-it",) if action == "stop" else ()
        return _Form(tuple(variables), options=options, since="2025.1" if action == "check" else "2023.1")
    if action == "post-deploy":
        return _Form((("kolla_action", "post-deploy"),) if release >= "2026.1" else (), "post-deploy")
    dashed = release >= "2026.1"
    if action == "rabbitmq-reset-state":
        return _Form((("kolla_action", action),) if dashed else (), action)
    if action == "mariadb-backup":
        variables = [("kolla_action", "backup"), ("mariadb_backup_type", "full")]
        return _Form(tuple(variables), "mariadb-backup" if dashed else "mariadb_backup")
    return _Form((("kolla_action", "deploy"),), "mariadb-recovery" if dashed else "mariadb_recovery")
