from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from upgrader.effective.released import Released, entities, entity_files, written

SHAPES = """---
# a comment
enable_zun: "no"   # kept

node_config: "{{ CONFIG_DIR | default('/etc/kolla') }}"
empty:
services:
  zun-api:
    enabled: true
listed:
- a
- b
folded: >-
  one
  two

# about the next one
last: 5
"""


def test_every_name_with_its_line_and_text():
    found = written(SHAPES)
    assert {name: item.line for name, item in found.items()} == {
        "enable_zun": 3, "node_config": 5, "empty": 6, "services": 7, "listed": 10, "folded": 13, "last": 18,
    }  # fmt: skip
    assert found["enable_zun"].text == '"no"   # kept'
    assert found["empty"].text == ""
    assert found["listed"].text == "- a\n- b"
    assert found["folded"].text == ">-\n  one\n  two"
    assert found["last"].text == "5"


def test_a_value_read_by_line_is_the_value_that_yaml_reads():
    loaded = yaml.safe_load(SHAPES)
    again = {name: yaml.safe_load(f"x:\n {item.text}" if "\n" not in item.text else f"x: {item.text}")["x"]
             for name, item in written(SHAPES).items() if name not in ("services", "listed")}  # fmt: skip
    assert again == {name: loaded[name] for name in again}


@settings(max_examples=40)
@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text("ab{}'#: ", max_size=9), max_size=6))
def test_every_key_of_a_mapping_is_found_on_its_line(values: dict[str, str]):
    text = "---\n" + "".join(f"{name}: '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in values.items())
    assert {name: item.line for name, item in written(text).items()} == {
        name: number for number, name in enumerate(values, start=2)
    }


def test_the_last_of_two_holds():
    assert written("a: 1\na: 2\n")["a"].text == "2"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["all.yml"], ["all.yml"]),
        (["all/b.yml", "all/a.yml", "all.yml"], ["all/a.yml", "all/b.yml"]),
        (["all.yaml", "all.json"], ["all.yaml"]),
        (["all/.hidden.yml", "all/x.yml~", "all/deep/x.yml", "all/note.txt"], ["all/deep/x.yml"]),
        (["control.yml"], []),
    ],
)
def test_files_of_an_entity_as_ansible_finds_them(tmp_path: Path, files: list[str], expected: list[str]):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}\n")
    assert [str(path.relative_to(tmp_path)) for path in entity_files(tmp_path, "all")] == expected
    from ansible.parsing.dataloader import DataLoader

    theirs = [
        str(path, "utf-8") if isinstance(path, bytes) else path
        for path in DataLoader().find_vars_files(str(tmp_path), "all")
    ]
    assert theirs == [str(tmp_path / name) for name in expected]


def test_entities_are_named_without_their_ending(tmp_path: Path):
    for name in ("all.yml", "net.work", ".git"):
        (tmp_path / name).write_text("")
    (tmp_path / "control").mkdir()
    assert entities(tmp_path) == ("all", "control", "net.work")
    assert entities(tmp_path / "none") == ()


def test_the_digest_sees_a_changed_default(toolchain):
    made = toolchain({"group_vars/all.yml": "a: 1\n", "roles/nova/defaults/main.yml": "b: 1\n"})
    before = Released(made).digest
    assert Released(made).digest == before
    (made.playbooks / "roles/nova/defaults/main.yml").write_text("b: 2\n")
    assert Released(made).digest != before
