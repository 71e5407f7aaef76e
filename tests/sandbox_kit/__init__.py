"""What the sandbox's tests share: small clouds, their engine, steps without Ansible, and real plays."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.process_kit import blow, parent_of, wait_until
from upgrader import processes
from upgrader.sandbox import inventory, store, world
from upgrader.sandbox.secrets import value
from upgrader.sandbox.step import Result, Step
from upgrader.sandbox.steps import run

ONE_OF_EACH = (1, 1, 1)
PYTHON = "/var/lib/kolla/venv/bin/python"


def password(root: Path, key: str = "database_password") -> str:
    return value(root / "site" / "kolla" / "passwords.yml", key)


def engine(
    root: Path, host: str, *words: str, stdin: str | bytes = "", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """One call of the engine as a host's shell makes it."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    argv = [sys.executable, "-S", "-E", str(root / "bin" / "engine"), f"{root}/hosts/{host}", *words]
    return subprocess.run(argv, input=data, env=environment, capture_output=True, check=False, timeout=600)


def sql(root: Path, host: str, question: str, more: str = "", key: str = "database_password") -> str:
    """Answer of the host's database server to a tagged question; fails the test when it is refused."""
    answer = ask(root, host, question, more, password(root, key))
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.decode()


def ask(root: Path, host: str, question: str, more: str, secret: str) -> subprocess.CompletedProcess[bytes]:
    words = ("exec", "-i", "-e", "MYSQL_PWD", "mariadb", "mariadb", "--user=root", "--batch", "--skip-column-names")
    return engine(root, host, *words, stdin=f"-- upgrader: {question}\n{more}", MYSQL_PWD=secret)


def dump(root: Path, host: str, *names: str) -> subprocess.CompletedProcess[bytes]:
    words = ("exec", "-i", "-e", "MYSQL_PWD", "mariadb", "mariadb-dump", "--single-transaction", "--databases")
    return engine(root, host, *words, *names, "--user=root", MYSQL_PWD=password(root))


def step(
    root: Path,
    toolchain: str,
    host: str,
    task: str = "",
    *,
    release: str = "",
    groups: dict[str, list[str]] | None = None,
    **args: object,
) -> Result:
    """One task of the playbooks on one host, without Ansible. `release` is that of the images."""
    cloud = store.read(f"{root}/toolchains/{toolchain}/share/kolla-ansible/ansible/sandbox.json")
    made = store.read(f"{root}/sandbox.json")
    release = release or toolchain
    known = {name: list(hosts) for name, hosts in inventory.members(toolchain, tuple(made["hosts"])).items()}
    known["all"] = world.hosts(str(root))
    images = {"release": release, "tag": f"{release}-debian-bookworm", "url": "sandbox/kolla/"}
    full = {"action": "upgrade", **images, **args}
    return run(Step(str(root), world.Host(str(root), host), task, full, cloud, known if groups is None else groups))


def configure(root: Path, release: str) -> None:
    """What the tool edits before a hop: the release in globals.yml, and the release's own groups."""
    path = root / "site" / "kolla" / "globals.yml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = [f'openstack_release: "{release}"\n' if line.startswith("openstack_release") else line for line in lines]
    path.write_text("".join(changed), encoding="utf-8")
    file = root / "site" / "inventory"
    text = file.read_text(encoding="utf-8")
    for group, parents in inventory.groups(release).items():
        if f"[{group}:children]" not in text:
            text += f"\n[{group}:children]\n" + "\n".join(parents) + "\n"
    file.write_text(text, encoding="utf-8")


def play_command(root: Path, release: str, action: str, *more: str, playbook: str = "site.yml") -> list[str]:
    toolchain, site = root / "toolchains" / release, root / "site"
    files = ("globals.yml", "passwords.yml", "globals.d/services.yml")
    variables = [word for name in files for word in ("-e", f"@{site}/kolla/{name}")]
    variables += ["-e", f"kolla_action={action}", "-e", f"CONFIG_DIR={site}/kolla"]
    book = toolchain / "share" / "kolla-ansible" / "ansible" / playbook
    return [str(toolchain / "bin" / "ansible-playbook"), "-i", str(site / "inventory"), *variables, *more, str(book)]


def environment(root: Path, release: str) -> dict[str, str]:
    toolchain = root / "toolchains" / release
    return {
        "PATH": f"{toolchain}/bin:/usr/bin:/bin",
        "HOME": str(root),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_COLLECTIONS_PATH": str(toolchain / "collections"),
        "ANSIBLE_LOCAL_TEMP": str(root / "tmp"),
    }


def play(
    root: Path, release: str, action: str, *more: str, playbook: str = "site.yml"
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the toolchain of `release` to its end."""
    command = play_command(root, release, action, *more, playbook=playbook)
    return subprocess.run(
        command, env=environment(root, release), capture_output=True, text=True, check=False, timeout=900
    )


def kill_play_when(root: Path, release: str, action: str, ready: Callable[[], bool]) -> None:
    """Start a play and kill every process of it with SIGKILL as soon as `ready` says so."""
    process = subprocess.Popen(
        play_command(root, release, action),
        env=environment(root, release),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: ready() or process.poll() is not None, "the moment to kill the play")
        assert process.poll() is None, "the play ended before it could be killed"
    finally:
        halted: set[int] = set()
        # what is halted has no more children: none is overlooked, and none lives on without its parent
        while fresh := ({process.pid} | below(process.pid)) - halted:
            for pid in fresh:
                blow(pid, signal.SIGSTOP)
            # one that is just forking does not stand still before its child is there
            wait_until(lambda: all(stands(pid) for pid in fresh), "the processes to stand still")
            halted |= fresh
        for pid in halted:
            blow(pid)
        process.wait()


def stands(pid: int) -> bool:
    """Whether a process is stopped, or gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
    except OSError:
        return True


def below(pid: int) -> set[int]:
    """Every process below `pid`, whatever its session."""
    parents = {one: parent_of(one) for one in processes._pids()}
    found: set[int] = set()
    border = {pid}
    while border:
        border = {child for child, parent in parents.items() if parent in border} - found
        found |= border
    return found


def containers(root: Path) -> dict[tuple[str, str], str]:
    """(host, container) → release of its image, for everything that runs."""
    found = {}
    for name in world.hosts(str(root)):
        host = world.Host(str(root), name)
        for container in host.containers():
            state = host.container(container)
            if state and state["status"] == "running":
                found[name, container] = state["image"].rpartition(":")[2].partition("-")[0]
    return found
