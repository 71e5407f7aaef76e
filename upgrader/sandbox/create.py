"""Makes a sandbox: site folder, hosts as folders, databases, keys, toolchains.

Everything that differs between two sandboxes of the same shape is random secrets; the rest follows from the release
graph's data and the counts asked for.
"""

from __future__ import annotations

import json
import os
import secrets as random
import shlex
import shutil
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from upgrader.errors import RefusedError, UsageError
from upgrader.sandbox import contents, identity, inventory, queues, schemas, secrets, store, toolchains, world
from upgrader.sandbox.blueprint import COMMON, CORE, OPTIONAL, Blueprint, blueprint, heads, releases
from upgrader.sandbox.step import Step
from upgrader.sandbox.steps import run

SITE_FOLDER = "site"
_TOTAL_KIB = 200 * 1024**2
_FREE_KIB = 140 * 1024**2


def create_sandbox(
    root: Path,
    release: str = "2024.1",
    hosts: tuple[int, int, int] = (3, 3, 3),
    services: Collection[str] = OPTIONAL,
    *,
    name: str = "sandbox",
    fresh: bool = False,
    durable_queues: bool = True,
    network: int = contents.NETWORK,
) -> Path:
    """Make a cloud of (control, compute, storage) hosts running `release` below `root`; returns its upgrader.toml.

    `services` chooses roles besides the core ones. Without `durable_queues` RabbitMQ has classic queues for replies and
    fanouts, as releases before 2025.1 have by default. Sandboxes in different networks (the second byte of every
    address) share no address and no name of a host. With `fresh` an existing sandbox there is replaced; anything
    else at `root` is never touched. Takes about half a second. Raises UsageError, RefusedError or
    EnvironmentMissingError (no ansible-core beside this Python) before anything is written.
    """
    _check(root, release, hosts, services, fresh)
    root = root.absolute()
    toolchains.ansible_folder()
    if fresh and root.exists():
        shutil.rmtree(root)
    for folder in ("hosts", "database", "bin", SITE_FOLDER):
        (root / folder).mkdir(parents=True, mode=0o700)
    store.write(f"{root}/sandbox.json", {"release": release, "hosts": list(hosts), "made_at": world.now()})
    _launcher(root / "bin" / "engine")
    toolchains.write_toolchains(root, release)
    file = _site(root, name, release, hosts, services, durable_queues=durable_queues, network=network)
    if not durable_queues:
        queues.plant(str(root), queues.CLASSIC)
    plan = blueprint(release)
    wanted = {*COMMON, *CORE, *services, *(["nova-cell"] if "nova" in services else [])}
    _databases(root, release, wanted, file.parent / "kolla" / "passwords.yml", network)
    _hosts(root, plan, hosts, wanted, network)
    return file


def is_sandbox(root: Path) -> bool:
    return (root / "sandbox.json").is_file()


def _check(root: Path, release: str, hosts: tuple[int, int, int], services: Collection[str], fresh: bool) -> None:
    unknown = sorted(set(services) - set(OPTIONAL))
    if unknown:
        raise UsageError(f"A sandbox has no service {', '.join(unknown)}; it can have {', '.join(OPTIONAL)}.")
    if hosts[0] < 1 or min(hosts) < 0:
        raise UsageError("A sandbox needs at least one control host.")
    if release not in releases():
        raise RefusedError(f"A sandbox cannot run {release}; it can run {', '.join(releases())}.", reason="no-release")
    if root.exists() and any(root.iterdir()) and not (fresh and is_sandbox(root)):
        kind = "a sandbox already" if is_sandbox(root) else "not empty and no sandbox"
        raise RefusedError(f"{root} is {kind}.", cloud="Nothing was created or changed.", reason="sandbox-exists")


def _launcher(path: Path) -> None:
    """The engine's executable: starts without site packages, so that a call costs some 30 ms."""
    parent = str(toolchains.package_parent())
    path.write_text(
        "# Container engine of the sandbox: engine HOSTDIR ARGV…\n"
        f"import sys\n\nsys.path[0] = {parent!r}\nsys.path.append(sys.path.pop(0))\n"
        "from upgrader.sandbox.engine import main\n\nsys.exit(main())\n",
        encoding="utf-8",
    )


def engine_command(root: Path) -> str:
    """What is typed on a host to reach the engine; Ansible fills in the host."""
    words = [sys.executable, "-S", "-E", "-X", "utf8", str(root / "bin" / "engine"), f"{root}/hosts/"]
    return " ".join(shlex.quote(word) for word in words) + "{{ inventory_hostname }}"


# ---------------------------------------------------------------- the operator's files


def _site(
    root: Path,
    name: str,
    release: str,
    hosts: tuple[int, int, int],
    services: Collection[str],
    *,
    durable_queues: bool,
    network: int,
) -> Path:
    folder = root / SITE_FOLDER
    (folder / "kolla" / "globals.d").mkdir(parents=True)
    (folder / "kolla" / "config").mkdir()
    settings = contents.globals_yml(release, durable=durable_queues, network=network)
    (folder / "kolla" / "globals.yml").write_text(settings, encoding="utf-8")
    extra = contents.globals_d(tuple(role for role in OPTIONAL if role not in services))
    (folder / "kolla" / "globals.d" / "services.yml").write_text(extra, encoding="utf-8")
    file = folder / "kolla" / "passwords.yml"
    file.touch(mode=0o600)
    file.write_text(secrets.filled(release), encoding="utf-8")
    names = inventory.site(release, hosts, str(root / "tmp"), contents.prefix(network))
    (folder / "inventory").write_text(names, encoding="utf-8")
    site = folder / "upgrader.toml"
    site.write_text(contents.upgrader_toml(name, json.dumps(engine_command(root))), encoding="utf-8")
    return site


# ---------------------------------------------------------------- the cloud


def _databases(root: Path, release: str, wanted: set[str], passwords: Path, network: int) -> None:
    users: dict[str, tuple[str, list[str]]] = {
        "root@%": ("database_password", []),
        "root@localhost": ("database_password", []),
    }
    for role, databases in contents.DATABASES.items():
        if role not in wanted:
            continue
        for database in databases:
            rows = contents.tables(database, release, network)
            if database == "keystone":
                admin = secrets.value(passwords, "keystone_admin_password")
                rows["user"]["rows"][0][2] = identity.secret_hash(admin, random.token_hex(8))
            schemas.save(str(root), database, schemas.new_schema(heads()[release][database], rows))
            grants = [f"GRANT ALL PRIVILEGES ON `{database}`.*"]
            user = "nova" if database in ("nova", "nova_cell0") else database
            key = f"{user}_database_password"
            users[f"{user}@%"] = (key, [*users.get(f"{user}@%", (key, []))[1], *grants])
    accounts = {
        name: {"hash": schemas.password_hash(secrets.value(passwords, key)), "grants": grants}
        for name, (key, grants) in users.items()
    }
    store.write(f"{root}/database/accounts.json", accounts)


def _hosts(root: Path, plan: Blueprint, counts: tuple[int, int, int], wanted: set[str], network: int) -> None:
    prefix = contents.prefix(network)
    members = inventory.members(plan.release, counts, prefix)
    cloud = store.read(f"{root}/toolchains/{plan.release}/share/kolla-ansible/ansible/sandbox.json")
    keys = [identity.new_key() for _ in range(2)]
    for last_byte, name in enumerate(inventory.host_names(counts, prefix), 11):
        host = world.Host(str(root), name)
        for folder in ("containers", "images", "config", "volumes", "etc", "tmp"):
            os.makedirs(f"{host.dir}/{folder}", mode=0o700)  # noqa: PTH103
        store.write_bytes(f"{host.dir}/etc/os-release", contents.OS_RELEASE.encode())
        set_free_space(root, name, _FREE_KIB * 1024)
        first = [contents.vip(network)] if last_byte == 11 else []
        set_system(root, name, **contents.system(f"10.{network}.{last_byte // 256}.{last_byte % 256}", *first))
        if name in members["keystone"]:
            os.makedirs(host.volume(identity.KEYS), mode=0o700)  # noqa: PTH103
            for number, key in enumerate(keys):
                store.write_bytes(f"{host.volume(identity.KEYS)}/{number}", key)
    groups = {group: list(names) for group, names in members.items()}
    for name in inventory.host_names(counts, prefix):
        _deploy(str(root), name, cloud, groups, wanted)


def _deploy(root: str, name: str, cloud: dict[str, object], groups: dict[str, list[str]], wanted: set[str]) -> None:
    """Put the containers on a host by the same steps that the playbooks take."""
    release = str(cloud["release"])
    args = {"action": "deploy", "release": release, "tag": f"{release}-debian-bookworm", "url": "sandbox/kolla/"}
    containers = cloud["containers"]
    assert isinstance(containers, dict)  # noqa: S101 - for the type checker
    for role in dict.fromkeys(item["role"] for item in containers.values()):
        if role not in wanted:
            continue
        step = Step(
            root, world.Host(root, name), "", {**args, "role": role, "do": "config"}, cloud, groups, counted=False
        )
        run(step)
        for container in step.mine():
            run(replace(step, args={**step.args, "do": "restart", "container": container}))


def set_system(root: Path, host: str, **lines: list[str]) -> None:
    """What a host says of itself, by section of facts/observe.sh (kernel, sdk, addresses, iptables, clock)."""
    path = f"{root}/hosts/{host}/{contents.SYSTEM}"
    known = store.read_if_there(f"{path}.json") or {}
    known |= lines
    store.write(f"{path}.json", known)
    text = "".join(f"@@{section}\n" + "".join(f"{line}\n" for line in told) for section, told in known.items())
    store.write_bytes(path, text.encode())


def set_clock(root: Path, host: str, ahead_seconds: float) -> None:
    """Let a host's clock differ from this machine's."""
    store.write_bytes(f"{root}/hosts/{host}/clock-shift", f"{ahead_seconds}\n".encode())


def set_free_space(root: Path, host: str, free_bytes: int) -> None:
    """What `df` says on a host of the sandbox."""
    free = free_bytes // 1024
    used = max(_TOTAL_KIB - free, 0)
    folder = f"{root}/hosts/{host}"
    text = (
        "Filesystem     1024-blocks      Used Available Capacity Mounted on\n"
        f"/dev/vda1      {_TOTAL_KIB:11d} {used:9d} {free:9d} {100 * used // _TOTAL_KIB:7d}% {folder}\n"
    )
    store.write_bytes(f"{folder}/df", text.encode())
