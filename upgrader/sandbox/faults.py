"""Troubles for a sandbox: what `<root>/faults.toml` can ask for, and direct damage.

[[fault]]
kind = "fail"            # see KINDS
task = "expand"          # part of the task's name; empty or missing: every task
host = "ctl1"            # and likewise release (of the images), action (kolla_action), container, database
times = 1                # how often; missing: always
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from upgrader.errors import UsageError
from upgrader.sandbox import answers, identity, logs, schemas, store, world

KINDS = {
    "fail": "the task fails, with `message`",
    "unreachable": "the host does not answer; names no task or action: for every play, also this tool's own",
    "slow": "the task takes `seconds` longer before it has any effect",
    "unhealthy": "the container comes up unhealthy",
    "wrong-image": "the container is made from `image`, or from one with a tag that is no release",
    "leak": "the task prints the secret of the variable `secret`",
    "torn": "the migration of `database` stops in the middle of a script, and every further one fails",
    "mariadb-refuses-downgrade": "an older server does not start on data files a newer one has converted",
}


def add_fault(root: Path, kind: str, **about: str | int | float) -> None:
    """Ask for one more trouble. Raises UsageError for a kind there is none of."""
    if kind not in KINDS:
        raise UsageError(f"The sandbox has no fault {kind!r}; it has {', '.join(KINDS)}.")
    # JSON's texts and numbers are TOML's
    lines = ["[[fault]]", *(f"{name} = {json.dumps(value)}" for name, value in {"kind": kind, **about}.items())]
    path = root / store.FAULTS
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    store.write_bytes(str(path), (before + "\n".join(lines) + "\n\n").encode())


def clear_faults(root: Path) -> None:
    """No further troubles; damage that was done stays."""
    (root / store.FAULTS).unlink(missing_ok=True)
    shutil.rmtree(root / store.FAULTS_USED, ignore_errors=True)


def damage_head(root: Path, database: str, *heads: str) -> None:
    """Overwrite the version rows of a schema. Raises UsageError when there is no such schema."""
    if schemas.load(str(root), database) is None:
        raise UsageError(f"The sandbox has no schema {database}.")
    schemas.set_heads(str(root), database, list(heads))


def damage_answer(root: Path, service: str, host: str = "", **changes: Any) -> None:
    """Let a service say something else: fields of the answers in answers.py, on one host or on all.

    `service` is the question's first word (rabbitmq, haproxy, proxysql, fernet, memcached), or `nova-status` and the
    like, whose `code` and `details` are those of the service's own upgrade check. Without changes it says
    the truth again; `error="words"` alone does not silence it, a stopped container does.
    """
    path = f"{root}/{answers.OVERRIDES}"
    known = store.read_if_there(path) or {}
    said = known.setdefault(service, {})
    if changes:
        said[host] = {**said.get(host, {}), **changes}
    else:
        said.pop(host, None)
    store.write(path, known)


def plant_queues(root: Path, **counts: int) -> None:
    """Queues the broker has besides the usual ones, as counts named like those of BrokerFacts; none: as at first."""
    path = root / "broker.json"
    if counts:
        store.write(str(path), counts)
    else:
        path.unlink(missing_ok=True)


def plant_log(root: Path, host: str, path: str, data: bytes | str) -> None:
    """Add to a service's log on a host, `path` is below /var/log/kolla: `nova/nova-api.log`."""
    logs.plant(world.Host(str(root), host), path, data.encode() if isinstance(data, str) else data)


def damage_keys(root: Path, host: str) -> None:
    """Give one host's Keystone another primary Fernet key than the others have."""
    folder = Path(world.Host(str(root), host).volume(identity.KEYS))
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    store.write_bytes(str(folder / str(numbers[-1])), identity.new_key())


def damage_container(root: Path, host: str, container: str, **changes: str) -> None:
    """Change what is known of a container, e.g. `health`, `status` or `image`; without changes it is removed."""
    place = world.Host(str(root), host)
    found = place.container(container)
    if found is None:
        raise UsageError(f"{host} has no container {container}.")
    if changes:
        place.put(container, {**found, **changes})
    else:
        place.remove(container)
