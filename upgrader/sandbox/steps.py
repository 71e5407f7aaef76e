"""What the sandbox's playbooks do: one function for each kind of task, on one host.

Runs inside Ansible's forked workers, called by the action plugin. Changes the cloud in small steps, each of them
whole, so that a kill at any moment leaves what a kill of kolla-ansible leaves: some containers new, some old,
one perhaps missing. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from typing import Any

from upgrader.sandbox import identity, schemas, store, world

Result = dict[str, Any]


class Unreachable(Exception):  # noqa: N818 - becomes Ansible's own "unreachable"
    """The host does not answer."""


@dataclass
class Step:
    """One task on one host, as the play gave it."""

    root: str
    host: world.Host
    task: str
    args: dict[str, Any]
    cloud: dict[str, Any]
    """The toolchain's `sandbox.json`: roles, containers, heads and versions of its release."""
    groups: dict[str, list[str]]
    """The inventory's groups."""
    secrets: dict[str, str] = field(default_factory=dict)
    check: bool = False

    @property
    def release(self) -> str:
        """Release of the images: what the configuration says, not what the toolchain is."""
        return str(self.args.get("release", ""))

    @property
    def role(self) -> str:
        return str(self.args["role"])

    def left_out(self) -> bool:
        """Whether this cloud goes without the role, or the task is for another host of the role's group."""
        if not self.args.get("enabled", True):
            return True
        where = {"first": 0, "last": -1}.get(str(self.args.get("where", "")))
        return where is not None and self.groups[self.role][where] != self.host.name

    def here(self, name: str) -> bool:
        """Whether the container belongs on this host."""
        return any(self.host.name in self.groups.get(group, ()) for group in self.cloud["containers"][name]["groups"])

    def mine(self) -> list[str]:
        """The role's containers that belong on this host."""
        role, containers = self.role, self.cloud["containers"]
        return [name for name, item in containers.items() if item["role"] == role and self.here(name)]

    def image(self, name: str) -> str:
        return f"{self.args['url']}{self.cloud['containers'][name]['image']}:{self.args['tag']}"

    def fault(self, kind: str, **about: str) -> dict[str, Any] | None:
        given = {"task": self.task, "host": self.host.name, "release": self.release, "action": self.args["action"]}
        return store.take_fault(self.root, kind, **{**given, **about})


def run(step: Step) -> Result:
    """Do the step. Raises Unreachable; every other trouble is a failed result."""
    if step.fault("unreachable"):
        raise Unreachable(f"Failed to connect to the host via ssh: connect to host {step.host.name} port 22: timed out")
    if not os.path.isdir(step.host.dir):  # noqa: PTH112
        return _failed(f"{step.host.name} is not a host of this sandbox")
    slow = step.fault("slow")
    if slow:
        time.sleep(float(slow.get("seconds", 1)))
    broken = step.fault("fail")
    if broken:
        return _failed(str(broken.get("message", "a fault was asked for")))
    if step.left_out():
        return {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}
    result = _KINDS[step.args["do"]](step)
    leak = step.fault("leak")
    if leak:
        result["msg"] = f"connecting with {step.secrets.get(str(leak.get('secret', 'database_password')), '')}"
    return result


def _failed(message: str) -> Result:
    return {"failed": True, "msg": message, "changed": False}


# ---------------------------------------------------------------- the play as a whole


def _begin(step: Step) -> Result:
    """First task of every play: the host answers; on the first host the play itself is counted."""
    if step.groups["all"][0] == step.host.name:
        _note_play(step)
    return {"changed": False}


def _note_play(step: Step) -> None:
    """Count the play, and a second one that runs beside it: nothing in the cloud keeps two from overlapping."""
    marker = f"{step.root}/play.json"
    other = store.read_if_there(marker)
    me = os.getppid()
    if other and other["pid"] != me and _alive(other["pid"], other["started"]):
        store.note(step.root, f"overlap:{other['action']}+{step.args['action']}")
    store.write(marker, {"pid": me, "started": _started(me), "action": step.args["action"]})
    store.note(step.root, f"play:{step.args['action']}:{step.cloud['release']}")


def _started(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:  # noqa: PTH123
            return stream.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _alive(pid: int, started: str) -> bool:
    return bool(started) and _started(pid) == started


# ---------------------------------------------------------------- before anything changes


def _precheck(step: Step) -> Result:
    role = step.args["role"]
    for item in step.cloud["containers"].values():
        known = [group for group in item["groups"] if group in step.groups]
        if item["role"] == role and not known:
            group = item["groups"][0]
            return _failed(
                f"Ansible inventory does not contain the expected group {group} for service {item['key']} in {role}."
            )
    if role == "mariadb" and step.host.container("mariadb") and world.galera_size(step.root) == 0:
        return _failed("MariaDB cluster exists but is stopped. Please start it using kolla-ansible mariadb-recovery")
    return {"changed": False}


def _pull(step: Step) -> Result:
    changed = False
    for name in step.mine():
        changed |= _ensure_image(step, name, step.image(name))
    return {"changed": changed}


def _ensure_image(step: Step, name: str, reference: str) -> bool:
    version = step.cloud["versions"].get(step.release, {"kolla": "", "mariadb": ""})
    labels = {"build-date": "20260901", "kolla_version": version["kolla"], "maintainer": "sandbox"}
    labels["name"] = step.cloud["containers"][name]["image"]
    if name == "mariadb":
        labels["mariadb_version"] = version["mariadb"]
    added = step.host.add_image(reference, labels)
    if added:
        store.note(step.root, f"pull:{step.host.name}:{name}:{step.release}")
    return added


# ---------------------------------------------------------------- configuration and containers


def _config(step: Step) -> Result:
    changed = False
    for name in step.mine():
        path = f"{step.host.dir}/config/{name}.json"
        wanted = {"digest": _digest(step, name)}
        if store.read_if_there(path) != wanted:
            changed = True
            if not step.check:
                store.write(path, wanted)
    return {"changed": changed}


def _digest(step: Step, name: str) -> str:
    """Stands for the rendered configuration: differs by toolchain and by configured release."""
    text = f"{step.cloud['release']} {step.release} {name}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _config_of(step: Step, name: str) -> str:
    found = store.read_if_there(f"{step.host.dir}/config/{name}.json") or {"digest": ""}
    return str(found["digest"])


def _differs(step: Step, name: str) -> bool:
    found = step.host.container(name)
    return (
        found is None
        or found["status"] != "running"
        or found["image"] != step.image(name)
        or found["config"] != _config_of(step, name)
    )


def _compare(step: Step) -> Result:
    """`Check containers` of a deploy or upgrade: writes the configuration, and says which containers to restart.

    Kolla-ansible has some tasks more for this; here one has to do, or a play over nine hosts takes too long.
    """
    _config(step)
    differing = [name for name in step.mine() if _differs(step, name)]
    keys = [step.cloud["containers"][name]["key"] for name in differing]
    return {"changed": bool(differing), "notify": [f"Restart {key} container" for key in keys]}


def _inspect(step: Step) -> Result:
    """`check`: every container of the role is there, runs and is not unhealthy; whatever its image."""
    for name in step.mine():
        found = step.host.container(name)
        if found is None or found["status"] != "running":
            return _failed(f"Container {name} is missing or does not run")
        if found["health"] == "unhealthy":
            return _failed(f"Container {name} is unhealthy")
    return {"changed": False}


def _restart(step: Step) -> Result:
    """A handler, or MariaDB's rolling restart: recreate one container if it is not what it has to be."""
    name = step.args["container"]
    if not step.here(name) or not _differs(step, name):
        return {"changed": False}
    reference = step.image(name)
    wrong = step.fault("wrong-image", container=name)
    if wrong:
        reference = str(wrong.get("image", reference + "-wrong"))
    _ensure_image(step, name, reference)
    if name == "mariadb" and _downgrades(step) and step.fault("mariadb-refuses-downgrade", container=name):
        step.host.stop(name, exit_code=1)
        return _failed("Timeout when waiting for search string MariaDB: the server does not start on newer files")
    step.host.remove(name)
    unhealthy = step.fault("unhealthy", container=name)
    step.host.create(name, reference, config=_config_of(step, name), health="unhealthy" if unhealthy else "healthy")
    store.note(step.root, f"restart:{step.host.name}:{name}:{step.release}")
    if name == "mariadb":
        _note_data_files(step)
    return {"changed": True}


def _series(step: Step) -> list[int]:
    version = step.cloud["versions"].get(step.release, {"mariadb": "0"})["mariadb"]
    return [int(part) for part in version.split(".")[:2]]


def _downgrades(step: Step) -> bool:
    files = store.read_if_there(f"{step.host.dir}/volumes/mariadb.json") or {"series": [0]}
    return bool(files["series"] > _series(step))


def _note_data_files(step: Step) -> None:
    """A newer server converts the data files; an older one does not convert them back."""
    path = f"{step.host.dir}/volumes/mariadb.json"
    files = store.read_if_there(path) or {"series": [0]}
    store.write(path, {"series": max(files["series"], _series(step))})


def _synced(step: Step) -> Result:
    status = world.galera_status(step.root, step.host.name)
    if status["wsrep_local_state_comment"] != "Synced":
        return _failed(f"wsrep_local_state_comment is {status['wsrep_local_state_comment']}")
    return {"changed": False}


def _recover(step: Step) -> Result:
    """`mariadb_recovery`: form the cluster anew from this host."""
    if world.galera_size(step.root):
        return {"changed": False}
    world.galera_recover(step.root, step.host.name)
    store.note(step.root, "galera-recovered")
    return {"changed": True}


def _stop(step: Step) -> Result:
    running = [name for name in step.mine() if step.host.running(name)]
    for name in running:
        step.host.stop(name)
        store.note(step.root, f"stop:{step.host.name}:{name}")
    return {"changed": bool(running)}


def _backup(step: Step) -> Result:
    """`mariadb_backup`: a copy of the schemas on the first database host, named as Kolla names it."""
    folder = step.host.volume("mariadb_backup")
    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
    name = f"mysqlbackup-{time.strftime('%d-%m-%Y-%s', time.gmtime())}.qp.xbc.xbs.gz"
    version = world.galera_status(step.root, step.host.name)["version"]
    text = "".join(part for schema in schemas.schemas(step.root) for part in schemas.dump(step.root, schema, version))
    import gzip

    store.write_bytes(f"{folder}/{name}", gzip.compress(text.encode(), 1))
    return {"changed": True, "backup": name}


def _notify(step: Step) -> Result:
    """A task that is there to notify a handler."""
    return {"changed": True}


def _nothing(step: Step) -> Result:
    """A task whose effect the sandbox does not imitate."""
    return {"changed": False}


def _fernet(step: Step) -> Result:
    """Keystone's `fernet_setup`: makes a key repository where there is none, and leaves an existing one alone."""
    changed = False
    for name in step.groups["keystone"]:
        folder = world.Host(step.root, name).volume(identity.KEYS)
        if not os.path.isdir(folder):  # noqa: PTH112
            os.makedirs(folder, mode=0o700)  # noqa: PTH103
            for number in (0, 1):
                store.write_bytes(f"{folder}/{number}", identity.new_key())
            changed = True
    return {"changed": changed}


# ---------------------------------------------------------------- schemas


def _schema(step: Step) -> Result:
    """A oneshot container that runs a service's own migration tool of the images' release."""
    if world.galera_size(step.root) == 0:
        return _failed('(2003, "Can\'t connect to MySQL server")')
    part = str(step.args.get("part", ""))
    store.note(step.root, f"schema:{step.args['role']}:{part or step.args['kind']}:{step.release}")
    changed = False
    for database in step.args["databases"]:
        result = _migrate(step, database, part)
        if result.get("failed"):
            return result
        changed |= result["changed"]
    return {"changed": changed}


def _migrate(step: Step, database: str, part: str) -> Result:
    table: dict[str, dict[str, list[str]]] = step.cloud["heads"]
    target = table.get(step.release, {}).get(database)
    schema = schemas.load(step.root, database)
    if target is None or schema is None:
        return {"changed": False}
    found = schemas.heads_of(schema)
    trouble = _refusal(step, database, found)
    if trouble:
        return _failed(trouble)
    if step.args["kind"] == "online":
        return _online(step, database)
    if step.fault("torn", database=database):
        schemas.set_heads(step.root, database, [], release=step.release, task=step.task, torn="yes")
        return _failed(f"(1050, \"Table '{database}.standardattributes' already exists\")")
    goal = after(part, found, target)
    if sorted(goal) == sorted(found):
        return {"changed": False}
    schemas.set_heads(step.root, database, goal, release=step.release, task=step.task)
    store.note(step.root, f"migrate:{database}:{step.release}:{part or 'all'}")
    return {"changed": True}


def _refusal(step: Step, database: str, found: list[str]) -> str:
    """Why the release's own code does not accept what the version table holds; empty when it does."""
    if not found:
        return f"(1050, \"Table '{database}.standardattributes' already exists\")"
    heads = step.cloud["heads"]
    known = {row for release in heads if release <= step.release for row in heads[release].get(database, ())}
    known |= {row.replace("contract", "expand") for row in known}
    unknown = [row for row in found if row not in known]
    return f"Can't locate revision identified by '{unknown[0]}'" if unknown else ""


def after(part: str, found: list[str], target: list[str]) -> list[str]:
    """Version rows once `part` of a migration from `found` to `target` is done.

    A schema with an expand and a contract row changes the first with `expand` and the second with `contract`;
    one with a single row holds both names in between, as Glance does.
    """
    if part == "migrate" or sorted(found) == sorted(target):
        return found
    if part != "expand":
        return target
    new = [row for row in target if row not in found]
    old = [row for row in found if row not in target]
    if len(target) == 1:
        return [*found, *(row.replace("contract", "expand") for row in new)]
    return [row for row in found if row != old[0]] + new[:1] if old else target


def _online(step: Step, database: str) -> Result:
    """Rows moved while services run: counted once for each release, nothing to do after that."""
    schema = schemas.load(step.root, database)
    if schema is None or step.release in schema.get("online", ()):
        return {"changed": False}
    schemas.save(step.root, database, {**schema, "online": [*schema.get("online", ()), step.release]})
    store.note(step.root, f"online:{database}:{step.release}")
    return {"changed": True}


_KINDS = {
    "begin": _begin,
    "precheck": _precheck,
    "pull": _pull,
    "config": _config,
    "compare": _compare,
    "inspect": _inspect,
    "restart": _restart,
    "synced": _synced,
    "recover": _recover,
    "stop": _stop,
    "backup": _backup,
    "fernet": _fernet,
    "notify": _notify,
    "nothing": _nothing,
    "schema": _schema,
}
