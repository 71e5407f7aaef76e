# ruff: noqa: S606, S202
"""`engine.py HOSTDIR ARGV…`: the part of a container engine's command line that our plays use, over files."""

import atexit
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path


def fail(code, words):
    sys.stderr.write(words + "\n")
    sys.exit(code)


def load(host):
    return json.loads((host / "containers.json").read_text())


def save(host, containers):
    (host / "containers.json").write_text(json.dumps(containers))


def find(containers, name):
    for container in containers:
        if container["name"].lstrip("/") == name:
            return container
    return fail(1, f"Error response from daemon: No such container: {name}")


def inspect(host, names):
    containers = load(host)
    for name in names:
        print(json.dumps(find(containers, name)))


def image_inspect(host, ids):
    for wanted in ids:
        for container in load(host):
            if container["image_id"] == wanted:
                name = container["image"].rpartition(":")[0]
                print(
                    json.dumps(
                        {"id": wanted, "tags": [container["image"]], "digests": [f"{name}@{wanted}"], "labels": {}}
                    )
                )
                break
        else:
            fail(1, f"Error: No such image: {wanted}")


def execute(host, argv):
    names = []
    while argv and argv[0].startswith("-"):
        option = argv.pop(0)
        if option == "-e":
            names.append(argv.pop(0))
        elif option != "-i":
            fail(125, f"unknown flag: {option}")
    container = find(load(host), argv.pop(0))
    if container["state"]["Status"] != "running":
        fail(1, f"Error response from daemon: container {container['name']} is not running")
    if any("=" in name for name in names):
        fail(125, "a value in argv")
    if argv[0] in ("mariadb", "mariadb-dump"):
        sys.exit(database(host, argv))
    if argv[0] in ("ovs-appctl", "ovsdb-client", "rabbitmqctl"):
        program = host / "programs" / f"{container['name'].lstrip('/')}-{argv[0]}"
        if not program.exists():
            fail(1, f"{argv[0]}: cannot reach the server")
        os.execv("/bin/sh", ["sh", str(program), *argv[1:]])
    if argv[0] == "/var/lib/kolla/venv/bin/python":
        os.execve(sys.executable, [sys.executable, *argv[1:]], dict(os.environ))
    fail(126, f"no such program: {argv[0]}")


def database(host, argv):
    """SQL goes to a real server. One that is no Galera node has its wsrep rows in the host's file `galera`."""
    socket = (host / "socket").read_text().strip()
    env = {"PATH": os.environ["PATH"], "MYSQL_PWD": os.environ.get("MYSQL_PWD", "")}
    asked = b"" if argv[0] == "mariadb-dump" else sys.stdin.buffer.read()
    with (host / "sql.log").open("ab") as log:
        log.write(asked.partition(b"\n")[0] + b"\n")
    if (host / "cut-dumps").exists() and argv[0] == "mariadb-dump":
        print("-- MariaDB dump, but the server went away")
        return 0
    if (host / "lose-server").exists() and argv[0] == "mariadb-dump":
        return lose_server(host, [argv[0], "--no-defaults", f"--socket={socket}", *argv[1:]], env)
    done = subprocess.run(
        # utf8 is what the client configuration in Kolla's images says
        [argv[0], "--no-defaults", "--default-character-set=utf8", f"--socket={socket}", *argv[1:]],
        env=env,
        input=asked,
        capture_output=True,
        check=False,
    )
    out = done.stdout
    if asked.startswith(b"-- upgrader: galera\n") and done.returncode == 0 and (host / "galera").exists():
        lines = [line for line in out.splitlines(keepends=True) if not line.startswith(b"wsrep")]
        out = (host / "galera").read_bytes() + b"".join(lines)
    sys.stdout.buffer.write(out)
    sys.stderr.buffer.write(done.stderr)
    return done.returncode


def lose_server(host, command, env):
    """The server dies once the dump has begun to come."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
    sys.stdout.buffer.write(process.stdout.read(1000))
    os.kill(int((host / "lose-server").read_text()), 9)
    sys.stdout.buffer.write(process.stdout.read())
    return process.wait()


def copy(host, source, target):
    if target == "-":
        name, _, path = source.partition(":")
        find(load(host), name)
        place = host / "fs" / path.lstrip("/")
        if not place.exists():
            fail(1, f"Error response from daemon: Could not find the file {path} in container {name}")
        with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
            tar.add(place, arcname=place.name)
    else:
        name, _, path = target.partition(":")
        find(load(host), name)
        data = io.BytesIO(sys.stdin.buffer.read())
        with tarfile.open(fileobj=data) as tar:
            tar.extractall(host / "fs" / path.lstrip("/"))


def switch(host, name, status):
    """`hooks/running` and `hooks/exited` start and stop what stands behind a container, where a test put them."""
    containers = load(host)
    find(containers, name)
    hook = host / "hooks" / status
    if name == "mariadb" and hook.exists() and subprocess.run(["/bin/bash", str(hook)], check=False).returncode:
        fail(1, "Error response from daemon: it did not obey")
    find(containers, name)["state"]["Status"] = status
    save(host, containers)
    print(name)


def change_volume(host, verb, name):
    place = host / "volumes" / name
    if verb == "create":
        place.mkdir(parents=True)
    elif not place.is_dir():
        fail(1, f"Error response from daemon: get {name}: no such volume")
    else:
        shutil.rmtree(place)
    print(name)


def one_off(host, name, volume, image, words):
    """A command in a container of its own: the programs are this machine's, the volume is really mounted."""
    if not any(container["image"] == image for container in load(host)):
        fail(125, f"Unable to find image '{image}' locally")
    place, _, inside = volume.partition(":")
    mount = ["mount", "--bind", str(host / "volumes" / place), inside]
    script = shlex.join(mount) + ' && exec "$@"'
    asked = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, name, *words]
    sys.exit(subprocess.run(asked, check=False, env={"PATH": os.environ["PATH"]}).returncode)


def interrupt(host, moment):
    """`die`: `before 3` in it kills everything of the caller's before its third call."""
    die = host / "die"
    if not die.exists():
        return
    wanted, number = die.read_text().split()
    count = len((host / "argv.log").read_text().splitlines())
    if wanted == moment and int(number) == count:
        os.killpg(os.getpgid(0), signal.SIGKILL)


def remove(host, name):
    containers = load(host)
    containers.remove(find(containers, name))
    save(host, containers)
    print(name)


def volume(host, names):
    """The names of all volumes, or where the named one lies."""
    if not names:
        print("kolla_logs")
        return
    place = host / "volumes" / names[0]
    if not place.is_dir():
        fail(1, f"Error response from daemon: get {names[0]}: no such volume")
    print(place)


def main():  # noqa: PLR0912 - a table of calls
    host, argv = Path(sys.argv[1]), sys.argv[2:]
    with (host / "argv.log").open("a") as log:
        log.write(json.dumps(argv) + "\n")
    interrupt(host, "before")
    atexit.register(interrupt, host, "after")
    if (host / "dead").exists():
        fail(1, "Cannot connect to the engine: is the daemon running?")
    match argv:
        case ["info", "--format", "{{json .}}"]:
            print(json.dumps({"DockerRootDir": str(host), "ServerVersion": "25.0.0"}))
        case ["ps", "-a", "--no-trunc", "--format", "{{.Names}}"]:
            print("\n".join(container["name"].lstrip("/") for container in load(host)))
        case ["ps", "-a", "--no-trunc", "--format", "{{.Names}}\t{{.Status}}"]:
            for container in load(host):
                up = container["state"]["Status"] == "running"
                print(f"{container['name'].lstrip('/')}\t{'Up 2 hours' if up else 'Exited (0) 2 hours ago'}")
        case ["inspect", "--type", "container", "--format", text, *names] if text.startswith('{"name"'):
            inspect(host, names)
        case ["image", "inspect", "--format", text, *ids] if "RepoTags" in text:
            image_inspect(host, ids)
        case ["inspect", "--type", "container", "--format", "{{.Name}}", name]:
            print(find(load(host), name)["name"])
        case ["image", "inspect", "--format", "{{.Id}}", wanted]:
            if all(container["image"] != wanted for container in load(host)):
                fail(1, f"Error: No such image: {wanted}")
            print("sha256:0")
        case ["run", "--rm", "-i", "--name", name, "--network", "none", "--user", "root", "-v", volume_, image, *words]:
            one_off(host, name, volume_, image, words)
        case ["inspect", "--type", "container", "--format", text, name] if "config_files" in text:
            print(host / "config")
        case ["inspect", "--type", "container", "--format", text, name] if text.startswith("{{range .Mounts}}"):
            find(load(host), name)
            mount = host / "mount"
            print(mount.read_text() if mount.exists() else "volume mariadb")
        case ["volume", "create" | "rm" as verb, name]:
            change_volume(host, verb, name)
        case ["rm", "-f", name]:
            remove(host, name)
        case ["volume", _, "--format", _, *names]:
            volume(host, names)
        case ["image", "ls", "--format", _]:
            print("\n".join(sorted({container["image"] for container in load(host)})))
        case ["exec", *rest]:
            execute(host, rest)
        case ["cp", source, target]:
            copy(host, source, target)
        case ["stop", name]:
            switch(host, name, "exited")
        case ["start", name]:
            switch(host, name, "running")
        case _:
            fail(125, f"unknown command: {argv}")


main()
