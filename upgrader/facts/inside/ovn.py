"""One OVN database server's view of its cluster: `python3 - ovn nb|sb`.

Control sockets: openstack/kolla-ansible@21.3.0:ansible/roles/ovn-db/tasks/bootstrap-db.yml.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

SECONDS = 10
DATABASES = {"nb": "OVN_Northbound", "sb": "OVN_Southbound"}


def run(*command: str) -> str:
    """Raises OSError or subprocess.SubprocessError."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise subprocess.SubprocessError((done.stderr or done.stdout).strip()[:300])
    return done.stdout


def status(text: str) -> dict[str, Any]:
    """The lines of `cluster/status` that tell health."""
    values = dict(re.findall(r"^(Status|Role|Leader|Election timer): +(.+?)\s*$", text, re.M))
    servers = text.partition("\nServers:\n")[2].splitlines()
    # since when the leader has heard nothing from a member, in milliseconds; followers do not talk to each other
    heard = [re.search(r"last msg (\d+) ms ago", line) for line in servers if values.get("Role") == "leader"]
    timer = values.get("Election timer", "")
    return {
        "status": values.get("Status", ""),
        "role": values.get("Role", ""),
        "leader": values.get("Leader", ""),
        "servers": sum(1 for line in servers if line.strip()),
        "silent_ms": max((int(found[1]) for found in heard if found), default=0),
        "timer_ms": int(timer) if timer.isdigit() else 0,
    }


def main() -> None:
    which = sys.argv[2]
    answer: dict[str, Any]
    try:
        text = run("ovs-appctl", "-t", f"/var/run/ovn/ovn{which}_db.ctl", "cluster/status", DATABASES[which])
        answer = status(text)
        version = re.search(r"\d+\.\d+(\.\d+)?", run(f"ovn-{which}ctl", "--version"))
        answer["version"] = version[0] if version else ""
    except (OSError, subprocess.SubprocessError) as error:
        answer = {"error": str(error)[:300]}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
