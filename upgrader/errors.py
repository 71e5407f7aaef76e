"""Every trouble the tool knows, each class with the exit code the command line returns for it.

    UpgraderError                    1   internal: a defect of this tool
    ├── UsageError                   2   the command line or a file the operator wrote is wrong
    │   └── ConfigError              2   upgrader.toml, globals, inventory, vault: named by file and key
    ├── RefusedError                 3   blocked by the graph, a policy or a gate
    │   ├── DataError                3   the release graph's own data is damaged
    │   └── EnvironmentMissingError  3   an engine, interpreter, right or disk space is missing
    ├── StaleError                   4   the plan no longer fits the cloud, its configuration or its run
    ├── LockedError                  5   another run holds the site
    ├── FailedCleanError             6   a stage failed before any running service was touched
    ├── RolledBackError              7   the hop was taken back
    ├── AttentionError               8   a human has to decide; all automation stopped
    ├── WaitingError                 9   waiting for an approval
    └── InterruptedRunError        130   stopped by the operator, resumable

Only the command line turns these into words and exits; lower layers raise them with fields.
Exit codes are append-only: scripts of operators depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable


class UpgraderError(Exception):
    """A trouble with its message, the cloud's condition and the command to type next.

    `details` are further lines (one finding each). None of the texts may hold a secret.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, cloud: str = "", next_command: str = "", details: Iterable[str] = (), reason: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.cloud = cloud
        self.next_command = next_command
        self.details = tuple(details)
        self.reason = reason
        """Stable machine-readable code such as `skips-a-release`."""


class UsageError(UpgraderError):
    exit_code = 2


class ConfigError(UsageError):
    """A file the operator wrote is missing, unreadable or wrong; the message names file and key."""


class RefusedError(UpgraderError):
    exit_code = 3


class DataError(RefusedError):
    """The release graph's data is damaged; `details` holds every fault with file and field."""


class EnvironmentMissingError(RefusedError):
    """Something the tool needs on this machine is not there."""


class StaleError(UpgraderError):
    """`details` holds every difference between the plan and what is there now."""

    exit_code = 4


class LockedError(UpgraderError):
    exit_code = 5


class FailedCleanError(UpgraderError):
    exit_code = 6


class RolledBackError(UpgraderError):
    exit_code = 7


class AttentionError(UpgraderError):
    exit_code = 8


class WaitingError(UpgraderError):
    exit_code = 9


class InterruptedRunError(UpgraderError):
    exit_code = 130
