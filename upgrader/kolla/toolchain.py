"""The environment that drives one release, as folders and programs: where they are, and whether they are whole.

Light: stages, probes and the sandbox use it without importing anything that builds. Building is in build.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from upgrader.durable import read_json
from upgrader.errors import EnvironmentMissingError

MANIFEST = "toolchain.json"
LOCK = "lock.txt"
PLAIN_CONFIG = Path(__file__).with_name("plain.cfg")
"""Settings for programs that must not follow the machine's own ansible.cfg."""
_PASSED_ON = ("HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "TZ")


class HasToolchains(Protocol):
    """What is needed of a site here."""

    @property
    def toolchains_dir(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Programs and data of one release below `dir`. Says where things are, not that they are there."""

    release: str
    dir: Path

    @property
    def bin(self) -> Path:
        return self.dir / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def ansible_playbook(self) -> Path:
        return self.bin / "ansible-playbook"

    @property
    def ansible_inventory(self) -> Path:
        return self.bin / "ansible-inventory"

    @property
    def ansible_vault(self) -> Path:
        return self.bin / "ansible-vault"

    @property
    def share(self) -> Path:
        return self.dir / "share" / "kolla-ansible"

    @property
    def playbooks(self) -> Path:
        return self.share / "ansible"

    @property
    def site_yml(self) -> Path:
        return self.playbooks / "site.yml"

    def playbook(self, name: str) -> Path:
        """Path of `name` with or without its `.yml`."""
        return self.playbooks / (name if name.endswith(".yml") else f"{name}.yml")

    @property
    def example_passwords(self) -> Path:
        """The release's own passwords.yml with empty values: its list of keys."""
        return self.share / "etc_examples" / "kolla" / "passwords.yml"

    @property
    def example_inventory(self) -> Path:
        """The release's own inventory for several nodes: its list of groups."""
        return self.playbooks / "inventory" / "multinode"

    @property
    def collections(self) -> Path:
        return self.dir / "collections"

    @property
    def lock(self) -> Path:
        return self.dir / LOCK

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the builder wrote about it; empty for an environment that this tool did not build."""
        return read_json(self.dir / MANIFEST).document or {}

    @property
    def lock_sha256(self) -> str:
        """Digest of the lock; empty when there is none."""
        try:
            return hashlib.sha256(self.lock.read_bytes()).hexdigest()
        except OSError:
            return ""


def locate(site: HasToolchains, release: str) -> Toolchain:
    """The built environment of `release`. Raises EnvironmentMissingError naming the command that builds it."""
    toolchain = Toolchain(release, site.toolchains_dir / release)
    missing = [path for path in (toolchain.ansible_playbook, toolchain.site_yml) if not path.exists()]
    if missing:
        state = f"is incomplete: {missing[0]} is missing" if toolchain.dir.is_dir() else "is not built yet"
        raise EnvironmentMissingError(
            f"The toolchain of {release} in {site.toolchains_dir} {state}.",
            next_command=f"upgrader toolchain build {release}",
            reason="toolchain-missing",
        )
    return toolchain


def environment(toolchain: Toolchain, **more: str) -> dict[str, str]:
    """A small environment in which the toolchain's programs behave the same for everybody."""
    values = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    values |= {
        "PATH": f"{toolchain.bin}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
    }
    if toolchain.collections.is_dir():
        values["ANSIBLE_COLLECTIONS_PATH"] = str(toolchain.collections)
    return values | more


def verify(toolchain: Toolchain) -> tuple[str, ...]:
    """What is wrong with a built environment, one line each; nothing when it is as it was built and starts.

    Compares the installed versions with the lock and the collections with the manifest, and starts
    `ansible-playbook --version`. An environment without lock (the sandbox's) is only started. Takes about 1 s.
    """
    manifest = toolchain.manifest
    problems = []
    if manifest.get("lock_sha256", "") != (toolchain.lock_sha256 if manifest else ""):
        problems.append(f"{toolchain.lock} is not the lock that was written when it was built")
    elif manifest:
        problems += _package_differences(toolchain)
    for name, version in manifest.get("collections", {}).items():
        found = collection_version(toolchain.collections, name)
        if found != version:
            problems.append(f"collection {name} is {found or 'missing'}, built with {version}")
    error = _start_error(toolchain, manifest.get("ansible_core", ""))
    return (*problems, error) if error else tuple(problems)


def collection_version(collections: Path, name: str) -> str:
    """Version of an unpacked collection; empty when it is not there or damaged."""
    path = collections / "ansible_collections" / name.replace(".", "/") / "MANIFEST.json"
    document = read_json(path).document or {}
    info = document.get("collection_info")
    return str(info.get("version", "")) if isinstance(info, dict) else ""


def locked_versions(lock: str) -> dict[str, str]:
    """Package → version out of a lock's text."""
    pairs = (line.split()[0].split("==", 1) for line in lock.splitlines() if line.strip() and not line.startswith("#"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _package_differences(toolchain: Toolchain) -> list[str]:
    try:
        pinned = locked_versions(toolchain.lock.read_text())
        found = installed_versions(toolchain.python)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return [f"the packages of {toolchain.dir} cannot be read: {error}"]
    return [
        f"{name} is {found.get(name, 'missing')}, pinned {version}"
        for name, version in sorted(pinned.items())
        if found.get(name) != version
    ]


_LIST_PACKAGES = (
    "import json,re,importlib.metadata as m;"
    "print(json.dumps({re.sub(r'[-_.]+','-',d.metadata['Name']).lower():d.version for d in m.distributions()}))"
)


def installed_versions(python: Path) -> dict[str, str]:
    """Normalized package name → version in the environment of `python`."""
    run = subprocess.run([python, "-I", "-c", _LIST_PACKAGES], capture_output=True, check=True, timeout=60)
    document: dict[str, str] = json.loads(run.stdout)
    return document


def _start_error(toolchain: Toolchain, version: str) -> str:
    command = [str(toolchain.ansible_playbook), "--version"]
    try:
        run = subprocess.run(
            command, env=environment(toolchain), capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{toolchain.ansible_playbook} does not start: {error}"
    first = run.stdout.partition("\n")[0]
    if run.returncode:
        last = (run.stderr or run.stdout).strip().splitlines()
        return f"{toolchain.ansible_playbook} does not start: {last[-1] if last else run.returncode}"
    if version and f"core {version}]" not in first:
        return f"{toolchain.ansible_playbook} says {first!r}, built with ansible-core {version}"
    return ""
