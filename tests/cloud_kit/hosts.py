"""A site of folder hosts, the way the code under test sees one."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upgrader.config import Site, load_site
from upgrader.kolla.toolchain import Toolchain

ENGINE = Path(__file__).parent / "engine.py"
PASSWORD = "sQl-9f'secret $HOME"
ADMIN_PASSWORD = 'adm1n-4c"secret'
TAG = "2025.1-debian-bookworm"


@dataclass(frozen=True)
class Inventory:
    hosts: Mapping[str, Sequence[str]]


def container(
    name: str, image: str = "", *, status: str = "running", health: str = "", **labels: str
) -> dict[str, Any]:
    image = image or f"registry:4000/kolla/{name.replace('_', '-')}:{TAG}"
    state: dict[str, Any] = {"Status": status, "StartedAt": "2026-11-22T12:00:00Z"}
    if health:
        state["Health"] = {"Status": health, "Log": []}
    labels = {"kolla_version": "20.6.0", "name": name.replace("_", "-")} | labels
    digest = "sha256:" + name.encode().hex().ljust(64, "0")[:64]
    return {"name": f"/{name}", "image": image, "image_id": digest, "labels": labels, "state": state}


@dataclass(frozen=True)
class FolderCloud:
    root: Path
    site: Site
    toolchain: Toolchain
    inventory: Inventory

    def host(self, name: str) -> Path:
        return self.root / "hosts" / name

    def put(self, name: str, *containers: dict[str, Any]) -> None:
        (self.host(name) / "containers.json").write_text(json.dumps(containers))

    def argv(self, name: str) -> list[list[str]]:
        log = self.host(name) / "argv.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def make_cloud(root: Path, groups: Mapping[str, Sequence[str]], socket: Path | None = None) -> FolderCloud:
    """Hosts by group; group `mariadb` hosts are servers of the one at `socket`."""
    hosts: dict[str, list[str]] = {}
    lines = ["localhost ansible_connection=local"]
    for group, members in groups.items():
        for host in members:
            hosts.setdefault(host, []).append(group)
        lines += [f"[{group}]", *members]
    python = sys.executable
    lines += [
        "[all:vars]",
        "ansible_connection=local",
        f"ansible_python_interpreter={python}",
        "ansible_pipelining=true",
    ]
    kolla = root / "kolla"
    kolla.mkdir(parents=True)
    (root / "inventory").write_text("\n".join(lines) + "\n")
    (kolla / "globals.yml").write_text('openstack_release: "2025.1"\n')
    (kolla / "passwords.yml").write_text(
        json.dumps({"database_password": PASSWORD, "keystone_admin_password": ADMIN_PASSWORD})
    )
    (kolla / "passwords.yml").chmod(0o600)
    for host in hosts:
        folder = root / "hosts" / host
        (folder / "fs").mkdir(parents=True)
        (folder / "containers.json").write_text("[]")
        (folder / "etc").mkdir()
        (folder / "etc" / "os-release").write_text('ID=debian\nVERSION_ID="12"\n')
        if socket and host in groups.get("mariadb", ()):
            (folder / "socket").write_text(str(socket))
            size = len(groups["mariadb"])
            rows = {"cluster_size": size, "cluster_status": "Primary", "local_state_comment": "Synced", "ready": "ON"}
            rows["local_index"] = list(groups["mariadb"]).index(host)
            (folder / "galera").write_text("".join(f"wsrep_{name}\t{value}\n" for name, value in rows.items()))
    toolchain = Toolchain("2025.1", root / "toolchains" / "2025.1")
    toolchain.bin.mkdir(parents=True)
    for program in ("ansible-playbook", "ansible-inventory"):
        (toolchain.bin / program).symlink_to(Path(python).parent / program)
    command = f"{python} -S -E {ENGINE} {root}/hosts/{{{{ inventory_hostname }}}}"
    (root / "upgrader.toml").write_text(
        f'[site]\nname = "folders"\nsandbox = "."\nengine_command = {json.dumps(command)}\n'
        '[kolla]\nconfig_dir = "kolla"\ninventory = "inventory"\n[run]\nforks = 4\n'
    )
    return FolderCloud(root, load_site(root / "upgrader.toml"), toolchain, Inventory(hosts))


def has_server() -> bool:
    return all(shutil.which(name) for name in ("mariadbd", "mariadb-install-db", "mariadb-dump"))
