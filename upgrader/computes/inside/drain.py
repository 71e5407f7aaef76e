"""One stretch of a drain: start live migrations one after the other, and wait for them.

Its state comes with the request and goes back with the answer, so that a stretch cut off at any moment costs nothing:
the next one sees in Nova what is under way and what is gone. Never touches what somebody else does something with.
"""

from __future__ import annotations

import time
from typing import Any, Optional

from upgrader.computes.inside.cloud import AWAY, Cloud, Refused
from upgrader.computes.inside.judge import busy, row, why_not
from upgrader.computes.inside.services import servers

PAUSE = 2.0
NOWHERE = "no host that may take it"


def drain(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """`moved`, `left`, `state` for the next stretch, and `ended`: nothing is left to wait for or to try.

    The request: `host`, `targets` (may be empty), `seconds`, `abort` (start nothing, end what was begun here), `state`.
    """
    work = _Drain(cloud, request)
    ends = time.monotonic() + float(request.get("seconds", 20))
    while True:
        ended = work.look(starting=not request.get("abort"))
        if request.get("abort"):
            work.abort()
            ended = ended or not work.under_way()
        if ended or time.monotonic() >= ends:
            return work.answer(ended)
        cloud.pause(PAUSE)


class _Drain:
    def __init__(self, cloud: Cloud, request: dict[str, Any]) -> None:
        self.cloud, self.host = cloud, str(request["host"])
        self.targets = [str(name) for name in request.get("targets", [])]
        state = request.get("state") or {}
        self.tried: dict[str, list[str]] = dict(state.get("tried", {}))
        """Instance → targets it was sent to; the empty one is wherever the scheduler likes."""
        self.words: dict[str, str] = dict(state.get("words", {}))
        self.going: dict[str, str] = dict(state.get("going", {}))
        """Instances whose migration was begun here and whose end was not seen yet → target."""
        self.moved: list[list[str]] = []
        self.here: dict[str, dict[str, Any]] = {}
        self.aborted: set[str] = set()

    def look(self, starting: bool) -> bool:
        """One look, and at most one beginning. True when the drain has come to its end."""
        self.here = {server["id"]: server for server in servers(self.cloud, self.host)}
        for gone in [name for name in self.going if name not in self.here]:
            self._arrived(gone)
        for name in [name for name in self.going if not busy(self.here[name])]:
            self._stayed(name, self.going.pop(name), why_it_stayed(self.cloud, name))
        doing = [server for server in self.here.values() if busy(server)]
        if any(server["id"] in self.going or server.get("status") == "MIGRATING" for server in doing):
            return False
        # what is done with the others may end, and leave them fit to be moved
        return not (starting and self._start()) and not doing

    def under_way(self) -> list[str]:
        return [name for name in self.going if name in self.here and busy(self.here[name])]

    def _arrived(self, name: str) -> None:
        self.going.pop(name)
        server = self.cloud.found("compute", f"/servers/{name}")
        if server is not None:  # else it was deleted meanwhile
            self.moved.append([name, server["server"].get("OS-EXT-SRV-ATTR:host") or ""])

    def _stayed(self, name: str, target: str, words: str) -> None:
        said = f"to {target}: {words}" if target else words
        known = self.words.get(name, "")
        if said not in known:
            self.words[name] = f"{known}; {said}"[:600] if known else said

    def _start(self) -> bool:
        """Begin one migration; False when there is none left to begin."""
        for name, server in sorted(self.here.items(), key=lambda item: str(item[1].get("name"))):
            if why_not(server) or busy(server):
                continue
            while (target := self._target(name)) is not None:
                if self._begin(name, target):
                    return True
        return False

    def _begin(self, name: str, target: str) -> bool:
        """Whether it may have begun: also where no answer came, which the next look shows."""
        body = {"os-migrateLive": {"host": target or None, "block_migration": "auto"}}
        try:
            self.cloud.send("POST", "compute", f"/servers/{name}/action", body)
        except Refused as refused:
            self._stayed(name, target, refused.words)
            if refused.status not in AWAY:
                self.tried.setdefault(name, []).append(target)
                return False
        else:
            self.tried.setdefault(name, []).append(target)
        self.going[name] = target
        return True

    def _target(self, name: str) -> str | None:
        """The next place to try, another first choice for each instance; None when all were tried."""
        used = self.tried.get(name, [])
        choices = self.targets or [""]
        first = sum(name.encode()) % len(choices)
        return next((one for one in choices[first:] + choices[:first] if one not in used), None)

    def abort(self) -> None:
        """End the migrations that were begun by this user, each asked once in a stretch; Nova says no to some.

        Also one begun in a stretch whose answer was lost: an operator does not migrate as the user of the service.
        """
        for name in [name for name, server in self.here.items() if server.get("status") == "MIGRATING"]:
            if name in self.aborted:
                continue
            self.aborted.add(name)
            try:
                last = last_migration(self.cloud, name)
                if name not in self.going and (last or {}).get("user_id") != self.cloud.user:
                    continue
                self.going.setdefault(name, "")
                rows = self.cloud.get("compute", f"/servers/{name}/migrations").get("migrations", [])
                for migration in rows:
                    self.cloud.send("DELETE", "compute", f"/servers/{name}/migrations/{migration['id']}")
            except Refused as refused:
                self.words[name] = f"its migration could not be ended: {refused.words}"

    def answer(self, ended: bool) -> dict[str, Any]:
        return {
            "moved": self.moved,
            "left": [{**row(server), "why": self._left(server)} for server in self.here.values()],
            "state": {"tried": self.tried, "words": self.words, "going": self.going},
            "ended": ended,
        }

    def _left(self, server: dict[str, Any]) -> str:
        name = server["id"]
        doing = busy(server)
        if doing:
            return self.words.get(name) or f"is still {doing}"
        return why_not(server) or self.words.get(name, "") or ("" if name not in self.tried else NOWHERE)


def last_migration(cloud: Cloud, name: str) -> Optional[dict[str, Any]]:
    """Nova's record of the last live migration that was asked of a server; the list begins with the newest."""
    actions = cloud.get("compute", f"/servers/{name}/os-instance-actions").get("instanceActions", [])
    return next((item for item in actions if item.get("action") == "live-migration"), None)


def why_it_stayed(cloud: Cloud, name: str) -> str:
    """Nova's words about the last live migration of a server that is still where it was."""
    try:
        last = last_migration(cloud, name)
        if last is None:
            return "its migration did not happen"
        action = cloud.get("compute", f"/servers/{name}/os-instance-actions/{last['request_id']}")["instanceAction"]
        events = sorted(action.get("events", []), key=lambda item: str(item.get("start_time")))
        said = [str(event["details"]) for event in events if event.get("details") and event.get("result") == "Error"]
        return f"its migration failed: {said[-1][:300]}" if said else "its migration did not come to its end"
    except (Refused, KeyError) as trouble:
        return f"its migration failed, and Nova did not say why ({trouble})"
