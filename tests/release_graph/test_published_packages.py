"""Compares the schema tasks with the published kolla-ansible packages themselves. Needs the package index."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from upgrader.graph import ReleaseGraph

pytestmark = pytest.mark.slow

PUBLISHED = ["2023.1", "2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1"]
STARTS_A_CHANGE = re.compile(r"KOLLA_(BOOTSTRAP|UPGRADE|FINISH_UPGRADE|OSM)\b|enable_feature_flag")
TASK = re.compile(r"^ *- name: (.+)$", re.MULTILINE)


@pytest.fixture(scope="module", params=PUBLISHED)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def wheel(release: str, graph: ReleaseGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    wanted = f"kolla-ansible=={graph.release(release).kolla_ansible.newest}"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(folder),
    ]
    subprocess.run([*command, wanted], check=True, timeout=300)
    return next(folder.glob("*.whl"))


def tasks_in(wheel: Path) -> Iterator[tuple[str, str, str]]:
    """(role, task name, text of the task) of every named task in the roles' tasks and handlers."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            match = re.search(r"/ansible/roles/([^/]+)/(?:tasks|handlers)/[^/]+\.yml$", name)
            if not match:
                continue
            text = archive.read(name).decode()
            found = list(TASK.finditer(text))
            ends = [task.start() for task in found[1:]] + [len(text)] * bool(found)
            for task, end in zip(found, ends, strict=True):
                yield match.group(1), task.group(1).strip().strip("\"'"), text[task.start() : end]


def test_every_task_that_starts_a_change_is_known(
    release: str, wheel: Path, graph: ReleaseGraph, files: dict[str, bytes]
) -> None:
    known = {(task.role, task.task) for task in graph.schema_tasks(release)}
    harmless = {entry["task"] for entry in tomllib.loads(files["schema_tasks.toml"].decode())["harmless"]}
    published = list(tasks_in(wheel))
    assert len(published) > 1000
    starting = {(role, task) for role, task, body in published if STARTS_A_CHANGE.search(body)}
    assert {(role, task) for role, task in starting if task not in harmless} <= known
    assert known <= {(role, task) for role, task, _ in published}


def test_the_package_asks_for_the_python_the_data_names(release: str, wheel: Path, graph: ReleaseGraph) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    match = re.search(r"^Requires-Python: (.+)$", metadata, re.MULTILINE)
    assert match
    assert match.group(1).strip() == graph.release(release).kolla_ansible.python_requires
