"""An inventory against the samples of a path: what is missing, the patch for it, and that it changes nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from upgrader.graph import load_graph
from upgrader.kolla.inventory import Inventory, read_inventory
from upgrader.kolla.inventory_patch import InventoryPatch, judge_inventory, plan_patch, sample_groups, unified
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import Code

GRAPH = load_graph()
HOPS = GRAPH.path("2025.2", "2026.1")
NEW = list(HOPS[0].groups.added)
TOP = ("control", "network", "compute", "monitoring", "storage")
INI = "# mine\n[control]\nctl[1:3]\n\n[network:children]\ncontrol\n[compute]\ncmp1\n[monitoring]\n[storage]\n" + (
    "[kolla-logs:children]\ncontrol\ncompute\n[kolla-toolbox:children]\ncontrol\n[redis:children]\ncontrol\n"
)
HOSTS = {"ctl1": ("control",), "ctl2": ("control",), "ctl3": ("control",), "cmp1": ("compute",)}


def inventory(groups: Mapping[str, tuple[str, ...]]) -> Inventory:
    return Inventory(hosts={}, groups=groups)


def planned(path: Path, *, without: tuple[str, ...] = (), prove: bool = False) -> InventoryPatch:
    names = ("kolla-logs", "kolla-toolbox", "redis", "zun", *TOP)
    return plan_patch(path, inventory({name: () for name in names if name not in without}), HOPS, {}, prove=prove)


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    path = tmp_path / "multinode"
    path.write_text(INI)
    return path


def applied(patch: InventoryPatch) -> str:
    """The patch applied by the system's own tool."""
    if shutil.which("patch") is None:
        pytest.skip("no program patch on this machine")
    command = ["patch", "-p1", "--no-backup-if-mismatch", "-s", "-d", str(patch.path.parent)]
    subprocess.run(command, input=patch.text.encode(errors="surrogateescape"), check=True)
    return patch.path.read_text() if patch.path.is_file() else ""


def test_the_patch_adds_what_is_missing(ini: Path) -> None:
    patch = planned(ini)
    assert ini.read_text() == INI, "nothing is applied unasked"
    assert list(patch.added) == sorted(NEW)
    assert patch.renamed == (("kolla-logs", "kolla_logs"), ("kolla-toolbox", "kolla_toolbox"))
    assert patch.added["kolla_logs"] == ("kolla-logs",), "hosts stay where the operator had them"
    after = applied(patch)
    assert after.startswith(INI) and "[kolla_logs:children]\nkolla-logs\n" in after
    assert ("zun", "2026.1") in patch.gone and ("kolla-logs", "2026.1") not in patch.gone


def test_a_child_the_inventory_does_not_have_is_left_out(ini: Path) -> None:
    ini.write_text(INI.replace("[storage]\n", ""))
    patch = planned(ini, without=("storage",))
    assert patch.added["cinder-volume-lvm"] == () and patch.added["cinder-volume-multiple"] == ("control",)
    assert "+[cinder-volume-lvm]\n" in patch.text


def test_a_whole_inventory_needs_no_patch(ini: Path) -> None:
    patch = plan_patch(ini, inventory(dict.fromkeys((*TOP, *NEW), ())), HOPS, {})
    assert patch == InventoryPatch(ini)
    assert judge_inventory(patch, HOPS) == ()


def test_what_is_told(ini: Path) -> None:
    missing, gone = judge_inventory(planned(ini), HOPS)
    assert (missing.code, missing.severity, missing.hop) == (Code.WARNING, "required", "2025.2→2026.1")
    assert "upgrader check --inventory-patch" in missing.next
    assert missing.fix[0] == "kolla-logs is called kolla_logs now: keep both until the old release is gone"
    assert gone.severity == "advised" and "zun (unused from 2026.1 on)" in gone.message


def test_what_only_a_person_can_extend_blocks_with_the_lines(ini: Path) -> None:
    ini.chmod(0o755)
    patch = planned(ini)
    assert patch.text == "" and "executable" in patch.by_hand
    found = judge_inventory(patch, HOPS)[0]
    assert found.code is Code.FAILURE and "[kolla_logs:children]" in found.fix


YAML = "---\nall:\n  children:\n    control:\n      hosts:\n        ctl1: {}\n    kolla-logs:\n" + (
    "      children:\n        control: {}"
)


def test_a_yaml_inventory_gets_groups_at_its_top(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(YAML)
    patch = plan_patch(path, inventory({"control": ("ctl1",), "kolla-logs": ("ctl1",)}), HOPS, {}, prove=False)
    after = applied(patch)
    assert after.startswith(YAML + "\n")
    found = yaml.safe_load(after)
    assert found["kolla_logs"] == {"children": {"kolla-logs": {}}}
    assert found["all"] == yaml.safe_load(YAML)["all"]


@pytest.mark.parametrize("text", ["{all: {children: {control: {}}}}\n", "all: {}\n---\nmore: {}\n", "all: {}\n...\n"])
def test_yaml_that_cannot_be_appended_to(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(text)
    patch = plan_patch(path, inventory({"control": ("ctl1",)}), HOPS, {}, prove=False)
    assert patch.text == "" and patch.by_hand and patch.lines


def test_a_folder_gets_one_more_file(tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "hosts").write_text(INI)
    patch = planned(folder)
    applied(patch)
    found = yaml.safe_load((folder / "zz-kolla-groups-2026.1.yml").read_text())
    assert set(found) == set(NEW) and (folder / "hosts").read_text() == INI
    again = planned(folder)
    assert again.text == "" and "exists already" in again.by_hand


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ini", "folder", "yaml"])
def test_ansible_reads_the_patched_inventory_as_meant(tmp_path: Path, toolchain: Toolchain, form: str) -> None:
    path = tmp_path / ("hosts.yml" if form == "yaml" else "multinode")
    if form == "folder":
        path.mkdir()
    (path / "hosts" if form == "folder" else path).write_text(YAML if form == "yaml" else INI)
    before = read_inventory(toolchain, path)
    patch = plan_patch(path, before, HOPS, {"2025.2": toolchain})
    assert patch.text, patch.by_hand
    applied(patch)
    after = read_inventory(toolchain, path)
    assert {name: after.groups[name] for name in before.groups} == before.groups
    assert set(after.groups) == set(before.groups) | set(NEW)
    assert after.groups["kolla_logs"] == before.groups["kolla-logs"]


def test_a_patch_that_would_change_a_group_is_left_to_a_person(tmp_path: Path, toolchain: Toolchain) -> None:
    """Ansible does not read the patched copy as the inventory was: here the inventory is not what was read before."""
    path = tmp_path / "multinode"
    path.write_text(INI)
    wrong = Inventory(
        hosts={"x": ()},
        groups={**dict.fromkeys((*TOP, "kolla-logs", "kolla-toolbox", "redis"), ()), "control": ("elsewhere",)},
    )
    patch = plan_patch(path, wrong, HOPS, {"2025.2": toolchain})
    assert patch.text == "" and "differently" in patch.by_hand


def test_the_sample_of_a_toolchain_is_read(toolchain: Toolchain, tmp_path: Path) -> None:
    toolchain.example_inventory.parent.mkdir(parents=True)
    toolchain.example_inventory.write_text(
        "# c\n[control]\nctl1 ansible_user=x\n[a:children]\ncontrol # why\n[b:children]\na\n[all:vars]\nx=1\n"
    )
    assert sample_groups(toolchain) == {"control": (), "a": ("control",), "b": ("a",)}
    hops = GRAPH.path("2025.1", "2025.2")
    patch = plan_patch(tmp_path / "i", inventory({}), hops, {"2025.2": toolchain}, prove=False)
    assert patch.added["b"] == ("a",) and patch.hostless == ("control",)
    found = judge_inventory(patch, hops)[0]
    assert found.code is Code.FAILURE and "name the hosts of group control yourself" in found.fix


LINES = st.lists(
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\n"), max_size=8), max_size=6
)


@given(lines=LINES, eol=st.sampled_from(["\n", "\r\n"]), ended=st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_text_before_is_kept_by_the_patch(lines: list[str], eol: str, ended: bool) -> None:
    """Applied by the rules of the format, the patch gives the old bytes and then the groups, nothing else."""
    before = (eol.join(lines) + (eol if ended and lines else "")).encode()
    after = before + b"\n[new:children]\ncontrol\n"
    assert apply(unified("multinode", before, after), before) == after


@given(
    st.sets(st.sampled_from(sorted({*TOP, *NEW, "kolla-logs", "kolla-toolbox"}))), st.sampled_from(["", "\n", "x=1"])
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_there_the_patch_completes_it(
    tmp_path_factory: pytest.TempPathFactory, there: set[str], end: str
) -> None:
    path = tmp_path_factory.mktemp("i") / "multinode"
    text = "".join(f"[{name}]\n{name}-host\n" for name in sorted(there)) + f"[all:vars]\n{end}"
    path.write_text(text)
    patch = plan_patch(path, inventory(dict.fromkeys(there, ())), HOPS, {}, prove=False)
    after = apply(patch.text, text.encode()).decode() if patch.text else text
    assert after.startswith(text)
    added = [line for line in after[len(text) :].splitlines() if line.startswith("[")]
    assert sorted(line.strip("[]").removesuffix(":children") for line in added) == sorted(set(NEW) - there)
    children = {line for line in after[len(text) :].splitlines() if line and not line.startswith("[")}
    assert children <= there | set(NEW), "no section names a group that is not there"


def apply(patch: str, before: bytes) -> bytes:
    """A small reader of unified differences: enough for one file."""
    old = [piece + b"\n" for piece in before.split(b"\n")]
    old[-1] = old[-1][:-1]
    old = old[: len(old) - (old[-1] == b"")]
    new: list[bytes] = []
    at, last = 0, b""
    for line in patch.split("\n")[2:-1]:
        raw = (line + "\n").encode(errors="surrogateescape")
        if raw.startswith(b"@@"):
            start = int(raw.split()[1].split(b",")[0].lstrip(b"-"))
            while at < start - 1:
                new.append(old[at])
                at += 1
        elif raw.startswith(b"\\"):
            if last == b"+":
                new[-1] = new[-1].removesuffix(b"\n")
        elif raw.startswith(b"+"):
            new.append(raw[1:])
        else:
            assert raw[1:].rstrip(b"\n") == old[at].rstrip(b"\n")
            if raw.startswith(b" "):
                new.append(old[at])
            at += 1
        last = raw[:1]
    return b"".join([*new, *old[at:]])
