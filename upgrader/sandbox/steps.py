"""What the sandbox's playbooks do: one function for each kind of task, on one host.

Runs inside Ansible's forked workers, called by the action plugin. Changes the cloud in small steps, each of them
whole, so that a kill at any moment leaves what a kill of kolla-ansible leaves: some containers new, some old,
one perhaps missing. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import time

from upgrader.sandbox import identity, left, logs, migrations, queues, schemas, store, world
from upgrader.sandbox.step import Result, Step, Unreachable, failed


def run(step: Step) -> Result:
    """Do the step. Raises Unreachable; every other trouble is a failed result."""
    if step.fault("unreachable"):
        raise Unreachable(f"Failed to connect to the host via ssh: connect to host {step.host.name} port 22: timed out")
    if not os.path.isdir(step.host.dir):  # noqa: PTH112
        return failed(f"{step.host.name} is not a host of this sandbox")
    slow = step.fault("slow")
    if slow:
        time.sleep(float(slow.get("seconds", 1)))
    broken = step.fault("fail")
    if broken:
        message = str(broken.get("message", "a fault was asked for"))
        if step.args.get("role"):
            logs.service(step.host, step.role, f"{step.role}.log", "ERROR", message, str(broken.get("request", "")))
        return failed(message)
    if step.left_out() or (step.check and step.args["do"] not in _READING):
        return {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}
    result = _KINDS[step.args["do"]](step)
    leak = step.fault("leak")
    if leak:
        result["msg"] = f"connecting with {step.secrets.get(str(leak.get('secret', 'database_password')), '')}"
    return result


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
        step.note(f"overlap:{other['action']}+{step.args['action']}")
    store.write(marker, {"pid": me, "started": _started(me), "action": step.args["action"]})
    step.note(f"play:{step.args['action']}:{step.cloud['release']}")


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
            return failed(
                f"Ansible inventory does not contain the expected group {group} for service {item['key']} in {role}."
            )
    if role == "mariadb" and step.host.container("mariadb") and world.galera_size(step.root) == 0:
        return failed("MariaDB cluster exists but is stopped. Please start it using kolla-ansible mariadb-recovery")
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
    if name == "rabbitmq":
        labels["rabbitmq_version"] = version.get("rabbitmq", "")
    added = step.host.add_image(reference, labels)
    if added:
        step.note(f"pull:{step.host.name}:{name}:{step.release}")
    return added


# ---------------------------------------------------------------- configuration and containers


def _config(step: Step) -> Result:
    changed = False
    for name in step.mine():
        path = f"{step.host.dir}/config/{name}.json"
        wanted = {"digest": _digest(step, name)}
        if store.read_if_there(path) != wanted:
            changed = True
            store.write(path, wanted)
    return {"changed": changed}


def _digest(step: Step, name: str) -> str:
    """Stands for the rendered configuration: differs by toolchain and by configured release."""
    text = f"{step.cloud['release']} {step.release} {name}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _config_of(step: Step, name: str) -> str:
    found = store.read_if_there(f"{step.host.dir}/config/{name}.json") or {"digest": ""}
    return str(found["digest"])


def differs(step: Step, name: str) -> bool:
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
    differing = [name for name in step.mine() if differs(step, name)]
    keys = [step.cloud["containers"][name]["key"] for name in differing]
    return {"changed": bool(differing), "notify": [f"Restart {key} container" for key in keys]}


def _inspect(step: Step) -> Result:
    """`check`: every container of the role is there, runs and is not unhealthy; whatever its image."""
    for name in step.mine():
        found = step.host.container(name)
        if found is None or found["status"] != "running":
            return failed(f"Container {name} is missing or does not run")
        if found["health"] == "unhealthy":
            return failed(f"Container {name} is unhealthy")
    return {"changed": False}


def _restart(step: Step) -> Result:
    """A handler, or MariaDB's rolling restart: recreate one container if it is not what it has to be."""
    name = step.args["container"]
    if not step.here(name) or not differs(step, name):
        return {"changed": False}
    reference = step.image(name)
    wrong = step.fault("wrong-image", container=name)
    if wrong:
        reference = str(wrong.get("image", reference + "-wrong"))
    _ensure_image(step, name, reference)
    if name == "mariadb" and _downgrades(step) and step.fault("mariadb-refuses-downgrade", container=name):
        logs.say(step.host, name, "[ERROR] InnoDB: Unsupported redo log format; the files are of a newer server")
        step.host.stop(name, exit_code=1)
        return failed("Timeout when waiting for search string MariaDB: the server does not start on newer files")
    step.host.remove(name)
    unhealthy = step.fault("unhealthy", container=name)
    step.host.create(name, reference, config=_config_of(step, name), health="unhealthy" if unhealthy else "healthy")
    step.note(f"restart:{step.host.name}:{name}:{step.release}")
    left.restarted(step.host, name)
    queues.declare(step)
    if name == "mariadb":
        _note_data_files(step)
    return {"changed": True}


def _series(step: Step) -> list[int]:
    version = step.cloud["versions"].get(step.release, {"mariadb": "0"})["mariadb"]
    return [int(part) for part in version.split(".")[:2]]


def _downgrades(step: Step) -> bool:
    files = store.read_if_there(f"{step.host.volume('mariadb')}/series.json") or {"series": [0]}
    return bool(files["series"] > _series(step))


def _note_data_files(step: Step) -> None:
    """A newer server converts the data files; an older one does not convert them back."""
    os.makedirs(step.host.volume("mariadb"), mode=0o700, exist_ok=True)  # noqa: PTH103
    path = f"{step.host.volume('mariadb')}/series.json"
    files = store.read_if_there(path) or {"series": [0]}
    store.write(path, {"series": max(files["series"], _series(step))})


def _synced(step: Step) -> Result:
    status = world.galera_status(step.root, step.host.name)
    if status["wsrep_local_state_comment"] != "Synced":
        return failed(f"wsrep_local_state_comment is {status['wsrep_local_state_comment']}")
    return {"changed": False}


def _recover(step: Step) -> Result:
    """`mariadb_recovery`: form the cluster anew from this host."""
    if world.galera_size(step.root):
        return {"changed": False}
    world.galera_recover(step.root, step.host.name)
    step.note("galera-recovered")
    return {"changed": True}


def _stop(step: Step) -> Result:
    running = [name for name in step.mine() if step.host.running(name)]
    for name in running:
        step.host.stop(name)
        step.note(f"stop:{step.host.name}:{name}")
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


_READING = ("begin", "precheck", "queues", "inspect", "synced", "nothing")
"""Kinds that are done in check mode too."""
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
    "queues": queues.check,
    "broker-stop": queues.stop_app,
    "broker-reset": queues.reset,
    "broker-start": queues.start_app,
    "schema": migrations.migrate,
    "set": left.set_task,
    "drain": left.drain,
}
