"""Connection plugin of the sandbox: the local machine, unless the host is to be out of reach.

Makes a host unreachable for everything that is done on it, also for plays that are not the sandbox's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

# <root>/toolchains/<release>/collections/ansible_collections/upgrader/sandbox/plugins/connection/node.py
_ROOT = str(Path(__file__).resolve().parents[8])

DOCUMENTATION = """
    name: node
    short_description: a host of the sandbox
    description: Runs on the local machine; a fault can make the host unreachable.
    author: upgrader
    version_added: "1.0.0"
    extends_documentation_fragment: [connection_pipelining]
"""


class Connection(Local):  # type: ignore[misc] # ansible has no types
    transport = "upgrader.sandbox.node"

    def exec_command(self, *args: Any, **kwargs: Any) -> Any:
        self._reach()
        return super().exec_command(*args, **kwargs)

    def _reach(self) -> None:
        if not Path(_ROOT, "faults.toml").exists():
            return
        from upgrader.sandbox import store

        host = str(self._play_context.remote_addr)
        if store.take_fault(_ROOT, "unreachable", host=host, task="", action="", release=""):
            raise AnsibleConnectionFailure(f"connect to host {host} port 22: Connection timed out")
