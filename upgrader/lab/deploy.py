"""Deploys the lab's cloud with the release's own playbooks and sees that it answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from upgrader.errors import UpgraderError
from upgrader.kolla.toolchain import Toolchain, environment
from upgrader.lab.engine import search_path
from upgrader.lab.folder import LabFolder, LabRecord
from upgrader.lab.sitefolder import password
from upgrader.lab.steps import Steps

RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)")


def playbook_command(folder: LabFolder, toolchain: Toolchain, action: str, *extra: str) -> list[str]:
    """What `kolla-ansible <action>` starts: variables in its own order, later ones win."""
    kolla = folder.site / "kolla"
    words = [str(toolchain.ansible_playbook), "--inventory", str(folder.site / "inventory")]
    words += ["--extra-vars", f"@{kolla / 'globals.yml'}", "--extra-vars", f"@{kolla / 'passwords.yml'}"]
    for path in sorted((kolla / "globals.d").glob("*.yml")):
        words += ["--extra-vars", f"@{path}"]
    for assignment in (f"kolla_action={action}", *extra, f"CONFIG_DIR={kolla}"):
        words += ["--extra-vars", assignment]
    return [*words, str(toolchain.site_yml)]


def run_playbook(folder: LabFolder, toolchain: Toolchain, steps: Steps, action: str, hosts: tuple[str, ...]) -> None:
    """Runs one action to its end, showing plays as they pass; FailedCleanError unless every node came through.

    Exit code 0 is not enough: Kolla's plays tolerate failed and unreachable hosts, so the recap is read as well.
    """
    env = environment(toolchain, ANSIBLE_FORCE_COLOR="0")
    env["PATH"] = f"{env['PATH']}:{search_path()}"
    path = folder.log / f"kolla-{action}.log"
    recap: dict[str, tuple[int, int]] = {}
    command = playbook_command(folder, toolchain, action)
    with path.open("w") as log:
        path.chmod(0o600)  # output of tasks can hold what a playbook forgot to hide
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in process.stdout or ():
            log.write(line)
            found = RECAP.match(line)
            if found:
                recap[found.group(1)] = (int(found.group(4)), int(found.group(5)))
            if line.startswith("TASK ["):
                _show(steps, line)
        code = process.wait()
    _clear()
    bad = [host for host in hosts if recap.get(host, (0, 1)) != (0, 0)]
    if code or bad:
        where = f" on {', '.join(bad)}" if bad else ""
        failed = [line for line in path.read_text().splitlines() if line.startswith(("fatal:", "failed:"))]
        error = steps.failure(f"kolla-{action}", f"kolla-ansible {action} failed (exit {code}){where}")
        error.details = (*(line[:600] for line in failed[-3:]), *error.details)
        raise error


def _show(steps: Steps, line: str) -> None:
    """The running task in one line that is written over, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K        {line[5:].partition('*')[0].strip()[:90]}")
        sys.stderr.flush()


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def token(folder: LabFolder, record: LabRecord) -> str:
    """A token of the admin user, issued by the lab's Keystone; OSError when it does not answer."""
    body = {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {
                    "user": {
                        "name": "admin",
                        "domain": {"id": "default"},
                        "password": password(folder, "keystone_admin_password"),
                    }
                },
            },
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
        }
    }
    request = Request(
        f"http://{record.vip}:5000/v3/auth/tokens",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
        return str(answer.headers["X-Subject-Token"])


def wait_for_token(folder: LabFolder, record: LabRecord, steps: Steps, *, seconds: float = 60) -> None:
    """FailedCleanError when Keystone issues no token within the time."""
    deadline = time.monotonic() + seconds
    trouble = ""
    while time.monotonic() < deadline:
        try:
            if token(folder, record):
                return
        except (OSError, UpgraderError) as error:
            trouble = str(error)
        time.sleep(1)
    raise steps.failure("kolla-deploy", f"Keystone at {record.vip} issues no token: {trouble}")


def toolchain_of(record: LabRecord, release: str, steps: Steps) -> Toolchain:
    """The release's toolchain: the one that is there, as it is, or a new one."""
    there = Toolchain(release, Path(record.toolchains) / release)
    if there.ansible_playbook.exists() and there.site_yml.exists():
        return there
    from upgrader.kolla.build import build_toolchain
    from upgrader.kolla.pins import pins_of

    return build_toolchain(pins_of(release), Path(record.toolchains), progress=lambda line: steps.say(f"  {line}"))
