"""The account of every hop: representatives, what is kept, what could not be made; the rendering itself is replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from upgrader.graph import load_graph
from upgrader.kolla.aside.differences import WORK, differences, representatives, verify_kept
from upgrader.kolla.inventory import Inventory
from upgrader.rendered import ConfigDifference
from upgrader.runner.base import Play, PlayResult

HOPS = load_graph().path("2025.1", "2026.1")
INVENTORY = Inventory(
    hosts={
        "ctl1": ("baremetal", "control"),
        "ctl2": ("baremetal", "control"),
        "ctl3": ("baremetal", "control"),
        "cmp1": ("baremetal", "compute"),
        "deploy": ("deployment",),
    },
    groups={"control": (), "compute": (), "baremetal": (), "kolla-logs": ()},
)
CANARY = "canary-in-a-file"


@dataclass(frozen=True)
class Site:
    config_dir: Path
    state_dir: Path
    toolchains_dir: Path
    extra_vars: tuple[Path, ...] = ()
    vault_password_file: Path | None = None
    forks: int = 2

    @property
    def inventory(self) -> Path:
        return self.config_dir / "hosts"

    @property
    def passwords(self) -> Path:
        return self.config_dir / "passwords.yml"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    config = tmp_path / "kolla"
    config.mkdir()
    (config / "globals.yml").write_text("{}\n")
    (config / "passwords.yml").write_text("a_password: canary-of-a\n")
    (config / "hosts").write_text("[control]\n")
    for release in ("2025.1", "2025.2"):
        place = tmp_path / "toolchains" / release
        for file in ("bin/ansible-playbook", "share/kolla-ansible/ansible/site.yml"):
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).touch()
    return Site(config, tmp_path / "state", tmp_path / "toolchains")


class Renderer:
    """Stands in for Ansible: writes facts and one file per host that names its release."""

    def __init__(self, silent: tuple[str, ...] = ()) -> None:
        self.plays: list[Play] = []
        self._silent = silent

    def run(self, play: Play, folder: Path, *, on_event: object = None, cancelled: object = None) -> PlayResult:
        self.plays.append(play)
        values = dict(play.extra_vars)
        hosts = str(values.get("upgrader_hosts") or play.limit).split(",")
        for host in hosts:
            if "upgrader_facts" in values:
                if host not in self._silent:
                    (Path(values["upgrader_facts"]) / f"{host}.json").write_text("{}")
                continue
            root = Path(str(values["node_config_directory"]).replace("{{ inventory_hostname }}", host))
            (root / "svc").mkdir(parents=True)
            password = Path(play.extra_vars_files[-1]).read_text()
            (root / "svc" / "svc.conf").write_text(
                f"release = {values['openstack_release']}\nsame = 1\n{password}password = {CANARY}{root.parts[-3]}\n"
            )
        stats = {host: {"ok": 1} for host in hosts}
        return PlayResult(play.name, "successful", 0, stats, tuple(hosts))


def made(site: Site, renderer: Renderer, say: Callable[[str], None] = lambda _line: None) -> list[ConfigDifference]:
    return list(differences(site, HOPS, INVENTORY, renderer, key=b"k", say=say))


def test_each_release_is_rendered_once_for_hosts_that_stand_for_others(site: Site) -> None:
    renderer = Renderer()
    first, second = made(site, renderer)
    assert [play.name for play in renderer.plays] == [
        "facts for rendering",
        "configuration of 2025.1",
        "configuration of 2025.2",
    ]
    assert renderer.plays[1].limit == "cmp1,ctl1"
    assert first.error == "" and first.hosts == (("cmp1", ("cmp1",)), ("ctl1", ("ctl1", "ctl2", "ctl3")))
    (service,) = first.services
    assert (service.service, service.added, service.removed, service.files[0].hosts) == ("svc", 2, 2, ("cmp1", "ctl1"))
    assert second.services == () and "upgrader toolchain build 2026.1" in second.error


def test_what_is_kept_is_bound_by_its_digest_and_holds_no_secret(site: Site) -> None:
    first = made(site, Renderer())[0]
    folder = Path(first.folder)
    texts = "".join(file.read_text() for file in folder.iterdir())
    assert "canary" not in texts and "PASSWORD_a_password" in texts and "HIDDEN-" in texts
    assert verify_kept(first) and folder.stat().st_mode & 0o077 == 0
    assert made(site, Renderer())[0] == first, "the same files give the same account"
    (folder / "svc.diff").write_text("changed\n")
    assert not verify_kept(first)


def test_nothing_of_the_work_stays(site: Site) -> None:
    made(site, Renderer())
    assert list((site.state_dir / WORK).iterdir()) == []
    left = site.state_dir / WORK / "999999999-x"
    left.mkdir()
    made(site, Renderer())
    assert not left.exists(), "the rest of a killed process goes first"


def test_a_host_without_facts_is_left_out_and_none_at_all_is_an_error(site: Site) -> None:
    assert made(site, Renderer(silent=("cmp1",)))[0].services[0].files[0].hosts == ("ctl1",)
    assert "no host gave its facts" in made(site, Renderer(silent=("cmp1", "ctl1")))[0].error


def test_two_renderings_of_nothing_are_no_good_news(site: Site) -> None:
    class Empty(Renderer):
        def run(self, play: Play, folder: Path, *, on_event: object = None, cancelled: object = None) -> PlayResult:
            result = super().run(play, folder)
            for host in play.limit.split(",") if play.limit else ():
                root = Path(
                    str(dict(play.extra_vars)["node_config_directory"]).replace("{{ inventory_hostname }}", host)
                )
                (root / "svc" / "svc.conf").unlink()
            return result

    assert made(site, Empty())[0].error == "2025.1: no file was rendered; 2025.2: no file was rendered"


def test_a_host_with_files_of_its_own_stands_for_itself(tmp_path: Path) -> None:
    (tmp_path / "config" / "nova" / "ctl2").mkdir(parents=True)
    (tmp_path / "config" / "nova" / "ctl2" / "nova.conf").touch()
    assert [host for host, _ in representatives(INVENTORY, tmp_path)] == ["cmp1", "ctl1", "ctl2"]


def test_groups_the_inventory_lacks_are_given_beside_it(site: Site) -> None:
    seen: list[str] = []

    class Reading(Renderer):
        def run(self, play: Play, folder: Path, *, on_event: object = None, cancelled: object = None) -> PlayResult:
            seen.append("".join(file.read_text() for file in play.inventory[1:]))
            return super().run(play, folder)

    made(site, Reading())
    assert seen[1] == "" and "[neutron-rpc-server:children]\ncontrol\n" in seen[2]
    assert json.dumps(seen).count("kolla_logs") == 0, "groups of later hops belong to later releases"
