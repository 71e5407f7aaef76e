"""Health of a Ceph cluster through its own client, with whichever keyring the container holds.

A client of Cinder or Glance may read the monitors' state (`profile rbd` grants `mon r`); one that may not gives
no answer, which is not the same as bad news.
"""

from __future__ import annotations

import glob
import json
import os
import re
import subprocess
import sys
from typing import Any

SECONDS = 15


def identities(folder: str) -> list[list[str]]:
    """Options that choose a cluster and a user, from names such as `ceph.client.cinder.keyring`; admin first."""
    found = []
    for path in glob.glob(f"{folder}/*.keyring"):
        match = re.fullmatch(r"(?:(.+)\.)?client\.(.+)\.keyring", os.path.basename(path))
        if match:
            cluster = match[1] or "ceph"
            found.append((match[2] != "admin", cluster, match[2], path))
    # a monitor's own container holds the monitors' key
    monitors = sorted(glob.glob("/var/lib/ceph/mon/*/keyring"))
    own = [["--name", "mon.", "--keyring", path] for path in monitors]
    return own + [
        ["--conf", f"{folder}/{cluster}.conf", "--id", user, "--keyring", path]
        for _, cluster, user, path in sorted(found)
        if os.path.exists(f"{folder}/{cluster}.conf")
    ]


def health(status: dict[str, Any]) -> dict[str, Any]:
    """`health` and what stands behind it; `noout` is a flag of the OSD map that Ceph reports as a check."""
    found = status.get("health") or {}
    checks = found.get("checks") or {}
    words = {name: str((about.get("summary") or {}).get("message", "")) for name, about in checks.items()}
    flags = words.get("OSDMAP_FLAGS", "").partition(" flag(s) set")[0]
    return {
        "health": found.get("status"),
        "noout": "noout" in flags.split(","),
        "checks": sorted(f"{name}: {message}" for name, message in words.items())[:20],
    }


def main() -> None:
    folder = sys.argv[2] if len(sys.argv) > 2 else "/etc/ceph"
    answer: dict[str, Any] = {"absent": True}
    for options in identities(folder):
        command = ["ceph", "--connect-timeout", str(SECONDS - 5), *options, "status", "--format", "json"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            if done.returncode == 0:
                answer = health(json.loads(done.stdout[done.stdout.index("{") :]))
                break
            answer = {"error": (done.stderr.strip().splitlines() or ["no words"])[-1][:300]}
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            answer = {"error": str(error)[:300]}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
