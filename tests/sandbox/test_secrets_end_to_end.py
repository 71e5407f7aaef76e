"""A whole hop on a sandbox, driven by the command line, leaves no secret anywhere but where secrets belong.

Secrets belong into passwords.yml, the vault password file, the hosts, and the backup set. A task that prints one, a
failing task with one in its words, and the environment of the caller are the ways they would get out.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from upgrader.kolla.passwords import secret_values
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import add_fault

pytestmark = pytest.mark.slow

CANARY = "canary-of-the-environment-8c1f"
ACCEPT = "not-rehearsed=a test"


def upgrader(site: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "upgrader", "--site", str(site), *words],
        capture_output=True,
        check=False,
        env={**os.environ, "OS_PASSWORD": CANARY, "ANSIBLE_BECOME_PASSWORD": CANARY},
    )


def vaulted(site: Path) -> None:
    """Encrypt passwords.yml with Ansible Vault and name the password file in upgrader.toml."""
    key = site.parent / "vault.password"
    key.write_text("canary-of-the-vault-51ab\n")
    key.chmod(0o600)
    vault = Path(sys.executable).with_name("ansible-vault")
    passwords = site.parent / "kolla" / "passwords.yml"
    subprocess.run(
        [vault, "encrypt", "--vault-password-file", key, passwords], check=True, capture_output=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    site.write_text(site.read_text() + '\n[secrets]\nvault_password_file = "vault.password"\n')


@pytest.mark.parametrize("encrypted", [False, True])
def test_no_secret_in_anything_a_hop_produces(tmp_path: Path, encrypted: bool) -> None:
    root = tmp_path / "cloud"
    site = create_sandbox(root, "2024.1", (1, 1, 0), ("glance",))
    secrets = secret_values(site.parent / "kolla" / "passwords.yml") | {CANARY, "canary-of-the-vault-51ab"}
    assert len(secrets) > 10
    if encrypted:
        vaulted(site)
    add_fault(root, "leak", secret="database_password", action="upgrade", task="")
    add_fault(root, "unhealthy", container="keystone", release="2024.2")

    said = b""
    run = upgrader(site, "run", "--to", "2024.2", "--auto-approve", "--accept", ACCEPT)
    assert run.returncode == 8, run.stderr.decode()
    said += run.stdout + run.stderr
    back = upgrader(site, "rollback")
    assert back.returncode == 7, back.stderr.decode()
    said += back.stdout + back.stderr
    for words in (("status", "--json"), ("history", "--json"), ("plan", "--to", "2024.2", "--json")):
        answer = upgrader(site, *words)
        assert answer.returncode == 0, answer.stderr.decode()
        said += answer.stdout + answer.stderr

    found = [f"output: {hit}" for hit in hits(said, secrets)]
    for path in (root / "state").rglob("*"):
        if path.is_file():
            found += [f"{path.relative_to(root)}: {hit}" for hit in hits(path.read_bytes(), secrets)]
    assert not found, found[:10]


def test_the_search_itself_finds_a_planted_secret() -> None:
    assert list(hits(b"x " + base64.b64encode(b"hunter2-hunter2") + b" y", {"hunter2-hunter2"}))
    assert not list(hits(b"nothing here", {"hunter2-hunter2"}))


def hits(data: bytes, secrets: frozenset[str] | set[str]) -> list[str]:
    """Which secrets stand in the bytes, in the clear or in base64; told by length only."""
    found = []
    for secret in secrets:
        forms = {secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")}
        if any(form in data for form in forms):
            found.append(f"a secret of {len(secret)} characters")
    return found
