"""The stages of a hop with everything that is typed for them: by tool, by hand, to check, and to go back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upgrader.kolla.commands import command
from upgrader.model import HopPlan, Plan, StagePlan
from upgrader.rolling.waves import CLOSING_TAGS
from upgrader.runbook.commands import Typist
from upgrader.runbook.document import Span, StagePage, Typed
from upgrader.secret_sources import typed
from upgrader.wave import Wave

if TYPE_CHECKING:
    from upgrader.config import Site

FIRST_CHECK = "2025.1"
"""First release whose kolla-ansible has the action `check` (release_graph/cli.toml)."""
_NONE = Typed(())


@dataclass(frozen=True, slots=True)
class _Desk:
    """What is at hand for the stages of one hop."""

    hop: HopPlan
    first: bool
    typist: Typist
    plan_file: str
    change: str
    method: str
    waves: tuple[Wave, ...] = ()
    left: tuple[str, ...] = ()

    def own(self, release: str) -> str:
        return self.typist.enter(release)

    @property
    def release(self) -> tuple[tuple[str, str], ...]:
        """Before globals.yml is edited, the new playbooks are told the release."""
        return (("openstack_release", self.hop.target),)


def stage_pages(
    plan: Plan,
    at: int,
    typist: Typist,
    plan_file: str,
    span: Callable[[str], Span],
    starts: Mapping[str, str] | None,
    site: Site | None,
) -> tuple[StagePage, ...]:
    """A page for every stage of hop number `at`, in order."""
    hop = plan.hops[at]
    desk = _Desk(
        hop, at == 0, typist, plan_file, "", site.backup_database if site else "logical", plan.waves, plan.left
    )
    pages = []
    for number, stage in enumerate(hop.stages, start=1):
        way = _way(hop, stage)
        back_tool, back_hand = _back(desk, stage, way)
        pages.append(
            StagePage(
                name=stage.name,
                number=number,
                when=stage.when,
                changes_cloud=stage.changes_cloud,
                span=span(stage.name),
                starts=(starts or {}).get(stage.name, ""),
                tool=_tool(desk, stage.name),
                hand=_hand(desk, stage.name),
                check=_check(desk, stage.name),
                way=way,
                back_tool=back_tool,
                back_hand=back_hand,
                back_span=_back_span(way, span),
                facts=_facts(desk, stage.name),
                ponr=hop.ponr if stage.name == "upgrade" else "",
            )
        )
    return tuple(pages)


def _way(hop: HopPlan, stage: StagePlan) -> str:
    """The most it can take; a service that only goes forward makes the whole upgrade partly forward-only."""
    return stage.way_back.value


def _back_span(way: str, span: Callable[[str], Span]) -> Span:
    stage = {"redeploy": "rollback_redeploy", "restore": "rollback_restore"}.get(way)
    return span(stage) if stage else Span()


def _facts(desk: _Desk, stage: str) -> tuple[tuple[str, str], ...]:
    hop = desk.hop
    if stage == "upgrade":
        return (
            *((wave.name, ", ".join(wave.hosts)) for wave in desk.waves),
            *(("stay behind", ", ".join(desk.left)) for _ in desk.left[:1]),
            *((f"sets {key}", f'"{value}"') for key, value in hop.settings),
            *(("new passwords", ", ".join(hop.passwords_added)) for _ in hop.passwords_added[:1]),
            *(("new groups", ", ".join(hop.groups_added)) for _ in hop.groups_added[:1]),
        )
    if stage == "broker":
        return tuple((f"sets {key}", f'"{value}"') for key, value in hop.broker.settings)
    return ()


# ---------------------------------------------------------------- forward


def _tool(desk: _Desk, stage: str) -> Typed:
    say = desk.typist.upgrader
    if stage == "preflight" and desk.first:
        return Typed(
            (say("run", desk.plan_file),), "begins the run: preflight, backup, pull and rehearse follow one another"
        )
    if stage in ("preflight", "pull", "rehearse"):
        return Typed((say("status"),), "follows by itself in the run; look where it stands")
    if stage == "backup":
        return Typed(
            (say("backup", "--for-run"), say("backup", "--list")),
            "the run takes a set itself; a new one in the window, where that is too old by then",
        )
    if stage in ("broker", "upgrade", "finalize"):
        what = {"broker": "queue migration", "upgrade": "upgrade", "finalize": "end of the hop"}[stage]
        return Typed(
            (say("approve", "--reason", f"go: {what} of {desk.hop.name}"), say("resume")), "the run waits for this word"
        )
    return Typed((say("status"),), "follows by itself in the run; look where it stands")


def _hand(desk: _Desk, stage: str) -> Typed:
    made = _HANDS.get(stage)
    return made(desk) if made else _NONE


def _preflight(desk: _Desk) -> Typed:
    typist, target = desk.typist, desk.hop.target
    return Typed((desk.own(target), typist.kolla("prechecks", target, extra=desk.release)))


def _backup(desk: _Desk) -> Typed:
    typist, source = desk.typist, desk.hop.source
    return Typed(
        (
            *typist.keep_files(f"before-{desk.hop.target}"),
            desk.own(source),
            typist.kolla("mariadb-backup", source),
        ),
        manual=('needs enable_mariabackup: "yes", deployed before; copy the result off the host',),
    )


def _pull(desk: _Desk) -> Typed:
    target = desk.hop.target
    return Typed((desk.own(target), desk.typist.kolla("pull", target, extra=desk.release)))


def _rehearse(desk: _Desk) -> Typed:
    target = desk.hop.target
    staged = command("upgrade", target, inventory="STAGING_INVENTORY", config_dir="STAGING_CONFIG_DIR")
    words = "on a staging cloud, with its own inventory and configuration folder; never with those of this cloud"
    return Typed((desk.own(target), " ".join(staged)), manual=(words,), comes_first=True)


def _broker(desk: _Desk) -> Typed:
    source = desk.hop.source
    commands = []
    for line in desk.hop.broker.commands:
        if " prechecks" in line:  # what the target's own check says of the new queues
            commands += [desk.own(desk.hop.target), desk.typist.again(line, desk.hop.target, desk.release)]
        else:
            commands.append(desk.typist.again(line, source))
    return Typed((desk.own(source), *commands), manual=_edits(desk, desk.hop.broker.settings), comes_first=True)


def _upgrade(desk: _Desk) -> Typed:
    typist, target = desk.typist, desk.hop.target
    edits = list(_edits(desk, desk.hop.settings))
    if desk.hop.groups_added:
        edits.append(f"groups that {typist.inventory} needs besides: {', '.join(desk.hop.groups_added)}")
    if desk.waves:
        edits.append(_AROUND_A_WAVE)
    return Typed(
        (desk.own(target), *typist.merge_passwords(target), *_upgrades(desk)),
        manual=(*edits, *_locked(desk)),
        comes_first=True,
    )


_AROUND_A_WAVE = (
    "before the upgrade of compute hosts, for each: openstack compute service set --disable --disable-reason upgrade "
    "HOST nova-compute; after it, once the service is up again: openstack compute service set --enable HOST "
    "nova-compute"
)


def _upgrades(desk: _Desk) -> tuple[str, ...]:
    """One run for all hosts, or one for each wave and what Nova needs after the last."""
    typist, target = desk.typist, desk.hop.target
    if not desk.waves:
        return (typist.kolla("upgrade", target),)
    later = [host for wave in desk.waves if wave.kind != "control" for host in wave.hosts]
    control = ":".join(("all", *(f"!{host}" for host in (*later, *desk.left))))
    limits = [control if wave.kind == "control" else ",".join(wave.hosts) for wave in desk.waves]
    closing = typist.kolla("upgrade", target, tags=CLOSING_TAGS)
    return (*(typist.kolla("upgrade", target, limit=limit) for limit in limits), closing)


def _locked(desk: _Desk) -> tuple[str, ...]:
    """An encrypted passwords.yml cannot be merged as it is."""
    site = desk.typist.site
    if site is None:
        return ()
    if site.vault_password_file is None or not site.secrets.plain:
        return typed.notes(site)
    return ("if passwords.yml is encrypted: ansible-vault decrypt before it is merged, ansible-vault encrypt after it",)


def _edits(desk: _Desk, settings: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """What is set in globals.yml first, as one line."""
    if not settings:
        return ()
    return (f"in {desk.typist.globals_file}: " + ", ".join(f'{key}: "{value}"' for key, value in settings),)


def _verify(desk: _Desk) -> Typed:
    target = desk.hop.target
    return Typed((desk.own(target), desk.typist.kolla("check", target)) if target >= FIRST_CHECK else ())


_HANDS: Mapping[str, Callable[[_Desk], Typed]] = {
    "preflight": _preflight,
    "backup": _backup,
    "pull": _pull,
    "rehearse": _rehearse,
    "broker": _broker,
    "upgrade": _upgrade,
    "verify": _verify,
    "soak": _verify,
    "finalize": _verify,
}


def _check(desk: _Desk, stage: str) -> Typed:
    say, typist = desk.typist.upgrader, desk.typist
    if stage == "backup":
        return Typed((say("backup", "--list"),))
    if stage == "rehearse":
        return Typed((say("rehearse", "--show", "last"),))
    if stage == "broker":
        return Typed(
            (
                say("status"),
                typist.engine("exec", "rabbitmq", "rabbitmqctl", "list_queues", "name", "type", "durable"),
                typist.engine("exec", "rabbitmq", "rabbitmqctl", "cluster_status"),
            )
        )
    if stage in ("upgrade", "verify", "soak", "finalize"):
        return Typed(
            (
                say("status", "--observe"),
                typist.engine("ps", "--filter", "health=unhealthy"),
                "openstack token issue -c expires",
                "openstack compute service list",
                "openstack network agent list",
                "openstack volume service list",
            )
        )
    return Typed((say("status"),))


# ---------------------------------------------------------------- back


def _back(desk: _Desk, stage: StagePlan, way: str) -> tuple[Typed, Typed]:
    say = desk.typist.upgrader
    if way == "nothing":
        return Typed((say("abort", "--reason", "stopped before the cloud was changed"),)), _NONE
    if stage.name == "broker":
        return (
            Typed((say("rollback", "--redeploy", "--reason", "queue migration did not come right"),)),
            _broker_back(desk),
        )
    tool = (say("rollback", "--show"), say("rollback", "--redeploy", "--reason", "why"))
    if way == "redeploy":
        return Typed(tool), _redeploy(desk)
    if way == "restore":
        return Typed((*tool, say("rollback", "--restore", "--reason", "why"))), _restore(desk)
    return Typed((say("rollback", "--show"),)), _NONE


def _put_back(desk: _Desk) -> tuple[str, ...]:
    saved = f"before-{desk.hop.target}"
    return (
        f"put back the files of {desk.typist.config_dir}.{saved} and {desk.typist.inventory}.{saved}: the release is "
        f"{desk.hop.source} again in every one of them",
    )


def _redeploy(desk: _Desk) -> Typed:
    source = desk.hop.source
    return Typed((desk.own(source), desk.typist.kolla("deploy", source)), manual=_put_back(desk), comes_first=True)


def _broker_back(desk: _Desk) -> Typed:
    source, typist = desk.hop.source, desk.typist
    tags = desk.hop.broker.services
    return Typed(
        (
            desk.own(source),
            typist.kolla("stop", source, tags=tags),
            typist.kolla("rabbitmq-reset-state", source),
            typist.kolla("deploy", source),
        ),
        manual=_put_back(desk),
        comes_first=True,
    )


def _restore(desk: _Desk) -> Typed:
    source, typist = desk.hop.source, desk.typist
    tags = sorted({row.service for row in desk.hop.way_back if row.database and row.enabled is not False})
    lines = [desk.own(source), typist.kolla("stop", source, tags=tags)]
    if desk.method == "mariabackup":
        lines.append(typist.kolla("mariadb-recovery", source))
    after = "after the command that stops services, the databases are put back: see the incident page about restoring"
    return Typed((*lines, typist.kolla("deploy", source)), manual=(*_put_back(desk), after), comes_first=True)
