"""Ansible collections of a release, taken out of the `ansible` package of the Python index.

kolla-ansible would fetch them from Ansible Galaxy; that service and its client are not needed this way, and one
package index (or one folder of wheels) serves everything. Only the folders that are needed are unpacked.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from upgrader.errors import DataError, EnvironmentMissingError
from upgrader.kolla.toolchain import collection_version

ANSIBLE_PACKAGE: dict[str, str] = {
    # Newest `ansible` whose collections all fit requirements-core.yml in the release's kolla-ansible package.
    # 2024.2 and older ask for community.general < 7, community.docker < 4 and ansible.netcommon < 5.
    "2023.1": "7.7.0",
    "2023.2": "7.7.0",
    "2024.1": "7.7.0",
    "2024.2": "7.7.0",
    # community.general < 11, ansible.utils < 6, community.crypto < 3
    "2025.1": "11.13.0",
    # community.general < 12, community.docker < 5, ansible.utils < 7
    "2025.2": "12.3.0",
    "2026.1": "12.3.0",
}

NOT_PROVIDED: dict[str, str] = {
    "openstack.kolla": "published on git only; the plays bootstrap-servers and migrate-container-engine need it",
}
"""Collections kolla-ansible names that no package index has, and which of its plays need them."""

_LEFT_OUT = ("tests", "docs", "changelogs", ".github", ".azure-pipelines")
_ENTRY = re.compile(r"^\s*-\s*name:\s*['\"]?([\w.]+)['\"]?\s*$|^\s*version:\s*['\"]?([^'\"#]+?)['\"]?\s*(?:#.*)?$")


def required_collections(requirements_core: Path) -> dict[str, str]:
    """Collection → version range out of a release's requirements-core.yml. Raises DataError for another form."""
    found: dict[str, str] = {}
    name = ""
    for line in requirements_core.read_text().splitlines():
        match = _ENTRY.match(line)
        if match and match[1]:
            name = match[1]
            found[name] = ""
        elif match and name:
            found[name] = match[2].strip()
    if not found:
        raise DataError(f"{requirements_core} names no collection.")
    return found


def unpack(wheel: Path, required: Mapping[str, str], collections: Path) -> dict[str, str]:
    """Unpack the required collections, and those they depend on, below `collections`; returns name → version.

    Raises EnvironmentMissingError when the package lacks one or has it in a version outside of the range.
    """
    from packaging.specifiers import SpecifierSet

    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        wanted, todo = dict.fromkeys(required), list(required)
        while todo:
            name = todo.pop()
            _unpack_one(archive, names, name, collections)
            for dependency in _dependencies(collections, name):
                if dependency not in wanted:
                    wanted[dependency] = None
                    todo.append(dependency)
    versions = {name: collection_version(collections, name) for name in sorted(wanted)}
    wrong = [
        f"{name} {versions[name] or 'missing'}, needed {spec or 'any'}"
        for name, spec in required.items()
        if not versions[name] or not SpecifierSet(spec).contains(versions[name])
    ]
    if wrong:
        raise EnvironmentMissingError(
            f"{wheel.name} does not hold the Ansible collections that are needed.", details=wrong, reason="collections"
        )
    return versions


def _unpack_one(archive: zipfile.ZipFile, names: list[str], collection: str, target: Path) -> None:
    prefix = f"ansible_collections/{collection.replace('.', '/')}/"
    for name in names:
        if not name.startswith(prefix) or name.endswith("/"):
            continue
        parts = PurePosixPath(name).parts
        if ".." in parts or parts[3] in _LEFT_OUT:
            continue
        destination = target.joinpath(*parts)
        destination.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, destination.open("wb") as sink:
            shutil.copyfileobj(source, sink)


def _dependencies(collections: Path, name: str) -> tuple[str, ...]:
    from upgrader.durable import read_json

    path = collections / "ansible_collections" / name.replace(".", "/") / "MANIFEST.json"
    info = (read_json(path).document or {}).get("collection_info", {})
    return tuple(info.get("dependencies") or ())
