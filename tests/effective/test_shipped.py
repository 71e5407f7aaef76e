from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.effective.conftest import Hosts
from upgrader.effective.shipped import NotKnownError, from_defaults, literal
from upgrader.errors import DataError
from upgrader.graph import load_graph
from upgrader.kolla.yaml_text import parse

HOSTS = Hosts({"ctl1": ("control",), "cmp1": ("compute",)})
SHARED = {
    "plain": '"no"', "truth": "true", "ref": '"{{ plain }}"', "as_bool": '"{{ plain | bool }}"',
    "far": '"{{ ref | bool }}"',
    "template": "\"{{ 'a' if plain | bool else 'b' }}\"", "loop": '"{{ loop }}"', "number": "5",
    "of_missing": '"{{ elsewhere }}"', "no_truth": '"{{ number | bool }}"', "listed": '["a", "b"]',
    "listed_template": '["{{ plain }}"]',
}  # fmt: skip


@dataclass
class File:
    path: str
    values: dict[str, Any]
    role: str = ""


@dataclass
class Graph:
    files: list[File] = field(
        default_factory=lambda: [
            File("ansible/group_vars/all.yml", SHARED),
            File("ansible/roles/nova/defaults/main.yml", {"nova_x": '"role"', "plain": '"weaker"'}, "nova"),
        ]
    )

    def defaults(self, release: str) -> Graph:
        if release == "2026.2":
            raise DataError("nothing is published of 2026.2")
        return self


NAMES = (*SHARED, "nova_x", "only_inventory", "nobody", "secret_word", "none_set")


def values(site: Any, release: str = "2025.1") -> dict[str, Any]:
    found = from_defaults(Graph(), release, site, HOSTS, NAMES)
    assert (found.by, found.error) == ("shipped defaults", "")
    return {variable.name: variable for variable in found.variables}


def known(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(item.value) for name, item in variables.items() if item.value is not None}


def test_what_needs_no_template_is_known_and_nothing_else(site):
    found = values(site({}))
    assert known(found) == {
        "plain": "no", "truth": True, "ref": "no", "as_bool": False, "far": False, "number": 5, "listed": ["a", "b"],
        "nova_x": "role",
    }  # fmt: skip
    assert "nobody" not in found
    assert "upgrader toolchain build 2025.1" in found["template"].error
    assert "itself" in found["loop"].error
    assert "no truth value" in found["no_truth"].error


def test_the_operators_literals_win_and_their_templates_are_unknown(site):
    text = "plain: yes\ntruth: '{{ plain }}'\nnumber: \"{{ 1 + 1 }}\"\nlisted:\n  - x: off\n"
    found = values(site({"kolla/globals.yml": text, "kolla/globals.d/z.yml": "nova_x: 7\n"}))
    ours = known(found)
    assert (ours["plain"], ours["as_bool"], ours["truth"], ours["nova_x"]) == (True, True, True, 7)
    assert ours["listed"] == [{"x": False}]
    assert "number" not in ours
    assert found["plain"].configured and not found["ref"].configured
    assert [item.place for item in found["nova_x"].definitions] == [
        "roles/nova/defaults/main.yml of 2025.1", "globals.d/z.yml:1",
    ]  # fmt: skip


def test_the_inventorys_word_counts_where_it_would_for_ansible(site):
    groups = "[control]\nctl1 number=9\n[compute]\ncmp1\n"
    variables = "[compute:vars]\nplain=yes\nnova_x=other\n[all:vars]\nonly_inventory=1\n"
    found = values(site({"inventory/hosts": groups + variables}))
    assert found["plain"].value == '"no"'
    assert not found["plain"].configured
    for name in ("number", "nova_x", "only_inventory"):
        assert found[name].value is None
        assert "inventory" in found[name].error


def test_an_inventory_that_is_not_read_here_may_say_anything(site):
    made = site({"inventory/hosts.yml": "all:\n  hosts:\n    ctl1:\n      plain: yes\n"})
    made = type(made)(
        **{name: getattr(made, name) for name in made.__slots__} | {"inventory": made.inventory.with_name("hosts.yml")}
    )
    found = values(made)
    assert found["plain"].value is None
    assert found["number"].value == "5"


def test_passwords_are_only_set_or_not(site):
    found = values(site({"kolla/passwords.yml": "secret_word: canary-12345\nnone_set:\n"}))
    assert (found["secret_word"].value, found["none_set"].value) == ("true", "false")
    assert found["secret_word"].secret
    assert "canary" not in json.dumps([item.document() for item in found.values()])


@pytest.mark.parametrize(
    ("files", "release", "words"),
    [
        ({}, "2026.2", "nothing is published"),
        ({"kolla/globals.yml": "a: [\n"}, "2025.1", "globals.yml, line"),
        ({"kolla/globals.d/x.yml": "$ANSIBLE_VAULT;1.1;AES256\n61\n"}, "2025.1", "x.yml is encrypted"),
    ],
)
def test_no_answer_says_why(site, files: dict[str, str], release: str, words: str):
    found = from_defaults(Graph(), release, site(files), HOSTS, NAMES)
    assert found.variables == ()
    assert words in found.error


WORDS = (
    "yes", "Yes", "YES", "yEs", "no", "on", "off", "true", "False", "y", "n", "null", "~", "5", "-3", "0", "007",
    "1.5", "1e3", "0x1f", "1_000", "12:30", ".5", "text", "2025.1", "+7", "'5'",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_a_literal_is_what_ansibles_yaml_makes_of_it_or_unknown(word: str):
    entry = parse(f"x: {word}\n".encode(), Path("x.yml")).entries[0]
    try:
        ours = literal(entry)
    except NotKnownError:
        return
    theirs = yaml.safe_load(f"x: {word}\n")["x"]
    assert (type(ours), ours) == (type(theirs), theirs)


def test_the_released_data_can_be_used(site):
    made, graph = site({"kolla/globals.yml": 'enable_cinder: "yes"\n'}), load_graph()
    expected = {"2024.1": "no", "2025.1": "yes"}
    for release, proxysql in expected.items():
        found = from_defaults(graph, release, made, HOSTS, ("enable_proxysql", "enable_cinder", "neutron_plugin_agent"))
        assert known({item.name: item for item in found.variables}) == {
            "enable_proxysql": proxysql, "enable_cinder": "yes", "neutron_plugin_agent": "openvswitch",
        }  # fmt: skip
