"""The whole life of a copy against real servers: an OpenSSH server, OpenStack Swift as S3 and as itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.offbox_kit import PASSWORD, a_set, a_site, again, contents, need, recording
from tests.offbox_kit.servers import STORE_KEY, ObjectStore, SshServer, free_port, object_store, ssh_server
from upgrader.config import Site
from upgrader.database.offbox import copy_set
from upgrader.database.offbox_copies import copies, repository, start_repository
from upgrader.database.offbox_fetch import fetch_set
from upgrader.database.retention import remove_copies
from upgrader.errors import UpgraderError

pytestmark = pytest.mark.slow

DENIED = {"offbox-denied", "offbox-unreachable"}
"""restic ends without having read why ssh did, now and then."""

Reach = Callable[[Path, str], Site]
"""A site below a folder whose copies go to the server; with the right key, or with another."""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    need("restic")
    with ssh_server(tmp_path_factory.mktemp("ssh") / "server") as server:
        yield server


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    need("restic")
    with object_store(tmp_path_factory.mktemp("store") / "server") as server:
        yield server


@pytest.fixture(params=["sftp", "s3", "swift"])
def reach(request: pytest.FixtureRequest) -> Reach:
    if request.param == "sftp":
        server: SshServer = request.getfixturevalue("sshd")

        def by_sftp(place: Path, key: str = "right") -> Site:
            name = "client" if key == "right" else "stranger"
            return a_site(place, server.repository, options=(server.option(key=name),))

        return by_sftp
    objects: ObjectStore = request.getfixturevalue("store")

    def by_store(place: Path, key: str = "right") -> Site:
        place.mkdir(exist_ok=True)
        speak = objects.s3 if request.param == "s3" else objects.swift
        where, secrets = speak(place, STORE_KEY if key == "right" else "canary-of-a-wrong-key")
        return a_site(place, where, environment_file=secrets)

    return by_store


def test_copy_read_back_fetch_and_remove(
    reach: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    site, said = reach(tmp_path / "site", "right"), list[str]()
    tools = recording(tmp_path)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    folder = a_set(site, "a-old", made_at="2026-03-01T10:00:00Z", size=600_000)
    nothing = copy_set(site, folder, said.append)
    assert [one.id for one in nothing.findings] == ["offbox-no-repository"], nothing
    start_repository(site)
    with pytest.raises(UpgraderError) as there:
        start_repository(site)
    assert there.value.reason == "offbox-there-already"
    before = contents(folder)
    copied = copy_set(site, folder, said.append)
    assert [one.id for one in copied.findings] == ["offbox-verified"], copied
    shutil.rmtree(folder)
    assert contents(fetch_set(site, "latest", said.append).folder) == before
    newer = copy_set(site, a_set(site, "b-new", made_at="2026-03-02T10:00:00Z"), said.append)
    removed = remove_copies(again(site, keep_last=1), (), said.append)
    assert [one.id for one in removed] == ["offbox-copies-removed"], removed
    assert [copy.set_name for copy in copies(repository(site))] == ["b-new"]
    # nobody on this machine or reading what was written learns a secret
    told = [*said, repr((nothing, copied, newer, removed)), (tools / "arguments").read_text(), *capfd.readouterr()]
    files = [path for path in site.state_dir.rglob("*") if path.is_file()]
    for secret in (PASSWORD, STORE_KEY):
        assert not any(secret in text for text in told)
        assert not any(secret.encode() in path.read_bytes() for path in files)


def test_a_wrong_key_is_denied_and_not_shown(reach: Reach, tmp_path: Path) -> None:
    site = reach(tmp_path / "site", "wrong")
    copied = copy_set(site, a_set(site))
    assert {one.id for one in copied.findings} <= DENIED, copied
    assert all(one.blocks for one in copied.findings)
    assert "canary" not in repr(copied)


@pytest.mark.parametrize("kind", ["sftp", "s3", "swift"])
def test_nobody_there(kind: str, tmp_path: Path) -> None:
    need("restic", "ssh")
    port = free_port()
    secrets = tmp_path / "env"
    secrets.write_text(f"AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY={STORE_KEY}\nST_AUTH=http://127.0.0.1:{port}/v1\n"
                       f"ST_USER=a\nST_KEY={STORE_KEY}\n")  # fmt: skip
    where = {
        "sftp": f"sftp://nobody@127.0.0.1:{port}//srv",
        "s3": f"s3:http://127.0.0.1:{port}/bucket",
        "swift": "swift:bucket:/",
    }[kind]
    site = a_site(tmp_path / "site", where, environment_file=secrets)
    copied = copy_set(site, a_set(site))
    assert [one.id for one in copied.findings] == ["offbox-unreachable"], copied


def test_a_host_that_nobody_knows_is_denied(sshd: SshServer, tmp_path: Path) -> None:
    unknown = sshd.option().replace(str(sshd.folder / "known_hosts"), str(tmp_path / "none"))
    site = a_site(tmp_path / "site", sshd.repository, options=(unknown,))
    copied = copy_set(site, a_set(site))
    assert {one.id for one in copied.findings} <= DENIED, copied
