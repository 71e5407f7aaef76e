"""Drafts out of packages: two tiny ones, made here, as folders and as a wheel."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest

from upgrader.errors import DataError
from upgrader.graph import records, schema
from upgrader.graph.draft import main
from upgrader.graph.extract import facts
from upgrader.graph.extract.compare import compare, same
from upgrader.graph.extract.defaults import named_in, raw_defaults, wanted
from upgrader.graph.extract.package import Package, open_package
from upgrader.graph.extract.schema_heads import Script, heads, scripts
from upgrader.graph.load import parse

SITE = """
- import_playbook: gather-facts.yml
- name: Group hosts
  hosts: all
  tasks: []
- name: Apply role keystone
  hosts: [keystone, '&enable_keystone_True']
  tags: [keystone]
  roles:
    - { role: keystone }
- name: Apply role zun
  hosts:
    - zun-api
    - '&enable_zun_True'
  roles:
    - { role: zun, tags: zun }
- import_playbook: nova.yml
"""
NOVA = """
- name: Bootstrap nova
  hosts: [nova-api, '&enable_nova_True']
  tags: [nova-bootstrap, nova]
  roles: [nova]
"""
INVENTORY = """
[control]
control01
[compute]
compute01
[keystone:children]
control
[nova:children]
control
[nova-api:children]
nova
[zun:children]
control
[zun-api:children]
zun
[baremetal:vars]
x=1
"""
PRECHECKS = """
ansible_version_min: '2.18'
ansible_version_max: '2.19'
host_os_distributions:
  Debian: ["bookworm"]
  Rocky: ["9"]
"""
OLD = {
    "ansible/site.yml": SITE,
    "ansible/nova.yml": NOVA,
    "ansible/inventory/multinode": INVENTORY,
    "ansible/group_vars/all.yml": (
        'openstack_release: "2025.1"\nenable_zun: "no"\nenable_nova: yes\nnova_console: novnc\n'
        'nova_url: "http://{{ nova_host }}"\nnova_host: here\nlightbits_JWT: set\n'
    ),
    "ansible/roles/zun/defaults/main.yml": "zun_image: zun\nzun_capsules: 7\n",
    "ansible/roles/nova/tasks/main.yml": "[]",
    "ansible/roles/prechecks/vars/main.yml": PRECHECKS,
    "etc_examples/kolla/passwords.yml": "a_password:\nzun_password:\n",
}
NEW = {
    **{name: text for name, text in OLD.items() if "/zun/" not in name},
    "ansible/site.yml": SITE[: SITE.index("- name: Apply role zun")] + "- import_playbook: nova.yml\n",
    "ansible/inventory/multinode": INVENTORY[: INVENTORY.index("[zun:children]")].replace(
        "[nova:children]\ncontrol", "[nova:children]\ncompute"
    )
    + "[nova-metadata:children]\nnova\n",
    "ansible/group_vars/all/common.yml": 'openstack_release: "2025.2"\nenable_nova: true\nnova_console: spice\n'
    'nova_url: "http://{{nova_host}}"\nnova_host: here\nlightbits_jwt: set\n',
    "ansible/roles/prechecks/vars/main.yml": PRECHECKS.replace('"9"', '"10"'),
    "etc_examples/kolla/passwords.yml": "a_password:\nb_password:\n",
}
del NEW["ansible/group_vars/all.yml"]


def folder(root: Path, files: dict[str, str], version: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = root / "share/kolla-ansible" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "PKG-INFO").write_text(
        f"Version: {version}\nRequires-Python: >=3.11\nRequires-Dist: ansible-core<2.20,>=2.18\n"
    )
    return root


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("packages")
    return folder(root / "old", OLD, "20.9.0"), folder(root / "new", NEW, "21.0.0")


@pytest.fixture(scope="module")
def packages(places: tuple[Path, Path]) -> tuple[Package, Package]:
    return open_package(str(places[0]), places[0]), open_package(str(places[1]), places[1])


def test_the_order_of_the_plays(packages: tuple[Package, Package]) -> None:
    plays = facts.service_order(packages[0])
    assert [(play.name, play.playbook, play.enabled_by, play.placement, play.tags) for play in plays] == [
        ("keystone", "", "enable_keystone_True", ("control",), ("keystone",)),
        ("zun", "", "enable_zun_True", ("control",), ("zun",)),
        ("nova", "nova.yml", "enable_nova_True", ("control",), ("nova",)),
    ]


def test_versions(packages: tuple[Package, Package]) -> None:
    package = packages[1]
    assert (package.version, facts.openstack_release(package)) == ("21.0.0", "2025.2")
    assert facts.python_requires(package) == ">=3.11"
    assert facts.ansible_core(package) == "<2.20,>=2.18"
    assert facts.ansible_core_series(package) == ("2.18", "2.19")


def test_what_changes(packages: tuple[Package, Package]) -> None:
    found = compare(*packages)
    assert found.groups_added == {"nova-metadata": ("compute",)}
    assert found.groups_removed == ("zun", "zun-api")
    assert [(move.name, move.before, move.after) for move in found.groups_moved] == [
        ("nova", ("control",), ("compute",)),
        ("nova-api", ("control",), ("compute",)),
    ]
    assert (found.passwords_added, found.passwords_removed) == (("b_password",), ("zun_password",))
    assert (found.roles_added, found.roles_removed) == ((), ("zun",))
    assert found.group_vars_removed == ("enable_zun", "lightbits_JWT")
    assert found.role_defaults_removed == ("zun_capsules",), "machinery of containers is left out"
    assert [change.name for change in found.defaults_changed] == ["nova_console", "openstack_release"]
    assert found.renamed == (("lightbits_JWT", "lightbits_jwt"),)
    assert (found.must_leave, found.newly_accepted) == ({"Rocky": ("9",)}, {"Rocky": ("10",)})


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ('"no"', "false", True),
        ('"yes"', "true", True),
        ('"{{ a }}"', '"{{a}}"', True),
        ('"1"', "1", False),
        ("[]", '""', False),
    ],
)
def test_spellings_of_one_default(one: str, two: str, alike: bool) -> None:
    assert (same(one) == same(two)) is alike


def test_defaults_bring_what_their_templates_name(packages: tuple[Package, Package]) -> None:
    found = wanted(raw_defaults(packages[0]), named_in(["nova_url | length > 0 and 'enable_zun' is configured"]))
    assert {name: raw.text for name, raw in found.items()} == {
        "nova_host": '"here"',
        "nova_url": '"http://{{ nova_host }}"',
    }


def test_a_draft_has_the_form_of_the_data(places: tuple[Path, Path], tmp_path: Path) -> None:
    assert main(["hop", str(places[0]), str(places[1]), "--out", str(tmp_path)]) == 0
    files = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.toml")}
    faults: list[str] = []
    shapes = {
        "hops/2025.1-2025.2.toml": schema.Hop,
        "actions/2025.1-2025.2.toml": records.HopActions,
        "variables/2025.1-2025.2.toml": records.HopVariables,
        "service_order/2025.2.toml": records.ServiceOrder,
        "defaults/2025.2.toml": records.Defaults,
    }
    assert set(files) == set(shapes)
    for name, shape in shapes.items():
        parse(files, name, shape, faults)
    assert faults == []
    assert tomllib.loads(files["hops/2025.1-2025.2.toml"].decode())["summary"] == "FILL IN"


def test_a_wheel_is_read_like_a_folder(places: tuple[Path, Path], tmp_path: Path) -> None:
    wheel = tmp_path / "kolla_ansible-20.9.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in places[0].rglob("*"):
            if path.is_file():
                name = path.relative_to(places[0]).as_posix()
                archive.write(path, name.replace("PKG-INFO", "kolla_ansible-20.9.0.dist-info/METADATA"))
    one, two = open_package(str(wheel), tmp_path), open_package(str(places[0]), tmp_path)
    assert (one.files, one.version, one.roles) == (two.files, two.version, two.roles)


@pytest.mark.parametrize("content", ["a: [", None])
def test_what_is_no_package_is_said(content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad"
    files = {**OLD, "ansible/group_vars/all.yml": content} if content else {}
    folder(bad, files, "1.0")
    assert main(["defaults", str(bad)]) == DataError.exit_code
    assert ("is not YAML" if content else "holds no kolla-ansible") in capsys.readouterr().err


def test_heads_of_branches() -> None:
    found = (
        Script("a", (), ()),
        Script("expand1", ("a",), ()),
        Script("contract1", ("a",), ("expand1",)),
        Script("contract2", ("contract1",), ()),
        Script("expand2", ("expand1",), ()),
    )
    assert heads(found) == ("contract2", "expand2")
    assert heads(found[:4]) == ("contract2",), "a head that another one needs has no row of its own"


def test_scripts_are_read_without_importing_them(tmp_path: Path) -> None:
    wheel = tmp_path / "service.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("service/versions/1.py", "import nowhere\nrevision = 'a'\ndown_revision = None\n")
        archive.writestr("service/versions/2.py", "revision: str = 'b'\ndown_revision = ('a',)\ndepends_on = x()\n")
        archive.writestr("service/versions/__init__.py", "")
        archive.writestr("service/other/3.py", "revision = 'c'\n")
    found = scripts(wheel, "service/versions")
    assert found == (Script("a", (), ()), Script("b", ("a",), ()))
    with pytest.raises(DataError, match="no migration scripts"):
        scripts(wheel, "elsewhere")
