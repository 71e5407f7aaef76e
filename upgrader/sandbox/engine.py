"""The executable that speaks a container engine's command line over a sandbox host's files.

`engine HOSTDIR ARGV…`. Knows exactly the calls that facts, probes and database make, prints what Docker would print,
and refuses everything else with Docker's own exit code for a usage error. Started hundreds of times in one upgrade:
standard library only, imports where they are needed.
"""

from __future__ import annotations

import os
import sys

from upgrader.sandbox import store, world

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = 125


class Refusal(Exception):  # noqa: N818 - the engine's way to say no, with its exit code
    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def main(argv: list[str] | None = None) -> int:
    """Run one call; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if not words or not os.path.isdir(f"{words[0]}/containers"):  # noqa: PTH112
        sys.stderr.write(f"Cannot connect to the engine: {words[0] if words else 'no host'} is not a sandbox host\n")
        return 1
    path = words[0].rstrip("/")
    host = world.Host(path.rpartition("/hosts/")[0], path.rpartition("/")[2])
    try:
        return _dispatch(host, words[1:])
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return refusal.code
    except BrokenPipeError:
        return 141


def _dispatch(host: world.Host, words: list[str]) -> int:  # noqa: PLR0912 - a table of calls
    match words:
        case ["info", "--format", "{{json .}}"]:
            _line({"DockerRootDir": host.dir, "ServerVersion": "sandbox"})
        case ["ps", "-a", "--no-trunc", "--format", "{{.Names}}"]:
            sys.stdout.write("".join(f"{name}\n" for name in host.containers()))
        case ["ps", "-a", "--no-trunc", "--format", "{{.Names}}\t{{.Status}}"]:
            _states(host)
        case ["logs", "--timestamps", "--since", since, "--until", until, name]:
            from upgrader.sandbox import logs

            sys.stdout.writelines(logs.output(host, _existing(host, name), since, until))
        case ["inspect", "--type", "container", "--format", form, *names] if form.startswith('{"name"') and names:
            return _inspect(host, names)
        case ["inspect", "--type", "container", "--format", form, name] if form.startswith("{{.Config.Image}}{{range"):
            image = (host.container(_existing(host, name)) or {})["image"]
            sys.stdout.write(f"{image}|{host.dir}/config:/var/lib/kolla/config_files\n")
        case ["run", "--rm", "--name", _, *rest] if rest[-2:-1] == ["upgrader"]:
            return _upgrade_check(host, rest)
        case ["image", "inspect", "--format", form, *images] if form.startswith("{") and images:
            return _image_inspect(host, images)
        case ["image", "ls", *_]:
            sys.stdout.write("".join(f"{reference}\n" for reference in host.image_names()))
        case ["inspect", "--type", "container", "--format", "{{.Name}}", name]:
            sys.stdout.write(f"/{_existing(host, name)}\n")
        case ["inspect", "--type", "container", "--format", form, name] if form.startswith("{{range .Mounts}}"):
            sys.stdout.write(f"volume {_existing(host, name)}\n")
        case ["volume", "ls", "--format", "{{.Name}}"]:
            sys.stdout.write("".join(f"{name}\n" for name in host.volumes()))
        case ["volume", "inspect", "--format", "{{.Mountpoint}}", name]:
            _volume(host, "inspect", name)
        case ["volume", "create" | "rm" as verb, name]:
            _volume(host, verb, name)
        case ["stop" | "start" as verb, name]:
            _stop_start(host, verb, name)
        case ["cp", source, "-"] if ":" in source:
            from upgrader.sandbox import copying

            copying.out(host, *source.split(":", 1))
        case ["cp", "-", target] if ":" in target:
            from upgrader.sandbox import copying

            copying.into(host, *target.split(":", 1))
        case ["rmi", reference]:
            from upgrader.sandbox import upkeep

            if refusal := upkeep.remove_image(host, reference):
                raise Refusal(refusal)
            sys.stdout.write(f"Untagged: {reference}\n")
        case ["rm", "-f", name]:
            host.remove(_existing(host, name))
            sys.stdout.write(f"{name}\n")
        case ["exec", *rest]:
            return _exec(host, rest)
        case _:
            raise Refusal(f"unknown command for the sandbox's engine: {' '.join(words)}", USAGE)
    return 0


def _line(document: object) -> None:
    import json

    sys.stdout.write(json.dumps(document) + "\n")


def _missing(name: str) -> Refusal:
    return Refusal(f"Error response from daemon: No such container: {name}")


def _existing(host: world.Host, name: str) -> str:
    if host.container(name) is None:
        raise _missing(name)
    return name


def _states(host: world.Host) -> None:
    from upgrader.sandbox import logs

    for name in host.containers():
        found = host.container(name)
        if found:
            sys.stdout.write(f"{name}\t{logs.status(found)}\n")


def _inspect(host: world.Host, names: list[str]) -> int:
    code = 0
    for name in names:
        found = host.container(name)
        if found is None:
            sys.stderr.write(f"Error response from daemon: No such container: {name}\n")
            code = 1
            continue
        image = host.image(found["image"])
        state = {"Status": found["status"], "StartedAt": found["started_at"], "ExitCode": found["exit_code"]}
        if found["health"]:
            state["Health"] = {"Status": found["health"] if found["status"] == "running" else "unhealthy"}
        _line(
            {
                "name": f"/{name}",
                "image": found["image"],
                "image_id": found["image_id"],
                "labels": image["labels"] if image else None,
                "state": state,
            }
        )
    return code


def _image_inspect(host: world.Host, images: list[str]) -> int:
    code = 0
    for wanted in images:
        image = host.image(wanted)
        if image is None:
            sys.stderr.write(f"Error response from daemon: No such image: {wanted}\n")
            code = 1
        else:
            _line({key: image[key] for key in ("id", "tags", "digests", "labels")})
    return code


def _stop_start(host: world.Host, verb: str, name: str) -> None:
    if verb == "stop":
        host.stop(_existing(host, name))
    else:
        host.start(_existing(host, name))
    store.note(host.root, f"{verb}:{host.name}:{name}")
    sys.stdout.write(f"{name}\n")


def _volume(host: world.Host, verb: str, name: str) -> None:
    from upgrader.sandbox import volumes

    if verb == "create":
        volumes.make(host, name)
    place = volumes.find(host, name)
    if not place and name not in host.volumes():
        raise Refusal(f"Error response from daemon: get {name}: no such volume")
    if verb == "rm":
        volumes.remove(host, name)
    sys.stdout.write(f"{(place or host.volume(name)) if verb == 'inspect' else name}\n")


# ---------------------------------------------------------------- exec


def _exec(host: world.Host, words: list[str]) -> int:  # noqa: PLR0912 - a table of calls
    passed: list[str] = []
    while words and words[0] in ("-i", "-e"):
        if words[0] == "-e":
            passed.append(words[1])
            words = words[1:]
        words = words[1:]
    if not words:
        raise Refusal("exec wants a container and a command", USAGE)
    name, command = words[0], words[1:]
    found = host.container(name)
    if found is None:
        raise _missing(name)
    if found["status"] != "running":
        raise Refusal(f"Error response from daemon: container {name} is not running")
    env = {key: os.environ.get(key, "") for key in passed}
    match command:
        case ["nova-manage" | "cinder-manage" as program, "db", "online_data_migrations"]:
            from upgrader.sandbox import upkeep

            sys.stdout.write(upkeep.migrate_online(host, program.partition("-")[0]))
            return 0
        case ["mariadb", *options] if name == "mariadb":
            return _sql(host, _user(options), env.get("MYSQL_PWD", ""))
        case ["mariadb-dump", *options] if name == "mariadb" and "--databases" in options:
            names = [word for word in options[options.index("--databases") + 1 :] if not word.startswith("--")]
            return _dump(host, _user(options), env.get("MYSQL_PWD", ""), names)
        case ["rabbitmq-upgrade", "revive"] | ["rabbitmqctl", "start_app"] if name == "rabbitmq":
            from upgrader.sandbox import left

            return left.start_node(host, command[1])
        case ["rabbitmqctl", *_, "export_definitions", "-"] if name == "rabbitmq":
            from upgrader.sandbox import queues

            _line(queues.definitions(host))
            return 0
        case [program, "-", "issue" | "validate" as verb, url, user, _project] if program.endswith("/python"):
            return _token(host, verb, url, user, env)
        case [program, "-", "smoke", url, user, _project] if program.endswith("/python"):
            import json

            from upgrader.sandbox import smoke

            try:
                compile(sys.stdin.read(), "script", "exec")  # a real container would run it
            except SyntaxError as error:
                raise Refusal(f"SyntaxError: {error}") from None
            _line(smoke.answer(host, url, user, env.get("OS_PASSWORD", ""), json.loads(env["UPGRADER_SMOKE"])))
            return 0
        case [program, "-", "computes"] if name == "nova_api" and program.endswith("/python"):
            from upgrader.sandbox import computes

            _line(computes.run(host, sys.stdin.read()))
            return 0
        case [program, "-", *question] if program.rpartition("/")[2] in ("python", "python3") and question:
            return _service(host, name, question, env.get("UPGRADER_SECRET", ""))
    raise Refusal(f"the sandbox cannot run this in {name}: {' '.join(command)}", USAGE)


def _service(host: world.Host, container: str, question: list[str], secret: str) -> int:
    from upgrader.sandbox import answers

    sys.stdin.read()  # the script that a real container would run
    said = answers.answer(host, container, question, secret)
    if said is None:
        raise Refusal(f"the sandbox has no answer of {container} to {' '.join(question)}", USAGE)
    _line(said)
    return 0


def _upgrade_check(host: world.Host, words: list[str]) -> int:
    """`run … IMAGE bash -c SCRIPT upgrader SERVICE`: a service's check in an image that has to be on the host."""
    from upgrader.sandbox import answers

    image = words[words.index("bash") - 1]
    if host.image(image) is None:
        raise Refusal(f"Unable to find image '{image}' locally", USAGE)
    code, table = answers.upgrade_check(host, words[-1])
    sys.stdout.write(table)
    return code


def _user(options: list[str]) -> str:
    return next((item.removeprefix("--user=") for item in options if item.startswith("--user=")), "root")


def _sql(host: world.Host, user: str, password: str) -> int:
    from upgrader.sandbox import schemas

    stdin = iter(sys.stdin)
    words = next(stdin, "").split()
    if words[:2] != ["--", "upgrader:"] or len(words) < 3:
        raise Refusal("the sandbox's database answers only questions tagged '-- upgrader: WORD'")
    try:
        _connect(host, user, password)
        for line in _answer(host, words[2], words[3:], stdin):
            # a client with --force goes on after a statement that failed
            (sys.stderr if line.startswith("!") else sys.stdout).write(line.removeprefix("!") + "\n")
    except schemas.SqlError as error:
        raise Refusal(str(error)) from None
    return 0


def _connect(host: world.Host, user: str, password: str) -> None:
    from upgrader.sandbox import schemas

    schemas.login(host.root, user, password)


def _answer(host: world.Host, word: str, rest: list[str], stdin: Iterator[str]) -> Iterator[str]:  # noqa: PLR0912
    from upgrader.sandbox import schemas

    root = host.root
    if word != "galera" and not (host.container("mariadb") or {}).get("joined"):
        raise schemas.SqlError("ERROR 1047 (08S01) at line 1: WSREP has not yet prepared node for application use")
    match word, rest:
        case "galera", []:
            yield from ("\t".join(pair) for pair in world.galera_status(root, host.name).items())
            yield from ("\t".join(("setting", *row)) for row in world.galera_settings(root, host.name))
        case "leftovers" | "set-back", []:
            from upgrader.sandbox import left

            yield from left.sql(host, word, stdin)
        case "heads", []:
            yield from ("\t".join(row) for row in schemas.head_rows(root))
        case "marks", []:
            return  # its schemas have no columns that could show an interrupted script
        case "schemas", []:
            yield from schemas.schemas(root)
        case "tables", []:
            yield from (f"{name}\t{table}" for name, table in schemas.tables(root))
        case "server", []:
            yield f"{host.name}\t3306"
        case "rows", []:
            yield from (f"{name}\t{table}\t{count}" for name, table, count in schemas.row_counts(root))
        case "grant-statements", []:
            yield from schemas.grant_statements(root)
        case "grants", []:
            yield from schemas.account_lines(root)
        case "records", []:
            from upgrader.sandbox import records

            yield from records.answer(root, stdin)
        case word, _ if word.startswith("staging-"):
            from upgrader.sandbox import staging

            yield from staging.answer(root, word.removeprefix("staging-"), rest[0] if rest else "")
        case "keystone-endpoint", []:
            yield from _endpoint(root)
        case "since", [kind, *moment]:
            yield from ("\t".join(row) for row in schemas.written_since(root, kind, " ".join(moment)))
        case "restore-schema", [name]:
            schemas.restore(root, name, stdin)
            store.note(root, f"restore:{name}")
        case "restore-grants", []:
            schemas.restore_accounts(root, (part for part in "".join(stdin).split(";")))
        case "drop-schema", [name]:
            schemas.drop(root, name)
            store.note(root, f"drop:{name}")
        case _:
            raise schemas.SqlError(f"ERROR 1064 (42000): the sandbox has no answer to {' '.join((word, *rest))!r}")


def _endpoint(root: str) -> Iterator[str]:
    from upgrader.sandbox import schemas

    keystone = schemas.load(root, "keystone") or {"tables": {}}
    rows = keystone["tables"].get("endpoint", {"rows": []})["rows"]
    # columns: id, interface, service, url
    yield from (row[3] for row in rows if row[1] == "internal" and row[2] == "keystone")


def _dump(host: world.Host, user: str, password: str, names: list[str]) -> int:
    from upgrader.sandbox import schemas

    try:
        _connect(host, user, password)
        server = world.galera_status(host.root, host.name)["version"]
        for name in names:
            for part in schemas.dump(host.root, name, server):
                sys.stdout.write(part)
    except schemas.SqlError as error:
        raise Refusal(str(error), 2) from None
    return 0


def _token(host: world.Host, verb: str, url: str, user: str, env: dict[str, str]) -> int:
    from upgrader.sandbox import identity

    sys.stdin.read()  # the script that a real container would run
    if verb == "issue":
        _line(identity.issue(host, url, user, env.get("OS_PASSWORD", "")))
    else:
        _line(identity.validate(host, url, user, env.get("OS_PASSWORD", ""), env.get("OS_TOKEN", "")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
