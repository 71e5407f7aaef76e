from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import secrets_kit
from tests.kolla.conftest import toolchain  # noqa: F401 - a fixture
from upgrader.config import Site, load_site
from upgrader.secret_sources import carried, identities, values

HEAD = '[site]\nname = "x"\n[kolla]\nconfig_dir = "kolla"\ninventory = "hosts"\n[secrets]\n'
Make = Callable[[str], Site]


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing fetched before, nothing carried, no key and no token of whoever runs the tests."""
    for name in carried.chosen({"SOPS_AGE_KEY"}, ("VAULT_", "BAO_", "SOPS_")):
        monkeypatch.delenv(name)
    known = (identities._fetched, identities._said, values._fetched, carried._carried)
    for one in known:
        one.clear()  # type: ignore[attr-defined]
    yield
    for one in known:
        one.clear()  # type: ignore[attr-defined]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on PATH, and a home of its own."""
    folder, home = tmp_path / "programs", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(home))
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Make:
    """Writes a site file with this `[secrets]` and reads it."""
    (tmp_path / "kolla").mkdir(exist_ok=True)

    def make(text: str) -> Site:
        file = tmp_path / "upgrader.toml"
        file.write_text(HEAD + text)
        identities._loaded.cache_clear()
        return load_site(file)

    return make


@pytest.fixture
def age(tmp_path: Path, programs: Path) -> tuple[Path, str]:
    """(key file, recipient), made by the real age; `sops` is its stand-in."""
    if shutil.which("age") is None:
        pytest.skip("age is not installed")
    secrets_kit.sops(programs)
    keys = tmp_path / "keys.txt"
    said = subprocess.run(["age-keygen", "-o", str(keys)], capture_output=True, check=True, text=True).stderr
    return keys, said.split()[-1]


@pytest.fixture
def sealed_by_sops(age: tuple[Path, str], programs: Path) -> Callable[[str], bytes]:
    """Encrypts a text with the stand-in for sops, for the key of `age`."""

    def seal(text: str) -> bytes:
        command = [str(programs / "sops"), "--encrypt", "--age", age[1], "/dev/stdin"]
        return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout

    return seal
