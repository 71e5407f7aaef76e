"""Volumes of a sandbox host that a container engine is asked for, and what happens when one is taken away.

The rows of the whole cluster lie in one place (schemas.py), so they go when the last database server's volume goes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from upgrader.sandbox import schemas, store, world

DATA = "mariadb"


def find(host: world.Host, name: str) -> str:
    """Folder of a volume; empty when there is none. A database server has one from its beginning."""
    place = host.volume(name)
    if name == DATA and host.container(DATA) and not os.path.isdir(place):  # noqa: PTH112
        os.makedirs(place, mode=0o700)  # noqa: PTH103
        store.write_bytes(f"{place}/ibdata1", b"rows")
    return place if os.path.isdir(place) else ""  # noqa: PTH112


def make(host: world.Host, name: str) -> None:
    os.makedirs(host.volume(name), mode=0o700, exist_ok=True)  # noqa: PTH103


def remove(host: world.Host, name: str) -> None:
    """Remove a volume with all that is in it. Raises FileNotFoundError when it is not there."""
    shutil.rmtree(host.volume(name))
    if name == DATA and not any(_holders(host.root)):
        for schema in schemas.schemas(host.root):
            schemas.drop(host.root, schema)
        accounts = {user: entry for user, entry in schemas.accounts(host.root).items() if not entry["grants"]}
        store.write(f"{schemas.folder(host.root)}/accounts.json", accounts)
        store.note(host.root, "databases-gone")


def _holders(root: str) -> Iterator[str]:
    hosts = (world.Host(root, name) for name in world.hosts(root))
    return (host.name for host in hosts if find(host, DATA))
