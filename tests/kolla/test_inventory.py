from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.graph import Hop, load_graph
from upgrader.kolla.inventory import (
    Inventory,
    _digest,
    apply_groups,
    missing_groups,
    plan_groups,
    read_inventory,
    remembered_inventory,
)
from upgrader.kolla.toolchain import Toolchain

INI = """# ours
[control]
ctl[1:3]
[compute]
cmp1 ansible_password=canary-host
[empty]
[keystone:children]
control
[nova:children]
control
compute
"""


@dataclass(frozen=True)
class Groups:
    added: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    groups: Groups


def hop(**added: tuple[str, ...]) -> Hop:
    return cast(Hop, Step(Groups({name.replace("_", "-"): children for name, children in added.items()})))


def written(path: Path, content: str | bytes = INI) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_ini_with_ranges_children_and_empty_groups(toolchain: Toolchain, tmp_path: Path) -> None:
    read = read_inventory(toolchain, written(tmp_path / "inventory"))
    assert dict(read.hosts) == {
        "cmp1": ("compute", "nova"),
        **{f"ctl{n}": ("control", "keystone", "nova") for n in (1, 2, 3)},
    }
    assert read.groups["nova"] == ("cmp1", "ctl1", "ctl2", "ctl3")
    assert read.groups["empty"] == ()
    assert "canary" not in repr(read)


@pytest.mark.slow
def test_yaml_and_folders_say_the_same(toolchain: Toolchain, tmp_path: Path) -> None:
    text = "all:\n  children:\n    control: {hosts: {'ctl[1:3]': }}\n    keystone: {children: {control: }}\n"
    plain = read_inventory(toolchain, written(tmp_path / "a.yml", text))
    written(tmp_path / "d" / "10-hosts", "[control]\nctl[1:3]\n")
    folder = written(tmp_path / "d" / "20.yml", "all: {children: {keystone: {children: {control: }}}}\n").parent
    assert plain.hosts == read_inventory(toolchain, folder).hosts
    assert plain.hosts["ctl2"] == ("control", "keystone")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("i", "[control\nctl\n", "not enough values to unpack"),
        ("i", "[control]\nctl1 hunter2\n", "key=value"),
        ("i", "[x:children]\nnope\n", "undefined group"),
        ("i.yml", "all:\n  children: [\n", "expected node content"),
        ("i", "[control]\n", "names no host"),
        ("i", b"[control]\n\xff\xfe\n", "unreadable characters"),
    ],
)
def test_broken_inventories_are_named_with_ansibles_reason(
    toolchain: Toolchain, tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(ConfigError) as caught:
        read_inventory(toolchain, path)
    assert str(path) in caught.value.message
    assert words in caught.value.message
    assert "hunter2" not in caught.value.message
    assert "\n" not in caught.value.message


def test_missing_inventory_and_missing_program(toolchain: Toolchain, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_inventory(toolchain, tmp_path / "none")
    (toolchain.bin / "ansible-inventory").unlink()
    with pytest.raises(EnvironmentMissingError, match="cannot be started"):
        read_inventory(toolchain, written(tmp_path / "inventory"))


def test_host_names_with_markup_stay_text(toolchain: Toolchain, tmp_path: Path) -> None:
    path = written(tmp_path / "i.yml", 'all: {children: {control: {hosts: {"<b>x</b>": , "{bold}&amp;": }}}}\n')
    assert set(read_inventory(toolchain, path).hosts) == {"<b>x</b>", "{bold}&amp;"}


def test_the_digest_covers_content_and_variables_beside_the_file(toolchain: Toolchain, tmp_path: Path) -> None:
    path = written(tmp_path / "inventory")
    seen = [_digest(path)]
    written(tmp_path / "group_vars" / "all.yml", "a: 1\n")
    seen.append(_digest(path))
    written(tmp_path / "group_vars" / "all.yml", "a: 2\n")
    seen.append(_digest(path))
    written(path, INI + "# comment\n")
    seen.append(read_inventory(toolchain, path).sha256)
    assert len(set(seen)) == 4
    assert _digest(path) == seen[-1]


# ---------------------------------------------------------------- groups


def test_missing_groups_of_a_real_hop() -> None:
    real = load_graph().hop("2025.1", "2025.2")
    have = Inventory({}, {"control": (), "neutron-rpc-server": ()})
    missing = missing_groups(have, real)
    assert "neutron-periodic-worker" in missing
    assert "neutron-rpc-server" not in missing
    assert missing["ironic-dnsmasq"] == ("control",)


def test_sections_are_appended_once_and_proved(toolchain: Toolchain, tmp_path: Path) -> None:
    path = written(tmp_path / "inventory", INI.rstrip("\n"))
    wanted = hop(valkey=("control",), valkey_exporter=("valkey", "compute"), keystone=("control",))
    edit = plan_groups(path, read_inventory(toolchain, path), wanted, toolchain)
    assert edit is not None
    assert edit.added == ("valkey", "valkey-exporter")
    apply_groups(edit, tmp_path / "keep")
    assert path.read_text() == INI + "\n[valkey:children]\ncontrol\n\n[valkey-exporter:children]\nvalkey\ncompute\n"
    assert (tmp_path / "keep" / f"{tmp_path.name}.inventory").read_text() == INI.rstrip("\n")
    after = read_inventory(toolchain, path)
    assert after.groups["valkey-exporter"] == ("cmp1", "ctl1", "ctl2", "ctl3")
    assert plan_groups(path, after, wanted, toolchain) is None


def test_an_extension_that_would_change_groups_is_refused(toolchain: Toolchain, tmp_path: Path) -> None:
    path = written(tmp_path / "inventory")
    read = read_inventory(toolchain, path)
    written(path, INI + "[control]\nctl9\n")  # changed in between
    with pytest.raises(ConfigError, match="cannot be extended safely"):
        plan_groups(path, read, hop(valkey=("control",)), toolchain)


def test_forms_that_only_a_person_can_extend(toolchain: Toolchain, tmp_path: Path) -> None:
    script = written(tmp_path / "script", INI)
    script.chmod(0o755)
    cases: list[tuple[Path, str]] = [
        (written(tmp_path / "a.yml", "all: {children: {control: {hosts: {a: }}}}\n"), "not .yml files"),
        (written(tmp_path / "d" / "hosts").parent, "it is a folder"),
        (script, "it may be a program"),
        (
            written(tmp_path / "yaml-inside", "all: {children: {control: {hosts: {a: }}}}\n"),
            "does not look like an INI",
        ),
    ]
    for path, words in cases:
        with pytest.raises(ConfigError) as caught:
            plan_groups(path, Inventory({"a": ("control",)}, {"control": ("a",)}), hop(valkey=("control",)), toolchain)
        assert words in caught.value.message
        assert caught.value.details == ("[valkey:children]", "control")


def test_groups_under_other_names_are_told(toolchain: Toolchain, tmp_path: Path) -> None:
    path = written(tmp_path / "inventory", "[controllers]\nctl1\n")
    with pytest.raises(ConfigError, match="it has no group control"):
        plan_groups(path, read_inventory(toolchain, path), hop(valkey=("control",)), toolchain)


def test_the_edit_shows_no_host_variables(toolchain: Toolchain, tmp_path: Path) -> None:
    path = written(tmp_path / "inventory")
    edit: Any = plan_groups(path, read_inventory(toolchain, path), hop(valkey=("control",)))
    assert "canary" not in repr(edit)


def test_ansible_reads_the_same_plain_file_once(toolchain: Toolchain, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("[control]\nctl[1:2]\n")
    place = tmp_path / "known"
    first = remembered_inventory(toolchain, file, None, place)
    silent = Toolchain(toolchain.release, toolchain.dir)
    (known,) = place.iterdir()
    assert remembered_inventory(silent, file, None, place) == first == read_inventory(toolchain, file)
    known.write_text(known.read_text().replace("ctl2", "ctl9"))
    assert "ctl9" in remembered_inventory(toolchain, file, None, place).hosts, "it was not read from there"
    file.write_text("[control]\nctl[1:3]\n")
    assert "ctl3" in remembered_inventory(toolchain, file, None, place).hosts
    assert "ctl9" not in remembered_inventory(toolchain, file, None, place).hosts


def test_variables_beside_it_and_other_forms_are_read_anew(toolchain: Toolchain, tmp_path: Path) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text("control:\n  hosts:\n    ctl1:\n")
    remembered_inventory(toolchain, file, None, tmp_path / "known")
    assert not (tmp_path / "known").exists()
