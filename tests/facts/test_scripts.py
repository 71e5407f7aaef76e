"""observe.sh on a host whose programs are ours: what it asks, in which order, and what it says when they fail."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import upgrader
from upgrader.facts.host import host_facts
from upgrader.model import HostFacts

SCRIPT = (Path(upgrader.__file__).parent / "facts" / "observe.sh").read_text()
ENGINE = """
engine() {
  case "$*" in
    info*) echo '{"DockerRootDir":"/"}' ;;
    ps*) printf '%s' "$containers" ;;
    inspect*) for name in $containers; do echo "{\\"name\\":\\"/$name\\",\\"image\\":\\"i\\"}"; done ;;
    "volume ls"*) echo kolla_logs ;;
    "image ls"*) echo 'cannot list' >&2; return 1 ;;
    "exec chrony chronyc"*) echo '1,2,Normal' ;;
    "exec -u 0 neutron_openvswitch_agent iptables-legacy-save"*) printf -- '-A a\n-A b\n' ;;
    *) echo "unknown: $*" >&2; return 125 ;;
  esac
}
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder that stands for PATH, with the ordinary tools and none of those that tell about clocks and tables."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (
        "sh",
        "cat",
        "cut",
        "date",
        "df",
        "grep",
        "mktemp",
        "printf",
        "rm",
        "sed",
        "tail",
        "timeout",
        "tr",
        "uname",
    ):
        source = next(place for place in ("/usr/bin", "/bin") if (Path(place) / name).exists())
        (folder / name).symlink_to(f"{source}/{name}")
    program(folder, "ip", "echo '2: eth0    inet 10.0.0.11/24 scope global eth0'")
    return folder


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def look(programs: Path, containers: str = "cron", python: str = "", **files: str) -> HostFacts:
    proc = programs.parent / "proc"
    proc.mkdir(exist_ok=True)
    for name, text in files.items():
        (proc / name).write_text(text)
    variables = f"host_root=''; python='{python}'; asked=1; containers='{containers}'; proc_net='{proc}'\n"
    done = subprocess.run(
        ["/bin/sh", "-c", ENGINE + variables + SCRIPT],
        env={"PATH": str(programs), "TMPDIR": str(programs.parent), "LC_ALL": "C.UTF-8"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return host_facts("a", [], done.stdout)


def test_a_host_without_any_of_the_programs_costs_only_what_they_would_tell(programs: Path) -> None:
    (programs / "ip").unlink()
    seen = look(programs)
    assert seen.error == ""
    assert seen.kernel == os.uname().release
    assert seen.volumes == ("kolla_logs",)
    assert (seen.addresses, seen.images) == (None, None)
    assert seen.clock is not None
    assert seen.clock.synchronised is None
    told = dict(seen.unread)
    assert set(told) == {"addresses", "images", "synchronised"}
    assert told["images"] == "cannot list"


def test_chrony_on_the_host_or_in_its_container_is_asked_before_the_kernel(programs: Path) -> None:
    program(programs, "timedatectl", "echo no")
    assert synchronised(look(programs, "cron\nchrony_exporter\n")) is False
    assert synchronised(look(programs, "cron\nchrony\n")) is True
    program(programs, "chronyc", "echo 'A29FC87B,time,3,Not synchronised'")
    assert synchronised(look(programs, "cron\nchrony\n")) is False
    program(programs, "chronyc", "echo '506 Cannot talk to daemon' >&2; exit 1")
    program(programs, "timedatectl", "echo yes")
    assert synchronised(look(programs)) is True


def synchronised(seen: HostFacts) -> bool | None:
    assert seen.clock is not None
    return seen.clock.synchronised


def test_only_tables_that_are_loaded_are_read(programs: Path) -> None:
    program(programs, "iptables-legacy-save", f'echo "$*" >>{programs.parent}/asked; echo "-A PREROUTING -j x"')
    assert look(programs).legacy_iptables == 0
    assert look(programs, ip_tables_names="nat\n", ip6_tables_names="").legacy_iptables == 1
    assert (programs.parent / "asked").read_text() == "-t nat\n"


def test_tables_are_read_in_the_agents_container_where_the_host_has_no_program(programs: Path) -> None:
    assert look(programs, ip_tables_names="filter\n").legacy_iptables == 2
    seen = look(programs, ip6_tables_names="filter\n")
    assert seen.legacy_iptables is None
    assert "table filter is loaded and could not be read: unknown: exec" in dict(seen.unread)["iptables"]


def test_the_library_is_asked_of_ansibles_own_python(programs: Path) -> None:
    program(programs, "python-of-ansible", 'printf "docker\\t7.1.0\\n"')
    assert look(programs, python=str(programs / "python-of-ansible")).sdk_version == "7.1.0"


def test_a_host_that_is_a_folder_does_not_answer_with_this_machines_state(programs: Path) -> None:
    folder = programs.parent / "root"
    folder.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", f"{ENGINE}host_root={folder}; python=''; asked=1; containers=''\n{SCRIPT}"],
        env={"PATH": str(programs)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seen = host_facts("a", [], done.stdout)
    assert (seen.kernel, seen.addresses, seen.legacy_iptables) == ("", None, None)
