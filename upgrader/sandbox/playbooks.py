"""The playbooks of a sandbox toolchain: kolla-ansible's plays, roles and task names, few tasks, imitated effects.

One play for each role in the release's own order, hosts by the inventory's groups, schema tasks under the names of
the release graph's data, so that everything which watches a real upgrade sees the same here. Actions are imported
when the play is read (`kolla_action` is an extra variable), so an upgrade does not pay for the other actions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from upgrader.sandbox.blueprint import Blueprint, Container

Task = dict[str, Any]
Tasks = list[Task]

PLUGIN = "kolla_sandbox"
_ROLLING = ("mariadb", "rabbitmq")
"""Roles whose containers are restarted host by host, in a play of their own."""
_NAMES = {"mariadb": "MariaDB", "rabbitmq": "rabbitmq"}


def _own(play: dict[str, Any]) -> dict[str, Any]:
    # the action plugin itself knows which host is out of reach; loading the connection plugin for every task of
    # every host would double the time of an upgrade
    tasks = play.pop("tasks")
    return {**play, "gather_facts": False, "vars": {"ansible_connection": "local"}, "tasks": tasks}


def files_of(blueprint: Blueprint) -> Iterator[tuple[str, str]]:
    """(path below the playbook folder, text) of every file."""
    yield "site.yml", _document(_site(blueprint))
    yield "gather-facts.yml", _document([_gather("gather-facts")])
    dash = "-" if blueprint.release >= "2026.1" else "_"
    yield f"mariadb{dash}backup.yml", _document([_gather("backup"), _mariadb_play("Backup MariaDB", "backup.yml")])
    recover = _mariadb_play("Recover mariadb", "recover_cluster.yml")
    yield f"mariadb{dash}recovery.yml", _document([_gather("mariadb-recovery"), recover])
    yield "post-deploy.yml", _document([_gather("post-deploy")])
    reset = _play(blueprint, "rabbitmq", "Reset RabbitMQ state", "reset-state.yml")
    yield "rabbitmq-reset-state.yml", _document([_counted(reset, "rabbitmq-reset-state")])
    for action, (name, do) in _PLAIN.items():
        yield f"actions/{action}.yml", _document([_step(name, do)])
    yield "actions/none.yml", _document([{"name": "Nothing to do", "meta": "noop"}])
    for role in (*blueprint.roles, *(["nova-cell"] if "nova" in blueprint.roles else [])):
        yield from _role(blueprint, role)


# ---------------------------------------------------------------- plays


def _site(blueprint: Blueprint) -> list[dict[str, Any]]:
    plays = [_gather()]
    for role in blueprint.roles:
        if role == "nova":
            plays += _nova_plays(blueprint)
        else:
            plays.append(_play(blueprint, role, f"Apply role {role}", "main.yml"))
        if role in _ROLLING:
            rolling = _play(blueprint, role, f"Restart {role} services", "restart_services.yml")
            plays.append({**rolling, "serial": "33%"})
    return plays


def _gather(action: str = "") -> dict[str, Any]:
    step = {"do": "begin", **({"action": action} if action else {})}
    tasks = [{"name": "Gather facts", PLUGIN: step}]
    return _own({"name": "Gather facts for all hosts", "hosts": "all", "tags": ["always"], "tasks": tasks})


def _play(blueprint: Blueprint, role: str, name: str, tasks_from: str) -> dict[str, Any]:
    groups = dict.fromkeys(group for item in blueprint.of_role(role) for group in item.groups)
    return _own({"name": name, "hosts": list(groups), "tags": [role], "tasks": [_import_role(role, tasks_from)]})


def _counted(play: dict[str, Any], action: str) -> dict[str, Any]:
    """A playbook that gathers no facts first: its own play is counted."""
    first = {"name": "Reset RabbitMQ state", PLUGIN: {"do": "begin", "action": action}}
    return {**play, "tasks": [first, *play["tasks"]]}


def _import_role(role: str, tasks_from: str) -> Task:
    return {"import_role": {"name": role, "tasks_from": tasks_from}}


def _nova_plays(blueprint: Blueprint) -> list[dict[str, Any]]:
    """Nova's two roles in kolla-ansible's order: databases first, both roles, then the rows that move online."""
    api, cell = {"hosts": ["nova-api"]}, {"hosts": ["nova-conductor"]}
    plays = [
        _play(blueprint, "nova", "Bootstrap nova API databases", "bootstrap.yml") | api,
        _play(blueprint, "nova-cell", "Bootstrap nova cell databases", "bootstrap.yml") | cell,
        _play(blueprint, "nova", "Apply role nova", "main.yml"),
        _play(blueprint, "nova-cell", "Apply role nova-cell", "main.yml"),
    ]
    reload = _own(
        {"name": "Reload Nova cell services", "hosts": ["nova-conductor"], "tasks": [_step("Reload", "nothing")]}
    )
    plays.append({**reload, "tags": ["nova-reload"]})
    online = {"nova": "Run Nova API online data migrations", "nova-cell": "Run Nova cell online data migrations"}
    for role, name in online.items():
        play = _play(blueprint, role, name, "online_data_migrations.yml")
        plays.append(play | (api if role == "nova" else cell) | {"tags": ["nova-online-data-migrations"]})
    # each play also has the tags of its part of the role
    return [{**play, "tags": ["nova", *(tag for tag in play["tags"] if tag.startswith("nova-") and tag != "nova-cell")]}
            for play in plays]  # fmt: skip


def _mariadb_play(name: str, tasks_from: str) -> dict[str, Any]:
    tasks = [_import_role("mariadb", tasks_from)]
    return _own({"name": name, "hosts": ["mariadb"], "tags": ["mariadb"], "tasks": tasks})


# ---------------------------------------------------------------- roles


def _role(blueprint: Blueprint, role: str) -> Iterator[tuple[str, str]]:
    folder = f"roles/{role}"
    own = {"deploy": list(_deploy(blueprint, role)), "upgrade": list(_upgrade(blueprint, role))}
    own["deploy-containers"] = [_check(blueprint, role)]
    if role == "rabbitmq":
        own["precheck"] = [_step(*_PLAIN["precheck"], role), _queue_check(blueprint)]
    for action, found in own.items():
        yield f"{folder}/tasks/{action}.yml", _document(found)
    names = {**{action: f"{action}.yml" for action in own}, "reconfigure": "deploy.yml"}
    yield (
        f"{folder}/tasks/main.yml",
        _document([_import_by_action(names, "'../../../actions/' ~ kolla_action ~ '.yml'")]),
    )
    yield f"{folder}/handlers/main.yml", _document(list(_handlers(blueprint, role)))
    if role in _ROLLING:
        yield from _by_action(folder, "restart_services", _rolling(role), _RESTARTING)
    if role == "rabbitmq":
        yield f"{folder}/tasks/reset-state.yml", _document([_step(*step, role) for step in _RESET])
    if role == "mariadb":
        for name, tasks in _mariadb_commands():
            yield f"{folder}/tasks/{name}", _document(tasks)
    if role in ("nova", "nova-cell"):
        bootstrap = list(_schema_tasks(blueprint, role, ("schema",)))
        online = list(_schema_tasks(blueprint, role, ("online",)))
        yield from _by_action(folder, "bootstrap", bootstrap, ("deploy", "upgrade", "reconfigure"))
        yield from _by_action(folder, "online_data_migrations", online, ("upgrade",))


def _by_action(folder: str, name: str, tasks: Tasks, actions: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """`name`.yml that has `tasks` under some actions and nothing to do, not even to skip, under the others."""
    yield f"{folder}/tasks/{name}_now.yml", _document(tasks)
    names = dict.fromkeys(actions, f"{name}_now.yml")
    yield f"{folder}/tasks/{name}.yml", _document([_import_by_action(names, "'../../../actions/none.yml'")])


def _import_by_action(names: dict[str, str], other: str) -> Task:
    # worked out when the playbook is read, since kolla_action is an extra variable
    return {"import_tasks": f"{{{{ {names} [kolla_action] | default({other}) }}}}"}


_PLAIN = {
    # actions that are one task in every role
    "precheck": ("Validate inventory groups", "precheck"),
    "pull": ("Pull images", "pull"),
    "stop": ("Stopping containers", "stop"),
    "check": ("Check containers", "inspect"),
    "config": ("Copying over config.json files for services", "config"),
}


_RESET = (
    ("Stop the RabbitMQ application", "broker-stop"),
    ("Reset the state of RabbitMQ", "broker-reset"),
    ("Start the RabbitMQ application", "broker-start"),
    ("Wait for all RabbitMQ nodes to join the cluster", "nothing"),
)


def _queue_check(blueprint: Blueprint) -> Task:
    task = _step("Check if RabbitMQ quorum queues need to be configured", "queues", "rabbitmq")
    task[PLUGIN]["durable"] = blueprint.release >= "2025.1"
    return {**task, "run_once": True, "tags": ["rabbitmq-ha-precheck"]}


def _check(blueprint: Blueprint, role: str) -> Task:
    # the task was one for each role until containers were checked by a shared role
    # openstack/kolla-ansible@19.8.0:ansible/roles/service-check-containers/tasks/main.yml
    name = f"{role} | Check containers" if blueprint.release >= "2024.2" else f"Check {role} containers"
    task = _step(name, "compare", role)
    if role not in _ROLLING:
        # the action plugin notifies those whose container differs on the host, as the real task does by a template
        task["notify"] = [f"Restart {item.key} container" for item in blueprint.of_role(role)]
    return task


def _deploy(blueprint: Blueprint, role: str) -> Iterator[Task]:
    yield _check(blueprint, role)
    if role in ("nova", "nova-cell"):
        return
    yield from _schema_tasks(blueprint, role, ("schema",), parts=("",))
    if role == "keystone":
        yield {**_step("Running Keystone fernet bootstrap container", "fernet", role), "run_once": True}


def _upgrade(blueprint: Blueprint, role: str) -> Iterator[Task]:
    if role == "mariadb" and blueprint.release >= "2025.2":
        # openstack/kolla-ansible@21.3.0:ansible/roles/mariadb/tasks/upgrade.yml
        yield _set("Set wsrep_sst_method to rsync for upgrade", role, "wsrep_sst_method", "rsync")
        yield from _upgrading(blueprint, role)
        yield _set("Set wsrep_sst_method to mariabackup after upgrade", role, "wsrep_sst_method", "mariabackup")
    elif role in ("keystone", "glance"):
        yield from _trusting(_upgrading(blueprint, role), role)
    else:
        yield from _upgrading(blueprint, role)


def _set(name: str, role: str, variable: str, value: str) -> Task:
    task = _step(name, "set", role)
    task[PLUGIN] |= {"variable": variable, "value": value}
    return task


def _trusting(tasks: Iterator[Task], role: str) -> Iterator[Task]:
    """The migration's tasks, between those that let it make triggers (roles/*/tasks/*upgrade.yml)."""
    variable = "log_bin_trust_function_creators"
    for word, value in (("Enable", "ON"), ("Disable", "OFF")):
        task = _set(f"{word} {variable} function", role, variable, value)
        task[PLUGIN]["at"] = "address"
        if word == "Disable":
            yield from tasks
            if role == "keystone":
                yield _flush()
        yield {**task, "run_once": True}


def _upgrading(blueprint: Blueprint, role: str) -> Iterator[Task]:
    tasks = {task["name"]: task for task in _schema_tasks(blueprint, role, ("schema", "online"))}
    parted = [name for name, task in tasks.items() if task[PLUGIN]["part"]]
    if role == "keystone":
        # its schema changes are handlers, see _handlers
        yield _check(blueprint, role)
        for name, host in (("Init keystone database upgrade", "first"), ("Finish keystone database upgrade", "last")):
            task = _step(name, "notify", role)
            task[PLUGIN]["where"] = host
            yield {**task, "notify": [name]}
        return
    if role in ("nova", "nova-cell"):
        yield _check(blueprint, role)
        return
    if role == "rabbitmq":
        yield {**_step("Enable all stable feature flags", "nothing", role), "run_once": True}
    if not parted:
        yield from (task for task in tasks.values() if task[PLUGIN]["kind"] == "schema")
        yield _check(blueprint, role)
        yield _flush()
        yield from (task for task in tasks.values() if task[PLUGIN]["kind"] == "online")
        return
    yield _check(blueprint, role)
    *before, last = parted
    yield from (tasks[name] for name in before)
    yield _flush()
    yield tasks[last]


def _flush() -> Task:
    return {"name": "Flush handlers", "meta": "flush_handlers"}


def _handlers(blueprint: Blueprint, role: str) -> Iterator[Task]:
    parts = {task["name"]: task for task in _schema_tasks(blueprint, role, ("schema",)) if task[PLUGIN]["part"]}
    if role == "keystone":
        yield parts["Init keystone database upgrade"]
    if role not in _ROLLING:
        yield from (_restart(item, role) for item in blueprint.of_role(role))
    if role == "keystone":
        yield parts["Finish keystone database upgrade"]


def _restart(item: Container, role: str) -> Task:
    task = _step(f"Restart {item.key} container", "restart", role)
    task[PLUGIN]["container"] = item.name
    return task


_RESTARTING = ("deploy", "upgrade", "reconfigure", "deploy-containers")


def _rolling(role: str) -> Tasks:
    restart = _step(f"Restart {_NAMES[role]} container", "restart", role)
    restart[PLUGIN]["container"] = role
    if role == "mariadb":
        return [restart, _step("Wait for MariaDB service to sync WSREP", "synced", role)]
    return [_step("Put RabbitMQ node into maintenance mode", "drain", role), restart]


def _mariadb_commands() -> Iterator[tuple[str, Tasks]]:
    taking = _step(
        "Taking {{ mariadb_backup_type | default('full') }} database backup via Mariabackup", "backup", "mariadb"
    )
    taking[PLUGIN]["where"] = "first"
    yield "backup.yml", [taking]
    yield "recover_cluster.yml", [{**_step("Starting first MariaDB container", "recover", "mariadb"), "run_once": True}]


_PARTS = ("", "expand", "migrate", "contract")


def _schema_tasks(
    blueprint: Blueprint, role: str, kinds: tuple[str, ...], parts: tuple[str, ...] = _PARTS
) -> Iterator[Task]:
    """The role's schema tasks under their names in the data. With parts, the whole-at-once ones are for `deploy`."""
    found = [item for item in blueprint.schema_tasks if item.role == role and item.kind in kinds]
    stepwise = any(item.part for item in found) and parts != ("",)
    for item in found:
        if item.part not in parts or (stepwise and not item.part and item.kind == "schema"):
            continue
        task = _step(item.task, "schema", role)
        task[PLUGIN] |= {"kind": item.kind, "part": item.part, "databases": list(item.databases)}
        yield {**task, "run_once": True}


def _step(name: str, do: str, role: str = "") -> Task:
    # no argument, condition or loop is a template: Ansible compiles them anew for every host, which would be most
    # of an upgrade's time, so the action plugin looks at the settings itself
    return {"name": name, PLUGIN: {"do": do, **({"role": role} if role else {})}}


# ---------------------------------------------------------------- YAML


def _document(items: list[Any]) -> str:
    if not items:
        return "---\n[]\n"
    return "---\n" + "\n".join(_block(item, 0, dash=True) for item in items)


def _block(value: Any, depth: int, *, dash: bool = False) -> str:
    """Small YAML writer: nested mappings and lists as blocks, everything else as JSON, which is YAML."""
    pad = "  " * depth
    if isinstance(value, dict):
        lines = []
        for number, (key, item) in enumerate(value.items()):
            lead = f"{pad}- " if dash and number == 0 else pad + ("  " if dash else "")
            inner = depth + (1 if dash else 0)
            if isinstance(item, dict) or (isinstance(item, list) and item and isinstance(item[0], dict)):
                lines.append(f"{lead}{key}:\n{_block(item, inner + 1)}")
            else:
                lines.append(f"{lead}{key}: {json.dumps(item)}\n")
        return "".join(lines)
    if isinstance(value, list):
        return "".join(_block(item, depth, dash=True) for item in value)
    return f"{pad}- {json.dumps(value)}\n" if dash else f"{pad}{json.dumps(value)}\n"
