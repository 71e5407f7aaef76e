"""A restore from a physical copy: made ready and tried while the cloud runs, put in place while it stands still.

Everything that can go wrong with a copy goes wrong before anything is stopped: its checksum, room for it, unpacking,
a server that does not start on it, heads and rows that are not the set's. Then new, empty servers of the old release
are made everywhere (old_server.py keeps the data of the others), the copy takes the place of one's data, that one
begins a cluster of its own, and the others take over its state. What was done is on the disk of this machine and of
the chosen host, so that an interrupted restore goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from upgrader.back_map import RESTORE_CHANGED, scope
from upgrader.database import physical_copy as copies
from upgrader.database.manifest import Manifest
from upgrader.database.physical_copy import Answer, Room, Stream
from upgrader.database.services import switch
from upgrader.database.throwaway import series
from upgrader.durable import make_dir, read_json, write_json
from upgrader.facts.observe import database_hosts, group_hosts_seen
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import AttemptRequest, CloudFacts, Code, Finding
from upgrader.runner.base import Play, PlayResult
from upgrader.stages.base import StageCanceled, StageContext, StepFailed
from upgrader.stages.common import look, run_action
from upgrader.stages.old_server import rebuild
from upgrader.stages.one_server import REJOIN_SECONDS, SERVER, servers_of

FOLDER = "physical"
UNTOUCHED = "No database was touched and no service stopped. Next: upgrader rollback --restore"
STOPPED = "the services and database servers stay stopped. Next: upgrader rollback"


@dataclass(frozen=True, slots=True)
class PhysicalRecord:
    """How far this hop's restore came. Each step is written down when it is done; what was begun is done again."""

    path: Path
    host: str = ""
    """Where the copy is."""
    sha: str = ""
    """Of the stream: a record of another set's copy is none."""
    mark: str = ""
    """In the name of the copy's volume: one of an earlier restore is never taken for this one's."""
    tried: bool = False
    rebuilt: bool = False
    placed: bool = False
    checked: bool = False

    @classmethod
    def of(cls, request: AttemptRequest, sha: str) -> PhysicalRecord:
        path = Path(request.state_dir) / FOLDER / f"{request.run}-{request.hop}.json"
        found = read_json(path).document or {}
        if found.get("sha") != sha:
            return cls(path, sha=sha, mark=request.attempt[:8])
        words = {name: str(found.get(name, "")) for name in ("host", "sha", "mark")}
        steps = {name: bool(found.get(name)) for name in ("tried", "rebuilt", "placed", "checked")}
        return cls(path, **words, **steps)  # type: ignore[arg-type]

    @property
    def volume(self) -> str:
        return f"mariadb_copy_{self.mark}"

    def keep(self, **changes: Any) -> PhysicalRecord:
        """Write it with these changes; durable when this returns."""
        made = replace(self, **changes)
        make_dir(self.path.parent, exist_ok=True)
        names = ("host", "sha", "mark", "tried", "rebuilt", "placed", "checked")
        write_json(self.path, {name: getattr(made, name) for name in names})
        return made


@dataclass
class Physical:
    """One attempt at it."""

    ctx: StageContext
    toolchain: Toolchain
    inventory: Inventory
    manifest: Manifest
    stream: Stream
    record: PhysicalRecord

    @property
    def folder(self) -> Path:
        assert self.ctx.backup_set is not None  # noqa: S101 - the step before refused
        return self.ctx.backup_set


def begin(ctx: StageContext, toolchain: Toolchain, inventory: Inventory, manifest: Manifest) -> Physical:
    """What is known of it so far. Raises StepFailed or UpgraderError where it cannot be restored at all."""
    assert ctx.backup_set is not None  # noqa: S101 - the caller refused
    if scope(ctx.request.acceptances) == RESTORE_CHANGED:
        raise StepFailed(
            "the set is a physical copy, which brings back everything with its accounts; a part of it cannot be "
            f"restored. {UNTOUCHED}"
        )
    if not series(manifest.server_version):
        raise StepFailed(f"the set does not say of which version its database server was. {UNTOUCHED}")
    stream = copies.stream_of(ctx.backup_set, manifest)
    return Physical(ctx, toolchain, inventory, manifest, stream, PhysicalRecord.of(ctx.request, stream.entry.sha256))


# ---------------------------------------------------------------- while the cloud runs


def make_ready(it: Physical) -> list[str]:
    """The copy, prepared and tried on one host beside what runs there. Lines of evidence."""
    if it.record.checked and _moved_on(it):
        # restored once, and then somebody went forward again: that restore is history
        it.record = PhysicalRecord(it.record.path, sha=it.record.sha, mark=it.ctx.request.attempt[:8]).keep()
    if it.record.tried:
        return [f"made ready on {it.record.host} by an earlier attempt"]
    facts = look(it.ctx, it.toolchain, it.inventory)
    hosts = tuple(sorted(servers_of(facts))) or group_hosts_seen(facts, SERVER)
    if not hosts:
        raise StepFailed(f"no host has a database server of Kolla's. {UNTOUCHED}")
    found = _room(it, facts, hosts)
    chosen = _chosen(it, facts, found)
    short = [words for room in found.values() if (words := _short(it, room, chosen))]
    if short:
        raise StepFailed(f"there is no room for the physical copy: {'; '.join(short)}. {UNTOUCHED}", evidence=short)
    room = found[chosen] if found[chosen].images else _pulled(it, facts, hosts, chosen)
    it.record = it.record.keep(host=chosen)
    said, changed = _tried(it, room)
    it.record = it.record.keep(tried=True)
    lines = [
        f"a server {said.version or 'of the set'} started on it on {chosen}, without network: {len(it.manifest.heads)} "
        f"heads and the rows are the set's; {said.databases} databases"
    ]
    if changed:
        words = (
            f"passwords.yml was changed since {it.manifest.made_at}: accounts and passwords in the copy are those of "
            "that time, and the file is put back as it was then"
        )
        lines.append(words)
        it.ctx.findings.append(Finding(id="restore-passwords", code=Code.WARNING, message=words))
    return lines


def _moved_on(it: Physical) -> bool:
    facts = look(it.ctx, it.toolchain, it.inventory)
    return bool(database_hosts(facts)) and dict(it.manifest.heads) != {row.database: row.heads for row in facts.heads}


def _same_series(it: Physical, facts: CloudFacts) -> bool:
    seen = {host.galera.server_version for host in facts.hosts if host.galera and host.galera.server_version}
    return {series(version) for version in seen} == {series(it.manifest.server_version)}


def _room(it: Physical, facts: CloudFacts, hosts: tuple[str, ...]) -> dict[str, Room]:
    images = copies.images_of(it.folder, it.manifest, facts, same_series=_same_series(it, facts))
    play = copies.room_play(it.ctx.site, it.toolchain, hosts, it.stream, it.record.volume, images)
    return copies.rooms(_run(it, play, "database hosts could not be asked for room", UNTOUCHED), hosts)


def _chosen(it: Physical, facts: CloudFacts, found: dict[str, Room]) -> str:
    """The host that was chosen before, that has the stream, where it was taken, or a whole server's; with room."""
    whole = database_hosts(facts)
    order = sorted(
        found.values(),
        key=lambda room: (
            room.host != it.record.host,
            not room.step(it.stream),
            bool(_short(it, room, room.host)),
            "stream" not in room.values,
            room.host != it.stream.host,
            room.host not in whole,
            room.host,
        ),
    )
    return order[0].host


def _short(it: Physical, room: Room, chosen: str) -> str:
    if room.host == chosen and room.step(it.stream):
        return ""  # what it needs is taken already
    return room.lacks(it.stream, chosen=room.host == chosen)


def _pulled(it: Physical, facts: CloudFacts, hosts: tuple[str, ...], chosen: str) -> Room:
    """The old release's image, from where kolla-ansible gets it."""
    run_action(
        it.ctx, "pull", it.toolchain, it.inventory, hosts=(chosen,), tags=(SERVER,), release=it.ctx.hop.source
    )  # fmt: skip
    room = _room(it, facts, hosts)[chosen]
    if not room.images:
        raise StepFailed(
            f"{chosen} has no image of the database server of {it.ctx.hop.source}, after kolla-ansible pull too. "
            f"{UNTOUCHED}"
        )
    return room


def _tried(it: Physical, room: Room) -> tuple[Answer, bool]:
    wanted, exact = copies.expected(it.folder, it.manifest)
    staging = copies.clear(it.folder / ".restoring")
    try:
        passwords, changed = copies.passwords_of(it.folder, it.manifest, it.ctx.site, staging)
        play = copies.copy_play(
            it.ctx.site, it.toolchain, room, it.stream, it.record.volume, room.images[0], passwords
        )  # fmt: skip
        result = it.ctx.attempt.run(play)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    if result.status == "canceled":
        raise StageCanceled(play.name)
    said = copies.answer(result, copies.TRIED, room.host, wanted)
    if said.error:
        raise StepFailed(f"{room.host}: the physical copy is not fit to run: {said.error}. {UNTOUCHED}")
    if said.wrong:
        raise StepFailed(
            f"{room.host}: the physical copy is not what the set says: {'; '.join(said.wrong[:4])}. {UNTOUCHED}",
            evidence=said.wrong,
        )
    if said.version and series(said.version) != series(it.manifest.server_version):
        raise StepFailed(
            f"image {room.images[0]} has MariaDB {said.version}, the copy is of {it.manifest.server_version}. "
            f"{UNTOUCHED}"
        )
    if not exact:
        it.ctx.findings.append(
            Finding(
                id="restore-rows",
                code=Code.WARNING,
                message="the set was not proved, so how many rows it has to have is unknown: only heads were compared",
            )
        )
    return said, changed


# ---------------------------------------------------------------- while it stands still


def servers_anew(it: Physical) -> str:
    """New, empty servers of the old release everywhere, once. A line of evidence."""
    if it.record.rebuilt:
        return "made anew by an earlier attempt"
    line = rebuild(it.ctx, it.toolchain, it.inventory, it.manifest, always=it.record.mark)
    it.record = it.record.keep(rebuilt=True)
    return line


def put_in_place(it: Physical) -> str:
    """The copy as the chosen host's data, once; every server stands still. A line of evidence."""
    if it.record.placed:
        return f"on {it.record.host} since an earlier attempt"
    _stop(it, look(it.ctx, it.toolchain, it.inventory))
    play = copies.place_play(it.ctx.site, it.toolchain, it.record.host, it.stream, it.record.volume)
    _run(it, play, f"{it.record.host}: the physical copy could not be put in place", STOPPED)
    it.record = it.record.keep(placed=True)
    return (
        f"data of {it.record.host} are those of {it.manifest.made_at}; what lay there is in volume {it.record.volume}"
    )


def begin_cluster(it: Physical) -> str:
    """The chosen server as a cluster of one, holding what the set says. A line of evidence."""
    host = it.record.host
    facts = look(it.ctx, it.toolchain, it.inventory)
    if it.record.checked:
        return _again(it, facts)
    if host not in database_hosts(facts):
        _stop(it, facts)
    play = copies.begin_play(it.ctx.site, it.toolchain, host, REJOIN_SECONDS)
    result = _run(it, play, f"{host}: the database server does not start on the physical copy", STOPPED)
    wanted, _ = copies.expected(it.folder, it.manifest)
    said = copies.answer(result, copies.BEGUN, host, wanted)
    if said.error:
        raise StepFailed(f"{host}: the database server does not start on the physical copy: {said.error}; {STOPPED}")
    if said.wrong:
        raise StepFailed(
            f"{host}: the databases are not what the set says: {'; '.join(said.wrong[:4])}; the services stay stopped. "
            "Next: upgrader rollback",
            evidence=said.wrong,
        )
    it.record = it.record.keep(checked=True)
    return f"{host} is a cluster of its own; heads and rows are the set's; {said.databases} databases"


def _again(it: Physical, facts: CloudFacts) -> str:
    """It was restored by an earlier attempt; what was written since stays. Where no server is left, the one that saw
    most begins, as kolla-ansible does it."""
    if not database_hosts(facts):
        run_action(it.ctx, "mariadb-recovery", it.toolchain, it.inventory, hosts=tuple(servers_of(facts)))
    return f"{it.record.host} was restored and compared by an earlier attempt; what was written since stays"


def finish(it: Physical) -> list[str]:
    """Forget how far it came, and remove the volume in which the copy was made. Lines of evidence."""
    play = copies.end_play(it.ctx.site, it.toolchain, it.record.host, it.record.volume)
    result = it.ctx.attempt.run(play)
    it.record.path.unlink(missing_ok=True)
    if not result.verdict:
        return [f"{it.record.host}: volume {it.record.volume} is still there and not needed any more"]
    return [f"{it.record.host}: volume {it.record.volume} removed"]


def _stop(it: Physical, facts: CloudFacts) -> None:
    running = {host: (SERVER,) for host, state in servers_of(facts).items() if state != "exited"}
    if not running:
        return
    folder = it.ctx.attempt.play_folder("stop-servers")
    result = switch(it.ctx.site, it.toolchain, it.ctx.attempt.runner(), folder, running, start=False)
    if not result.verdict:
        raise StepFailed(f"{result.message}; {STOPPED}")


def _run(it: Physical, play: Play, words: str, condition: str) -> PlayResult:
    result = it.ctx.attempt.run(play)
    if result.status == "canceled":
        raise StageCanceled(play.name)
    if not result.verdict:
        raise StepFailed(f"{words}: {result.message}; {condition}", evidence=_evidence(result))
    return result


def _evidence(result: PlayResult) -> Sequence[str]:
    return [f"{trouble.host}: {trouble.message}" for trouble in (*result.failed, *result.unreachable)]
