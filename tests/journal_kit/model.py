"""A second journal, in plain Python and without a database: what the real one has to answer to every call.

Written from the law's prose, not from the code: the moves are spelled out again, and nothing of the journal or of
the state table is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MOVES: dict[str, dict[str, str]] = {
    "pending": {"start": "preflight", "pause": "hold_hop", "abort": "aborted", "supersede": "superseded"},
    "hold_hop": {"approve": "preflight", "abort": "aborted", "supersede": "superseded"},
    "hold_broker": {"skip": "hold_upgrade", "approve": "broker", "abort": "aborted", "supersede": "superseded"},
    "decide_broker": {"retry": "broker", "redeploy": "rollback_redeploy", "give_up": "needs_attention"},
    "hold_upgrade": {"approve": "upgrade", "abort": "aborted", "supersede": "superseded"},
    "hold_verify": {"recheck": "verify", "accept": "soak", "take_back": "decide"},
    "hold_finalize": {"approve": "finalize", "take_back": "decide"},
    "decide": {
        "retry": "upgrade",
        "recheck": "verify",
        "redeploy": "rollback_redeploy",
        "restore": "rollback_restore",
        "give_up": "needs_attention",
    },
    "failed_clean": {"retry": "preflight", "abort": "aborted", "supersede": "superseded"},
    "needs_attention": {
        "reconsider": "decide",
        "reconsider_broker": "decide_broker",
        "recheck": "verify",
        "recheck_old": "verify_old",
        "reopen": "hold_finalize",
        "abort": "aborted",
    },
    **{stage: {"take_back": "failed_clean"} for stage in ("preflight", "backup", "pull", "rehearse")},
    "broker": {"take_back": "decide_broker"},
    **{stage: {"take_back": "decide"} for stage in ("upgrade", "verify", "soak")},
    **{
        stage: {"give_up": "needs_attention"}
        for stage in ("finalize", "rollback_redeploy", "rollback_restore", "verify_old")
    },
}
EITHER = {
    ("hold_broker", "approve"),
    ("hold_upgrade", "approve"),
    ("hold_finalize", "approve"),
    ("hold_verify", "recheck"),
}
NEXT = {
    "preflight": ("backup", "failed_clean"),
    "backup": ("pull", "failed_clean"),
    "pull": ("rehearse", "failed_clean"),
    "rehearse": ("hold_broker", "failed_clean"),
    "broker": ("hold_upgrade", "decide_broker"),
    "upgrade": ("verify", "decide"),
    "verify": ("soak", "decide"),
    "soak": ("hold_finalize", "decide"),
    "finalize": ("hop_done", "needs_attention"),
    "rollback_redeploy": ("verify_old", "needs_attention"),
    "rollback_restore": ("verify_old", "needs_attention"),
    "verify_old": ("rolled_back", "needs_attention"),
}
"""(after success, after anything else) of each stage."""
TRIES = {"broker": 2, "upgrade": 2, "rollback_redeploy": 1, "rollback_restore": 1}
ENDS = ("hop_done", "rolled_back", "aborted", "superseded")
ORDER = ("no", "possible", "crossed")


@dataclass
class Hop:
    state: str = "pending"
    ponr: str = "no"
    interrupted: bool = False
    finalized: bool = False
    migrating: bool = False
    """A queue migration was approved and did not end well since."""
    unattended: int = 0
    tries: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)


@dataclass
class Attempt:
    hop: int
    stage: str
    number: int
    launched: bool = False


@dataclass
class Model:
    """Calls return whether the real journal has to accept; only then does the model change."""

    run: str = ""
    hops: list[Hop] = field(default_factory=list)
    attempt: Attempt | None = None
    flags: set[str] = field(default_factory=set)
    serial: int = 0
    epoch: int = 0
    runs: int = 0

    @property
    def open(self) -> bool:
        return self.run in ("planned", "active", "needs_attention")

    def begin_run(self, hops: int) -> bool:
        if self.open:
            return False
        self.run, self.hops, self.runs = "planned", [Hop() for _ in range(hops)], self.runs + 1
        return True

    def begin_hop(self, index: int) -> bool:
        before = all(hop.state == "hop_done" for hop in self.hops[:index])
        if not self.open or self.attempt or not before or self.hops[index].state != "pending":
            return False
        self.hops[index].state = "preflight"
        if self.run == "planned":
            self.run = "active"
        return True

    def intend(self, index: int, stage: str) -> bool:
        if not self.open or self.attempt:
            return False
        hop = self.hops[index]
        if hop.state != stage or stage not in NEXT:
            return False
        if hop.tries.get(stage, 0) >= TRIES.get(stage, 3) or hop.unattended >= 16:
            return False
        hop.numbers[stage] = hop.numbers.get(stage, 0) + 1
        hop.tries[stage] = hop.tries.get(stage, 0) + 1
        hop.unattended += 1
        self.attempt = Attempt(index, stage, hop.numbers[stage])
        if stage == "upgrade" and hop.ponr == "no":
            hop.ponr = "possible"
        return True

    def launched(self) -> bool:
        if not self.attempt or self.attempt.launched:
            return False
        self.attempt.launched = True
        return True

    def finish(self, result: str, event: str | None, schema_started: bool | None) -> bool:
        if not self.attempt:
            return False
        stage, hop = self.attempt.stage, self.hops[self.attempt.hop]
        if not self._fits(stage, result, event):
            return False
        if result == "void":
            hop.tries[stage] -= 1
        elif stage == "finalize":
            hop.finalized = True
        self._line(hop, stage, result, event, schema_started)
        self._cloud(hop, stage, result)
        index, self.attempt = self.attempt.hop, None
        if event:
            self.serial += event in ("succeeded", "probed_complete")
            self._enter(index, self._target(stage, event))
        return True

    def _fits(self, stage: str, result: str, event: str | None) -> bool:
        if event in ("probed_complete", "probed_untouched"):
            return stage == "upgrade" and result == "unknown"
        if event == "inconclusive":
            return result == "failed"
        return (event or "void") == result

    def _target(self, stage: str, event: str) -> str:
        if event in ("succeeded", "probed_complete"):
            return NEXT[stage][0]
        if event == "inconclusive" and stage == "verify":
            return "hold_verify"
        repeated = stage not in ("broker", "upgrade", "rollback_redeploy", "rollback_restore")
        if event == "probed_untouched" or (event == "unknown" and repeated):
            return stage
        return NEXT[stage][1]

    def _line(self, hop: Hop, stage: str, result: str, event: str | None, started: bool | None) -> None:
        if stage == "upgrade" and hop.ponr == "possible":
            clean = result == "void" or started is False or (event == "probed_untouched" and not started)
            hop.ponr = "no" if clean else "crossed"

    def _cloud(self, hop: Hop, stage: str, result: str) -> None:
        self.flags.discard("cancel_requested")
        if result == "succeeded" and stage in ("verify", "verify_old"):
            hop.interrupted = False
            self.flags.discard("inconsistent")
        if stage == "broker" and result == "succeeded":
            hop.migrating = False
        changing = stage in ("broker", "upgrade", "rollback_redeploy", "rollback_restore")
        if result in ("unknown", "canceled") or (result == "failed" and changing):
            hop.interrupted = True
        if result not in ("succeeded", "void") and stage in ("rollback_redeploy", "rollback_restore", "verify_old"):
            self.flags.add("inconsistent")

    def _enter(self, index: int, state: str) -> None:
        self.hops[index].state = state
        if state == "broker":
            self.hops[index].migrating = True
        if state in ("rolled_back", "aborted", "superseded"):
            self.run = state
            for hop in self.hops:
                if hop.state == "pending":
                    hop.state = "superseded" if state == "superseded" else "aborted"
        elif state == "needs_attention":
            self.run = "needs_attention"
        elif self.run == "needs_attention":
            self.run = "active"
        elif all(hop.state == "hop_done" for hop in self.hops):
            self.run = "done"

    def move(self, index: int, event: str, actor: str, redeploy: bool, restore: bool) -> bool:
        if not self.open or self.attempt:
            return False
        hop = self.hops[index]
        target = MOVES.get(hop.state, {}).get(event)
        if target is None or not self._may(hop, event, actor, redeploy, restore):
            return False
        if event == "start" and not self.begin_hop(index):
            return False
        if event == "pause" and (not index or any(hop.state != "hop_done" for hop in self.hops[:index])):
            return False
        if actor != "engine":
            hop.unattended, hop.tries = 0, {}
        if event != "start":
            self._enter(index, target)
        return True

    def _may(self, hop: Hop, event: str, actor: str, redeploy: bool, restore: bool) -> bool:
        person = actor != "engine"
        if event in ("redeploy", "restore", "recheck_old") and hop.finalized:
            return False
        if hop.state == "needs_attention":
            if event == "reconsider_broker" and not hop.migrating:
                return False
            if event in ("reconsider", "recheck", "reopen") and hop.migrating:
                return False
        if event == "redeploy":
            return redeploy and (person or hop.ponr == "no")
        if event == "restore":
            return restore and person
        if event in ("start", "skip", "pause"):
            return not person
        return person or event == "give_up" or (hop.state, event) in EITHER

    def raise_line(self, index: int, value: str) -> bool:
        if not self.open:
            return False
        hop = self.hops[index]
        hop.ponr = max(hop.ponr, value, key=ORDER.index)
        return True
