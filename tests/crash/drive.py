"""Lives of a controller: `python -m tests.crash.drive` reads one order per line and answers with how that life ended.

Each life is a fork that opens the place, drives the engine as `upgrader run` and `upgrader resume` do, decides
as an operator would, and may be killed at a failpoint by SIGKILL; so may its supervisors. The imports are done once.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.engine_kit import forked
from tests.engine_kit.place import WorldSession, a_plan, graph, opened, site_of
from upgrader import durable, processes
from upgrader.cli.resume_cmd import go_on
from upgrader.cli.rollback_cmd import go_back, to_decision
from upgrader.engine import Ending, Engine
from upgrader.journal import HopRow
from upgrader.states import RUN_ENDED, Event, State

FORWARD = (
    "pending", "preflight", "backup", "pull", "rehearse", "hold_broker", "broker", "hold_upgrade", "upgrade", "verify",
    "soak", "hold_finalize", "finalize", "hop_done",
)  # fmt: skip
REDEPLOY = ("decide", "rollback_redeploy", "verify_old", "rolled_back")
RESTORE = ("decide", "rollback_restore", "verify_old", "rolled_back")
QUEUES = ("decide_broker", "rollback_redeploy", "verify_old", "rolled_back")
FAILING = (*FORWARD[: FORWARD.index("verify")], "decide")
STUCK = (*FORWARD[: FORWARD.index("hold_upgrade")], "decide_broker")
BACK = {"redeploy": Event.REDEPLOY, "restore": Event.RESTORE, "queues": Event.REDEPLOY}
QUIET: Any = lambda _kind, _data: None  # noqa: E731
WAYS = {
    "forward": FORWARD, "failing": FAILING, "redeploy": REDEPLOY, "restore": RESTORE, "stuck": STUCK, "queues": QUEUES,
}  # fmt: skip
_MOST_DECISIONS = 12


class Life:
    """One controller on one place. `way` is where the operator wants to go; it ends when `leg` lies behind the hop."""

    def __init__(self, session: WorldSession, way: str, leg: str) -> None:
        self.session, self.way, self.order = session, way, WAYS[way]
        self.behind = self.order[self.order.index(leg) + 1 :]

    def live(self) -> None:
        if self.session.journal.snapshot().run is None:
            self.session.begin(a_plan(self.session.journal, queues=True))
        for _ in range(_MOST_DECISIONS):
            if self.over():
                return
            hop, seen = self.hop(), self.session.journal.snapshot().last_seq
            back = self.way in BACK and hop is not None
            if back and hop.state in (State.DECIDE, State.DECIDE_BROKER):
                go_back(self.session, BACK[self.way], "the operator says so")
            go_on(self.session, QUIET, self.drive)
            if self.over() or self.session.journal.snapshot().last_seq != seen:
                continue
            if not back or hop.state is not State.NEEDS_ATTENTION:
                raise RuntimeError(f"the operator does not know what to do about {hop}")
            to_decision(self.session, hop, "again")  # what `upgrader rollback` does when it is said again
        raise RuntimeError("it goes round in circles")

    def drive(self) -> Ending:
        conduct = self.session.conduct(self.session.journal.snapshot())
        return Engine(conduct, "anna", auto_approve=True, stop_wanted=self.over).drive()

    def hop(self) -> HopRow | None:
        return self.session.journal.snapshot().hop

    def over(self) -> bool:
        shot = self.session.journal.snapshot()
        ended = shot.run is not None and shot.run.state in RUN_ENDED
        return ended or (shot.hop is not None and shot.attempt is None and shot.hop.state.value in self.behind)


def one(order: Mapping[str, Any]) -> None:
    """Live it, in a process of its own."""
    for name, key in ((durable.FAILPOINT, "failpoint"), (durable.FAILPOINT_LOG, "log")):
        if order.get(key):
            os.environ[name] = str(order[key])
    if not order.get("real"):
        forked.instead(setattr)
    with opened(site_of(Path(order["place"]))) as session:
        Life(session, order["way"], order["leg"]).live()


def serve() -> None:
    processes.become_subreaper()  # supervisors that outlive their controller
    graph()
    for line in sys.stdin:
        order = json.loads(line)
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                errors = os.open(Path(order["place"]) / "errors.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                os.dup2(errors, 2)
                os.dup2(errors, 1)
                one(order)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        answer = {"code": os.waitstatus_to_exitcode(status), "seconds": round(time.monotonic() - began, 3)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        processes.reap()


if __name__ == "__main__":
    serve()
