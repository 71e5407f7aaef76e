"""What a trial of the APIs makes and removes again, and how leftovers of an interrupted one are known.

Comes between calls.py and trial.py on the Python's standard input: see smoke/inside/__init__.py.
"""

from __future__ import annotations

import re
import secrets
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any
if __package__:
    from upgrader.smoke.inside.calls import PAUSE, Api, OutOfTime, Refused

NAME = "upgrader-smoke"
MARK = "Made by upgrader to verify this cloud after an upgrade, and removed after it."
_OURS = re.compile(f"^{NAME}-" + r"[0-9a-f]{8}$")
TYPES = {
    # what runs → its types in the catalogue, the one of the project's own API first
    "glance": ("image",),
    "nova": ("compute",),
    "neutron": ("network",),
    "cinder": ("volumev3", "block-storage", "volume"),
}
COMPUTE = {"OpenStack-API-Version": "compute 2.61", "X-OpenStack-Nova-API-Version": "2.61"}
"""Nova from Rocky on; networks "none" came with 2.37, a flavor's description with 2.55."""


class Unfit(Exception):  # noqa: N818
    """The step cannot be tried here; neither good nor bad is known."""


def address_of(api: Api, kind: str) -> str:
    """Where an API of the catalogue is, without its version where that is asked for with the path. Raises Unfit."""
    url = api.endpoint(TYPES[kind])
    if not url:
        raise Unfit(f"there is no endpoint of {kind} in the catalogue")
    return url.removesuffix("/v2") if kind == "glance" else url.removesuffix("/v2.0")


class Things:
    """Everything of one trial: made as admin or member, removed as admin."""

    def __init__(self, admin: Api, wish: dict[str, Any]) -> None:
        self.admin, self.wish = admin, wish
        self.made: list[tuple[str, str, str]] = []
        """(kind, address, id), in the order of making."""
        self.name = f"{NAME}-{secrets.token_hex(4)}"

    def make(self, kind: str, url: str, body: Any, api: Api | None = None, **more: Any) -> Any:
        """POST, and note what has to go again."""
        said = (api or self.admin).request("POST", url, body, **more)[1]
        found = said.get(kind, said)
        self.made.append((kind, url, str(found["id"])))
        return said

    def until_gone(self, api: Api, url: str, seconds: float, **more: Any) -> str:
        began = time.monotonic()
        while True:
            try:
                found = api.get(url, **more)
            except Refused as refused:
                if refused.status == 404:
                    return f"gone after {time.monotonic() - began:.0f} s"
                raise
            if found.get("server", {}).get("status") == "SOFT_DELETED":
                # a site may keep deleted servers for a while ([DEFAULT] reclaim_instance_interval)
                self.admin.request("POST", url + "/action", {"forceDelete": None}, binary=True, **more)
            if time.monotonic() - began > seconds:
                raise Refused(200, f"it is still there after {seconds:.0f} s")
            time.sleep(PAUSE)

    def gone(self, kind: str, identity: str) -> None:
        self.made = [one for one in self.made if one[0] != kind or one[2] != identity]

    def remove(self) -> str:
        """What this trial made, last first. A project goes when nothing is left in it, or it could not be found."""
        count, words = len(self.made), ""
        left: list[str] = []
        for kind, url, identity in reversed(self.made):
            try:
                if kind == "project":
                    if left:
                        # without it the rest would not be found again
                        left.append(kind)
                        continue
                    # a request that was not answered may have been carried out
                    count += self._empty(identity)
                self._delete(kind, url, identity)
            except (Refused, OutOfTime) as why:
                left.append(kind)
                words = words or str(why)
        if left:
            raise Refused(200, f"left behind of {self.name}: {', '.join(left)} ({words})")
        return f"the last {count} things removed" if count else "nothing was left to remove"

    def _delete(self, kind: str, url: str, identity: str) -> None:
        headers = COMPUTE if kind in ("server", "flavor") else {}
        try:
            self.admin.request("DELETE", f"{url}/{identity}", headers=headers, binary=True)
        except Refused as refused:
            if refused.status != 404:
                raise
            return
        if kind == "server":
            self.until_gone(self.admin, f"{url}/{identity}", float(self.wish["server"]), headers=headers)

    def leftovers(self) -> str:
        """What an interrupted trial left, by name and mark: servers and images of its project, then the rest."""
        keystone = self.admin.keystone
        projects = self._ours(self.admin.get(f"{keystone}/projects?domain_id=default")["projects"])
        count = sum(self._empty(project["id"]) for project in projects)
        if projects and "nova" in self.wish["runs"]:
            url = address_of(self.admin, "nova") + "/flavors"
            found = self.admin.get(url + "/detail?is_public=None", headers=COMPUTE)["flavors"]
            count += self._each("flavor", url, self._ours(found))
        users = self._ours(self.admin.get(f"{keystone}/users?domain_id=default")["users"])
        count += self._each("user", keystone + "/users", users)
        count += self._each("project", keystone + "/projects", projects)
        return f"{count} things of an interrupted trial removed" if count else "none of an interrupted trial"

    def _ours(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return [one for one in rows if _OURS.match(str(one.get("name", ""))) and one.get("description") == MARK]

    def _empty(self, project: str) -> int:
        """Remove the servers and images of one of the trial's projects; returns how many there were."""
        count = 0
        if "nova" in self.wish["runs"]:
            url = address_of(self.admin, "nova") + "/servers"
            found = self.admin.get(f"{url}?all_tenants=1&project_id={project}", headers=COMPUTE)["servers"]
            count += self._each("server", url, found)
        if "glance" in self.wish["runs"]:
            url = address_of(self.admin, "glance") + "/v2/images"
            found = self.admin.get(f"{url}?owner={project}")["images"]
            count += self._each("image", url, [one for one in found if one.get("owner") == project])
        return count

    def _each(self, kind: str, url: str, rows: list[dict[str, Any]]) -> int:
        for one in rows:
            self._delete(kind, url, str(one["id"]))
        return len(rows)
