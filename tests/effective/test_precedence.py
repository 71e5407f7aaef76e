"""Real Ansible: what is answered is what Ansible itself says, asked in another way."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.effective.conftest import Hosts, make_site, make_toolchain, write
from upgrader.config import Site
from upgrader.effective import compute
from upgrader.kolla.commands import variable_files
from upgrader.kolla.toolchain import Toolchain, environment
from upgrader.model import HostFacts
from upgrader.record import Effective, Variable
from upgrader.runner.ansible import AnsibleRunner

pytestmark = pytest.mark.slow

CANARY = "canary-4f1d9c0e"
SEALED = "sealed-canary-77ab"
RELEASE = {
    "group_vars/all.yml": """---
plain: "release"
yes_word: yes
number: 3
over_inventory_all: "release"
over_group_file: "release"
over_globals: "release"
over_folder: "release"
over_extra: "release"
network_interface: "eth0"
api_interface: "{{ network_interface }}"
enable_proxysql: "{{ enable_mariadb | bool }}"
enable_mariadb: "yes"
database_address: "{{ kolla_internal_vip_address }}"
members: "{{ groups['control'] | length }}"
first_of_control: "{{ groups['control'] | first }}"
own_name: "{{ inventory_hostname }}"
undefined_inside: "{{ nobody_sets_this }}"
family: "{{ 'lioadm' if ansible_facts.os_family == 'RedHat' else 'tgtadm' }}"
cores: "{{ ansible_facts.processor_vcpus }}"
addresses: "{{ groups['control'] | map('extract', hostvars, ['ansible_facts', 'eth0', 'ipv4', 'address']) | list }}"
transport: "rabbit://openstack:{{ rabbitmq_password }}@10.0.0.1//"
short_derived: "{{ short_password }}/x"
by_vars: "{{ vars['network_interface'] }}"
by_lookup: "{{ lookup('vars', 'network_' ~ 'interface') }}"
has_password: "{{ rabbitmq_password | length > 0 }}"
copy_of_sealed: "{{ sealed_value }}"
of_encrypted: "{{ own_invention }}"
""",
    "group_vars/compute.yml": "over_group_file: release-compute\nof_computes: 7\n",
    "roles/nova/defaults/main.yml": """---
nova_workers: 5
project_name: nova
nova_full_name: "{{ project_name }}-api"
plain: "role"
""",
    "roles/nova-cell/defaults/main.yml": (
        "project_name: nova-cell\nnova_cell_workers: 2\nnova_cell_name: '{{ project_name }}'\n"
    ),
    "filter_plugins/shout.py": "class FilterModule:\n    def filters(self):\n        return {'shout': str.upper}\n",
}
INVENTORY = """
[control]
ctl1 ansible_host=192.0.2.1
ctl2 over_group_file=host-line
[compute]
cmp[1:3]
[rack2]
cmp3
[rack2:vars]
network_interface=bond0
[all:vars]
over_inventory_all=inventory
only_inventory=from-all
[baremetal:children]
control
compute
"""
FILES = {
    "inventory/hosts": INVENTORY,
    "inventory/group_vars/all.yml": "only_inventory_file: all\nover_globals: never\n",
    "inventory/group_vars/control.yml": "over_group_file: control-file\nof_control: '{{ plain | shout }}'\n",
    "inventory/host_vars/cmp2.yml": "network_interface: ens3\n",
    "kolla/globals.yml": "---\nkolla_internal_vip_address: '10.0.0.9'\nover_globals: globals\nover_folder: globals\n",
    "kolla/globals.d/10.yml": "over_folder: folder-10\nover_extra: folder\n",
    "kolla/globals.d/20.yml": "over_folder: folder-20\n",
    "kolla/passwords.yml": f"rabbitmq_password: {CANARY}\nempty_password:\nshort_password: abc\n",
    "extra.yml": "over_extra: extra\n",
    "vault-password": "open sesame\n",
}  # fmt: skip
NAMES = (
    "plain", "yes_word", "number", "over_inventory_all", "over_group_file", "over_globals", "over_folder",
    "over_extra", "network_interface", "api_interface", "enable_proxysql", "database_address", "members",
    "first_of_control", "own_name", "of_computes", "nova_workers", "nova_full_name", "nova_cell_workers",
    "nova_cell_name", "only_inventory", "only_inventory_file", "of_control", "has_password", "by_vars", "by_lookup",
)  # fmt: skip
ODD = (
    "undefined_inside", "family", "cores", "addresses", "transport", "short_derived", "copy_of_sealed",
    "of_encrypted", "rabbitmq_password", "empty_password", "sealed_value", "own_invention", "project_name",
    "nested", "copied", "nobody_sets_this",
)  # fmt: skip
HOSTS = {
    "ctl1": ("baremetal", "control"), "ctl2": ("baremetal", "control"), "cmp1": ("baremetal", "compute"),
    "cmp2": ("baremetal", "compute"), "cmp3": ("baremetal", "compute", "rack2"),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    site: Site
    toolchain: Toolchain
    answer: Effective
    folder: Path

    def variable(self, name: str) -> Variable:
        found = self.answer.find(name)
        assert found is not None, name
        return found

    def on(self, name: str, host: str) -> object:
        variable = self.variable(name)
        assert variable.value is not None or variable.per_host, variable.error
        return json.loads(variable.value) if variable.value is not None else json.loads(dict(variable.per_host)[host])


def vaulted(toolchain: Toolchain, password: Path, *words: str, text: str = "") -> str:
    command = [str(toolchain.ansible_vault), words[0], "--vault-password-file", str(password), *words[1:]]
    run = subprocess.run(
        command, input=text, text=True, capture_output=True, check=True, env=environment(toolchain), cwd="/"
    )
    return run.stdout


def pythons() -> list[str]:
    """The Python of these tests, and those of the real toolchains in UPGRADER_TEST_TOOLCHAINS: older Ansibles."""
    ready = os.environ.get("UPGRADER_TEST_TOOLCHAINS")
    found = sorted(Path(ready).glob("20*/bin/python")) if ready else []
    return [sys.executable, *map(str, found)]


@pytest.fixture(scope="module", params=pythons())
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    root = tmp_path_factory.mktemp("site")
    toolchain = make_toolchain(root, RELEASE, python=request.param)
    site = make_site(root, FILES, more='[secrets]\nvault_password_file = "vault-password"\n', extra=["extra.yml"])
    sealed = vaulted(toolchain, root / "vault-password", "encrypt_string", "--name", "sealed_value", SEALED)
    write(
        root,
        {
            "kolla/globals.d/30.yml": f"---\n{sealed}\n",
            "kolla/globals.d/40.yml": f"own_invention: {SEALED}-2\nnumber: 4\n",
        },
    )
    inner = vaulted(toolchain, root / "vault-password", "encrypt_string", "--name", "inner", f"{SEALED}-3")
    indented = "".join(f"  {line}\n" for line in inner.splitlines())
    write(root, {"inventory/host_vars/ctl1.yml": f"nested:\n{indented}copied: '{{{{ nested.inner }}}}'\n"})
    vaulted(toolchain, root / "vault-password", "encrypt", str(root / "kolla/globals.d/40.yml"))
    seen = tuple(
        HostFacts(name=name, os="rocky-9" if name == "cmp1" else "debian-12", addresses=(("eth0", f"10.0.0.{number}"),))
        for number, name in enumerate(HOSTS)
    )
    answer = compute(site, toolchain, Hosts(HOSTS), (*NAMES, *ODD), AnsibleRunner(), root / "f", hosts=seen)
    assert answer.error == ""
    return Asked(site, toolchain, answer, root)


@pytest.fixture(scope="module")
def oracle(asked: Asked) -> dict[str, dict[str, object]]:
    """Host → name → value, by `ansible -m debug` with the playbooks' folder named; role defaults it does not know."""
    names = [name for name in NAMES if not name.startswith("nova")]
    wanted = "{" + ", ".join(f"'{name}': {name} | default('<none>')" for name in names) + "}"
    command = [str(asked.toolchain.bin / "ansible"), "-i", str(asked.site.inventory), "all", "-o", "-m", "debug"]
    command += ["--playbook-dir", str(asked.toolchain.playbooks), "-a", f'msg="{{{{ {wanted} }}}}"']
    command += ["--vault-password-file", str(asked.site.vault_password_file)]
    for file in variable_files(asked.site, "2025.1"):
        command += ["-e", f"@{file}"]
    environ = environment(asked.toolchain)
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, cwd=asked.folder)
    found = re.findall(r"^(\S+) \| SUCCESS => (\{.*\})$", run.stdout, re.MULTILINE)
    assert {host for host, _ in found} == set(HOSTS), run.stdout + run.stderr
    return {host: json.loads(text)["msg"] for host, text in found}


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("nova")])
def test_every_value_is_what_ansible_says(asked: Asked, oracle: dict[str, dict[str, object]], name: str):
    for host in HOSTS:
        theirs = oracle[host][name]
        variable = asked.variable(name)
        if theirs == "<none>":
            assert variable.value is None and host not in dict(variable.per_host)
        else:
            assert asked.on(name, host) == theirs


def test_the_oracle_sees_differences(oracle: dict[str, dict[str, object]]):
    assert oracle["ctl1"]["over_group_file"] == "control-file"
    assert oracle["ctl2"]["over_group_file"] == "host-line"
    assert oracle["cmp1"]["over_group_file"] == "release-compute"


def test_role_defaults_are_weakest_and_each_role_sees_its_own(asked: Asked):
    assert asked.on("nova_workers", "ctl1") == 5
    assert asked.on("plain", "ctl1") == "release"
    assert asked.on("nova_full_name", "ctl1") == "nova-api"
    assert asked.on("nova_cell_name", "ctl1") == "nova-cell"
    assert "nova, nova-cell" in asked.variable("project_name").error


def test_a_value_that_holds_everywhere_is_one_value(asked: Asked):
    assert asked.variable("members").value in ("2", '"2"')  # text until ansible-core 2.19, as the oracle says too
    assert asked.variable("api_interface").value is None
    # what an inventory file says of a group is weaker than the release's group_vars/all: bond0 has no effect
    assert dict(asked.variable("api_interface").per_host) == dict.fromkeys(HOSTS, '"eth0"') | {"cmp2": '"ens3"'}


def test_observed_facts_are_lent_and_no_others(asked: Asked):
    assert asked.on("family", "cmp1") == "lioadm"
    assert asked.on("family", "ctl1") == "tgtadm"
    assert asked.on("addresses", "cmp1") == ["10.0.0.0", "10.0.0.1"]
    assert asked.variable("cores").value is None
    assert "needs facts of the host" in asked.variable("cores").error


def test_what_cannot_be_computed_says_why(asked: Asked):
    found = asked.variable("undefined_inside")
    assert (found.value, found.per_host) == (None, ())
    assert "nobody_sets_this" in found.error
    assert asked.answer.find("nobody_sets_this") is None


def test_of_passwords_only_whether_they_are_set(asked: Asked):
    assert (asked.variable("rabbitmq_password").value, asked.variable("rabbitmq_password").secret) == ("true", True)
    assert asked.variable("empty_password").value == "false"
    assert asked.variable("sealed_value").value == "true"
    assert asked.variable("own_invention").value == "true"
    assert asked.variable("has_password").value == "true"
    assert not asked.variable("has_password").secret


@pytest.mark.parametrize("name", ["transport", "short_derived", "copy_of_sealed", "of_encrypted"])
def test_what_holds_a_secret_is_withheld(asked: Asked, name: str):
    found = asked.variable(name)
    assert (found.value, found.per_host) == (None, ())
    assert "withheld" in found.error


def test_a_secret_inside_a_mapping_of_one_host_is_one(asked: Asked):
    assert (asked.variable("nested").value, asked.variable("nested").secret) == ("true", True)
    assert "withheld" in asked.variable("copied").error


def test_settings_in_an_encrypted_file_count(asked: Asked):
    assert asked.on("number", "ctl1") == 4
    places = [item.place for item in asked.variable("number").definitions]
    assert places == ["group_vars/all.yml:4 of kolla-ansible 2025.1", "globals.d/40.yml (encrypted)"]


def test_no_secret_is_in_the_answer_or_on_disk(asked: Asked):
    written = [path for path in asked.folder.rglob("*") if path.is_file()]
    kept = [path for path in written if path.parent.name == "effective"]
    assert len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600
    assert not (asked.folder / "f").exists()
    texts = [json.dumps(asked.answer.document()), *(path.read_text() for path in kept)]
    for secret in (CANARY, SEALED, "abc"):
        assert not any(f"{secret}" in text for text in texts)


def test_definitions_from_weakest_to_strongest(asked: Asked):
    assert [(item.kind, item.place, item.hosts) for item in asked.variable("over_group_file").definitions] == [
        ("release default", "group_vars/all.yml:6 of kolla-ansible 2025.1", ()),
        ("inventory", "inventory group_vars/control.yml:1", ("ctl1", "ctl2")),
        ("release default", "group_vars/compute.yml:1 of kolla-ansible 2025.1", ("cmp1", "cmp2", "cmp3")),
        ("inventory", "inventory host (hosts:4)", ("ctl2",)),
    ]
    assert [item.place for item in asked.variable("over_extra").definitions] == [
        "group_vars/all.yml:9 of kolla-ansible 2025.1", "globals.d/10.yml:2", "extra.yml:1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("plain", False), ("over_inventory_all", False), ("only_inventory", True), ("over_globals", True),
        ("over_group_file", True), ("over_extra", True), ("nova_workers", False), ("of_control", True),
    ],
)  # fmt: skip
def test_configured_means_that_the_operators_word_has_effect(asked: Asked, name: str, answer: bool):
    assert asked.variable(name).configured is answer
