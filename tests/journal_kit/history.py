"""The invariants, checked on a finished history by reading its events alone; shares no code with the journal."""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.journal.rows import EventRow

LINE = ("preflight", "backup", "pull", "rehearse", "upgrade")
CHANGING = ("broker", "upgrade", "rollback_redeploy", "rollback_restore")
DECISIONS = ("approve", "retry", "redeploy", "restore", "probed_untouched")
ENDS = ("hop_done", "rolled_back", "aborted", "superseded")


class _Hop:
    def __init__(self) -> None:
        self.state = "pending"
        self.ponr = "no"
        self.done: set[str] = set()
        self.undecided: set[str] = set()
        self.queues = ""


class _Reader:
    def __init__(self) -> None:
        self.broken: list[str] = []
        self.hops: dict[tuple[str, int | None], _Hop] = {}
        self.flying: tuple[str, str] | None = None
        self.launched = False
        self.epoch = 0

    def need(self, holds: bool, law: str, event: EventRow) -> None:
        if not holds:
            self.broken.append(f"{law} at event {event.seq} ({event.kind})")

    def hop(self, event: EventRow) -> _Hop:
        return self.hops.setdefault((event.run, event.hop), _Hop())

    def entered(self, event: EventRow) -> None:
        self.need(event.epoch == self.epoch + 1, "I9 an owner raises the epoch", event)
        self.epoch = event.epoch

    def attempt_intended(self, event: EventRow) -> None:
        hop, stage = self.hop(event), event.data["stage"]
        self.need(self.flying is None, "I1 one attempt in flight", event)
        self.need(hop.state == stage, "a stage is worked on in its own state", event)
        if stage in LINE:
            self.need(set(LINE[: LINE.index(stage)]) <= hop.done, "I2 what comes before succeeded", event)
        if stage == "upgrade":
            self.need(
                hop.queues in ("done", "none"), "I2 queues are as they have to be, or nobody had to move them", event
            )
        if stage in CHANGING:
            self.need(set(LINE[:4]) <= hop.done, "I2 the cloud is touched after everything before it", event)
            self.need(stage not in hop.undecided, "I3 no repeat without a decision", event)
        self.flying, self.launched = (event.attempt, stage), False

    def attempt_launched(self, event: EventRow) -> None:
        stage = self.flying[1] if self.flying else ""
        self.need(self.flying == (event.attempt, stage), "what is launched was intended", event)
        self.need(not self.launched, "an attempt is launched once", event)
        if stage == "upgrade":
            self.need(self.hop(event).ponr != "no", "the line is possible before the launch", event)
        self.launched = True

    def attempt_finished(self, event: EventRow) -> None:
        hop, stage = self.hop(event), event.data["stage"]
        self.need(self.flying == (event.attempt, stage), "what ends was intended", event)
        self.flying = None
        if event.data["result"] == "succeeded" and stage in LINE:
            hop.done.add(stage)
        if event.data["result"] != "void" and stage in CHANGING:
            hop.undecided.add(stage)
        if event.data["result"] != "void" and stage == "broker":
            hop.queues = "done" if event.data["result"] == "succeeded" else "open"

    def ponr(self, event: EventRow) -> None:
        hop = self.hop(event)
        self.need(hop.ponr == event.data["from"], "the line moves from where it is", event)
        self.need(hop.ponr != "crossed", "I4 a crossed line stays crossed", event)
        hop.ponr = event.data["to"]

    def hop_moved(self, event: EventRow) -> None:
        hop, data = self.hop(event), event.data
        self.need(hop.state == data["from"], "a hop moves from where it is", event)
        self.need(hop.state not in ENDS, "I6 the end is the end", event)
        self.need(self.flying is None, "no hop moves under an attempt", event)
        self.need(
            "follows" not in data["data"] or hop.state == "pending", "only what never began ends with its run", event
        )
        if data["event"] == "start":
            before = [
                state.state for (run, index), state in self.hops.items() if run == event.run and index != event.hop
            ]
            self.need(all(state == "hop_done" for state in before), "I5 one hop after the other", event)
        if data["event"] in ("accept", "restore", "retry", "reconsider", "abort") and "follows" not in data["data"]:
            self.need(data["actor"] != "engine", "what belongs to a person", event)
        if data["event"] == "pause":
            hops = [(index, hop.state) for (run, index), hop in self.hops.items() if run == event.run]
            before = [state for index, state in hops if index is not None and index < (event.hop or 0)]
            self.need(bool(before) and set(before) == {"hop_done"}, "a rest comes between hops", event)
            self.need(data["actor"] == "engine", "a rest is the engine's to begin", event)
        if data["from"] == "hold_hop":
            self.need(data["actor"] != "engine", "a person ends a rest between hops", event)
        if data["event"] in DECISIONS:
            hop.undecided.clear()
        if data["event"] == "skip":
            self.need(data["actor"] == "engine" and bool(data["reason"]), "a stage is passed by for a reason", event)
            hop.queues = "none"
        if data["to"] == "preflight" and data["from"] != "preflight":
            hop.done.clear()
        hop.state = data["to"]


def broken_laws(events: Iterable[EventRow]) -> list[str]:
    """Every invariant that the history breaks, with the event; empty when all hold."""
    reader = _Reader()
    for event in events:
        reader.need(event.kind == "entered" or event.epoch == reader.epoch, "I9 only the owner writes", event)
        read = getattr(reader, event.kind.replace(".", "_"), None)
        if read:
            read(event)
    return reader.broken
