"""How the verb `backup` takes a set: the surroundings that a stage has, without a run."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from upgrader.database.take_set import Taking, begin_set, take_set
from upgrader.durable import make_dir
from upgrader.errors import FailedCleanError, RefusedError
from upgrader.journal import HopRow
from upgrader.kolla.commands import play
from upgrader.kolla.inventory import INVENTORIES, remembered_inventory
from upgrader.kolla.toolchain import Toolchain, locate
from upgrader.model import CloudFacts, Finding
from upgrader.runner.base import Runner
from upgrader.session import Session
from upgrader.survey import LOOKS, look, looking_glass, read_settings, runner_of

Narrate = Callable[[str], None]
_READ = "It was only read, nothing in it was changed."


def take(opened: Session, narrate: Narrate, hop: HopRow | None = None) -> Path:
    """A whole set of the cloud as it is now; for a `hop`, one that is bound to its plan. Returns its folder.

    Raises FailedCleanError naming what could not be taken, RefusedError for a host that cannot be reached or a cloud
    that does not run the release the hop leads away from.
    """
    site = opened.site
    settled = read_settings(site).get("openstack_release", "")
    glass = looking_glass(site, opened.graph, hop.source if hop else settled)
    inventory = remembered_inventory(glass, site.inventory, site.vault_password_file, site.state_dir / INVENTORIES)
    facts = look(site, opened.graph, glass, inventory, say=narrate)
    release = _release(facts, hop)
    toolchain = glass if site.backup_database != "mariabackup" else locate(site, release)
    snapshot = opened.journal.snapshot(recent=0)
    backup_set = begin_set(
        site,
        release,
        uuid.uuid4().hex,
        plan=snapshot.run.plan_sha256 if hop and snapshot.run else "",
        hop=hop.name if hop else "",
        journal_head=snapshot.head,
    )
    plays = site.state_dir / LOOKS / f"backup-{uuid.uuid4().hex}"
    make_dir(plays)
    runner = runner_of(site, toolchain)
    try:
        taking = Taking(
            site=site,
            toolchain=toolchain,
            runner=runner,
            play_folder=lambda name: plays / name,
            look=lambda: facts,
            physical=lambda: _physical(opened, toolchain, runner, plays / "mariadb-backup"),
            step=lambda name: _step(name, narrate),
            judge=lambda findings, words: _judge(findings, words, narrate),
        )
        take_set(taking, backup_set)
    finally:
        shutil.rmtree(plays, ignore_errors=True)
    return backup_set.folder


def _release(facts: CloudFacts, hop: HopRow | None) -> str:
    lost = [f"{host.name}: {host.error}" for host in facts.hosts if not host.reachable]
    if lost:
        raise RefusedError(
            f"{len(lost)} hosts cannot be reached, so no set would be whole.",
            cloud=_READ,
            details=lost,
            next_command="upgrader status --observe",
            reason="unreachable",
        )
    release = facts.reading.release if facts.reading.kind == "exact" else ""
    if hop is not None and release != hop.source:
        raise RefusedError(
            f"The cloud is {release or facts.reading.kind}, not {hop.source}: no set made now would lead back to it.",
            cloud=_READ,
            details=facts.reading.evidence[:6],
            next_command="upgrader status --observe",
            reason="not-the-source",
        )
    return release or facts.reading.kind


def _physical(opened: Session, toolchain: Toolchain, runner: Runner, folder: Path) -> None:
    result = runner.run(play("mariadb-backup", toolchain, opened.site), folder)
    if not result.verdict:
        raise FailedCleanError(
            f"kolla-ansible's mariadb-backup did not come right: {result.message}.",
            cloud="A physical backup may be in its volume; nothing else was changed.",
            next_command="upgrader backup",
            reason="backup-failed",
        )


@contextmanager
def _step(name: str, narrate: Narrate) -> Iterator[list[str]]:
    evidence: list[str] = []
    narrate(f"{name[:1].upper()}{name[1:]} …")
    yield evidence
    for line in evidence:
        narrate(f"  {line}")


def _judge(findings: Sequence[Finding], words: str, narrate: Narrate) -> None:
    bad = [finding.message for finding in findings if finding.blocks]
    for finding in findings:
        if not finding.blocks and finding.code.value == "warning":
            narrate(f"  {finding.message}")
    if bad:
        raise FailedCleanError(
            f"{words[:1].upper()}{words[1:]}: {bad[0]}.",
            cloud=_READ,
            details=bad,
            next_command="upgrader backup --list",
            reason="backup-incomplete",
        )
