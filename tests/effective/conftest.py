"""A release in small, driven by the ansible-core beside this Python, and a site for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from upgrader.config import Site, load_site
from upgrader.kolla.toolchain import Toolchain

PROGRAMS = {
    "ansible-playbook": "playbook",
    "ansible-vault": "vault",
    "ansible": "adhoc",
    "ansible-inventory": "inventory",
}
SITE = """
[site]
name = "testcloud"
[kolla]
config_dir = "kolla"
inventory = "inventory/hosts"
"""
GLOBALS = """---
# what the operator wants
kolla_internal_vip_address: "10.0.0.9"
"""


@dataclass(frozen=True)
class Hosts:
    """An inventory as far as it is needed: host → groups."""

    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def launcher(path: Path, module: str, python: str = sys.executable) -> None:
    code = f"import sys; from ansible.cli.{module} import main; sys.argv[0] = 'ansible'; main()"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {python} -c "{code}" "$@"\n')
    path.chmod(0o755)


def make_toolchain(
    root: Path, files: dict[str, str], release: str = "2025.1", python: str = sys.executable
) -> Toolchain:
    """A toolchain with real programs, those of `python`'s ansible-core, whose playbooks' folder holds `files`."""
    made = Toolchain(release, root / "toolchains" / release)
    for name, module in PROGRAMS.items():
        launcher(made.bin / name, module, python)
    made.python.write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    made.python.chmod(0o755)
    made.playbooks.mkdir(parents=True)
    write(made.playbooks, files)
    return made


def make_site(root: Path, files: dict[str, str], more: str = "", extra: list[str] | None = None) -> Site:
    extras = f"extra_vars = {extra}\n" if extra else ""
    write(
        root,
        {"upgrader.toml": SITE + extras + more, "kolla/globals.yml": GLOBALS, "inventory/hosts": "[control]\nctl1\n"}
        | files,
    )
    return load_site(root / "upgrader.toml")


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Site]:
    return lambda files, more="": make_site(tmp_path, files, more)


@pytest.fixture
def toolchain(tmp_path: Path) -> Callable[..., Toolchain]:
    return lambda files, release="2025.1": make_toolchain(tmp_path, files, release)
