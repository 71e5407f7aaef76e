"""What an operator's own commands do to the sandbox between two upgrades: rows migrated online, images removed."""

from __future__ import annotations

import os

from upgrader.sandbox import records, store, world

STUCK = "stuck"
"""Key beside planted records: parts whose rows no command migrates, like instances of a host that is gone."""


def migrate_online(host: world.Host, service: str) -> str:
    """`SERVICE-manage db online_data_migrations`: moves what it can, and ends well whatever it left."""
    path = f"{host.root}/{records.OVERRIDES}"
    known = store.read_if_there(path) or {}
    planted = known.get("records", {}).get("", {})
    wanted = [name for name in planted if name.startswith(f"{service}.unmigrated/")]
    moved = [name for name in wanted if name not in planted.get(STUCK, ())]
    for name in moved:
        del planted[name]
    if moved:
        store.write(path, known)
    store.note(host.root, f"online-rows:{service}")
    return "".join(f"| {name.rpartition('/')[2]} | {int(name in moved)} |\n" for name in wanted)


def remove_image(host: world.Host, reference: str) -> str:
    """`rmi REFERENCE` without force: what went wrong, as Docker says it; empty when it is gone."""
    if reference not in host.image_names():
        return f"Error response from daemon: No such image: {reference}"
    for name in host.containers():
        if (host.container(name) or {}).get("image") == reference:
            why = f"conflict: unable to remove repository reference {reference!r} (must force)"
            return f"Error response from daemon: {why}"
    os.unlink(host.image_path(reference))  # noqa: PTH108 - as everywhere in the engine
    store.note(host.root, f"rmi:{host.name}:{reference}")
    return ""
