"""What is made of Ansible's answer, and of every way in which there is none. One play of these is real."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.effective.conftest import Hosts
from upgrader.config import Site
from upgrader.effective import compute
from upgrader.effective.question import TASK
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import HostFacts
from upgrader.record import Effective
from upgrader.runner.ansible import AnsibleRunner
from upgrader.runner.base import Play, PlayResult
from upgrader.runner.recording import RecordingRunner, done, failed

HOSTS = Hosts({"ctl1": ("control",), "cmp1": ("compute",), "cmp2": ("compute",)})
RELEASE = {"group_vars/all.yml": "a: 1\nsum: '{{ a + b }}'\n", "roles/nova/defaults/main.yml": "b: 2\n"}
PLAYBOOKS = "toolchains/2025.1/share/kolla-ansible/ansible"
SEALED = "$ANSIBLE_VAULT;1.1;AES256\n6162\n"


def said(**variables: Any) -> dict[str, Any]:
    return {"variables": variables, "inventory": [], "encrypted": {}, "roles": {"b": ["nova"]}}


def everywhere(value: object, *, secret: bool = False) -> dict[str, Any]:
    return {"secret": secret, "answers": [{"value": json.dumps(value), "error": "", "hosts": []}]}


def told(answer: dict[str, Any]) -> Callable[[Play], PlayResult]:
    return lambda play: done(play, {TASK: {"localhost": {"answer": json.dumps(answer)}}})


def runner(answer: dict[str, Any]) -> RecordingRunner:
    return RecordingRunner({"effective-2025.1": told(answer)})


class Case:
    def __init__(self, site: Site, toolchain: Toolchain, folder: Path) -> None:
        self.site, self.toolchain, self.folder = site, toolchain, folder

    def compute(self, runner: Any, *names: str, hosts: tuple[HostFacts, ...] = ()) -> Effective:
        found = compute(self.site, self.toolchain, HOSTS, names or ("a",), runner, self.folder, hosts=hosts)
        assert not self.folder.exists()
        return found


@pytest.fixture
def case(site, toolchain, tmp_path: Path) -> Callable[..., Case]:
    def make(files: dict[str, str] | None = None, more: str = "") -> Case:
        inventory = "[control]\nctl1\n[compute]\ncmp[1:2]\n"
        return Case(site({"inventory/hosts": inventory, **(files or {})}, more), toolchain(RELEASE), tmp_path / "f")

    return make


def test_a_real_ansible_answers(case):
    found = case({"kolla/globals.yml": "a: 40\n"}).compute(AnsibleRunner(), "a", "b", "sum", "nobody")
    assert (found.by, found.error) == ("toolchain", "")
    assert {variable.name: variable.value for variable in found.variables} == {"a": "40", "b": "2", "sum": "42"}
    assert [variable.configured for variable in found.variables] == [True, False, False]


def test_the_same_files_are_asked_once(case, tmp_path: Path):
    here, runs = case(), runner(said(a=everywhere(1)))
    first = here.compute(runs)
    here.folder = tmp_path / "other"
    assert here.compute(RecordingRunner()) == first
    kept = list((here.site.state_dir / "effective").iterdir())
    assert [path.stat().st_mode & 0o777 for path in kept] == [0o600]


@pytest.mark.parametrize(
    "change",
    ["kolla/globals.yml", "kolla/globals.d/x.yml", "kolla/passwords.yml", "inventory/hosts",
     "inventory/group_vars/all.yml", "kolla/ansible.cfg", f"{PLAYBOOKS}/group_vars/all.yml",
     f"{PLAYBOOKS}/roles/nova/defaults/main.yml"],
)  # fmt: skip
def test_a_changed_file_is_asked_about_again(case, tmp_path: Path, change: str):
    here = case()
    here.compute(runner(said(a=everywhere(1))))
    path = tmp_path / change
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "# changed\n")
    assert here.compute(runner(said(a=everywhere(2)))).variables[0].value == "2"


def test_other_names_and_other_facts_are_other_questions(case):
    here = case()
    here.compute(runner(said(a=everywhere(1))))
    assert here.compute(runner(said(a=everywhere(2))), "a", "b").variables[0].value == "2"
    facts = (HostFacts(name="ctl1", os="rocky-9"),)
    assert here.compute(runner(said(a=everywhere(3))), hosts=facts).variables[0].value == "3"


def test_a_part_of_a_remembered_answer_is_no_new_question(case):
    here = case()
    here.compute(runner(said(a=everywhere(1), b=everywhere(2))), "a", "b")
    (found,) = here.compute(RecordingRunner(), "b").variables
    assert (found.name, found.value) == ("b", "2")


def moved(here: Case, line: str) -> None:
    """What an upgrade does to globals.yml."""
    text = here.site.globals_file.read_text()
    here.site.globals_file.write_text(text.replace('openstack_release: "2025.1"', line))


SETTING = {"kolla/globals.yml": 'openstack_release: "2025.1"  # ours\na: 1\n'}


def test_the_releases_own_setting_counts_for_what_follows_from_it(case):
    here, kept = case(SETTING), {**said(a=everywhere(1), tag=everywhere("x")), "follow": ["tag"]}
    here.compute(runner(kept), "a", "tag")
    moved(here, 'openstack_release: "2025.2"')
    assert here.compute(RecordingRunner(), "a").variables[0].value == "1"
    assert here.compute(runner(said(tag=everywhere("y"))), "tag").variables[0].value == '"y"'


@pytest.mark.parametrize(
    "line", ["openstack_release: >-\n  2025.2", "other: 1", 'openstack_release: "2025.1"\nmore: 1']
)
def test_any_other_change_of_that_line_is_asked_about(case, line: str):
    here = case(SETTING)
    here.compute(runner({**said(a=everywhere(1)), "follow": []}))
    moved(here, line)
    assert here.compute(runner(said(a=everywhere(2)))).variables[0].value == "2"


def test_an_answer_that_does_not_tell_what_follows_is_no_answer_for_another_setting(case):
    here = case(SETTING)
    here.compute(runner(said(a=everywhere(1))))
    moved(here, 'openstack_release: "2025.2"')
    assert here.compute(runner(said(a=everywhere(2)))).variables[0].value == "2"


def test_ansible_tells_what_follows_from_the_releases_own_setting(case):
    files = {
        "kolla/globals.yml": "openstack_release: '2025.1'\na: 1\n"
        "tag: '{{ openstack_release }}-x'\nfull: 'i:{{ tag }}'\n"
        "any: \"{{ vars['openstack' ~ '_release'] }}\"\n"
    }
    here = case(files)
    here.compute(AnsibleRunner(), "a", "b", "sum", "tag", "full", "any", "openstack_release")
    (kept,) = (json.loads(path.read_text()) for path in (here.site.state_dir / "effective").iterdir())
    assert kept["follow"] == ["any", "full", "openstack_release", "tag"]


@pytest.mark.parametrize("text", ["a: \"{{ lookup('env', 'HOME') }}\"\n", 'a: \'{{ query("file", "x") }}\'\n'])
def test_what_depends_on_more_than_files_is_asked_every_time(case, text: str):
    here = case({"kolla/globals.yml": text})
    here.compute(runner(said(a=everywhere(1))))
    assert here.compute(runner(said(a=everywhere(2)))).variables[0].value == "2"


def test_an_inventory_that_is_a_program_is_asked_every_time(case):
    here = case()
    here.site.inventory.chmod(0o755)
    here.compute(runner(said(a=everywhere(1))))
    assert here.compute(runner(said(a=everywhere(2)))).variables[0].value == "2"


def test_a_torn_memory_is_no_memory(case):
    here = case()
    here.compute(runner(said(a=everywhere(1))))
    for path in (here.site.state_dir / "effective").iterdir():
        path.write_text('{"release": "2025.1", "by"')
    assert here.compute(runner(said(a=everywhere(2)))).variables[0].value == "2"


def test_only_the_last_few_answers_are_kept(case):
    here = case()
    for number in range(7):
        here.site.globals_file.write_text(f"a: {number}\n")
        here.compute(runner(said(a=everywhere(number))))
    assert len(list((here.site.state_dir / "effective").iterdir())) == 4


def test_hosts_that_differ_are_told_apart(case):
    answers = [
        {"value": "1", "error": "", "hosts": ["ctl1"]},
        {"value": "2", "error": "", "hosts": ["cmp2", "cmp1"]},
    ]
    found = case().compute(runner(said(a={"secret": False, "answers": answers}))).variables[0]
    assert (found.value, found.per_host) == (None, (("cmp1", "2"), ("cmp2", "2"), ("ctl1", "1")))


def test_the_play_is_the_sites_and_reaches_no_host(case):
    here, runs = case({"kolla/globals.d/b.yml": "x: 1\n", "kolla/passwords.yml": "p: q\n"}), runner(said())
    here.compute(runs)
    play = runs.plays[0]
    assert [path.name for path in play.extra_vars_files] == ["globals.yml", "passwords.yml", "b.yml"]
    assert dict(play.extra_vars)["CONFIG_DIR"] == str(here.site.config_dir)
    assert (play.expected_hosts, dict(play.env)["ANSIBLE_CACHE_PLUGIN"]) == (("localhost",), "memory")


# ---------------------------------------------------------------- no answer


def test_a_locked_file_is_named(case):
    found = case({"kolla/globals.d/x.yml": SEALED}).compute(RecordingRunner())
    assert (found.variables, found.by) == ((), "toolchain")
    assert "globals.d/x.yml is encrypted" in found.error and "secrets.vault_password_file" in found.error


def test_locked_passwords_cost_only_themselves(case):
    here, runs = case({"kolla/passwords.yml": SEALED}), runner(said(a=everywhere(1)))
    assert here.compute(runs).variables[0].value == "1"
    assert [path.name for path in runs.plays[0].extra_vars_files] == ["globals.yml"]


def test_a_vault_password_file_that_is_not_there(case):
    found = case(more='[secrets]\nvault_password_file = "gone"\n').compute(RecordingRunner())
    assert "gone does not exist" in found.error


def test_a_wrong_vault_password_is_named(case):
    files = {"kolla/globals.d/x.yml": SEALED, "key": "no\n"}
    here = case(files, '[secrets]\nvault_password_file = "key"\n')
    path = here.site.config_dir / "globals.d" / "x.yml"
    words = f"Decryption failed (no vault secrets were found that could decrypt) on {path}"
    answer = {"effective-2025.1": PlayResult("effective-2025.1", "failed", 1, error=words)}
    found = here.compute(RecordingRunner(answer))
    assert found.error.startswith(f"wrong vault password for {path}") and "key does not open it" in found.error


@pytest.mark.slow
def test_a_real_wrong_vault_password_is_named(case):
    sealed = "$ANSIBLE_VAULT;1.1;AES256\n" + "\n".join(["3" * 80] * 5) + "\n"
    here = case({"kolla/globals.d/x.yml": sealed, "key": "no\n"}, '[secrets]\nvault_password_file = "key"\n')
    assert "x.yml" in here.compute(AnsibleRunner()).error


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"kolla/globals.yml": "a: [1\n"}, "globals.yml, line"),
        ({"kolla/globals.d/x.yml": "a: 1\na: 2\n"}, "a is there twice"),
        ({"inventory/group_vars/all.yml": "- a\n"}, "group_vars/all.yml, line 1"),
        ({"kolla/globals.d/x.yml": "a: \x00\n"}, "x.yml, line 1"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(case, files: dict[str, str], words: str):
    found = case(files).compute(RecordingRunner())
    assert found.variables == ()
    assert words in found.error


def test_a_play_that_fails_says_so(case):
    here = case()
    runs = RecordingRunner({"effective-2025.1": lambda play: failed(play, "localhost", TASK, "no such filter")})
    assert "no such filter" in here.compute(runs).error
    assert not (here.site.state_dir / "effective").exists()
    assert (
        "cannot be read"
        in here.compute(
            RecordingRunner({"effective-2025.1": lambda play: done(play, {TASK: {"localhost": {"answer": "{"}}})})
        ).error
    )


def test_an_error_is_told_for_two_hosts_and_counted_for_the_rest(case):
    answers = [{"value": None, "error": f"no {host}", "hosts": [host]} for host in ("ctl1", "cmp1", "cmp2")]
    found = case().compute(runner(said(a={"secret": False, "answers": answers}))).variables[0]
    assert found.error == "ctl1: no ctl1; cmp1: no cmp1; and so on 1 more hosts"


def test_the_last_look_withholds_what_the_plug_in_let_through(case):
    canary = "canary-0123456789"
    files = {"kolla/passwords.yml": f"p: {canary}\n", "kolla/globals.yml": f"a: 'x{canary}'\nb: 1\n"}
    answer = said(
        a=everywhere(f"x{canary}"), b={"secret": False, "answers": [{"value": None, "error": canary, "hosts": []}]}
    )
    found = case(files).compute(runner(answer), "a", "b")
    assert canary not in json.dumps(found.document())
    assert found.variables[0].value is None and "withheld" in found.variables[0].error
