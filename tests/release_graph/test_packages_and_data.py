"""The data against the packages it was read from: what upstream publishes is right. Needs the package index."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from upgrader.graph import ReleaseGraph
from upgrader.graph.draft import condition_words
from upgrader.graph.extract import facts
from upgrader.graph.extract.compare import Difference, compare, same
from upgrader.graph.extract.defaults import as_toml, raw_defaults, wanted
from upgrader.graph.extract.package import Package, download, open_package
from upgrader.graph.extract.schema_heads import heads, scripts

pytestmark = pytest.mark.slow

RELEASES = ["2023.1", "2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1"]
HOPS = list(itertools.pairwise(RELEASES))
DATABASES = ["keystone", "nova_api", "nova", "neutron"]
SYSTEMS = {"CentOS": "CentOS Stream", "Rocky": "Rocky Linux"}
"""Ansible's name of a distribution → the data's."""

Packages = Callable[[str], Package]


@pytest.fixture(scope="module")
def packages(graph: ReleaseGraph, tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Release → its newest package, downloaded once."""
    folder = tmp_path_factory.mktemp("packages")
    known: dict[str, Package] = {}

    def package(release: str) -> Package:
        if release not in known:
            known[release] = open_package(graph.release(release).kolla_ansible.newest, folder)
        return known[release]

    return package


@pytest.fixture(scope="module", params=HOPS, ids=["-".join(hop) for hop in HOPS])
def hop(request: pytest.FixtureRequest) -> tuple[str, str]:
    source, target = request.param
    return str(source), str(target)


@pytest.fixture(scope="module")
def difference(hop: tuple[str, str], packages: Packages) -> Difference:
    return compare(packages(hop[0]), packages(hop[1]))


# ---------------------------------------------------------------- a release


@pytest.mark.parametrize("release", RELEASES)
def test_the_order_of_an_upgrade(release: str, packages: Packages, graph: ReleaseGraph) -> None:
    told = facts.service_order(packages(release))
    known = graph.service_order(release).roles
    assert [play.name for play in told] == [role.name for role in known]
    for play, role in zip(told, known, strict=True):
        assert (play.playbook, play.enabled_by) == (role.playbook, role.enabled_by), role.name
        assert (play.placement, play.tags) == (role.placement, tuple(sorted(role.tags))), role.name


@pytest.mark.parametrize("release", RELEASES)
def test_ranges_of_ansible_core_and_python(release: str, packages: Packages, graph: ReleaseGraph) -> None:
    known = graph.release(release).kolla_ansible
    package = packages(release)
    assert facts.openstack_release(package) == release
    assert facts.python_requires(package) == known.python_requires
    oldest, newest = facts.ansible_core_series(package)
    assert (known.ansible_core_series[0], known.ansible_core_series[-1]) == (oldest, newest)
    told = facts.ansible_core(package)
    if told:
        assert SpecifierSet(told) == SpecifierSet(known.ansible_core)
    else:
        assert release < "2024.2"
    for series in known.ansible_core_series:
        assert f"{series}.9" in SpecifierSet(known.ansible_core)


@pytest.mark.parametrize("release", RELEASES)
def test_host_systems(release: str, packages: Packages, graph: ReleaseGraph) -> None:
    told = {SYSTEMS.get(name, name): versions for name, versions in facts.host_systems(packages(release)).items()}
    assert told == dict(graph.release(release).host_os)


@pytest.mark.parametrize("release", RELEASES)
def test_defaults_are_what_a_new_draft_would_say(
    release: str, packages: Packages, graph: ReleaseGraph, files: dict[str, bytes]
) -> None:
    package = packages(release)
    found = wanted(raw_defaults(package), condition_words(graph))
    assert as_toml(release, package, found) == files[f"defaults/{release}.toml"].decode()


# ---------------------------------------------------------------- a hop


def test_groups(hop: tuple[str, str], difference: Difference, graph: ReleaseGraph) -> None:
    known = graph.hop(*hop).groups
    assert difference.groups_added == dict(known.added)
    assert difference.groups_removed == tuple(sorted(known.removed))
    moved = {one.name: (one.before, one.after) for one in difference.groups_moved}
    assert moved == {name: (move.before, move.after) for name, move in known.moved.items()}


def test_passwords(hop: tuple[str, str], difference: Difference, graph: ReleaseGraph) -> None:
    known = graph.hop(*hop).passwords
    assert (difference.passwords_added, difference.passwords_removed) == (
        tuple(sorted(known.added)),
        tuple(sorted(known.removed)),
    )


def test_roles(hop: tuple[str, str], difference: Difference, graph: ReleaseGraph) -> None:
    known = graph.hop(*hop).roles
    assert (difference.roles_added, difference.roles_removed) == (
        tuple(sorted(known.added)),
        tuple(sorted(known.removed)),
    )


def test_removed_variables(hop: tuple[str, str], difference: Difference, graph: ReleaseGraph) -> None:
    known = graph.variables(graph.hop(*hop)).removed
    assert difference.group_vars_removed == tuple(sorted(known.group_vars))
    assert difference.role_defaults_removed == tuple(sorted(known.role_defaults))


def test_host_systems_of_a_hop(hop: tuple[str, str], difference: Difference, graph: ReleaseGraph) -> None:
    known = graph.hop(*hop).host_os
    renamed = [
        {SYSTEMS.get(name, name): versions for name, versions in told.items()}
        for told in (difference.must_leave, difference.newly_accepted)
    ]
    assert renamed == [dict(known.must_leave), dict(known.new)]


def test_changed_defaults_change(hop: tuple[str, str], packages: Packages, graph: ReleaseGraph) -> None:
    """Those whose name is that of one variable which both releases have."""
    before, after = (raw_defaults(packages(release)) for release in hop)
    for change in graph.variables(graph.hop(*hop)).changed_defaults:
        if change.name in before and change.name in after:
            assert same(before[change.name].text) != same(after[change.name].text), change.name


def test_renamed_variables_are_gone_and_there(hop: tuple[str, str], packages: Packages, graph: ReleaseGraph) -> None:
    before, after = (set(raw_defaults(packages(release))) for release in hop)
    for renamed in graph.variables(graph.hop(*hop)).renamed:
        if renamed.name in before and " " not in renamed.to:
            assert renamed.name not in after, renamed.name
            assert renamed.to in after, renamed.to


# ---------------------------------------------------------------- services


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("release", RELEASES)
def test_schema_heads(database: str, release: str, graph: ReleaseGraph, service_wheels: Callable[[str], Path]) -> None:
    known = next(one for one in graph.databases if one.database == database)
    version = re.findall(r"\d[\w.]*", known.read_from[release])[-1]
    found = scripts(service_wheels(f"{known.package}=={version}"), known.scripts)
    left_out = known.shipped_but_not_loaded.get(release, ())
    assert set(left_out) <= {script.revision for script in found}
    loaded = [script for script in found if script.revision not in left_out]
    assert heads(loaded) == tuple(sorted(known.heads[release]))


@pytest.fixture(scope="module")
def service_wheels(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("services")
    known: dict[str, Path] = {}

    def wheel(requirement: str) -> Path:
        if requirement not in known:
            known[requirement] = download(requirement, folder)
        return known[requirement]

    return wheel
