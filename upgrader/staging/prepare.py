"""The configuration folder of a staging cloud, made from production's: same settings, other places, other secrets.

Owns what is taken over, rewritten and left out. Everything is worked out and refused before the first byte is written;
files that were there are kept beside it. Production's files are only read.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from upgrader import durable
from upgrader.config import SITE_FILE, Site, load_site
from upgrader.errors import ConfigError, RefusedError, UpgraderError, UsageError
from upgrader.kolla.globals_yml import plan_edit
from upgrader.kolla.settings import site_key, site_settings
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import decrypt, encrypt, encrypted
from upgrader.kolla.yaml_text import read_bytes
from upgrader.staging.apart import UNTOUCHED, reached, refuse_shared, same_addresses, same_hosts, same_site
from upgrader.staging.overrides import overrides, own_config
from upgrader.staging.passwords import write_passwords
from upgrader.staging.settings import ADDRESSES, addresses_of, moved, named, own_files
from upgrader.status_read import facts_seen

_CEPH = re.compile(r"(^|/)(ceph[^/]*\.conf|[^/]*\.keyring)$")
"""Files that lead to a storage cluster: with production's, staging would write into production's pools."""
_TELLING = re.compile(r"[0-9.]")
_RELEASE = "openstack_release"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was made."""

    site_file: Path
    config_dir: Path
    release: str
    files: tuple[str, ...]
    overrides: tuple[str, ...]
    from_production: tuple[str, ...]
    """Names of passwords that are production's."""
    left_out: tuple[str, ...]
    """What of production's folder was not taken over."""
    kept: Path | None
    """Where the files are that were there before."""


@dataclass
class _Work:
    production: Site
    toolchain: Toolchain
    release: str
    pairs: Mapping[str, str] = field(default_factory=dict)
    """Production's address → staging's."""
    strangers: Mapping[str, str] = field(default_factory=dict)
    """What must not be in any of staging's files → what it is."""


def prepare(production: Site, toolchain: Toolchain, *, release: str = "", replace: bool = False) -> Prepared:
    """Make staging's configuration folder, and its site file where there is none.

    Raises UsageError where the site names no staging site, ConfigError for files that cannot be used, RefusedError
    naming every override that is missing and everything that both clouds would share; nothing is written then.
    """
    if production.staging is None:
        raise UsageError(
            f"{production.file} names no staging site.",
            cloud=UNTOUCHED,
            details=('[staging] site = "../staging/upgrader.toml"',),
            next_command=f"edit {production.file}",
            reason="no-staging",
        )
    fresh = not production.staging.is_file()
    try:
        return _prepare(production, toolchain, release, replace=replace)
    except UpgraderError:
        if fresh:
            production.staging.unlink(missing_ok=True)
        raise


def _prepare(production: Site, toolchain: Toolchain, release: str, *, replace: bool) -> Prepared:
    staging = _staging_site(production)
    wanted = overrides(production)
    ours = site_settings(production).values
    work = _Work(production, toolchain, _release(production, ours, release))
    refuse_shared(same_site(production, staging))
    _refuse_missing(production, ours, wanted)
    hosts = [reached(toolchain, site.inventory, site.vault_password_file) for site in (production, staging)]
    refuse_shared((*same_addresses(ours, {**ours, **wanted}), *same_hosts(*hosts)))
    work.pairs = addresses_of(ours, wanted)
    work.strangers = _strangers(ours, hosts[0], hosts[1])
    files = {**_settings(work), **_own(work)}
    _refuse_strangers(work, files)
    return _write(work, staging, files, wanted, replace=replace)


def _staging_site(production: Site) -> Site:
    """The staging site as its file says; where there is none yet, as the file that is going to be written says."""
    assert production.staging is not None  # noqa: S101 - the caller has looked
    if production.staging.is_file():
        return load_site(production.staging)
    inventory = production.staging_rules.inventory
    if inventory is None or not inventory.exists():
        why = "is not set" if inventory is None else f"{inventory} does not exist"
        raise ConfigError(
            f"[staging] inventory {why}: which hosts is the staging cloud made of?",
            cloud=UNTOUCHED,
            next_command=f"edit {production.file}",
            reason="staging-inventory",
        )
    if production.staging.suffix != ".toml":
        raise UsageError(
            f"{production.staging} is to be a site file, such as {production.staging / SITE_FILE}.",
            cloud=UNTOUCHED, reason="no-site",
        )  # fmt: skip
    durable.make_dir(production.staging.parent, exist_ok=True)
    durable.write_atomic(production.staging, site_text(production, inventory), mode=0o600)
    return load_site(production.staging)


def site_text(production: Site, inventory: Path) -> str:
    """A site file for staging beside which everything of staging's lies; toolchains are shared with production."""
    import json

    def text(value: object) -> str:
        return json.dumps(str(value), ensure_ascii=False)

    vault = production.vault_password_file
    answers = "".join(f"{name} = {value}\n" for name, value in production.answers)
    return f"""\
# The staging cloud of {production.name}, made by upgrader staging prepare. Yours to edit.

[site]
name = {text(f"{production.name}-staging")}
engine = {text(production.engine)}
engine_command = {text(production.engine_command)}

[kolla]
config_dir = "kolla"
inventory = {text(inventory)}

[secrets]
{"" if vault else "# "}vault_password_file = {text(vault or "vault-password")}

[backup]
target = "backups"   # holds copies of production's data while they are loaded

[toolchains]
dir = {text(production.toolchains_dir)}

[state]
dir = "state"

[answers]
{answers}"""


def _release(production: Site, ours: Mapping[str, str], asked: str) -> str:
    """The release staging is pinned to: what was asked, what production's settings say, what it was seen to run."""
    seen = facts_seen(production)
    running = seen.reading.release if seen and seen.reading.kind == "exact" else ""
    release = asked or ours.get(_RELEASE, "") or running
    if not release or "{{" in release:
        raise UsageError(
            f"Production's settings do not say which release it runs ({_RELEASE}).",
            cloud=UNTOUCHED,
            next_command="upgrader staging prepare --release RELEASE",
            reason="which-release",
        )
    return release


def _refuse_missing(production: Site, ours: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Every address that production sets has to be another one on staging."""
    needed = [ADDRESSES[0], *(key for key in ADDRESSES[1:] if ours.get(key) and "{{" not in ours[key])]
    missing = [key for key in needed if not wanted.get(key)]
    # a VRRP id that both use in one network makes their addresses fight over it; Kolla-Ansible's default is 51
    router = "keepalived_virtual_router_id"
    if ours.get(router) and wanted.get(router, "") in ("", ours[router]):
        missing.append(router)
    if missing:
        raise RefusedError(
            f"Staging has no {missing[0]} of its own.",
            cloud=UNTOUCHED,
            details=[f"[staging.overrides] {key}: missing (production has {ours.get(key, 'none')})" for key in missing],
            next_command=f"edit {production.file}",
            reason="staging-override-missing",
        )


def _strangers(ours: Mapping[str, str], production: Mapping[str, str], staging: Mapping[str, str]) -> dict[str, str]:
    """Production's addresses, and its hosts' names and addresses that are not staging's too. A name without a digit or
    dot (`controller`) is a word of these files, too, and says nothing."""
    found = {ours[key]: f"production's {key}" for key in ADDRESSES if ours.get(key) and "{{" not in ours[key]}
    theirs = {*staging, *staging.values()}
    for name, address in production.items():
        found |= {
            word: f"production's host {name}"
            for word in (name, address)
            if word not in theirs and _TELLING.search(word)
        }
    return found


# ---------------------------------------------------------------- files


def _settings(work: _Work) -> dict[str, bytes]:
    """globals.yml and globals.d with production's addresses moved; the overrides are set in `_write`."""
    folder = work.production.config_dir
    paths = [folder / "globals.yml"]
    more = folder / "globals.d"
    paths += sorted(path for path in more.iterdir() if path.is_file()) if more.is_dir() else []
    own = folder / "ansible.cfg"
    paths += [own] if own.is_file() else []
    return {path.relative_to(folder).as_posix(): _moved(work, path) for path in paths}


def _own(work: _Work) -> dict[str, bytes]:
    """Everything below `config`, with staging's own files in place of production's."""
    folder = work.production.config_dir
    given = own_config(work.production)
    files: dict[str, bytes] = {}
    leading = []
    for path in own_files(work.production):
        name = path.relative_to(folder).as_posix()
        if name in given:
            continue
        if _CEPH.search(name):
            leading.append(name)
        files[name] = _moved(work, path)
    if leading:
        raise RefusedError(
            f"{leading[0]} leads to production's storage cluster, and staging has none of its own.",
            cloud=UNTOUCHED,
            details=[f"{name}: put staging's own into the folder of [staging] config" for name in leading],
            next_command=f"edit {work.production.file}",
            reason="staging-storage",
        )
    return files | {name: read_bytes(path) for name, path in given.items()}


def _moved(work: _Work, path: Path) -> bytes:
    data = _plain(work, path)
    try:
        return moved(data.decode(), work.pairs).encode()
    except UnicodeDecodeError:
        return data


def _plain(work: _Work, path: Path) -> bytes:
    data = read_bytes(path)
    return decrypt(data, path, site_key(work.production)()) if encrypted(data) else data


def _refuse_strangers(work: _Work, files: Mapping[str, bytes]) -> None:
    """No file of staging's may name production. Comments count too: nobody can tell what a template makes of them."""
    told = []
    given = overrides(work.production)
    for name, data in files.items():
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            key = line.partition(":")[0].strip()
            if name.startswith("globals") and key in given:
                continue
            for word in named(line, work.strangers):
                told.append(f"{name}, line {number}: {word} ({work.strangers[word]})")
    if told:
        raise RefusedError(
            f"Staging's files would name production: {told[0]}.",
            cloud=UNTOUCHED,
            details=told[:40],
            next_command="override the setting ([staging.overrides]) or give staging's own file ([staging] config)",
            reason="staging-names-production",
        )


# ---------------------------------------------------------------- writing


def _write(
    work: _Work, staging: Site, files: Mapping[str, bytes], wanted: Mapping[str, str], *, replace: bool
) -> Prepared:
    target = staging.config_dir
    own = work.production.staging_rules.passwords or (staging.passwords if staging.passwords.is_file() else None)
    kept = _keep(target, replace=replace)
    stale = [path for path in (target / "globals.d", target / "config") if path.is_dir()]
    for folder in stale:
        shutil.rmtree(folder)
    for name, data in files.items():
        _make_folders(target, name)
        source = work.production.config_dir / name
        sealed = source.is_file() and name not in own_config(work.production) and encrypted(read_bytes(source))
        content = encrypt(data, read_bytes(source), source, site_key(work.production)()) if sealed else data
        durable.write_atomic(target / name, content, mode=0o600)
    globals_files = [target / name for name in files if name.startswith("globals")]
    for edit in plan_edit(globals_files, {**wanted, _RELEASE: work.release}, site_key(staging)):
        durable.write_atomic(edit.path, edit.after, mode=0o600)
    names = write_passwords(staging.passwords, work.production, work.toolchain, own, staging.vault_password_file)
    return Prepared(
        site_file=staging.file,
        config_dir=target,
        release=work.release,
        files=tuple(sorted(files)),
        overrides=tuple(sorted(wanted)),
        from_production=names,
        left_out=_left_out(work.production, files),
        kept=kept,
    )


def _keep(target: Path, *, replace: bool) -> Path | None:
    """What is there already goes into a folder beside it; only on the operator's word."""
    if not target.is_dir() or not any(target.iterdir()):
        durable.make_dir(target, exist_ok=True)
        return None
    if not replace:
        raise RefusedError(
            f"{target} is there already.",
            cloud=UNTOUCHED,
            details=("Its files would be replaced; copies of them would be kept beside it.",),
            next_command="upgrader staging prepare --replace",
            reason="staging-exists",
        )
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    kept = target.with_name(f"{target.name}.before-{stamp}")
    shutil.copytree(target, kept, symlinks=True)
    kept.chmod(0o700)
    return kept


def _make_folders(target: Path, name: str) -> None:
    for folder in reversed(Path(name).parents[:-1]):
        durable.make_dir(target / folder, exist_ok=True)


def _left_out(production: Site, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Top-level names of production's folder that staging has to get in another way (certificates, credentials)."""
    taken = {name.partition("/")[0] for name in files}
    ours = {production.passwords.resolve(), production.inventory.resolve()}
    return tuple(
        sorted(
            path.name
            for path in production.config_dir.iterdir()
            if path.name not in taken
            and path.resolve() not in ours
            and not path.name.startswith(".")
            and not (path.is_dir() and path.name in ("config", "globals.d"))
        )
    )
