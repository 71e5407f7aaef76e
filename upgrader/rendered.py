"""Frozen values of what differs between the rendered configuration of two releases: counts and names, no contents.

Owns the shapes only; the texts of the differences lie in a folder that the account names with its digest.
"""

from __future__ import annotations

from typing import Literal

from upgrader.value import Value


class FileDifference(Value):
    """One rendered file that differs between two releases, the same way on each of `hosts`."""

    path: str
    """Below the configuration folder: `nova-api/nova.conf`."""
    kind: Literal["changed", "added", "removed"]
    added: int = 0
    removed: int = 0
    """Lines."""
    hosts: tuple[str, ...] = ()


class ServiceDifference(Value):
    service: str
    """Folder below the configuration folder, which is a container's name with dashes."""
    files: tuple[FileDifference, ...]

    @property
    def added(self) -> int:
        return sum(file.added for file in self.files)

    @property
    def removed(self) -> int:
        return sum(file.removed for file in self.files)


class ConfigDifference(Value):
    """What a hop changes in the rendered configuration: the account; the differences themselves lie in `folder`."""

    folder: str = ""
    sha256: str = ""
    """Over the names and contents of the folder's files."""
    services: tuple[ServiceDifference, ...] = ()
    hosts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(host it was rendered for, hosts it stands for: same groups, same variables, no files of their own)."""
    left_out: tuple[str, ...] = ()
    """Tasks that would have acted on a host or asked the cloud, and were not run."""
    failed: tuple[str, ...] = ()
    """Tasks that could not be rendered: what they write is in neither side or in one only."""
    error: str = ""
    """Why there is no difference to show; empty: there is, or nothing differs."""
