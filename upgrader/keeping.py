"""What lies on this machine besides settings: custom configuration, how passwords are kept, which backups there are.

Reads files and asks git and the kernel's list of mounts; contacts no host. What cannot be read is unknown (None), not
absent. Values that look like secrets are left out here, before anything else sees them.
"""

from __future__ import annotations

import re
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from upgrader.config import Site
from upgrader.database.manifest import Manifest, read_manifest
from upgrader.errors import ConfigError
from upgrader.journal.place import NETWORK, filesystem_of
from upgrader.kolla.passwords import PasswordNames
from upgrader.record import Keeping

CUSTOM = "config"
"""Folder of the operator's own configuration below Kolla's, unless `node_custom_config` says otherwise."""
HIDDEN = "(not shown)"
_INI = (".conf", ".ini", ".cnf", ".cfg")
_LARGEST = 1024 * 1024
_SECTION = re.compile(r"^\[([^\]]+)\]\s*$")
_OPTION = re.compile(r"^([\w.:-]+)\s*=\s*(.*)$")
_SECRET = re.compile(
    r"passw|passphrase|secret|token$|credential|private|(^|_)key$|apikey|(^|_)connection$|transport_url|dsn|auth_string"
)
_GIT_SECONDS = 10


def custom_folder(site: Site, said: str = "") -> Path:
    """The folder of custom configuration; `said` is `node_custom_config` where the operator set it to plain text."""
    plain = said and "{{" not in said
    return Path(said).expanduser() if plain else site.config_dir / CUSTOM


def custom_files(folder: Path) -> tuple[str, ...] | None:
    """Files below the folder, relative, sorted; none where there is no such folder, None where it cannot be read."""
    try:
        return tuple(sorted(path.relative_to(folder).as_posix() for path in _files(folder)))
    except OSError:
        return None


def custom_options(folder: Path, files: Iterable[str]) -> tuple[str, ...] | None:
    """`nova/nova-compute.conf [DEFAULT] reserved_host_memory_mb = 2048` of the INI files; None: one is unreadable."""
    found: list[str] = []
    for name in files:
        path = folder / name
        if path.suffix not in _INI:
            continue
        try:
            if path.stat().st_size > _LARGEST:
                return None
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        if text.startswith("$ANSIBLE_VAULT"):
            return None
        found += _options(name, text)
    return tuple(found)


def keeping(site: Site, names: PasswordNames | None, hosts: Iterable[str]) -> Keeping:
    """How passwords and backups of the site are kept. `hosts` are those of the cloud."""
    sets = _sets(site)
    made = [one.made_at for one in sets or () if one.state in ("unverified", "proved")]
    proved = [one.made_at for one in sets or () if one.state == "proved"]
    return Keeping(
        passwords_encrypted=names.encrypted if names else None,
        passwords_mode=_mode(site.passwords),
        passwords_in_git=_in_git(site.passwords),
        backups=None if sets is None else len(made),
        last_backup_at=max(made, default=""),
        last_proved_at=max(proved, default=""),
        backup_place=_place(site.backup_dir, frozenset(hosts)),
    )


# ---------------------------------------------------------------- custom configuration


def _files(folder: Path) -> Iterator[Path]:
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.is_dir():
            # links to folders are followed by kolla-ansible for single names only, and could lead in circles here
            if not path.is_symlink() and path.name != ".git":
                yield from _files(path)
        elif path.is_file():
            yield path


def _options(name: str, text: str) -> Iterator[str]:
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        heading = _SECTION.match(line)
        option = _OPTION.match(line)
        if heading:
            section = f"[{heading[1]}] "
        elif option and not line.startswith(("#", ";")):
            key, value = option[1], option[2].strip()
            hidden = _SECRET.search(key.lower()) or "://" in value
            yield f"{name} {section}{key} = {HIDDEN if hidden else value}"


# ---------------------------------------------------------------- passwords


def _mode(path: Path) -> str:
    try:
        return f"{stat.S_IMODE(path.stat().st_mode):04o}"
    except OSError:
        return ""


def _in_git(path: Path) -> bool | None:
    """Whether the file is under version control; None where git cannot be asked."""
    folder = path.resolve().parent
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return False
    git = shutil.which("git")
    if git is None:
        return None
    # a repository of another owner is refused by git itself; that is an unknown, never a reason to trust it
    command = [git, "-C", str(folder), "ls-files", "--error-unmatch", "--", path.resolve().name]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {0: True, 1: False}.get(done.returncode)


# ---------------------------------------------------------------- backups


def _sets(site: Site) -> tuple[Manifest, ...] | None:
    """Every readable backup set of this site; a folder that is none is passed over."""
    found = []
    try:
        folders = sorted(site.backup_dir.iterdir()) if site.backup_dir.exists() else []
    except OSError:
        return None
    for folder in folders:
        try:
            manifest = read_manifest(folder)
        except (ConfigError, OSError):
            continue
        if manifest.site == site.name:
            found.append(manifest)
    return tuple(found)


def _place(
    folder: Path, hosts: frozenset[str]
) -> Literal["", "network file system", "this machine", "host of the cloud"]:
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    if filesystem_of(folder.resolve(), mounts) in NETWORK:
        return "network file system"
    here = socket.gethostname()
    own = {here, here.split(".")[0], "localhost"}
    return "host of the cloud" if own & hosts else "this machine"
