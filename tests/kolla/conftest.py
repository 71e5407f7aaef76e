from __future__ import annotations

import sys
from pathlib import Path

import pytest

from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import Vault

EXAMPLE = """---
# keys of the release
database_password:
docker_registry_password:
redis_master_password:
valkey_master_password:
nova_ssh_key:
  private_key:
  public_key:
designate_pool_id:
"""

GENPWD = """
import os, sys, yaml
path = sys.argv[sys.argv.index("--passwords") + 1]
values = yaml.safe_load(open(path))
for key in values:
    if key == "nova_ssh_key":
        values[key] = {"private_key": "-----BEGIN KEY-----\\nabcdefghij\\nklmnopqrst\\n-----END KEY-----\\n",
                       "public_key": "ssh-rsa AAAAfresh"}
    elif key != "docker_registry_password" and values[key] is None:
        values[key] = "fresh" + key
try:
    os.remove(path)  # as the real one does: the mode is what it asks for and the umask allows
except OSError:
    pass
with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o640), "w") as stream:
    stream.write(yaml.safe_dump(values, default_flow_style=False))
"""

MERGEPWD = """
import sys, yaml
old, new, final = (sys.argv[sys.argv.index(option) + 1] for option in ("--old", "--new", "--final"))
values = yaml.safe_load(open(new)) | yaml.safe_load(open(old))
open(final, "w").write(yaml.safe_dump(values, default_flow_style=False))
"""


def program(path: Path, body: str) -> None:
    path.write_text(body)
    path.chmod(0o755)


@pytest.fixture
def toolchain(tmp_path: Path) -> Toolchain:
    """Real ansible-vault and ansible-inventory, with small stand-ins for kolla-genpwd and kolla-mergepwd."""
    made = Toolchain("2025.2", tmp_path / "toolchains" / "2025.2")
    made.bin.mkdir(parents=True)
    made.example_passwords.parent.mkdir(parents=True)
    made.example_passwords.write_text(EXAMPLE)
    program(made.python, f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for name, module in (
        ("ansible-vault", "vault"),
        ("ansible-inventory", "inventory"),
        ("ansible-playbook", "playbook"),
    ):
        code = f"import sys; from ansible.cli.{module} import main; sys.argv[0] = '{name}'; main()"
        program(made.bin / name, f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    program(made.bin / "kolla-genpwd", f"#!{sys.executable}{GENPWD}")
    program(made.bin / "kolla-mergepwd", f"#!{sys.executable}{MERGEPWD}")
    return made


@pytest.fixture
def vault(tmp_path: Path, toolchain: Toolchain) -> Vault:
    (tmp_path / "vault-password").write_text("open sesame\n")
    return Vault(toolchain, tmp_path / "vault-password")
