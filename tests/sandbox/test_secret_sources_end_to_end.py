"""A hop on a sandbox whose passwords are encrypted with SOPS and whose vault password is in a variable alone.

The shell that continues the run has to have the variable; nothing of a secret lies anywhere below the state folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import secrets_kit
from tests.sandbox.test_secrets_end_to_end import hits
from upgrader.kolla.passwords import keys, secret_values
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import add_fault

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed")]

KEY = "canary-of-the-vault-51ab"
NEW = "heat_keystone_password"
LOCKED = "canary-of-a-locked-setting-77f0"


def upgrader(site: Path, programs: Path, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("SOPS_", "KOLLA_VAULT"))}
    path = f"{programs}:{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-P", "-m", "upgrader", "--site", str(site), *words],
        capture_output=True, check=False, env={**outer, "PATH": path, **more},
    )  # fmt: skip


def test_a_hop_with_secrets_from_sops_and_a_variable(tmp_path: Path) -> None:
    root, programs, key = tmp_path / "cloud", tmp_path / "programs", tmp_path / "keys.txt"
    site = create_sandbox(root, "2024.1", (1, 1, 0), ("glance",))
    passwords = site.parent / "kolla" / "passwords.yml"
    lines = passwords.read_text().splitlines(keepends=True)
    passwords.write_text("".join(line for line in lines if not line.startswith(f"{NEW}:")))
    assert len(passwords.read_text().splitlines()) == len(lines) - 1 and NEW not in keys(passwords)
    secrets = secret_values(passwords) | {KEY, LOCKED}
    secrets_kit.sops(programs)
    said = subprocess.run(["age-keygen", "-o", str(key)], capture_output=True, check=True, text=True).stderr
    encrypt = [str(programs / "sops"), "--encrypt", "--age", said.split()[-1], str(passwords)]
    passwords.write_bytes(subprocess.run(encrypt, capture_output=True, check=True).stdout)
    before = passwords.read_bytes()
    locked = site.parent / "kolla" / "globals.d" / "locked.yml"
    locked.parent.mkdir(exist_ok=True)
    locked.write_text(f"locked_setting: {LOCKED}\n")
    (tmp_path / "vault-password").write_text(KEY)
    vault = [
        str(Path(sys.executable).with_name("ansible-vault")),
        "encrypt",
        "--vault-id",
        f"prod@{tmp_path}/vault-password",
    ]
    subprocess.run([*vault, str(locked)], check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    (tmp_path / "vault-password").unlink()
    site.write_text(
        site.read_text()
        + f'\n[secrets]\nvault_password_env = "KOLLA_VAULT"\nvault_id = "prod"\nage_key_file = "{key}"\n'
    )
    add_fault(root, "unhealthy", container="keystone", release="2024.2")

    words = ("run", "--to", "2024.2", "--auto-approve", "--accept", "not-rehearsed=a test")
    output = b""
    nothing = upgrader(site, programs, *words)
    assert nothing.returncode == 2 and b"KOLLA_VAULT is not set in this shell" in nothing.stderr, nothing.stderr
    run = upgrader(site, programs, *words, KOLLA_VAULT=KEY)
    assert run.returncode == 8, run.stderr.decode()
    output += run.stdout + run.stderr
    # another shell, where the variable is not set: nothing begins, and what to type is said
    elsewhere = upgrader(site, programs, "rollback")
    assert elsewhere.returncode == 2, elsewhere.stderr.decode()
    assert b"KOLLA_VAULT is not set in this shell" in elsewhere.stderr and b"export KOLLA_VAULT" in elsewhere.stderr
    assert NEW.encode() in passwords.read_bytes() and passwords.read_bytes() != before, "added, and encrypted again"
    back = upgrader(site, programs, "rollback", KOLLA_VAULT=KEY)
    assert back.returncode == 7, back.stderr.decode()
    output += back.stdout + back.stderr
    assert passwords.read_bytes() == before

    found = [f"output: {hit}" for hit in hits(output, secrets)]
    for place in (root / "state", root / "site", site.parent):
        for path in place.rglob("*"):
            if path.is_file() and "hosts" not in path.relative_to(root).parts[:1]:
                found += [f"{path.relative_to(root)}: {hit}" for hit in hits(path.read_bytes(), secrets)]
    assert not found, found[:10]
    for call in secrets_kit.calls(programs / "sops"):
        assert not {"KOLLA_VAULT", "OS_PASSWORD"} & set(call["names"])  # type: ignore[call-overload]
