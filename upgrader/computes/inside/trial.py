"""One stretch of a trial: a small instance without network is made on a host, reached, moved away and back, removed.

Its state comes with the request and goes back with the answer. Everything made here has the name and the mark below,
lies in the service's own project, and is found by them when the state was lost: the first step removes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Optional

from upgrader.computes.inside.cloud import AWAY, Cloud, Refused
from upgrader.computes.inside.drain import why_it_stayed
from upgrader.computes.inside.judge import busy, marked
from upgrader.computes.inside.services import listed, switch

NAME = "upgrader-trial"
"""Name of the server, name and id of the flavor, name of the image."""
MARK_KEY, MARK_VALUE = "upgrader", "trial"
PAUSE = 1.5
LIMITS = {
    "clear": 120,
    "prepare": 60,
    "create": 240,
    "reach": 30,
    "migrate-away": 240,
    "migrate-back": 240,
    "delete": 120,
}
"""Seconds a step may take, in the order of the steps."""
STEPS = tuple(LIMITS)
IMAGE_BYTES = 1 << 20
"""Of zeros: a guest that finds nothing to boot is a running guest all the same."""
FLAVOR = {"name": NAME, "id": NAME, "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}

_Said = Optional[tuple[Optional[bool], str]]
# What a step comes to is None while it waits, else whether it went well (None: not possible here), and words.


def trial(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """`steps` as (name, ok, words, seconds), `left`, `state` for the next stretch, `ended`.

    The request: `host`, `other` (may be empty), `seconds`, `finish` (nothing more but removing), `state`.
    """
    work = _Trial(cloud, request)
    ends = time.monotonic() + float(request.get("seconds", 45))
    while work.step:
        if request.get("finish") and work.step != "delete":
            work.go_to("delete")
        if not work.do() and time.monotonic() >= ends:
            break
        if work.waiting:
            cloud.pause(PAUSE)
    return {"steps": work.steps, "left": work.left, "state": work.state, "ended": not work.step}


class _Trial:
    def __init__(self, cloud: Cloud, request: dict[str, Any]) -> None:
        self.cloud, self.host, self.other = cloud, str(request["host"]), str(request.get("other", ""))
        self.state: dict[str, Any] = dict(request.get("state") or {"step": STEPS[0], "steps": [], "began": time.time()})
        self.steps: list[list[Any]] = self.state["steps"]
        self.waiting = False
        self.left: list[str] = []

    @property
    def step(self) -> str:
        return str(self.state["step"])

    def go_to(self, step: str) -> None:
        self.state.update(step=step, began=time.time(), asked=False)

    def do(self) -> bool:
        """One try at the present step; True when it is over."""
        step = self.step
        try:
            said = self._acts()[step]()
        except Refused as refused:
            said = None if refused.status in AWAY else (False, refused.words)
            self.state["words"] = refused.words
        took = time.time() - float(self.state["began"])
        if said is None and not 0 <= took < LIMITS[step]:
            said = (False, f"not done within {LIMITS[step]} s{self._last_words()}")
        self.waiting = said is None
        if said is None:
            return False
        self.steps.append([step, said[0], said[1], max(0, round(took))])
        self.state["words"] = ""
        if said[0] is False and step != "delete":
            self.go_to("delete")
        else:
            following = STEPS[STEPS.index(step) + 1 :]
            self.go_to(following[0] if following else "")
            if not following:
                self._close()
        return True

    def _last_words(self) -> str:
        words = self.state.get("words") or ""
        return f": {words}" if words else ""

    def _acts(self) -> dict[str, Callable[[], _Said]]:
        return {
            "clear": self._remove,
            "prepare": self._prepare,
            "create": self._create,
            "reach": self._reach,
            "migrate-away": lambda: self._migrate(self.host, self.other),
            "migrate-back": lambda: self._migrate(self.other, self.host),
            "delete": self._remove,
        }

    # ------------------------------------------------------------ before

    def _prepare(self) -> _Said:
        """Scheduling on the host, a flavor, an image."""
        self._open()
        if self.cloud.found("compute", f"/flavors/{NAME}") is None:
            self.cloud.send("POST", "compute", "/flavors", {"flavor": FLAVOR})
        images = [image for image in self._images() if image.get("status") == "active"]
        self.state["image"] = images[0]["id"] if images else self._upload()
        return True, "a flavor and an image of its own"

    def _open(self) -> None:
        """A disabled host gets no instance, forced or not: placement leaves it out (openstack/nova@33.0.2:
        nova/scheduler/request_filter.py, compute_status_filter). Raises Refused for a host that is not ours to open."""
        service = next((item for item in listed(self.cloud) if item["host"] == self.host), None)
        if service is None:
            raise Refused(404, f"Nova has no compute service on {self.host}")
        why = service.get("disabled_reason") or ""
        if service.get("status") != "disabled":
            return
        if not marked(why):
            raise Refused(409, f"the service is disabled, and not by this tool: {why or 'no reason given'}")
        self.state["opened"] = why
        self.cloud.put("compute", f"/os-services/{service['id']}", {"status": "enabled"})

    def _close(self) -> None:
        """As it was found. Where that does not come about the host stays in scheduling, which is what comes next."""
        why, self.state["opened"] = self.state.get("opened"), ""
        if why:
            with suppress(Refused):
                switch(self.cloud, [self.host], False, why)

    def _images(self) -> list[dict[str, Any]]:
        rows = self.cloud.get("image", "/images", name=NAME, owner=self.cloud.project).get("images", [])
        return [
            image
            for image in rows
            if image.get("name") == NAME
            and image.get(MARK_KEY) == MARK_VALUE
            and image.get("owner") == self.cloud.project
        ]

    def _upload(self) -> str:
        about = {"name": NAME, "disk_format": "raw", "container_format": "bare", "visibility": "private"}
        made = self.cloud.send("POST", "image", "/images", {**about, MARK_KEY: MARK_VALUE})
        self.cloud.send("PUT", "image", f"/images/{made['id']}/file", data=bytes(IMAGE_BYTES))
        return str(made["id"])

    # ------------------------------------------------------------ the instance

    def _create(self) -> _Said:
        if not self.state.get("asked"):
            self.state["asked"] = True
            server = {
                "name": NAME, "imageRef": self.state["image"], "flavorRef": NAME, "networks": "none", "host": self.host,
                "metadata": {MARK_KEY: MARK_VALUE},
            }  # fmt: skip
            self.cloud.send("POST", "compute", "/servers", {"server": server})
        mine = self._servers()
        if not mine:
            return False, "Nova made no server" + self._last_words()
        server = mine[0]
        self.state["server"] = server["id"]
        status, where = server.get("status"), server.get("OS-EXT-SRV-ATTR:host") or ""
        if status == "ERROR":
            return False, str((server.get("fault") or {}).get("message") or "it went into ERROR")[:300]
        if status != "ACTIVE" or busy(server):
            self.state["words"] = f"it is {status}, {busy(server) or 'idle'}"
            return None
        return (True, f"ACTIVE on {where}") if where == self.host else (False, f"it came up on {where}")

    def _reach(self) -> _Said:
        """Its own compute answers for it: the console's text comes from the hypervisor through nova-compute."""
        path = f"/servers/{self.state['server']}/action"
        try:
            said = self.cloud.send("POST", "compute", path, {"os-getConsoleOutput": {"length": 20}})
        except Refused as refused:
            if refused.status == 501:
                return None, "its driver has no console to read"
            if refused.status in (404, 409):  # not ready yet
                self.state["words"] = refused.words
                return None
            raise
        return True, f"its console has {len(str(said.get('output') or '').splitlines())} lines"

    def _migrate(self, source: str, target: str) -> _Said:
        if not self.other:
            return None, "no second host was given"
        if target == self.host and self.steps[-1][1] is not True:
            return None, "it did not go away"
        if not self.state.get("asked"):
            away = self._fit(target)
            if away:
                return (None if target == self.other else False), away
            self.state["asked"] = True
            body = {"os-migrateLive": {"host": target, "block_migration": "auto"}}
            self.cloud.send("POST", "compute", f"/servers/{self.state['server']}/action", body)
        server = self.cloud.get("compute", f"/servers/{self.state['server']}")["server"]
        if busy(server):
            self.state["words"] = f"it is still {busy(server)}"
            return None
        where = server.get("OS-EXT-SRV-ATTR:host") or ""
        if where == target and server.get("status") == "ACTIVE":
            return True, f"{source} → {target}"
        return False, f"{source} → {target}: {why_it_stayed(self.cloud, self.state['server'])}"

    def _fit(self, target: str) -> str:
        """Why the target takes nothing; empty when it does."""
        service = next((item for item in listed(self.cloud) if item["host"] == target), None)
        if service is None:
            return f"Nova has no compute service on {target}"
        if service.get("status") == "disabled":
            return f"{target} is disabled"
        return "" if service.get("state") == "up" else f"{target} is down"

    # ------------------------------------------------------------ after

    def _servers(self) -> list[dict[str, Any]]:
        rows = self.cloud.listed("/servers/detail", "servers", all_tenants="1", name=f"^{NAME}$")
        return [
            server
            for server in rows
            if server.get("name") == NAME
            and (server.get("metadata") or {}).get(MARK_KEY) == MARK_VALUE
            and server.get("tenant_id") == self.cloud.project
        ]

    def _remove(self) -> _Said:
        """Servers first, and flavor and image once they are gone."""
        mine = self._servers()
        self.left = [f"server {NAME} ({server['id']})" for server in mine]
        for server in mine:
            if busy(server) not in ("deleting", "migrating"):
                self._gone("compute", f"/servers/{server['id']}")
        if mine:
            self.state["found"] = max(len(mine), int(self.state.get("found", 0)))
            self.state["words"] = f"{len(mine)} of its servers are still there"
            return None
        self._gone("compute", f"/flavors/{NAME}")
        for image in self._images():
            self._gone("image", f"/images/{image['id']}")
        count = int(self.state.pop("found", 0))
        return True, f"{count} server{'' if count == 1 else 's'} removed" if count else "nothing was there"

    def _gone(self, kind: str, path: str) -> None:
        try:
            self.cloud.send("DELETE", kind, path)
        except Refused as refused:
            if refused.status != 404:
                raise
