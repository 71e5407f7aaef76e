"""What the lab learns of a machine: package sources, pip settings, refusals before anything is changed."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from upgrader.errors import EnvironmentMissingError, LockedError, UsageError
from upgrader.lab import engine, machine, no_network
from upgrader.lab.bringup import lab_up
from upgrader.lab.folder import LabFolder, LabRecord
from upgrader.lab.machine import AptSource, apt_sources, pip_settings, write_build_settings
from upgrader.lab.nodes import node_command
from upgrader.lab.takedown import lab_down

DEB822 = """Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://other.example/debian
Suites: bookworm
Components: main
Enabled: no
"""
ONE_LINE = """# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://security.example/debian-security bookworm-security main contrib
deb https://download.example/linux/debian bookworm stable
deb http://ubuntu.example/ubuntu noble main
"""


def record(controllers: int = 1) -> LabRecord:
    return LabRecord("2025.1", "2025.2", controllers, "10.213.77.0/24", 5000, "uplab-x", "/lab/toolchains")


def test_apt_sources_of_this_suite_are_taken_from_both_formats(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "debian.sources").write_text(DEB822)
    (parts / "more.list").write_text(ONE_LINE)
    (parts / "old.list.save").write_text("deb http://old.example/debian bookworm main\n")
    key = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    assert apt_sources(tmp_path) == [
        AptSource("http://mirror.example/debian", "bookworm", "main", key),
        AptSource("http://mirror.example/debian", "bookworm-updates", "main", key),
        AptSource("http://security.example/debian-security", "bookworm-security", "main contrib", Path("/k.gpg")),
    ]


def test_a_machine_of_another_release_uses_debians_public_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://ubuntu.example/ubuntu noble main universe\n")
    assert [source.suite for source in apt_sources(tmp_path)] == ["bookworm", "bookworm-updates", "bookworm-security"]
    assert apt_sources(tmp_path)[0].uri == machine.DEBIAN


def test_pip_settings_come_from_files_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://a.example/simple\nextra-index-url =\n  https://b\n  https://c\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "https://wins.example/simple")
    monkeypatch.setenv("PIP_TARGET", "/somewhere")
    found = pip_settings()
    assert found["PIP_INDEX_URL"] == "https://wins.example/simple"
    assert found["PIP_EXTRA_INDEX_URL"] == "https://b https://c"
    assert "PIP_TARGET" not in found
    assert "PIP_CONFIG_FILE" not in found


def test_folders_pip_reads_are_bound_into_builds_at_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, simple = tmp_path / "wheels", tmp_path / "index" / "simple"
    wheels.mkdir()
    simple.mkdir(parents=True)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file://{simple} https://remote.example/simple")
    bound = write_build_settings(tmp_path / "build")
    env = dict(line.split("=", 1) for line in (tmp_path / "build/env").read_text().splitlines())
    assert env["PIP_EXTRA_INDEX_URL"] == f"'file://{bound[simple.parent]}/simple https://remote.example/simple'"
    assert env["PIP_FIND_LINKS"] == f"'file://{bound[wheels]}'"
    assert (tmp_path / "build/env").stat().st_mode & 0o077 == 0
    assert 'sourcelist "/lab/sources.list"' in (tmp_path / "build/apt.conf").read_text()


def test_refused_without_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EnvironmentMissingError, match="root") as caught:
        lab_up(tmp_path / "lab")
    assert caught.value.cloud == "nothing was changed"
    assert not (tmp_path / "lab").exists()


def test_refused_on_another_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "distribution", lambda: ("fedora", ""))
    with pytest.raises(EnvironmentMissingError, match="fedora"):
        lab_up(tmp_path / "lab")


def test_refused_without_disk_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "distribution", lambda: ("debian", "bookworm"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10 * 2**30, 9 * 2**30, 2**30))
    with pytest.raises(EnvironmentMissingError, match=r"1\.0 GiB free; the lab needs about 10 GiB"):
        lab_up(tmp_path / "lab")


@pytest.mark.parametrize("number", [0, 2, 4, 11])
def test_a_cluster_without_majority_is_refused(tmp_path: Path, number: int) -> None:
    with pytest.raises(UsageError, match=str(number)):
        lab_up(tmp_path / "lab", controllers=number)


def test_down_without_a_lab_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(EnvironmentMissingError, match="holds no lab"):
        lab_down(tmp_path)
    assert (tmp_path / "mine").read_text() == "kept"


def test_a_second_command_finds_the_lab_locked(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path)
    with folder.lock(), pytest.raises(LockedError), LabFolder(tmp_path).lock():
        pass
    with folder.lock():
        pass


def test_record_survives_the_disk_and_gives_addresses(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path)
    assert folder.read_record() is None
    folder.write_record(record(3))
    known = folder.read_record()
    assert known == record(3)
    assert known.registry == "10.213.77.1:5000"
    assert [known.node_address(n) for n in range(3)] == ["10.213.77.11", "10.213.77.12", "10.213.77.13"]
    assert known.vip == "10.213.77.250"
    assert record(1).vip == "10.213.77.11"


def test_sockets_move_out_of_a_long_path() -> None:
    assert LabFolder(Path("/lab")).run == Path("/lab/run")
    long = LabFolder(Path("/" + "x" * 80))
    assert len(str(long.run)) < 60
    assert long.run != LabFolder(Path("/" + "y" * 80)).run


def test_node_gives_up_only_the_capability_that_is_missing() -> None:
    folder = LabFolder(Path("/lab"))
    with_it = node_command(folder, record(), 0, cgroup=1, resource=True)
    without = node_command(folder, record(), 0, cgroup=1, resource=False)
    assert "--privileged" not in with_it + without
    assert "SYS_RESOURCE" not in with_it
    assert without[without.index("--cap-drop") + 1] == "SYS_RESOURCE"


def test_node_sees_the_machines_control_groups_only_on_version_1() -> None:
    folder = LabFolder(Path("/lab"))
    first = node_command(folder, record(), 0, cgroup=1, resource=True)
    second = node_command(folder, record(), 0, cgroup=2, resource=True)
    assert "/sys/fs/cgroup:/sys/fs/cgroup:rw" in first
    assert first[first.index("--cgroupns") + 1] == "host"
    assert second[second.index("--cgroupns") + 1] == "private"
    assert not any(word.startswith("/sys/fs/cgroup") for word in second)


def test_a_process_is_ours_only_with_our_mark() -> None:
    words = Path("/proc/self/cmdline").read_bytes().decode().split("\0")
    assert engine.running(os.getpid(), words[0])
    assert not engine.running(os.getpid(), "/no/such/lab/run")
    assert not engine.running(2**22 + 1, "")


def test_an_existing_lab_is_not_turned_into_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "distribution", lambda: ("debian", "bookworm"))
    monkeypatch.setattr(machine, "DISK_NEEDED", 0)
    LabFolder(tmp_path).write_record(record(1))
    with pytest.raises(UsageError, match=r"holds a lab of 1 controller\(s\) at 2025\.1 with 2025\.2"):
        lab_up(tmp_path, controllers=3)
    with pytest.raises(UsageError, match="holds a lab"):
        lab_up(tmp_path, computes=2)
    assert LabFolder(tmp_path).read_record() == record(1)


def test_hosts_for_instances_have_names_and_addresses_of_their_own() -> None:
    with_computes = replace(record(3), computes=2)
    assert with_computes.nodes == ("control1", "control2", "control3", "compute1", "compute2")
    addresses = [with_computes.node_address(number) for number in range(5)]
    assert addresses == [f"10.213.77.{last}" for last in (11, 12, 13, 31, 32)]
    assert with_computes.no_network == "http://10.213.77.1:9696"


@pytest.mark.parametrize("number", [-1, 21])
def test_a_number_of_computes_that_fits_no_machine_is_refused(tmp_path: Path, number: int) -> None:
    with pytest.raises(UsageError, match=str(number)):
        lab_up(tmp_path / "lab", computes=number)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v2.0/ports?device_id=x", 200, {"ports": []}),
        ("/v2.0/extensions.json", 200, {"extensions": []}),
        ("/v2.0/security-groups", 200, {"security_groups": []}),
        ("/v2.0/ports/0a", 404, None),
        ("/", 404, None),
    ],
)
def test_nova_hears_of_no_ports_where_there_is_no_neutron(path: str, status: int, body: object) -> None:
    said, found = no_network.answer(path)
    assert said == status
    assert body is None or found == body


def test_a_kept_cache_can_be_taken_down_too(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    (folder.cache / "registry").mkdir(parents=True)
    (folder.root / "toolchains").mkdir()
    assert lab_down(folder.root, keep_cache=True) == ()
    assert sorted(path.name for path in folder.root.iterdir()) == ["cache", "toolchains"]
    assert lab_down(folder.root) == ()
    assert not folder.root.exists()
