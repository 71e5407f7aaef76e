"""A toolchain, inventories and playbooks small enough for real Ansible runs in tests."""

from __future__ import annotations

import sys
from pathlib import Path

from upgrader.runner.base import Play

HOSTS = ("alpha", "beta", "gamma")
REPO = Path(__file__).parents[2]


def toolchain(folder: Path) -> Path:
    """The layout of a release's environment, with the ansible-core that is installed beside this Python."""
    place = folder / "toolchain"
    (place / "bin").mkdir(parents=True)
    (place / "collections").mkdir()
    (place / "bin" / "ansible-playbook").symlink_to(Path(sys.executable).parent / "ansible-playbook")
    return place


def inventory(folder: Path, hosts: tuple[str, ...] = HOSTS, dead: tuple[str, ...] = ()) -> Path:
    """Hosts that are all this machine; `dead` ones are behind SSH on a port where nobody listens."""
    file = folder / "inventory"
    lines = ["[all]"]
    for host in hosts:
        if host in dead:
            lines.append(f"{host} ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1")
        else:
            lines.append(f"{host} ansible_connection=local")
    lines += ["[all:vars]", f"ansible_python_interpreter={sys.executable}", f"ansible_remote_tmp={folder}/remote-tmp"]
    file.write_text("\n".join(lines) + "\n")
    return file


def play(folder: Path, tasks: str, **changes: object) -> Play:
    """A play over HOSTS with the given tasks (YAML, not indented)."""
    book = folder / "book.yml"
    body = "\n".join("    " + line for line in tasks.strip("\n").splitlines())
    book.write_text(f"- name: book\n  hosts: all\n  gather_facts: false\n  tasks:\n{body}\n")
    place = folder / "toolchain"
    values: dict[str, object] = {
        "name": "book",
        "toolchain": place if place.exists() else toolchain(folder),
        "playbook": book,
        "inventory": (inventory(folder),) if "inventory" not in changes else changes["inventory"],
        "expected_hosts": HOSTS,
    }
    return Play(**{**values, **changes})  # type: ignore[arg-type]


def sealed(password: bytes, plain: bytes, label: str = "") -> bytes:
    """As `ansible-vault encrypt` makes it, with a vault id or without; by its library, which spares a process."""
    from ansible.parsing.vault import VaultLib, VaultSecret

    secret = VaultSecret(password.strip())
    return bytes(VaultLib([("default", secret)]).encrypt(plain, secret, vault_id=label or None))
