"""What passwords.yml has against the hops of a path, found by doing the merges for real without writing them.

Each merge is made with the target's own kolla-genpwd and kolla-mergepwd in a private folder and thrown away. Findings
name keys, never values.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.kolla.passwords import (
    REDIS,
    VALKEY,
    PasswordMerge,
    kept_elsewhere,
    open_passwords,
    plan_merge,
    text_of,
    valkey_state,
)
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import Vault, encrypted
from upgrader.kolla.yaml_text import YamlText, parse, scalars_below
from upgrader.model import Code, Finding

if TYPE_CHECKING:
    from upgrader.graph import Hop

VALKEY_ACTION, VALKEY_ARRIVES = "2025.2-valkey-password", "2025.2"
"""The graph's action for the same trap, and the release whose upgrade moves Redis's data to Valkey."""
COVERED_ACTIONS = frozenset({VALKEY_ACTION})
_MAY_BE_EMPTY = frozenset({"docker_registry_password"})
_SHOWN = 8


def judge_passwords(
    path: Path,
    hops: Sequence[Hop],
    toolchains: Mapping[str, Toolchain],
    *,
    vault_password_file: Path | None = None,
    running: Collection[str] | None = None,
) -> tuple[Finding, ...]:
    """Everything against the file as it is and against each merge; nothing when all is well.

    `toolchains`: those that are built, by release. `running`: names of the containers on all hosts, None when hosts
    were not read. Takes about 1 s per hop; writes nothing that stays.
    """
    some = next(iter(toolchains.values()), None)
    vault = Vault(some, vault_password_file) if some and vault_password_file else None
    try:
        data, text = open_passwords(path, vault)
        outside = kept_elsewhere(path, data, vault)
    except (ConfigError, EnvironmentMissingError) as error:
        return (_unread(path, hops, error),)
    found = [*(() if outside else _mode(path)), *_empty(path, text, hops)]
    for hop in hops:
        toolchain = toolchains.get(hop.target)
        if toolchain is None:
            if hop.passwords.added:
                found.append(_unproved(path, hop))
            continue
        found += _merge(path, text, hop, toolchain, vault_password_file)
        if hop.target == VALKEY_ARRIVES:
            found += _valkey(path, text, vault, hop, toolchain, vault_password_file, running)
    return tuple(found)


# ---------------------------------------------------------------- the file as it is


def _mode(path: Path) -> tuple[Finding, ...]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o007:
        return ()
    return (
        _finding(
            "passwords-readable-by-others",
            Code.WARNING,
            "required",
            f"{path} can be read by every user of this machine (mode {mode:04o})",
            why="it opens every service and database of the cloud",
            fix=(f"chmod 640 {path}",),
        ),
    )


def _empty(path: Path, text: YamlText, hops: Sequence[Hop]) -> tuple[Finding, ...]:
    names = _empty_names(text)
    if not names:
        return ()
    return (
        _finding(
            "passwords-empty",
            Code.FAILURE,
            "blocker",
            f"{path.name} has {_keys(names)} without a value",
            why="kolla-ansible's prechecks refuse a passwords.yml with empty values; services would be set up without",
            fix=(f"kolla-genpwd --passwords {path}   (of {hops[0].source if hops else 'the running release'})",),
            evidence=", ".join(names),
            hop=_name(hops[0]) if hops else "",
            source="openstack/kolla-ansible@20.6.0:ansible/roles/prechecks/tasks/service_checks.yml",
        ),
    )


def _empty_names(text: YamlText) -> tuple[str, ...]:
    """`database_password`, `nova_ssh_key.private_key`: what has no value, in the file's order."""
    names = []
    for entry in text.entries:
        if entry.key in _MAY_BE_EMPTY:
            continue
        if entry.kind == "scalar":
            names += [entry.key] if entry.empty else []
        else:
            names += [f"{entry.key}.{key}" for key, _, value in scalars_below(entry.tree, entry.key) if not value]
    return tuple(names)


# ---------------------------------------------------------------- one hop's merge


def _merge(
    path: Path, text: YamlText, hop: Hop, toolchain: Toolchain, vault_password_file: Path | None
) -> tuple[Finding, ...]:
    try:
        merge = plan_merge(path, toolchain, vault_password_file)
        wrong = _wrong(path, text, merge, toolchain, vault_password_file)
    except (ConfigError, EnvironmentMissingError) as error:
        wrong = str(error)
    if not wrong:
        return ()
    names = ", ".join(hop.passwords.added)
    return (
        _finding(
            "passwords-merge",
            Code.FAILURE,
            "blocker",
            f"{path.name} cannot be brought to {hop.target}: {wrong}",
            why=f"the upgrade to {hop.target} needs its new passwords, and this tool adds them with kolla-mergepwd",
            fix=(f"add by hand, with the kolla-mergepwd of {hop.target}: {names or 'the missing keys'}",),
            hop=_name(hop),
        ),
    )


def _wrong(
    path: Path, text: YamlText, merge: PasswordMerge, toolchain: Toolchain, vault_password_file: Path | None
) -> str:
    """What a merge's result lacks: encryption, a key of the release, or a value of a key that is new."""
    if encrypted(merge.before) and not encrypted(merge.after):
        return "the result would not be encrypted any more"
    vault = Vault(toolchain, vault_password_file) if vault_password_file else None
    after = text_of(merge.after, path, vault)
    example = parse(toolchain.example_passwords.read_bytes(), toolchain.example_passwords)
    have = {entry.key for entry in after.entries}
    lacking = [entry.key for entry in example.entries if entry.key not in have]
    if lacking:
        return f"{_keys(lacking)} would still be missing"
    unfilled = [name for name in _empty_names(after) if name not in _empty_names(text)]
    return f"{_keys(unfilled)} would stay empty" if unfilled else ""


def _valkey(
    path: Path,
    text: YamlText,
    vault: Vault | None,
    hop: Hop,
    toolchain: Toolchain,
    vault_password_file: Path | None,
    running: Collection[str] | None,
) -> tuple[Finding, ...]:
    """The move from Redis to Valkey logs in to both with one password; a file merged at 2025.1 may hold two."""
    if valkey_state(text, path, vault, adding=True) != "differs" or (running is not None and "redis" not in running):
        return ()
    why = (
        "the upgrade replicates Redis into Valkey and logs in to both with one password; kolla-mergepwd of early 2025.1"
        " gave the two keys different values"
    )
    by_hand = f"set {VALKEY} to the value of {REDIS} in {path.name} before the upgrade to {hop.target}"
    if running is None or "valkey_server" in running or "valkey" in running:
        known = running is not None
        words = "Valkey runs already, so its password may guard data" if known else "the hosts were not read"
        return (
            _finding(
                VALKEY_ACTION,
                Code.FAILURE,
                "blocker",
                f"{VALKEY} differs from {REDIS}, and {words}",
                why=why,
                fix=(by_hand,),
                hop=_name(hop),
                unknown=not known,
            ),
        )
    try:
        plan_merge(path, toolchain, vault_password_file, align_valkey=True)
    except (ConfigError, EnvironmentMissingError) as error:
        return (
            _finding(
                VALKEY_ACTION,
                Code.FAILURE,
                "blocker",
                f"{VALKEY} differs from {REDIS}, and this tool cannot change it in this file: {error}",
                why=why,
                fix=(by_hand,),
                hop=_name(hop),
            ),
        )
    return (
        _finding(
            VALKEY_ACTION,
            Code.WARNING,
            "required",
            f"{VALKEY} differs from {REDIS}; the stage upgrade sets it to the same value and keeps a copy of the file",
            why=why,
            fix=(f"nothing, or {by_hand}",),
            hop=_name(hop),
        ),
    )


# ---------------------------------------------------------------- words


def _unread(path: Path, hops: Sequence[Hop], error: ConfigError | EnvironmentMissingError) -> Finding:
    return _finding(
        "passwords-not-read",
        Code.FAILURE,
        "blocker",
        f"{path.name} cannot be read: {error}",
        why="whether new passwords can be added, and whether none is empty, is not known",
        fix=(error.next_command,) if error.next_command else ("[secrets] vault_password_file in upgrader.toml",),
        hop=_name(hops[0]) if hops else "",
        unknown=True,
    )


def _unproved(path: Path, hop: Hop) -> Finding:
    return _finding(
        "passwords-merge",
        Code.WARNING,
        "required",
        f"{_keys(hop.passwords.added)} new in {hop.target}; the merge was not tried, its toolchain is not built",
        why=f"{path.name} is extended with that release's own kolla-mergepwd",
        fix=(f"upgrader toolchain build {hop.target}",),
        hop=_name(hop),
        unknown=True,
    )


def _finding(
    name: str,
    code: Code,
    severity: Literal["blocker", "required"],
    message: str,
    *,
    why: str,
    fix: tuple[str, ...],
    hop: str = "",
    evidence: str = "",
    source: str = "",
    unknown: bool = False,
) -> Finding:
    return Finding(
        id=name,
        code=code,
        severity=severity,
        message=message,
        why=why,
        fix=fix,
        hop=hop,
        evidence=evidence,
        source=source,
        unknown=unknown,
        variable=", ".join((VALKEY, REDIS)) if name == VALKEY_ACTION else "",
    )


def _keys(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _name(hop: Hop) -> str:
    return f"{hop.source}→{hop.target}"
