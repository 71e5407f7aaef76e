"""No secret reaches the disk: canaries in every place a play can take one from, then a search of everything."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.process_kit import blow, part_of, text_of, until, wait_until
from tests.runner_kit import play, sealed
from upgrader import processes
from upgrader.runner import volatile
from upgrader.runner.ansible import AnsibleRunner
from upgrader.runner.base import Play, TaskEvent

_OWN = f"q{uuid.uuid4().hex[:11]}"
"""Plays of several test processes leave their traces in the same memory: each looks for its own canaries."""
FILE = f"canary-{_OWN}-in-passwords-8f3a 'and quotes\" \\ back"
VAULT = f"canary-{_OWN}-in-vault-77e1c0"
OPTION = f"canary-{_OWN}-in-environment-5d21"
SHELL = f"canary-{_OWN}-in-the-operators-shell-01"
KNOWN = (FILE, VAULT, OPTION)
"""What the caller knows and names; SHELL is not named, it just must not get in."""

TASKS = """
- name: prints it
  debug: msg="value {{ from_file }} and {{ from_vault }}"
- name: prints it in base64 and as part of a structure
  debug:
    msg: "{{ {'k': [from_vault | b64encode, ('user:' ~ from_vault) | b64encode, from_file | to_json]} }}"
- name: uses it as an argument
  shell: echo {{ from_vault }}
- name: uses it in an environment and says so
  shell: echo "$PASSED" >&2; exit 4
  environment: {PASSED: "{{ from_option }}"}
  ignore_errors: true
- name: named {{ from_vault }}
  debug: msg=x
- name: renders it
  copy: {content: "secret={{ from_vault }}", dest: "{{ playbook_dir }}/rendered"}
- name: warns with it folded at the end of a line
  fail: msg="{{ 'x' * 70 }} {{ from_vault }} {{ from_file }}"
"""


@pytest.fixture
def canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """A play that takes secrets from a plain file, a vault and the environment, under a home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("OPERATORS_TOKEN", SHELL)
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "vault-password").write_text("open sesame")
    (sources / "passwords.yml").write_text('from_file: "' + FILE.replace("\\", "\\\\").replace('"', '\\"') + '"\n')
    (sources / "vault.yml").write_text(f"from_vault: {VAULT}\nfrom_option: {OPTION}\n")
    (sources / "vault.yml").write_bytes(sealed(b"open sesame", (sources / "vault.yml").read_bytes()))
    yield play(
        tmp_path,
        TASKS,
        extra_vars_files=(sources / "passwords.yml", sources / "vault.yml"),
        vault_password_file=sources / "vault-password",
        # tells more than usual
        env=(("ANSIBLE_DISPLAY_ARGS_TO_STDOUT", "1"),),
        limit="alpha",
        expected_hosts=("alpha",),
        collect=("prints it", "uses it as an argument"),
    )


def leaks(*places: Path) -> list[str]:
    """Every file below the places that holds a canary, as it is, escaped or in base64."""
    needles = [needle.encode() for needle in (*KNOWN, SHELL)]
    needles += [base64.b64encode(needle)[4:-4] for needle in needles]
    needles.append(_OWN.encode())  # wherever a line was folded
    found = []
    for place in places:
        for folder, _, names in os.walk(place):
            for path in (Path(folder, name) for name in names):
                # what other plays left in memory may be swept meanwhile
                with suppress(FileNotFoundError):
                    if path.is_file() and any(needle in path.read_bytes() for needle in needles):
                        found.append(str(path))
    return found


def produced(tmp_path: Path) -> tuple[Path, ...]:
    memory = Path("/dev/shm").glob(f"upgrader-{os.getuid()}-*")
    own = [item for item in memory if not processes.carrying(processes.PLAY, item.name.split("-", 2)[2])]
    return (tmp_path / "play", tmp_path / "home", *own)


def test_nothing_of_a_finished_play_holds_a_secret(tmp_path: Path, canaries: Play) -> None:
    events: list[TaskEvent] = []
    result = AnsibleRunner(secrets=KNOWN).run(canaries, tmp_path / "play", on_event=events.append)
    assert len(result.failed) == 1 and not result.unreachable, result
    assert (tmp_path / "rendered").read_text() == f"secret={VAULT}", "the canaries really were in use"
    for text in (repr(result), repr(events), result.message):
        assert "canary" not in text
    assert "prints it" in (tmp_path / "play" / "output.log").read_text()
    assert leaks(*produced(tmp_path)) == []
    assert not (tmp_path / "play" / volatile.POINTER).exists()


@pytest.mark.parametrize("victim", ["play", "playbook", "both"])
def test_nothing_is_left_after_a_kill_and_a_sweep(tmp_path: Path, canaries: Play, victim: str) -> None:
    """The whole tree is killed in the middle of a task; what comes next sweeps."""
    slow, gate = replace(canaries, playbook=tmp_path / "slow.yml"), tmp_path / "gate"
    slow.playbook.write_text(
        canaries.playbook.read_text().replace("echo {{ from_vault }}", f"{until(gate)}; true {{{{ from_vault }}}}")
    )
    program = tmp_path / "caller.py"
    program.write_text(
        "import json, sys\nfrom pathlib import Path\nfrom upgrader.runner.ansible import AnsibleRunner\n"
        "from upgrader.runner.base import Play\nsecrets, play = json.load(sys.stdin)\n"
        "AnsibleRunner(secrets=secrets).run(Play.from_document(play), Path(sys.argv[1]))\n"
    )
    caller = subprocess.Popen([sys.executable, str(program), str(tmp_path / "play")], stdin=subprocess.PIPE)
    assert caller.stdin is not None
    caller.stdin.write(json.dumps([KNOWN, slow.document()]).encode())
    caller.stdin.close()
    events = tmp_path / "play" / "events.jsonl"
    wait_until(
        lambda: '"task":"uses it as an argument"' in text_of(events) or caller.poll() is not None, "the task to kill in"
    )
    assert caller.poll() is None
    ident = json.loads((tmp_path / "play" / "play.json").read_text())["ident"]
    parts = {pid: part_of(pid) for pid in processes.carrying(processes.PLAY, ident)}
    assert list(parts.values()).count("play") == 1
    caller.kill()
    caller.wait()
    # the play first: it would clean up after a playbook that it sees die
    for pid, part in sorted(parts.items(), key=lambda item: item[1] != "play"):
        if (part == "play") == (victim == "play") or victim == "both":
            blow(pid)
    gate.touch()
    processes.await_gone(lambda: processes.carrying(processes.PLAY, ident), patience=600)
    swept = volatile.sweep(tmp_path)
    # a play that lost only its playbook cleans up after itself
    assert swept == (0 if victim == "playbook" else 1)
    assert leaks(*produced(tmp_path)) == []


def test_a_play_in_use_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # memory of its own: this process does not carry the play's name, so that others might sweep the folder
    monkeypatch.setattr(volatile, "_MEMORY", tmp_path)
    folder, lock = volatile.create(tmp_path, "f" * 32)
    assert volatile.sweep(tmp_path) == 0
    volatile.sweep_memory()
    assert folder.exists()
    os.close(lock)
    assert volatile.sweep(tmp_path) == 1
    assert not folder.exists()


@pytest.mark.parametrize("content", ["/etc", "/", "", "../..", "/dev/shm/other", "\0"])
def test_only_folders_of_ours_are_ever_removed(tmp_path: Path, content: str) -> None:
    (tmp_path / volatile.POINTER).write_text(content)
    precious = tmp_path / "precious"
    precious.mkdir()
    volatile.sweep(tmp_path)
    volatile.discard(tmp_path)
    assert precious.exists() and Path("/etc").exists()


def test_ordinary_users_do_not_depend_on_memory_that_a_logout_empties(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    folder, lock = volatile.create(tmp_path, "e" * 32)
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700
    os.close(lock)
    volatile.discard(tmp_path)
    assert list(tmp_path.iterdir()) == []
