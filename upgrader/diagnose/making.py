"""Makes a diagnosis of an attempt, or of the cloud as it is, and keeps it: the pieces put together.

Local things first, so that there is a file whatever the cloud does; then the cloud is asked, within its time, and the
file replaced. Changes nothing on the cloud, takes no lock, and is never the reason that a run ends otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upgrader import __version__, attempts
from upgrader.config import Site
from upgrader.diagnose import known
from upgrader.diagnose.asking import SECONDS, Heard, Question, around_of, secrets_of, window_of
from upgrader.diagnose.choose import Choice, choose
from upgrader.diagnose.cloud import cloud_of, states_of
from upgrader.diagnose.markdown import markdown
from upgrader.diagnose.model import Cloud, Diagnosis, Gap, Match, Story
from upgrader.diagnose.rules import Seen, checks, holding, signs
from upgrader.diagnose.scrub import Scrubber
from upgrader.diagnose.select import selected, telling_lines, trails
from upgrader.diagnose.story import story_of
from upgrader.diagnose.summary import summary
from upgrader.durable import make_dir, write_atomic
from upgrader.errors import ConfigError, UpgraderError, UsageError
from upgrader.facts.names import release_names
from upgrader.graph import ReleaseGraph, load_graph
from upgrader.journal import AttemptRow, Journal, JournalError, Snapshot, open_journal
from upgrader.journal.place import exists
from upgrader.states import AttemptState
from upgrader.status import NO_RUN, Report, Verdict
from upgrader.status_read import DIAGNOSES, gather, last_seen

CONCERNING, SIGNS = 14, 6
_GONE_WELL = (AttemptState.SUCCEEDED, AttemptState.VOID)
_UUID_PART = re.compile(r"^[0-9a-f][0-9a-f-]{3,35}$")


def _silent(_line: str) -> None:
    return


@dataclass
class Subject:
    """What is diagnosed: an attempt (or none), the plan it is of, and where the run stands."""

    story: Story
    report: Report
    planned: Mapping[str, Any] = field(default_factory=dict)
    """The hop as its plan has it."""
    gaps: tuple[Gap, ...] = ()


def subject_of(site: Site, wanted: str = "") -> Subject:
    """The attempt whose id begins with `wanted`; else the one under way or the newest that did not come right.

    Without a journal, or where every attempt came right, the cloud as it is. Raises UsageError for an attempt that
    there is none of; a damaged journal is a gap.
    """
    if wanted and not _UUID_PART.match(wanted):
        raise _no_attempt(site, wanted)
    nothing = Report(site=site.name, verdict=Verdict.NO_RUN, cloud=last_seen(site), choices=NO_RUN)
    if not exists(site.state_dir):
        if wanted:
            raise _no_attempt(site, wanted)
        return Subject(Story(), nothing)
    try:
        with open_journal(site.state_dir, readonly=True) as journal:
            snapshot = journal.snapshot()
            row = _row(site, journal, snapshot, wanted)
            plan = journal.plan(snapshot.run.id) if snapshot.run else {}
        report = gather(site)
    except JournalError as error:
        return Subject(Story(), nothing, gaps=(Gap("the journal", error.message),))
    if row is None:
        return Subject(Story(), report)
    hops = plan.get("hops", ())
    hop = next(hop for hop in snapshot.hops if hop.index == row.hop)
    folder = attempts.folder_of(site.state_dir, row.id)
    story = story_of(row, hop, len(snapshot.hops), folder)
    return Subject(story, report, hops[row.hop] if row.hop < len(hops) else {})


def _row(site: Site, journal: Journal, snapshot: Snapshot, wanted: str) -> AttemptRow | None:
    if snapshot.run is None:
        return None
    rows = journal.attempts(snapshot.run.id)
    if wanted:
        found = [row for row in rows if row.id.startswith(wanted)]
        if len(found) != 1:
            raise _no_attempt(site, wanted, len(found))
        return found[0]
    if snapshot.attempt is not None:
        return snapshot.attempt
    return next((row for row in reversed(rows) if row.state not in _GONE_WELL), None)


def _no_attempt(site: Site, wanted: str, found: int = 0) -> UsageError:
    words = "There are several attempts" if found else f"The last run of {site.name} has no attempt"
    return UsageError(
        f"{words} {wanted!r}.", cloud="Nothing was looked at or changed.", next_command="upgrader history",
        reason="no-attempt",
    )  # fmt: skip


# ---------------------------------------------------------------- putting together


@dataclass
class Making:
    """One diagnosis in the making."""

    site: Site
    graph: ReleaseGraph
    subject: Subject
    heard: Heard
    offline: bool
    complete: bool = True
    """All secrets of the site are known."""

    def diagnosis(self) -> Diagnosis:
        """All that is known by now, without secrets."""
        story, heard = self.subject.story, self.heard
        cloud = self._cloud()
        choice = heard.choice or choose(story, self.graph, {})
        lines = telling_lines(story, heard.excerpts, choice)
        states = states_of(story, cloud)
        about = self._about(story, choice)
        held = holding(Seen(states, lines, frozenset(filter(None, [choice.role])), about))
        matches = (*self._matches(story, choice.role, lines), *signs(held)[:SIGNS], *self._accepted())
        asked = bool(cloud.at or heard.excerpts)
        made = Diagnosis(
            site=self.site.name,
            made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            summary=summary(story, cloud, self.subject.report, matches, offline=self.offline),
            story=story,
            window=window_of(story) if asked else ("", ""),
            checks=checks(held),
            matches=matches,
            cloud=cloud,
            excerpts=selected(heard.excerpts, story, choice),
            trails=trails(heard.trails),
            gaps=(*self.subject.gaps, *heard.gaps, *self._not_asked()),
            next=tuple((one.command, one.what) for one in self.subject.report.choices),
            site_file=str(self.site.file),
            version=__version__,
            offline=self.offline,
        )
        return Scrubber(heard.secrets).whole(made)

    def _cloud(self) -> Cloud:
        facts = self.heard.facts
        if facts is None:
            return Cloud()
        around = around_of(self.subject.story)
        names, least = release_names(self.graph), self.site.min_free_bytes
        return cloud_of(facts, names, self.heard.answers, around, least, cut_off=self.heard.cut_off)

    def _about(self, story: Story, choice: Choice) -> dict[str, str]:
        engine = self.heard.engine or self.site.engine
        volumes = "/var/lib/containers/storage/volumes" if engine == "podman" else "/var/lib/docker/volumes"
        host = story.failures[0].host if story.failures else next(iter(choice.hosts), "")
        folder = next(iter(choice.main), "")
        return {
            "host": host, "engine": engine, "volumes": volumes, "service": folder, "container": folder,
            "ansible": str(self.site.toolchains_dir / story.target / "bin" / "ansible") if story.target else "ansible",
            "inventory": str(self.site.inventory), "config": str(self.site.config_dir),
            "passwords": str(self.site.passwords),
        }  # fmt: skip

    def _matches(self, story: Story, role: str, lines: Any) -> tuple[Match, ...]:
        try:
            return known.known(self.graph, story, role, lines, self.subject.planned)[:CONCERNING]
        except UpgraderError as error:
            self.heard.gap("the release data", error)
            return ()

    def _accepted(self) -> tuple[Match, ...]:
        return known.accepted(self.subject.report.accepted)

    def _not_asked(self) -> tuple[Gap, ...]:
        if self.offline:
            return (Gap("the cloud, its logs and its hosts", "not asked: --offline"),)
        if not self.complete:
            why = "passwords.yml cannot be read, so that passwords in logs could not be recognised and taken out"
            return (Gap("logs and the cloud as it is", why),)
        return ()


def diagnose(
    site: Site,
    *,
    attempt: str = "",
    offline: bool = False,
    keep: Path | None = None,
    say: Callable[[str], None] = _silent,
    stop: Callable[[], bool] = lambda: False,
    seconds: float = SECONDS,
) -> tuple[Diagnosis, Path]:
    """Diagnose and write the file; returns both. `keep`: where to; by default beside the journal, one folder for each
    attempt. Asks the cloud for about `seconds` at most.

    Raises UsageError for an unknown attempt, EnvironmentMissingError (OSError's words) when the file cannot be
    written; what could not be read is in the diagnosis.
    """
    subject = subject_of(site, attempt)
    graph = load_graph()
    heard = Heard()
    making = Making(site, graph, subject, heard, offline)
    making.complete = secrets_of(site, graph, heard)
    path = keep or place_of(site, subject.story)
    if offline or not making.complete:
        return _kept(making.diagnosis(), path)
    # whatever happens while the cloud is asked: what is known here is written
    _kept(replace(making.diagnosis(), gaps=(Gap("the cloud, its logs and its hosts", "it was being asked"),)), path)
    Question(site, graph, subject.story, heard, stop, say, seconds).ask()
    return _kept(making.diagnosis(), path)


def _kept(diagnosis: Diagnosis, path: Path) -> tuple[Diagnosis, Path]:
    try:
        make_dir(path.parent, exist_ok=True)
        write_atomic(path, markdown(diagnosis), mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}.", cloud="Nothing was changed.",
            next_command="upgrader diagnose --out FILE", reason="unwritable-file",
        ) from None  # fmt: skip
    return diagnosis, path


def place_of(site: Site, story: Story) -> Path:
    """`<state>/diagnoses/<attempt>/diagnose-20261122T031205Z.md`; `cloud` where there is no attempt."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return site.state_dir / DIAGNOSES / (story.attempt or "cloud") / f"diagnose-{now}.md"
