"""Environments that hold the services of one release, to run their own migrations on a copy; built from PyPI.

One environment holds all nine services of a release: measured, they fit together in every release. Which versions,
says `release_graph/environments/<release>.txt`. Built beside the toolchains and published by one rename, like those.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from upgrader.durable import read_json, write_json
from upgrader.errors import EnvironmentMissingError, RefusedError
from upgrader.kolla.build import built_beside, check_space, make_venv, only_builder, pip
from upgrader.kolla.pins import Interpreter, find_interpreters
from upgrader.rehearsal.install import Say, install_lock

FOLDER = "services"
"""Below the site's folder of toolchains."""
MANIFEST = "environment.json"
NEEDED_BYTES = 1500 * 1024**2
"""An environment takes 530 to 600 MB, its downloads about 250 MB."""
_PYTHONS = ("3.11", "3.10", "3.12")
"""Best first: the locks were made on 3.11. Not every package of them has a wheel for other versions."""
_LINE = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)$")


@dataclass(frozen=True, slots=True)
class Services:
    """The environment of one release's services below `dir`. Says where things are, not that they are there."""

    release: str
    dir: Path

    @property
    def bin(self) -> Path:
        return self.dir / "bin"

    def program(self, name: str) -> Path:
        return self.bin / name

    @property
    def python(self) -> str:
        """Version of its Python; empty where the environment is not whole."""
        return str((read_json(self.dir / MANIFEST).document or {}).get("python", ""))


def lock_text(release: str) -> str:
    """Exact requirements of a release's services. Raises RefusedError for a release that has none."""
    path = files("release_graph") / "environments" / f"{release}.txt"
    if not path.is_file():
        raise RefusedError(f"No versions of the services of {release} are known.", reason="no-environment")
    return path.read_text(encoding="utf-8")


def requirements(release: str) -> dict[str, str]:
    """Package → exact version."""
    lines = (line.strip() for line in lock_text(release).splitlines())
    return {match[1].lower(): match[2] for line in lines if (match := _LINE.match(line))}


def services_dir(toolchains_dir: Path) -> Path:
    return toolchains_dir / FOLDER


def locate_services(toolchains_dir: Path, release: str) -> Services:
    """The built environment. Raises EnvironmentMissingError when it is not there or not of the present lock."""
    found = Services(release, services_dir(toolchains_dir) / release)
    manifest = read_json(found.dir / MANIFEST).document or {}
    if manifest.get("lock_sha256") != _digest(release):
        there = "is not of the versions known now" if manifest else "is not built"
        raise EnvironmentMissingError(
            f"The environment of {release}'s services {there} ({found.dir}).",
            cloud="Nothing was looked at or changed.",
            reason="services-missing",
        )
    return found


def build_services(
    release: str,
    toolchains_dir: Path,
    *,
    wheelhouse: Path | None = None,
    rebuild: bool = False,
    say: Say = lambda _line: None,
) -> Services:
    """Build the environment, or keep the one that is there and fits. Half a minute with uv, some minutes without.

    Raises EnvironmentMissingError (no Python, no space, packages not to be had) and LockedError; what was there
    before is then still there.
    """
    if not rebuild:
        with suppress(EnvironmentMissingError):
            return locate_services(toolchains_dir, release)
    wanted = lock_text(release)
    target = Services(release, services_dir(toolchains_dir) / release)
    python = _python(find_interpreters())
    with only_builder(services_dir(toolchains_dir), release) as builds:
        check_space(builds, NEEDED_BYTES)
        with built_beside(builds, target.dir, f"The environment of {release}'s services") as folder:
            _fill(folder, release, wanted, python, wheelhouse, say)
    return target


def built_services(toolchains_dir: Path) -> tuple[Services, ...]:
    """Every environment that was built whole, by release."""
    folders = sorted(path.parent for path in services_dir(toolchains_dir).glob(f"2*/{MANIFEST}"))
    return tuple(Services(folder.name, folder) for folder in folders)


def fetch_service_wheels(release: str, wheelhouse: Path) -> tuple[str, ...]:
    """Fill `wheelhouse` with all that `build_services` needs, for the Python of this machine; the new file names."""
    python = _python(find_interpreters())
    wheelhouse.mkdir(parents=True, exist_ok=True)
    before = {path.name for path in wheelhouse.iterdir()}
    scratch = wheelhouse / f".fetch-{secrets.token_hex(4)}"
    try:
        inside = make_venv(python.path, scratch)
        lock = scratch / "lock.txt"
        lock.write_text(lock_text(release))
        pip(inside, ["wheel", "--no-deps", "--wheel-dir", wheelhouse, "--requirement", lock], None)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return tuple(sorted({path.name for path in wheelhouse.glob("*.whl")} - before))


def _fill(folder: Path, release: str, wanted: str, python: Interpreter, wheelhouse: Path | None, say: Say) -> None:
    say(f"Python {python.version} ({python.path})")
    named = requirements(release)
    say(f"installing keystone {named['keystone']}, nova {named['nova']} and {len(named) - 2} more packages")
    install_lock(python.path, folder, wanted, wheelhouse, say)
    missing = [
        name for name in ("keystone-manage", "nova-manage", "neutron-db-manage") if not (folder / "bin" / name).exists()
    ]
    if missing:
        raise EnvironmentMissingError(f"The environment of {release}'s services lacks {', '.join(missing)}.")
    write_json(
        folder / MANIFEST,
        {
            "schema_version": 1,
            "release": release,
            "python": python.version,
            "lock_sha256": hashlib.sha256(wanted.encode()).hexdigest(),
        },
        mode=0o644,
    )


def _digest(release: str) -> str:
    return hashlib.sha256(lock_text(release).encode()).hexdigest()


def _python(found: tuple[Interpreter, ...]) -> Interpreter:
    fit = {item.version: item for item in found if not item.trouble}
    for version in _PYTHONS:
        if version in fit:
            return fit[version]
    raise EnvironmentMissingError(
        f"No Python on this machine can run the services' migrations: one of {', '.join(sorted(_PYTHONS))} is needed.",
        details=[f"Python {item.version} ({item.path}): {item.trouble or 'not in range'}" for item in found],
        reason="python-missing",
    )
