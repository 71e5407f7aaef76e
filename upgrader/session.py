"""One command's hold on a site's run: lease, journal, plan and engine, put together.

Composes; decides nothing. Verbs that change a run use `Session`; reading verbs do not, they take no lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upgrader.conduct import Conduct, Look
from upgrader.config import Site
from upgrader.decisions import Situation, Ways, ways
from upgrader.durable import make_dir
from upgrader.errors import RefusedError, StaleError, UpgraderError
from upgrader.facts.names import release_names
from upgrader.facts.reading import release_of
from upgrader.graph import ReleaseGraph, load_graph, services_of
from upgrader.hop_rules import PAUSE, pause_words, pauses
from upgrader.journal import HopRow, Journal, Snapshot, acquire, open_journal
from upgrader.kolla.inventory import INVENTORIES, Inventory, remembered_inventory
from upgrader.model import CloudFacts, Code, HopPlan, Plan
from upgrader.opening import Opening, opening
from upgrader.plan_file import read_plan, write_plan
from upgrader.states import RUN_ENDED, AttemptState, State
from upgrader.survey import look, looking_glass

if TYPE_CHECKING:
    from upgrader.back_map import BackMap
    from upgrader.database.losses import Losses
    from upgrader.database.manifest import Manifest
    from upgrader.herald.start import Call

PLANS = "plans"


@dataclass
class Session:
    """Lease held, journal entered. `say` hears what happens."""

    site: Site
    graph: ReleaseGraph
    journal: Journal
    actor: str
    say: Callable[[str, dict[str, Any]], None]
    seen: CloudFacts | None = None
    """The last look at the cloud, where there was one."""
    stood: Situation | None = None
    """What the last answer about the way back stood on."""
    call: Call | None = None
    """Its hold on the process that tells the outside of the run."""

    # ------------------------------------------------------------ the run

    def begin(self, plan: Plan) -> str:
        """Record the plan and begin its run. Raises RefusedError for blockers and an open run, StaleError for a plan
        that is not this journal's."""
        blockers = [f"{finding.id}: {finding.message}" for finding in plan.blockers]
        if blockers:
            raise RefusedError(
                f"The plan has {len(blockers)} blocker{'s' if len(blockers) > 1 else ''}.",
                cloud="Nothing was changed.",
                details=blockers,
                next_command=f"upgrader plan --to {plan.target}",
                reason="blocked",
            )
        write_plan(plan, self._plan_path(plan.sha256))
        hops = [(hop.source, hop.target) for hop in plan.hops]
        from upgrader import __version__

        return self.journal.begin_run(plan.document(), plan.sha256, self.actor, hops, engine_version=__version__)

    def conduct(self, snapshot: Snapshot) -> Conduct:
        """The open run's conduct. Raises RefusedError when there is none."""
        if snapshot.run is None:
            raise RefusedError("There is no run.", next_command="upgrader plan --to RELEASE", reason="no-run")
        _refuse_another_law(snapshot)
        path = self._plan_path(snapshot.run.plan_sha256)
        plan = self._plan(snapshot, path)
        return Conduct(
            self.site, self.journal, plan, path, self.say, self.look_at, self._no_restore_point, self._opening(plan),
            self._pauses, self._beside, diagnose=self._diagnose,
        )  # fmt: skip

    def pause_between_hops(self, wanted: bool, plan_sha256: str) -> None:
        """Keep the operator's word about the rest between hops with the run of a plan, begun or about to begin."""
        self.journal.set_flag(PAUSE, pause_words(wanted, plan_sha256), self.actor)

    def _pauses(self, snapshot: Snapshot) -> bool:
        return snapshot.run is not None and pauses(self.site.hops, snapshot.flags, snapshot.run.plan_sha256)

    def _diagnose(self, attempt: str, stop: Callable[[], bool]) -> tuple[Path | None, str]:
        from upgrader.diagnose import automatic

        return automatic(self.site, attempt, stop)

    def _opening(self, plan: Plan) -> Callable[[Snapshot, HopRow, State], Opening]:
        document = plan.document() if self.site.window else {}
        return lambda snapshot, hop, stage: opening(self.site, self.journal, snapshot, hop, document, stage)

    def _beside(self, hop: HopRow) -> None:
        """The public APIs are asked by a process of its own while stages that can take them away are worked on; another
        one tells the outside of the run."""
        self.tell()
        from upgrader.outside.rest import WATCHED
        from upgrader.outside.start import Equipment, ensure

        if hop.state not in WATCHED:
            return

        def equip() -> Equipment:
            from upgrader.survey import ask_of

            toolchain = looking_glass(self.site, self.graph, hop.source)
            inventory = remembered_inventory(
                toolchain, self.site.inventory, self.site.vault_password_file, self.site.state_dir / INVENTORIES
            )
            return Equipment(toolchain, *ask_of(self.site, toolchain, "availability"), inventory)

        started = ensure(self.site, hop.run, equip)
        if started.words:
            self.say("note", {"text": f"  outside     {started.words}"})

    def tell(self) -> None:
        """See to it that metrics and notices are told, and say what could not be. Raises what the journal raises."""
        if not self.site.notices.wanted and self.site.metrics.textfile is None:
            return
        from upgrader.herald.start import Call

        self.call = self.call or Call(self.site)
        for line in self.call.ensure(self.journal.snapshot(recent=0).last_seq):
            self.say("note", {"text": f"  outside     {line}"})

    def told(self) -> None:
        """Say what could not be told meanwhile. Never raises."""
        for line in self.call.news() if self.call else ():
            self.say("note", {"text": f"  outside     {line}"})

    def _no_restore_point(self, hop: HopRow) -> str:
        from upgrader.database.restore_point import objection

        return objection(self.site, self.journal, hop)

    def _plan(self, snapshot: Snapshot, path: Path) -> Plan:
        """The plan of the run: its file is a copy of what the journal holds, and is written again when it is gone."""
        assert snapshot.run is not None  # noqa: S101 - the caller has looked
        if not path.exists():
            document = self.journal.plan(snapshot.run.id)
            import json

            write_plan(Plan.model_validate_json(json.dumps(document)), path)
        plan = read_plan(path)
        if plan.sha256 != snapshot.run.plan_sha256:
            raise StaleError(
                f"{path} is not the plan of the run.", cloud="Nothing was changed.", reason="plan-edited",
                next_command=f"rm {path}; upgrader resume",
            )  # fmt: skip
        return plan

    def _plan_path(self, sha256: str) -> Path:
        folder = self.site.state_dir / PLANS
        make_dir(folder, exist_ok=True)
        return folder / f"{sha256}.json"

    # ------------------------------------------------------------ looking

    def observe(self, release: str) -> tuple[CloudFacts, Inventory]:
        """One look at the cloud with the toolchain of `release`, kept for `status`."""
        toolchain = looking_glass(self.site, self.graph, release)
        inventory = remembered_inventory(
            toolchain, self.site.inventory, self.site.vault_password_file, self.site.state_dir / INVENTORIES
        )
        inventory = inventory.without(self.site.rolling.exclude)
        return look(self.site, self.graph, toolchain, inventory), inventory

    def look_at(self, hop: HopPlan) -> Look:
        """Did an upgrade whose end was lost do all of its work, or none?"""
        from upgrader.probes.heads import heads

        facts, _ = self.observe(hop.target)
        names = release_names(self.graph)
        reading = facts.reading

        def sits_at(release: str) -> bool:
            bad = any(finding.code is Code.FAILURE for finding in heads(facts, names, release))
            return reading.kind == "exact" and reading.release == release and not bad

        runs = "; ".join(reading.evidence[:6]) if reading.kind != "exact" else f"every container runs {reading.release}"
        return Look(sits_at(hop.target), sits_at(hop.source), f"the cloud is {reading.kind}: {runs}")

    # ------------------------------------------------------------ the way back

    def ways(self, snapshot: Snapshot, hop: HopRow, plan: Plan) -> Ways:
        """The ways back that are open now, from what is seen of the cloud now."""
        return ways(self.situation(snapshot, hop, plan))

    def situation(self, snapshot: Snapshot, hop: HopRow, plan: Plan) -> Situation:
        """What a decision about the way back stands on. Looks at the cloud; what it saw is kept for `back_map`."""
        hop_plan = plan.hops[hop.index]
        began = any(
            row.launched_at or row.state is not AttemptState.VOID
            for row in self.journal.attempts(hop.run, hop.index, State.UPGRADE)
        )
        heads, server, untouched = self._seen(hop_plan)
        folder = hop.facts.get("backup_set", "")
        self.stood = Situation(
            hop=hop_plan,
            ponr=hop.ponr.value,
            upgrade_began=began,
            heads=heads,
            backup_set=folder,
            backup_complete=bool(folder) and _whole(Path(folder)),
            server_before=hop.facts.get("server_before", ""),
            server_now=server,
            untouched=untouched,
            rebuildable=_method(folder) != "",
            physical=_method(folder) == "mariabackup",
        )
        return self.stood

    def back_map(self, snapshot: Snapshot, hop: HopRow, plan: Plan, found: Ways, *, losses: bool = True) -> BackMap:
        """What taking the hop back means, service by service, and with `losses` what a restore would lose.

        Uses the look that `found` came from. What cannot be asked is said to be unknown; nothing is raised for it.
        """
        from upgrader.back_map import back_map
        from upgrader.database.manifest import read_manifest

        stood = self.stood or self.situation(snapshot, hop, plan)
        if not losses or not stood.backup_set or not stood.upgrade_began:
            return back_map(stood, found, None)
        try:
            manifest = read_manifest(Path(stood.backup_set))
        except UpgraderError:
            return back_map(stood, found, None)
        return back_map(stood, found, self._losses(stood.hop, manifest), backup_state=manifest.state)

    def _losses(self, hop: HopPlan, manifest: Manifest) -> Losses:
        from upgrader.database.losses import losses, unknown
        from upgrader.survey import ask_of

        if self.seen is None:
            return unknown(manifest, "the cloud could not be looked at")
        try:
            toolchain = looking_glass(self.site, self.graph, hop.target)
            runner, folder = ask_of(self.site, toolchain, "losses")
            return losses(self.site, toolchain, runner, folder, manifest, self.seen)
        except UpgraderError as error:
            return unknown(manifest, error.message)

    def _seen(self, hop: HopPlan) -> tuple[dict[str, tuple[str, ...]] | None, str, frozenset[str]]:
        """Heads, version of the database server, services wholly on the old release; nothing where it is not known."""
        try:
            facts, _ = self.observe(hop.target)
        except UpgraderError:
            self.seen = None
            return None, "", frozenset()
        self.seen = facts
        servers = [host.galera.server_version for host in facts.hosts if host.galera and host.galera.server_version]
        heads = None if facts.heads_error else {row.database: row.heads for row in facts.heads}
        return heads, max(servers, default=""), self._untouched(hop, facts)

    def _untouched(self, hop: HopPlan, facts: CloudFacts) -> frozenset[str]:
        if not all(host.reachable for host in facts.hosts):
            return frozenset()
        names = release_names(self.graph)
        containers = [container for host in facts.hosts for container in host.containers]
        old = {container.name for container in containers if release_of(container, names) == hop.source}
        new = {container.name for container in containers if release_of(container, names) != hop.source}
        return services_of(self.graph, old) - services_of(self.graph, new)


def _refuse_another_law(snapshot: Snapshot) -> None:
    """A run that has not ended goes on under the law it began under, or one that is declared to go with it."""
    from upgrader.machine import compatible

    run = snapshot.run
    if run is None or run.state in RUN_ENDED or compatible(run.table_hash):
        return
    raise RefusedError(
        f"The run was begun by another upgrader ({run.engine_version or 'of unknown version'}), whose stages follow "
        "other rules than this one's.",
        cloud="Nothing was changed by this command.",
        next_command="finish or abort it with the upgrader that began it",
        reason="another-law",
    )


def _whole(folder: Path) -> bool:
    from upgrader.database.manifest import must_be_whole

    try:
        must_be_whole(folder)
    except UpgraderError:
        return False
    return True


def _method(folder: str) -> str:
    """How the databases of a set were taken; empty where there is none, or it cannot be read."""
    from upgrader.database.manifest import read_manifest

    try:
        return read_manifest(Path(folder)).method if folder else ""
    except UpgraderError:
        return ""


@contextmanager
def session(
    site: Site,
    operation: str,
    say: Callable[[str, dict[str, Any]], None] = lambda _kind, _data: None,
    *,
    takeover: bool = False,
    create: bool = True,
) -> Iterator[Session]:
    """Own the site for one command. Raises LockedError naming the holder, and what opening the journal raises."""
    from upgrader.journal.lease import operator

    graph = load_graph()
    with (
        acquire(site.state_dir, operation, takeover=takeover) as lease,
        open_journal(site.state_dir, create=create) as journal,
    ):
        journal.enter(lease)
        opened = Session(site, graph, journal, operator(), say)
        opened.tell()
        try:
            yield opened
        finally:
            opened.told()
