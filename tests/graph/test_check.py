"""What only several files together can show: each planted fault is named, and nothing else is."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from upgrader.errors import DataError
from upgrader.graph import ReleaseGraph, load, load_graph
from upgrader.graph.__main__ import main
from upgrader.graph.check import Count, validate_all, validate_files

Files = dict[str, bytes]


@pytest.fixture(autouse=True)
def _parse_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load.tomllib, "loads", parse_once)


parse_once = functools.cache(tomllib.loads)


def swap(name: str, old: str, new: str, count: int = 1) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        assert old.encode() in files[name], f"{name} has no {old}"
        files[name] = files[name].replace(old.encode(), new.encode(), count)

    return change


def copy(source: str, target: str, *ends: tuple[str, str]) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        for folder in ("hops", "actions", "variables"):
            raw = files[f"{folder}/{source}.toml"]
            for old, new in ends:
                raw = raw.replace(old.encode(), new.encode(), 1)
            files[f"{folder}/{target}.toml"] = raw

    return change


def drop(*names: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        for name in names:
            del files[name]

    return change


def add(name: str, raw: bytes) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[name] = raw

    return change


BACK = copy(
    "2024.1-2024.2", "2024.2-2024.1", ('from = "2024.1"', 'from = "2024.2"'), ('to = "2024.2"', 'to = "2024.1"')
)
JUMP = copy("2024.1-2024.2", "2024.1-2025.1", ('to = "2024.2"', 'to = "2025.1"'))
DANGLING = copy(
    "2026.1-2026.2", "2026.2-2027.1", ('from = "2026.1"', 'from = "2026.2"'), ('to = "2026.2"', 'to = "2027.1"')
)

CASES: dict[str, tuple[Callable[[Files], None], str]] = {
    "cycle": (BACK, "hops: cycle: 2024.1 → 2024.2 → 2024.1"),
    "backwards": (BACK, "hops/2024.2-2024.1.toml: to: 2024.1 does not follow 2024.2; hops join neighbours only"),
    "not adjacent": (JUMP, "hops/2024.1-2025.1.toml: to: 2025.1 does not follow 2024.1; hops join neighbours only"),
    "two ways out": (JUMP, "hops: more than one hop leaves 2024.1: to 2024.2, 2025.1"),
    "two ways in": (JUMP, "hops: more than one hop leads to 2025.1: from 2024.1, 2024.2"),
    "dangling": (DANGLING, "hops/2026.2-2027.1.toml: to: '2027.1' is not a release of the graph"),
    "a gap": (
        drop("hops/2024.1-2024.2.toml", "actions/2024.1-2024.2.toml", "variables/2024.1-2024.2.toml"),
        "hops: the graph falls apart: 2023.1 … 2024.1 | 2024.2 … 2026.2",
    ),
    "file name": (
        swap("hops/2024.1-2024.2.toml", 'to = "2024.2"', 'to = "2025.1"'),
        "hops/2024.1-2024.2.toml: from, to: say 2024.1-2025.1, the file name says 2024.1-2024.2",
    ),
    "release's file name": (
        swap("releases/2024.1.toml", 'id = "2024.1"', 'id = "2024.2"'),
        "releases/2024.1.toml: id: says 2024.2, the file name says 2024.1",
    ),
    "missing file": (drop("actions/2024.1-2024.2.toml"), "actions/2024.1-2024.2.toml: missing"),
    "missing heads": (drop("schema_heads.toml"), "schema_heads.toml: missing"),
    "stray file": (add("hop/x.toml", b""), "hop/x.toml: no such file belongs to the graph"),
    "version": (add("VERSION", b"\n"), "VERSION: empty"),
    "codename twice": (
        swap("releases/2024.1.toml", '"caracal"', '"epoxy"'),
        "releases: codename: epoxy is used 2 times",
    ),
    "major twice": (
        swap("releases/2024.1.toml", "major = 18", "major = 19"),
        "releases: kolla_ansible.major: 19 is used 2 times",
    ),
    "version range": (
        swap("releases/2024.1.toml", 'ansible_core = ">=2.15,<2.17"', 'ansible_core = "2.15 to 2.16"'),
        "releases/2024.1.toml: kolla_ansible.ansible_core: Invalid specifier: '2.15 to 2.16'",
    ),
    "unpublished": (
        swap("releases/2024.1.toml", '\nnewest = "18.8.0"\n', "\n"),
        "releases/2024.1.toml: kolla_ansible.newest: nothing is published, but the release is not provisional",
    ),
    "end of life": (
        swap("releases/2024.2.toml", 'end_of_life = "2026-04-29"\n', ""),
        "releases/2024.2.toml: end_of_life: required for a release that is at its end of life",
    ),
    "component": (
        swap("hops/2025.1-2025.2.toml", 'after = "11.4"', 'after = "11.8"'),
        "hops/2025.1-2025.2.toml: components[0].after: mariadb 11.8, components/2025.2.toml: components.mariadb: 11.4",
    ),
    "rabbitmq": (
        swap("hops/2025.1-2025.2.toml", '[rabbitmq]\nbefore = "4.0"', '[rabbitmq]\nbefore = "4.1"'),
        "hops/2025.1-2025.2.toml: rabbitmq.before: 4.1, components/2025.1.toml: components.rabbitmq: 4.0",
    ),
    "newest": (
        swap("hops/2025.1-2025.2.toml", 'kolla_ansible_after = "21.3.0"', 'kolla_ansible_after = "21.2.0"'),
        "hops/2025.1-2025.2.toml: kolla_ansible_after: says 21.2.0, releases/2025.2.toml: kolla_ansible.newest: 21.3.0",
    ),
    "action id": (
        swap("actions/2024.1-2024.2.toml", 'id = "2024.2-', 'id = "common-read-release-notes"\n#'),
        "actions/2024.1-2024.2.toml: actions[0].id: common-read-release-notes (Deployment host has Python 3.10 or "
        "newer; ansible-core 2.16 or 2.17) is also actions/common.toml: actions[0].id (Read the upgrade notes of the "
        "target series)",
    ),
    "series outside of the range": (
        swap(
            "releases/2025.1.toml", 'ansible_core_series = ["2.17", "2.18"]', 'ansible_core_series = ["2.17", "2.19"]'
        ),
        "releases/2025.1.toml: kolla_ansible.ansible_core: >=2.17,<2.19 does not accept 2.19.99, "
        "kolla_ansible.ansible_core_series says 2.19",
    ),
    "oldest compute": (
        swap("hops/2025.1-2025.2.toml", 'nova_oldest_compute = "2025.1"', 'nova_oldest_compute = "2024.1"'),
        "hops/2025.1-2025.2.toml: nova_oldest_compute: says 2024.1, "
        "components/2025.2.toml: nova_rpc.oldest_supported_compute: says 2025.1",
    ),
    "host system that stays": (
        swap("hops/2024.2-2025.1.toml", 'Ubuntu = ["jammy"]', 'Ubuntu = ["noble"]'),
        "hops/2024.2-2025.1.toml: host_os.must_leave: says Ubuntu noble, releases/2025.1.toml: host_os: has it, too",
    ),
    "removed and still there": (
        swap("variables/2025.1-2025.2.toml", '"enable_venus"', '"enable_venus", "enable_masakari"'),
        "variables/2025.1-2025.2.toml: removed.group_vars: says that enable_masakari goes, "
        'defaults/2025.2.toml: ansible/group_vars/all/masakari.yml: says "no"',
    ),
    "removed and wanted by a fix": (
        swap("actions/2025.1-2025.2.toml", 'enable_redis = "no"', 'enable_redis = "yes"'),
        "actions/2025.1-2025.2.toml: 2025.2-valkey: settings.enable_redis: says yes, "
        "variables/2025.1-2025.2.toml: removed: says that the target has no enable_redis",
    ),
    "a default that does not change": (
        swap(
            "variables/2024.1-2024.2.toml",
            "changed_defaults = [",
            'changed_defaults = [\n  { name = "enable_nova", before = "no", after = "yes" },',
        ),
        "variables/2024.1-2024.2.toml: changed_defaults[0] (enable_nova): says no → yes, defaults/2024.1.toml and "
        'defaults/2024.2.toml: both say "{{ enable_openstack_core | bool }}"',
    ),
    "defaults of a published release": (
        drop("defaults/2025.1.toml"),
        "defaults/2025.1.toml: missing, though kolla-ansible 20.6.0 is out",
    ),
    "irreversible id": (
        swap("hops/2024.1-2024.2.toml", '"2024.2-pnr-etcd-35"', '"2025.2-pnr-etcd-36"'),
        "hops: irreversible.id: 2025.2-pnr-etcd-36 is used 2 times",
    ),
    "heads of a release": (
        swap("schema_heads.toml", '"2025.1" = ["47147121", "c88cdce8f248"]\n', ""),
        "schema_heads.toml: databases[0] (keystone).heads: nothing for 2025.1",
    ),
    "no heads": (
        swap("schema_heads.toml", '"2025.1" = ["47147121", "c88cdce8f248"]', '"2025.1" = []'),
        "schema_heads.toml: databases[0] (keystone).heads.2025.1: empty",
    ),
    "heads of a stranger": (
        swap("schema_heads.toml", '"2025.1" = ["47147121", "c88cdce8f248"]', '"2027.1" = ["47147121", "c88cdce8f248"]'),
        "schema_heads.toml: databases[0] (keystone).heads: 2027.1 is not a release",
    ),
    "task's database": (
        swap("schema_tasks.toml", 'databases = ["heat"]', 'databases = ["hat"]'),
        "no heads for hat",
    ),
    "skip": (
        swap("slurp.toml", 'to = "2025.1"', 'to = "2027.1"'),
        "slurp.toml: skips[1].to: 2027.1 is not a release of the graph",
    ),
    "window": (
        swap("risks/host_os.toml", 'deadline_before = "2025.1"', 'deadline_before = "2031.1"'),
        "risks/host_os.toml: windows[2].deadline_before: 2031.1 is not a release of the graph",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_planted_fault_is_named(case: str, files: Files) -> None:
    change, expected = CASES[case]
    broken = dict(files)
    change(broken)
    with pytest.raises(DataError) as caught:
        validate_files(broken)
    assert any(fault.endswith(expected) for fault in caught.value.details), caught.value.details
    copied = change in (BACK, JUMP, DANGLING)  # a copied hop repeats ids and contradicts its neighbours as well
    assert copied or len(caught.value.details) <= 3, caught.value.details
    assert caught.value.exit_code == 3
    assert caught.value.next_command == "python -m upgrader.graph"


def test_several_faults_come_together(files: Files) -> None:
    broken = dict(files)
    for case in ("codename twice", "component", "skip", "stray file"):
        CASES[case][0](broken)
    with pytest.raises(DataError) as caught:
        validate_files(broken)
    assert {CASES[case][1] for case in ("codename twice", "component", "skip", "stray file")} == set(
        caught.value.details
    )


def test_the_shipped_data_is_sound() -> None:
    assert validate_all() == Count(releases=8, hops=7, actions=223)


@pytest.mark.parametrize("case", ["backwards", "not adjacent", "dangling"])
def test_loading_refuses_an_unfit_edge(case: str, files: Files) -> None:
    broken = dict(files)
    CASES[case][0](broken)
    with pytest.raises(DataError) as caught:
        ReleaseGraph(broken)
    assert caught.value.details == (CASES[case][1],)


def test_a_damaged_hop_is_told_when_it_is_asked_for(files: Files) -> None:
    broken = dict(files)
    swap("hops/2025.1-2025.2.toml", "summary = ", "sumary = ")(broken)
    graph = ReleaseGraph(broken)
    assert graph.hop("2024.2", "2025.1").target == "2025.1"
    with pytest.raises(DataError) as caught:
        graph.path("2024.1", "2025.2")
    assert caught.value.details == (
        "hops/2025.1-2025.2.toml: summary: required, but missing",
        "hops/2025.1-2025.2.toml: sumary: unknown field",
    )


def write(folder: Path, files: Files) -> None:
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)


def test_the_command_prints_counts_or_faults(tmp_path: Path, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == "8 releases, 7 hops, 223 actions\n"
    broken = dict(files)
    CASES["component"][0](broken)
    CASES["skip"][0](broken)
    write(tmp_path, broken)
    assert main([str(tmp_path)]) == 3
    assert set(capsys.readouterr().out.splitlines()) == {CASES["component"][1], CASES["skip"][1]}
    assert main(["a", "b"]) == 2


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="VERSION: No such file"):
        load_graph(tmp_path)
    (tmp_path / "VERSION").write_text("1")
    with pytest.raises(DataError, match="holds no data files"):
        load_graph(tmp_path)
    (tmp_path / "slurp.toml").write_text("")
    with pytest.raises(DataError, match="releases: holds no release"):
        load_graph(tmp_path)
