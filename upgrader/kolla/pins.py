"""Which versions an environment is made of, and which Python on this machine can run them.

The ranges come from the release graph; the Python range of an ansible-core series from ansible-core's own support
matrix, because the packages themselves only state a minimum.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from upgrader.errors import EnvironmentMissingError, RefusedError

CONTROLLER_PYTHON: dict[str, tuple[str, ...]] = {
    # https://docs.ansible.com/ansible/latest/reference_appendices/release_and_maintenance.html, "Control Node Python"
    "2.13": ("3.8", "3.9", "3.10"),
    "2.14": ("3.9", "3.10", "3.11"),
    "2.15": ("3.9", "3.10", "3.11"),
    "2.16": ("3.10", "3.11", "3.12"),
    "2.17": ("3.10", "3.11", "3.12"),
    "2.18": ("3.11", "3.12", "3.13"),
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
}
_KNOWN_MINORS = range(8, 15)


@dataclass(frozen=True, slots=True)
class Pins:
    """What a release's environment has to be made of."""

    release: str
    kolla_ansible: str
    """Exact version: the newest published of the release."""
    ansible_core: str
    """Version range, e.g. `>=2.18,!=2.19.0,<2.20`."""
    core_series: tuple[str, ...]
    """Allowed series, oldest first."""
    python_requires: str
    python_tested: tuple[str, ...]
    """Python versions the release names as supported."""
    docker_sdk: str
    """Version range of the Docker SDK for Python, for hosts that run plays on the deploy host itself."""


def pins_of(release: str) -> Pins:
    """Pins out of the release graph. Raises RefusedError for a release whose kolla-ansible is not published."""
    from upgrader.graph import load_graph

    node = load_graph().release(release)
    kolla = node.kolla_ansible
    if not kolla.newest:
        raise RefusedError(
            f"There is no toolchain for {node.id}: its kolla-ansible is not published.", reason="provisional"
        )
    return Pins(
        release=node.id,
        kolla_ansible=kolla.newest,
        ansible_core=kolla.ansible_core,
        core_series=tuple(kolla.ansible_core_series),
        python_requires=kolla.python_requires,
        python_tested=tuple(kolla.python_classifiers),
        docker_sdk=node.docker_python_sdk,
    )


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python on this machine. `trouble` says why it cannot make an environment; empty when it can."""

    path: Path
    version: str
    """Major and minor, e.g. `3.11`."""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """An interpreter and the newest ansible-core series that it can run."""

    interpreter: Interpreter
    core_series: str
    tested: bool
    """Whether the release names this Python as supported; otherwise only its ranges allow it."""


_PROBE = (
    "import sys,json,importlib.util as u;"
    "print(json.dumps([sys.executable,'%d.%d'%sys.version_info[:2],bool(u.find_spec('venv')),bool(u.find_spec('ensurepip'))]))"
)


def find_interpreters(path: str | None = None) -> tuple[Interpreter, ...]:
    """Every Python 3 on `path` (default: PATH) and the running one, newest first, one for each version.

    Each is started once: a launcher that is there but starts nothing does not count.
    """
    found: dict[str, Interpreter] = {}
    candidates = [Path(getattr(sys, "_base_executable", sys.executable))] if path is None else []
    folders = [Path(part) for part in (path or os.environ.get("PATH", "")).split(os.pathsep) if part]
    names = [f"python3.{minor}" for minor in _KNOWN_MINORS] + ["python3"]
    candidates += [folder / name for folder in folders for name in names]
    for candidate in candidates:
        if not os.access(candidate, os.X_OK):
            continue
        interpreter = _probe(candidate)
        known = found.get(interpreter.version) if interpreter else None
        if interpreter and (known is None or (known.trouble and not interpreter.trouble)):
            found[interpreter.version] = interpreter
    return tuple(sorted(found.values(), key=lambda item: _minor(item.version), reverse=True))


def choose(pins: Pins, interpreters: Iterable[Interpreter]) -> Choice:
    """The best pair of interpreter and ansible-core series.

    Prefers a Python that the release names, then the newest series, then the newest Python. Raises
    EnvironmentMissingError that names what would do and what was found.
    """
    from packaging.specifiers import SpecifierSet

    requires = SpecifierSet(pins.python_requires)
    interpreters = tuple(interpreters)
    options = [
        Choice(interpreter, series, interpreter.version in pins.python_tested)
        for interpreter in interpreters
        for series in pins.core_series
        if not interpreter.trouble
        and interpreter.version in CONTROLLER_PYTHON.get(series, ())
        and requires.contains(f"{interpreter.version}.0")
    ]
    if options:
        return max(options, key=lambda o: (o.tested, _minor(o.core_series), _minor(o.interpreter.version)))
    wanted = suitable_versions(pins)
    details = [f"Python {item.version} ({item.path}): {item.trouble or 'not in range'}" for item in interpreters]
    raise EnvironmentMissingError(
        f"No Python on this machine can run kolla-ansible {pins.kolla_ansible} of {pins.release}: "
        f"it takes one of {', '.join(wanted)} (python3.X on PATH, with venv).",
        details=details or ["no Python 3 was found on PATH"],
        next_command=f"upgrader toolchain build {pins.release}",
        reason="python-missing",
    )


def suitable_versions(pins: Pins) -> tuple[str, ...]:
    """Python versions that satisfy both kolla-ansible and one of the allowed ansible-core series, oldest first."""
    from packaging.specifiers import SpecifierSet

    requires = SpecifierSet(pins.python_requires)
    versions = {version for series in pins.core_series for version in CONTROLLER_PYTHON.get(series, ())}
    return tuple(sorted((v for v in versions if requires.contains(f"{v}.0")), key=_minor))


def core_requirement(pins: Pins, series: str) -> str:
    """pip requirement for the newest ansible-core of `series` that the release's range does not exclude."""
    excluded = [part.strip() for part in pins.ansible_core.split(",") if part.strip().startswith("!=")]
    return ",".join([f"ansible-core=={series}.*", *excluded])


def _probe(candidate: Path) -> Interpreter | None:
    try:
        run = subprocess.run([candidate, "-I", "-c", _PROBE], capture_output=True, check=True, timeout=20)
        executable, version, venv, ensurepip = json.loads(run.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    trouble = "" if venv and ensurepip else f"it has no venv module (package python{version}-venv)"
    return Interpreter(Path(executable), version, trouble)


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
