"""Real plays whose secrets come from everywhere but a file: Ansible has them, and no disk, argv or environment does."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests import secrets_kit
from tests.runner_kit import play, sealed
from tests.secret_sources.conftest import Make
from upgrader import processes
from upgrader.config import Site
from upgrader.errors import ConfigError
from upgrader.runner import volatile
from upgrader.runner.ansible import AnsibleRunner
from upgrader.runner.base import Play, TaskEvent
from upgrader.secret_sources import carried
from upgrader.secret_sources.sealing import LABEL, fresh_password, seal

_OWN = f"q{uuid.uuid4().hex[:11]}"
_UNSAID = f"q[{_OWN[1]}]{_OWN[2:]}"
"""Finds it without being it."""
KEY = f"canary-{_OWN}-vault-password"
DATABASE = f"canary-{_OWN}-database {{{{ 7 * 7 }}}} '\" ä"
IN_VAULT = f"canary-{_OWN}-in-the-vault"
TOKEN = f"canary-{_OWN}-token"

LOOK = f"""
- name: looks everywhere while secrets are in use
  shell: |
    for file in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do
      grep -l -a '{_UNSAID}' $file 2>/dev/null && tr '\\0' ' ' < $file
    done
    grep -r -l -a '{_UNSAID}' PLACES 2>/dev/null
    true
- name: has them
  debug: msg="{{{{ (database_password ~ '|' ~ (from_vault | default(''))) | hash('sha256') }}}}"
"""
USE = """
- name: uses them
  shell: echo {{ database_password | quote }} {{ from_vault | default('') }} >&2; exit 4
  ignore_errors: true
"""


def made(folder: Path, site: Site, *files: Path) -> Play:
    tasks = LOOK.replace("PLACES", f"{folder}/play /dev/shm/upgrader-{os.getuid()}-*") + USE
    return play(
        folder,
        tasks,
        extra_vars_files=files,
        vault_password_file=site.vault_password_file,
        limit="alpha",
        expected_hosts=("alpha",),
        collect=("has them", "looks everywhere while secrets are in use"),
        env=(("ANSIBLE_DISPLAY_ARGS_TO_STDOUT", "1"),),
    )


def run(folder: Path, wanted: Play, secrets: Iterable[str], from_vault: str = "", plain: str = DATABASE) -> None:
    """Runs it, and looks for secrets in use and afterwards."""
    result = AnsibleRunner(secrets=secrets).run(wanted, folder / "play")
    assert result.verdict, result.message + (folder / "play" / "process.log").read_text()
    digest = hashlib.sha256(f"{plain}|{from_vault}".encode()).hexdigest()
    assert result.collected["has them"]["alpha"]["msg"] == digest
    assert result.collected["looks everywhere while secrets are in use"]["alpha"]["stdout"] == ""
    assert leaks(folder / "play", folder / "home", *Path("/dev/shm").glob(f"upgrader-{os.getuid()}-*")) == []


def leaks(*places: Path) -> list[str]:
    needles = [needle.encode() for needle in (KEY, DATABASE, IN_VAULT, TOKEN)]
    needles += [base64.b64encode(needle)[4:-4] for needle in needles] + [_OWN.encode()]
    found = []
    for place in places:
        for folder, _, names in os.walk(place):
            for path in (Path(folder, name) for name in names):
                with suppress(FileNotFoundError):
                    if path.is_file() and any(needle in path.read_bytes() for needle in needles):
                        found.append(str(path))
    return found


def test_sealed_texts_are_opened_by_ansible() -> None:
    from ansible.parsing.vault import VaultLib, VaultSecret

    password = fresh_password()
    for plain in (b"", b"a: 1\n", os.urandom(1000)):
        cipher = seal(plain, password)
        assert VaultLib([(LABEL, VaultSecret(password.encode()))]).decrypt(cipher) == plain
        assert cipher.split(b"\n", 1)[0] == f"$ANSIBLE_VAULT;1.2;AES256;{LABEL}".encode()


def test_a_kv_store_and_a_variable(tmp_path: Path, site: Make, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vault password from a variable, passwords from a KV store whose token is in the shell."""
    secrets_kit.kv(programs, {"kv/kolla": {"database_password": DATABASE}}, tokens=[TOKEN])
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    monkeypatch.setenv("KOLLA_VAULT", KEY)
    there = site('vault_password_env = "KOLLA_VAULT"\nvault_id = "prod"\npasswords_kv = "kv/kolla"\n')
    there.passwords.write_text("---\ndatabase_password: of-the-file\n")
    extra = tmp_path / "extra.yml"
    extra.write_bytes(sealed(KEY.encode(), f"from_vault: {IN_VAULT}\n".encode(), "prod"))
    # the process of the play finds this shell's variables in its parent alone, and asks for nothing itself
    monkeypatch.delenv("KOLLA_VAULT")
    monkeypatch.delenv("VAULT_TOKEN")
    carried._carried.update(KOLLA_VAULT=KEY, VAULT_TOKEN=TOKEN)
    wanted = made(tmp_path, there, there.passwords, extra)
    run(tmp_path, wanted, (DATABASE, IN_VAULT, TOKEN), IN_VAULT)
    assert not list((tmp_path / "play").rglob("given"))


@pytest.mark.slow
@pytest.mark.parametrize("only_own_id", [False, True])
def test_sops_with_several_vault_ids(
    tmp_path: Path, site: Make, age: tuple[Path, str], sealed_by_sops: Callable[[str], bytes], only_own_id: bool
) -> None:
    """Programs named …-client are asked for their id; also where only an id's own password may be tried."""
    for name, password in (("prod-client", KEY), ("dev-client", "other")):
        client = tmp_path / name
        client.write_text(
            f'#!/bin/sh\n[ "$1" = --vault-id ] && [ "$2" = {name.partition("-")[0]} ] && echo "{password}"\n'
        )
        client.chmod(0o755)
    there = site(
        f'vault_password_file = "dev-client"\nvault_id = "dev"\nvault_ids = ["prod@prod-client"]\n'
        f'age_key_file = "{age[0]}"\n'
    )
    plain = DATABASE.replace("{{ 7 * 7 }}", "x")  # a template in a file stays a template
    there.passwords.write_bytes(sealed_by_sops(f"database_password: {json.dumps(plain)}\n"))
    assert _OWN.encode() not in there.passwords.read_bytes()
    extra = tmp_path / "extra.yml"
    extra.write_bytes(sealed(KEY.encode(), f"from_vault: {IN_VAULT}\n".encode(), "prod"))
    wanted = made(tmp_path, there, there.passwords, extra)
    if only_own_id:
        wanted = replace(wanted, env=(*wanted.env, ("ANSIBLE_VAULT_ID_MATCH", "True")))
    run(tmp_path, wanted, (plain, IN_VAULT), IN_VAULT, plain)


@pytest.mark.slow
def test_what_a_killed_play_leaves_is_sealed(
    tmp_path: Path, site: Make, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is killed on the spot; for an ordinary user it all lay in the play's own folder."""
    secrets_kit.kv(programs, {"kv/kolla": {"database_password": DATABASE}})
    monkeypatch.setenv("VAULT_TOKEN", "good-token")
    there = site('passwords_kv = "kv/kolla"\n')
    there.passwords.write_text("---\n")
    wanted = made(tmp_path, there, there.passwords)
    wanted.playbook.write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "  - {name: opened, debug: msg=x, when: database_password is defined}\n  - wait_for: {timeout: 300}\n"
    )
    monkeypatch.setattr(volatile, "sweep_memory", lambda: 0)
    monkeypatch.setattr(volatile, "discard", lambda _folder: None)
    seen: list[str] = []

    def blow(event: TaskEvent) -> None:
        if event.kind == "host_ok":
            ident = json.loads((tmp_path / "play" / "play.json").read_text())["ident"]
            seen.extend(path.name for path in volatile_of(tmp_path / "play").rglob("given/0/*"))
            for pid in sorted(processes.carrying(processes.PLAY, ident)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    result = AnsibleRunner(secrets=(DATABASE,)).run(wanted, tmp_path / "play", on_event=blow)
    assert result.status == "lost" and seen == ["passwords.yml"]
    assert leaks(tmp_path / "play", tmp_path / "home", volatile_of(tmp_path / "play")) == []
    shutil.rmtree(volatile_of(tmp_path / "play"))


def volatile_of(folder: Path) -> Path:
    return Path((folder / volatile.POINTER).read_text())


def test_a_play_is_not_begun_without_its_secrets(tmp_path: Path, site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOLLA_VAULT", raising=False)
    there = site('vault_password_env = "KOLLA_VAULT"\n')
    with pytest.raises(ConfigError, match="KOLLA_VAULT is not set"):
        AnsibleRunner().run(made(tmp_path, there), tmp_path / "play")
    assert not (tmp_path / "play").exists()
