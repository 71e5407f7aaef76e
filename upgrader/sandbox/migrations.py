"""Schema changes of the sandbox's services: what a oneshot container with a service's migration tool does.

Old code refuses rows of the version table that it does not know, as the real tools do, so a redeploy of the old
release over a changed schema fails here like it fails there.
"""

from __future__ import annotations

from upgrader.sandbox import logs, schemas, world
from upgrader.sandbox.step import Result, Step, failed


def migrate(step: Step) -> Result:
    """A oneshot container that runs a service's own migration tool of the images' release."""
    if world.galera_size(step.root) == 0:
        return failed('(2003, "Can\'t connect to MySQL server")')
    part = str(step.args.get("part", ""))
    step.note(f"schema:{step.args['role']}:{part or step.args['kind']}:{step.release}")
    changed = False
    for database in step.args["databases"]:
        result = _change(step, database, part)
        if result.get("failed"):
            _log(step, "ERROR", f"{database}: {result['msg']}")
            return result
        changed |= result["changed"]
    return {"changed": changed}


def _change(step: Step, database: str, part: str) -> Result:
    table: dict[str, dict[str, list[str]]] = step.cloud["heads"]
    target = table.get(step.release, {}).get(database)
    schema = schemas.load(step.root, database)
    if target is None or schema is None:
        return {"changed": False}
    found = schemas.heads_of(schema)
    trouble = _refusal(step, database, found)
    if trouble:
        return failed(trouble)
    if step.args["kind"] == "online":
        return _online(step, database)
    if step.fault("torn", database=database):
        schemas.set_heads(step.root, database, [], release=step.release, task=step.task, torn="yes")
        return failed(f"(1050, \"Table '{database}.standardattributes' already exists\")")
    goal = after(part, found, target)
    if sorted(goal) == sorted(found):
        return {"changed": False}
    schemas.set_heads(step.root, database, goal, release=step.release, task=step.task)
    step.note(f"migrate:{database}:{step.release}:{part or 'all'}")
    _log(step, "INFO", f"{database}: Running upgrade {' '.join(found)} -> {' '.join(goal)}")
    return {"changed": True}


def _log(step: Step, level: str, text: str) -> None:
    """What a service's own tool writes to its file while it migrates."""
    logs.service(step.host, step.role, f"{step.role}-manage.log", level, text)


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
    step.note(f"online:{database}:{step.release}")
    return {"changed": True}
