"""What restic says, as it was seen to say it, is told by name; secrets' files are read with care. Starts nothing."""

from __future__ import annotations

import os
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.offbox_kit import a_set, a_site, again
from upgrader.database.offbox import copy_set
from upgrader.database.restic import INSTALL, Lock, Restic
from upgrader.database.restic_words import trouble
from upgrader.errors import ConfigError
from upgrader.model import Code
from upgrader.redact import Redactor

SFTP = "Fatal: unable to open repository at sftp:h:/srv: unable to start the sftp session, error: EOF"
STAT = "Fatal: unable to open config file: Stat:"
HOME = "s3:http://10.0.0.5:8080/denied"
AT = f"Is there a repository at the following location?\n{HOME}"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Fatal: wrong password or no key found", "offbox-wrong-password"),
        (f"{STAT} The specified bucket does not exist.\n{AT}", "offbox-no-repository"),
        (f"Fatal: unable to open config file: conn.Object: Object Not Found\n{AT}", "offbox-no-repository"),
        (f"Fatal: unable to open config file: stat /x/config: no such file or directory\n{AT}", "offbox-no-repository"),
        ('Fatal: unable to open config file: Stat: Get "http://10.0.0.5:8080/denied/?location=": dial tcp 10.0.0.5:8080'
         f": connect: connection refused\n{AT}", "offbox-unreachable"),
        ('Fatal: unable to open repository at swift:b:/: conn.Authenticate: Get "http://127.0.0.1:1/v1": dial tcp'
         " 127.0.0.1:1: connect: connection refused", "offbox-unreachable"),
        ("subprocess ssh: ssh: connect to host h port 22: Connection refused\n" + SFTP,
         "offbox-unreachable"),
        (SFTP, "offbox-unreachable"),
        ("subprocess ssh: root@h: Permission denied (publickey).\n" + SFTP, "offbox-denied"),
        ("subprocess ssh: Host key verification failed.\n" + SFTP, "offbox-denied"),
        (f"{STAT} The request signature we calculated does not match the signature you provided."
         f" Check your key and signing method.\n{AT}", "offbox-denied"),
        ("Fatal: unable to open repository at swift:b:/: conn.Authenticate: Authorization Failed", "offbox-denied"),
        ("Fatal: unable to save snapshot: write /s/data/1f/1f-tmp-2: no space left on device", "offbox-full"),
        ("unable to create lock in backend: repository is already locked exclusively by PID 12 on vm by root (UID 0,"
         " GID 0)\nlock was created at 2026-11-22 18:00:00 (5s ago)\nstorage ID abc", "offbox-locked"),
        ("Fatal: create repository at /s failed: config file already exists", "offbox-there-already"),
        ("Fatal: cannot dump file: ciphertext verification failed", "offbox-damaged"),
        ('{"message_type":"error","error":{"Op":"open","Path":"b","Err":13},"during":"archival","item":"/set/b"}\n'
         "Warning: at least one source file could not be read", "backup-unreadable"),
        ("Fatal: something nobody has seen", "offbox-failed"),
        ("", "offbox-failed"),
    ],
)  # fmt: skip
def test_each_trouble_by_name(said: str, reason: str) -> None:
    error = trouble(HOME, "snapshots", said, lambda text: text)
    assert error.reason == reason, error.message
    assert error.message.endswith(".") and error.cloud


def test_a_password_that_is_a_word_of_restic_is_not_shown_and_hides_no_meaning() -> None:
    clean = Redactor(["password"]).text
    error = trouble(HOME, "snapshots", "Fatal: wrong password or no key found", clean)
    assert error.reason == "offbox-wrong-password"
    assert "wrong ********" in error.details[0]


def test_without_restic_the_set_here_is_good_and_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = a_site(tmp_path)
    folder = a_set(site)
    monkeypatch.setenv("PATH", str(tmp_path))
    (missing,) = copy_set(site, folder).findings
    assert (missing.id, missing.code, missing.next) == ("restic-missing", Code.WARNING, INSTALL)
    (required,) = copy_set(again(site, required=True), folder).findings
    assert required.code is Code.FAILURE


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "restic"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A=1\ncanary-alone\n", "line 2 of"),
        ("RESTIC_PASSWORD=canary\n", "(RESTIC_PASSWORD) is decided by upgrader.toml"),
        ("export RESTIC_REPOSITORY=canary\n", "(RESTIC_REPOSITORY) is decided"),
    ],
)
def test_faults_of_the_keys_file_are_named_without_showing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    fake(tmp_path, monkeypatch)
    keys = tmp_path / "keys.env"
    keys.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Restic(again(a_site(tmp_path), environment_file=keys).offbox, tmp_path)  # type: ignore[arg-type]
    assert words in caught.value.message
    assert "canary" not in str(caught.value.message)


def test_keys_and_repository_are_masked_and_open_files_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch)
    keys = tmp_path / "keys.env"
    keys.write_text("# of the store\n\nexport AWS_ACCESS_KEY_ID='canary one'\nAWS_SECRET_ACCESS_KEY=canary=two#x\n")
    keys.chmod(0o644)
    offbox = again(a_site(tmp_path, "rest:https://me:canary-three@h/"), environment_file=keys).offbox
    assert offbox is not None
    there = Restic(offbox, tmp_path)
    assert there.clean("a canary one, canary=two#x") == "a ********, ********"
    assert there.shown == "rest:https://me:********@h/"
    assert [finding.message for finding in there.open_rights()] == [
        f"others can read {keys}, which holds secrets of the off-box repository"
    ]


@pytest.mark.parametrize("what", ["missing", "empty", "binary"])
def test_a_password_that_cannot_be_used_is_named_by_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    fake(tmp_path, monkeypatch)
    offbox = a_site(tmp_path).offbox
    assert offbox is not None
    if what == "missing":
        offbox.password_file.unlink()
    else:
        offbox.password_file.write_bytes(b"\n" if what == "empty" else b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"\[backup.offbox\] password_file"):
        Restic(offbox, tmp_path)


def test_whose_lock_may_be_taken_away() -> None:
    here, now = socket.gethostname(), datetime.now(UTC)
    gone = 2**22 + 1  # above the kernel's highest
    assert Lock(here, "root", gone, now, True).left_behind
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        # ended, but nobody has waited for it: what a killed process stays in a container whose init reaps nothing
        assert Path(f"/proc/{ended.pid}").exists() and Lock(here, "root", ended.pid, now, True).left_behind
    assert not Lock(here, "root", os.getpid(), now, True).left_behind
    assert Lock(here, "root", os.getpid(), now - timedelta(hours=1), True).left_behind
    assert not Lock(f"not-{here}", "root", gone, now - timedelta(days=9), True).left_behind
    assert not Lock(here, "root", 0, None, True).left_behind
