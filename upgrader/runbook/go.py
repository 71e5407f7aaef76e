"""The go/no-go list: what has to be true before somebody says go, each with the command that shows it."""

from __future__ import annotations

from collections.abc import Iterator

from upgrader.runbook.commands import Typist
from upgrader.runbook.document import Document, Go


def go_list(made: Document, typist: Typist) -> tuple[Go, ...]:
    """The list for the first hop; it is gone through again before every further one."""
    return tuple(_lines(made, typist))


def _lines(made: Document, typist: Typist) -> Iterator[Go]:
    check = typist.upgrader("check", "--to", made.target)
    yield Go("No finding blocks the hop; every accepted risk has a name and a reason", check)
    yield Go("The plan still fits the cloud and its configuration", typist.upgrader("runbook", made.plan_file))
    yield Go("The toolchains of both releases are built and whole", typist.upgrader("toolchain", "list"))
    yield Go("Images of the target are on every host", typist.upgrader("status"))
    yield Go("The rehearsal of this hop passed, or somebody accepted by name that there was none",
             typist.upgrader("rehearse", "--list"))  # fmt: skip
    yield Go("A backup set of this hop was proved by restoring it, and is younger than {hours} h",
             typist.upgrader("backup", "--list"), (("hours", made.site.backup_hours),))  # fmt: skip
    if made.site.offbox:
        yield Go("A copy of the backup set lies off this machine", typist.upgrader("backup", "--copies"))
    yield Go("The estimate and the reserved way back fit into the window")
    if any(hop.outage for hop in made.hops):
        yield Go("The full API outage of the queue migration is announced and approved")
    yield Go("Everything to be done by hand before the window is done")
    yield Go("Nobody else changes the cloud: pipelines and automation are stopped", typist.upgrader("status"))
    yield Go("Monitoring knows of the window, and somebody watches it")
    yield Go("Everybody on the contact list was reached, and the next in the escalation knows")
    yield Go("The message about the beginning is sent")
