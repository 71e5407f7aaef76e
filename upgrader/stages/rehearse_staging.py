"""Rehearsal on a staging cloud: production's databases are loaded there, and the hop is walked there for real.

The walk is a run of staging's own, with a journal of its own, driven by a process of its own as an operator would; it
can be followed, decided on and resumed there. Here only its result is judged and recorded. Production is not touched.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from upgrader.config import Site, load_site
from upgrader.database.manifest import Manifest
from upgrader.durable import failpoint
from upgrader.errors import UpgraderError
from upgrader.facts.names import release_names
from upgrader.journal import acquire, open_journal
from upgrader.kolla.passwords import secret_values
from upgrader.kolla.toolchain import locate
from upgrader.kolla.vault import Vault
from upgrader.model import CloudFacts, Code
from upgrader.stages.base import StageCanceled, StageContext, StepFailed
from upgrader.stages.staging_place import Place, finding
from upgrader.staging import same
from upgrader.staging.apart import (
    UNTOUCHED,
    refuse_shared,
    same_interfaces,
    same_site,
)
from upgrader.staging.copy import Loading, load_copy, must_be_proved, reaching_out
from upgrader.staging.passes import (
    COPY_BEGUN,
    COPY_LOADED,
    SETTINGS,
    Standing,
    Walk,
    data_of,
    differing,
    holds_copy,
    reasons_against,
    standing,
)
from upgrader.staging.passwords import not_production
from upgrader.staging.settings import ADDRESSES, fingerprint
from upgrader.status_read import facts_seen, gather
from upgrader.survey import observe_site

LOG = "rehearsal.log"
REACHES_OUT = "staging-reaches-out"
"""Name under which an operator accepts that staging runs services which know production's machines."""
_TOLD = 6
"""Reasons that a message names; all of them are in the step's evidence."""


def note_settings(ctx: StageContext) -> None:
    """Leave in the journal which settings this hop is walked with, so that the walk can be judged elsewhere."""
    ctx.facts[SETTINGS] = fingerprint(ctx.site).text()


def on_staging(ctx: StageContext) -> None:
    """Accept the hop's walk on staging, or have it walked there now. Raises StepFailed when it does not come through,
    RefusedError when staging is not apart from production."""
    place = Place(ctx, load_site(_named(ctx)))
    with ctx.step("staging and production are apart") as evidence:
        shared = (*same_site(ctx.site, place.staging), *place.shared())
        refuse_shared(shared)
        evidence.append(f"{place.staging.name} shares no host, address, file or journal with {ctx.site.name}")
    with ctx.step("what staging has walked") as evidence:
        there = standing(place.staging)
        _refuse_copied_journal(ctx, there)
        walk = there.walk_of(ctx.hop)
        reasons = reasons_against(walk, there, place.wanted, place.built)
        if walk is not None and not reasons:
            _record(ctx, place, walk, there)
            evidence.append(f"staging walked {ctx.hop.name} to its end on {walk.hop.since} (run {walk.run.id[:8]})")
            return
        evidence.extend(reasons)
    if there.open:
        _must_be_ours(place, there)
    else:
        _ready(ctx, place, there)
    _walk(ctx, place, resume=there.open)


def _named(ctx: StageContext) -> Path:
    assert ctx.site.staging is not None  # noqa: S101 - the caller has looked
    return ctx.site.staging


def _refuse_copied_journal(ctx: StageContext, there: Standing) -> None:
    if there.lineage and there.lineage == ctx.plan.lineage:
        refuse_shared([f"staging's journal is a copy of production's (lineage {there.lineage[:8]})"])


def _must_be_ours(place: Place, there: Standing) -> None:
    """An unfinished run there is gone on with only when it is this rehearsal."""
    assert there.run is not None  # noqa: S101 - the caller has looked
    walk = there.walk_of(place.ctx.hop)
    names = ", ".join(each.hop.name for each in there.walks)
    against = [] if walk else [f"it walks {names}, not {place.ctx.hop.name}"]
    if walk is not None:
        against += [*differing(walk, place.wanted, place.built), *data_of(walk, there, place.wanted)]
    if against:
        raise StepFailed(
            f"staging is in the middle of another run ({there.run.id[:8]}): {'; '.join(against[:_TOLD])}",
            findings=[finding("staging-busy", f"staging has an unfinished run: {against[0]}", place.command("status"))],
            evidence=against,
        )


# ---------------------------------------------------------------- making staging ready


def _ready(ctx: StageContext, place: Place, there: Standing) -> None:
    """Staging runs the hop's source release, and holds production's databases where that is wanted."""
    with ctx.step("staging as it is") as evidence:
        facts = _look(ctx, place)
        evidence.append(f"staging runs {facts.reading.release} ({facts.reading.how})")
    if not place.wanted.copy:
        return
    set_folder = ctx.backup_set
    if set_folder is None:
        raise StepFailed("there is no backup set of this hop, whose databases staging would get")
    if holds_copy(there, ctx.site.name, ctx.plan.lineage, str(set_folder)):
        return
    with ctx.step(f"production's databases on {place.staging.name}") as evidence:
        evidence.extend(_load(ctx, place, set_folder, facts))


def _look(ctx: StageContext, place: Place) -> CloudFacts:
    facts = observe_site(place.staging, ctx.graph)
    lost = [host for host in facts.hosts if not host.reachable]
    if lost:
        names = ", ".join(host.name for host in lost)
        raise StepFailed(
            f"staging is not reachable: {names}",
            findings=[finding("staging-unreachable", f"staging: {names} not reachable", place.command("check"))],
            evidence=[f"{host.name}: {host.error}" for host in lost],
        )
    reading = facts.reading
    if reading.kind != "exact" or reading.release != ctx.hop.source:
        runs = reading.release if reading.kind == "exact" else f"no one release ({reading.kind})"
        words = f"staging runs {runs}, the hop starts at {ctx.hop.source}"
        mend = f"deploy {ctx.hop.source} on staging again; production's databases are loaded into it afterwards"
        raise StepFailed(
            f"{words}: {mend}",
            findings=[finding("staging-release", words, mend)],
            evidence=list(reading.evidence[:8]),
        )
    refuse_shared(same_interfaces(facts_seen(ctx.site), facts))
    return facts


def _load(ctx: StageContext, place: Place, set_folder: Path, facts: CloudFacts) -> list[str]:
    toolchain = locate(place.staging, ctx.hop.source)
    vault = Vault(toolchain, place.staging.vault_password_file) if place.staging.vault_password_file else None
    ctx.attempt.learn(secret_values(place.staging.passwords, vault))
    foreign = not_production(ctx.site, place.staging, toolchain)
    if foreign:
        raise StepFailed(
            f"staging's passwords do not fit production's data: {', '.join(foreign[:_TOLD])}",
            findings=[
                finding(
                    "staging-passwords",
                    f"{len(foreign)} passwords come with production's data and differ on staging",
                    "upgrader staging prepare, then deploy staging with it",
                )
            ],
            evidence=list(foreign),
        )
    _refuse_reaching_out(ctx, must_be_proved(set_folder))
    note = {"site": ctx.site.name, "lineage": ctx.plan.lineage, "backup_set": str(set_folder)}
    note["release"] = ctx.hop.source
    settings = place.settings[1]
    # nobody begins a run on half of a copy
    with (
        acquire(place.staging.state_dir, "load production's databases") as lease,
        open_journal(place.staging.state_dir) as journal,
    ):
        journal.enter(lease)
        # in staging's own journal, for it is staging that changes
        journal.note(COPY_BEGUN, note)
        failpoint("staging.copy_begun")
        findings = load_copy(
            Loading(
                staging=place.staging,
                toolchain=toolchain,
                facts=facts,
                names=release_names(ctx.graph),
                address=settings[ADDRESSES[0]],
                staying=tuple(dict.fromkeys(settings[key] for key in ADDRESSES[1:] if settings.get(key))),
                runner=ctx.attempt.runner(),
                folder=ctx.attempt.play_folder,
                cancelled=ctx.attempt.cancelled,
            ),
            set_folder,
        )
        if ctx.attempt.cancelled():
            raise StageCanceled("production's databases on staging")
        ctx.judge(findings, "production's databases are not whole on staging")
        journal.note(COPY_LOADED, note)
        failpoint("staging.copy_loaded")
    return [finding.message for finding in findings if finding.code is Code.SUCCESS]


def _refuse_reaching_out(ctx: StageContext, manifest: Manifest) -> None:
    """Some services act on machines that their rows name. That staging cannot reach these is for a person to say."""
    told = reaching_out(manifest)
    if told and not dict(ctx.request.acceptances).get(REACHES_OUT, ""):
        raise StepFailed(
            f"on staging, production's data would act on machines of production: {told[0]}",
            findings=[
                finding(
                    REACHES_OUT,
                    f"{len(told)} databases lead out of staging: {'; '.join(told)}",
                    f"upgrader resume --accept {REACHES_OUT}='staging cannot reach these networks'",
                )
            ],
            evidence=list(told),
        )


# ---------------------------------------------------------------- the walk


def _walk(ctx: StageContext, place: Place, *, resume: bool) -> None:
    with ctx.step(f"the hop on staging ({place.staging.name})") as evidence:
        evidence.append(f"{'resumed' if resume else 'begun'}; its words are in {LOG}")
        _command(ctx, place, ["resume", "--auto-approve", *_taken_risks(ctx)] if resume else _begin(ctx))
        there = standing(place.staging)
        walk = there.walk_of(ctx.hop)
        if walk is not None:
            _record(ctx, place, walk, there)
        reasons = reasons_against(walk, there, place.wanted, place.built)
        if reasons or walk is None:
            _fail(ctx, place, there, reasons)
            return
        evidence[0] = f"staging walked {ctx.hop.name} to its end (run {walk.run.id[:8]})"


def _begin(ctx: StageContext) -> list[str]:
    words = f"not-rehearsed=this run is itself the rehearsal of {ctx.hop.name} for {ctx.site.name}"
    return ["run", "--to", ctx.hop.target, "--auto-approve", "--accept", words, *_taken_risks(ctx)]


def _taken_risks(ctx: StageContext) -> list[str]:
    """What was accepted for production is accepted for its rehearsal."""
    pairs = [pair for pair in dict(ctx.request.acceptances).items() if pair[0] != "not-rehearsed"]
    return [word for name, reason in pairs for word in ("--accept", f"{name}={reason}")]


def _record(ctx: StageContext, place: Place, walk: Walk, there: Standing) -> None:
    """Which walk of which journal it was: with the head, that journal's whole history is bound to this one."""
    ctx.facts |= {
        "rehearsal": walk.run.id,
        "rehearsal_site": place.staging.name,
        "rehearsal_lineage": there.lineage,
        "rehearsal_head": there.head,
        "rehearsal_state": walk.hop.state.value,
        "rehearsal_since": walk.hop.since,
        "rehearsal_sha256": same.rehearsal_sha256(walk.plan, walk.hop_plan, place.built),
    }


def _fail(ctx: StageContext, place: Place, there: Standing, reasons: tuple[str, ...]) -> None:
    """End the step with staging's own condition, finding and next command."""
    report = gather(place.staging)
    log = ctx.attempt.folder / LOG
    at = f"at {report.state} of {report.source}→{report.target}" if report.run else "before any run"
    condition = f"staging is {report.verdict} {at}"
    found = _staging_findings(place.staging) if there.run else []
    why = report.reason or (found[0] if found else "") or _last_words(ctx)
    controller = f"; {report.controller} is working on it" if report.controller else ""
    command = report.choices[0].command.removeprefix("upgrader ") if report.choices else "status"
    next_command = place.command(command if report.run else f"plan --to {ctx.hop.target}")
    if report.verdict == "done":
        why, next_command = "; ".join(reasons[:_TOLD]), place.command("history")
    message = f"the rehearsal on staging did not pass: {condition}{controller}: {why}"
    raise StepFailed(
        message,
        findings=[finding("rehearsal-failed", message, next_command, evidence="; ".join(found[:_TOLD]))],
        evidence=[*reasons, *found, f"next: {next_command}", str(log)],
    )


def _staging_findings(staging: Site) -> list[str]:
    """Failures that staging's last attempt found, in its own words."""
    with open_journal(staging.state_dir, readonly=True) as journal:
        ended = [row for row in journal.snapshot(recent=20).recent if row.kind == "attempt_finished"]
    if not ended:
        return []
    last = max(ended, key=lambda row: row.seq)
    findings = last.data.get("evidence", {}).get("findings", ())
    return [str(found["message"]) for found in findings if found["code"] == Code.FAILURE]


def _command(ctx: StageContext, place: Place, words: list[str]) -> int:
    """Drive staging in a process of its own; its words go to a log file. Raises StageCanceled."""
    log = ctx.attempt.folder / LOG
    site = str(place.staging.file)
    with log.open("ab") as stream:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "upgrader", "--no-color", "--site", site, *words],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        except OSError as error:
            raise UpgraderError(f"Staging cannot be driven: {error.strerror}.", cloud=UNTOUCHED) from None
        failpoint("staging.walking")
        while process.poll() is None:
            if ctx.attempt.cancelled():
                # staging stops after its own attempt; it is a cloud too
                process.send_signal(signal.SIGINT)
                process.wait()
                raise StageCanceled("rehearsal")
            time.sleep(0.2)
    failpoint("staging.walked")
    return process.returncode


def _last_words(ctx: StageContext) -> str:
    text = (ctx.attempt.folder / LOG).read_text(errors="replace").strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ctx.attempt.redactor.text(" · ".join(lines[-4:])) if lines else "it said nothing"
