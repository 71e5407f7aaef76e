"""Everything a plan needs to know of a site, gathered: the cloud, the inventory, the settings, the journal's serial.

Composes facts, kolla and journal; changes nothing on the cloud. On this machine it keeps the site's binding key and
the last observation beside the journal. What it means for a plan is the planner's business.
"""

from __future__ import annotations

import secrets
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from upgrader.config import Site
from upgrader.durable import make_dir, write_atomic
from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.facts.binding import bind
from upgrader.facts.names import release_names
from upgrader.facts.observe import observe
from upgrader.facts.plays import cloud_hosts
from upgrader.facts.upgrade_checks import pulled, upgrade_checks
from upgrader.findings import Path, Room, find_path, in_order, judge_checklist, judge_own_checks, judge_site, with_life
from upgrader.graph import ReleaseGraph
from upgrader.herald.findings import telling
from upgrader.journal import FindingMemory, open_journal
from upgrader.journal.place import exists
from upgrader.kolla.inventory import INVENTORIES, Inventory, read_inventory, remembered_inventory
from upgrader.kolla.own_files import judge_own_files
from upgrader.kolla.passwords import PasswordNames, names, secret_values
from upgrader.kolla.settings import site_settings
from upgrader.kolla.toolchain import Toolchain, locate
from upgrader.kolla.vault import Vault
from upgrader.model import Binding, CloudFacts, Code, Finding, Plan, ToolchainPin
from upgrader.planner import Frame, Goal, SiteFacts, plan
from upgrader.probes.behind import look_behind
from upgrader.probes.disk import local_disk
from upgrader.record import SiteRecord
from upgrader.recorded import effective_of, groups_of, record_of
from upgrader.rolling import Waves, waves_of
from upgrader.runner.ansible import AnsibleRunner
from upgrader.runner.base import Runner
from upgrader.secret_sources.identities import identities
from upgrader.status_read import keep_seen

KEY = "binding.key"
LOOKS = "looks"
LOCKED = frozenset({"vault-password-missing", "wrong-vault-password"})
"""Reasons of a file that is encrypted and was not opened."""
Say = Callable[[str], None]


def _silent(_line: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at a site, with everything that gates judge it by. Nothing of it is judged yet."""

    record: SiteRecord
    path: Path
    inventory: Inventory
    passwords: frozenset[str] | None
    """Every name in passwords.yml; None: it could not be read."""
    troubles: tuple[Finding, ...] = ()
    """What kept the look from being a whole one."""
    rolled: Waves = field(default_factory=Waves)
    """In which waves the site's rules upgrade these hosts; those that stay behind were not looked at."""


def survey(
    site: Site,
    graph: ReleaseGraph,
    *,
    start: str = "",
    target: str = "",
    whole: bool = True,
    more: frozenset[str] = frozenset(),
    say: Say = _silent,
) -> Sight:
    """Look at the whole site: hosts, inventory, and the effective variables of every release on the path.

    `start` helps to choose the toolchain to look with, and names the release where a cloud does not; `target` is by
    default the newest release that can be planned. `say` hears what goes on. With `whole`, a passwords.yml that cannot
    be read, or settings that are locked, are an error before anything is written; without, what needs neither is looked
    at all the same. `more` are variables wanted besides those that gates ask for.
    Raises ConfigError for files that cannot be used, EnvironmentMissingError when no toolchain is built or no host
    could be looked at, RefusedError for a path that makes no sense.
    """
    identities(site.vault_password_file)  # Ansible starts nothing without them, and blames the inventory
    settings, locked = _settings(site, whole=whole)
    toolchain = looking_glass(site, graph, start or settings.get("openstack_release", ""))
    inventory = read_inventory(toolchain, site.inventory, site.vault_password_file)
    rolled = waves_of(inventory.hosts, site.rolling, cloud_hosts(inventory))
    everybody, inventory = inventory, inventory.without(rolled.left)
    names, troubles = _names(site, toolchain, whole=whole)
    troubles = (*locked, *troubles)
    facts = look(site, graph, toolchain, inventory, heads=not troubles, services=True, say=say)
    if troubles:
        closed = "the settings" if locked else "passwords.yml"
        facts = facts.model_copy(update={"heads_error": f"databases were not asked, for {closed} cannot be read"})
    path = find_path(graph, facts.reading, start, target)
    if rolled.left and path.hops:
        only = everybody.without([host for host in everybody.hosts if host not in rolled.left])
        asked = ask_of(site, toolchain, "behind")
        troubles = (*troubles, *look_behind(site, graph, toolchain, only, path.hops[0].target, *asked))
    effective = effective_of(
        site,
        graph,
        inventory,
        path.releases or (toolchain.release,),
        runner_of(site, toolchain, secrets=names is not None),
        lambda name: _look_folder(site, name),
        hosts=facts.hosts,
        more=more,
        say=say,
    )
    groups, missing = groups_of(site, inventory, path.hops)
    record = record_of(site, facts, inventory, names, effective, groups)
    return Sight(record, path, inventory, frozenset(names.all) if names else None, (*troubles, *missing), rolled)


def runner_of(site: Site, toolchain: Toolchain, *, secrets: bool = True) -> Runner:
    """What plays are run with outside of a stage. It knows the site's secrets, so that no output holds one."""
    return AnsibleRunner(secrets=secret_values(site.passwords, _vault(site, toolchain)) if secrets else ())


def ask_of(site: Site, toolchain: Toolchain, name: str) -> tuple[Runner, FilePath]:
    """What a question to a cloud is asked with, and a fresh folder for its play."""
    return runner_of(site, toolchain), _look_folder(site, name)


def _look_folder(site: Site, name: str) -> FilePath:
    folder = site.state_dir / LOOKS / f"{name}-{uuid.uuid4().hex}"
    make_dir(folder.parent, exist_ok=True)
    return folder


def password_names(site: Site, toolchain: Toolchain) -> PasswordNames:
    """Names in passwords.yml. Raises ConfigError when it cannot be read, or its vault not be opened."""
    return names(site.passwords, _vault(site, toolchain))


def _settings(site: Site, *, whole: bool) -> tuple[Mapping[str, str], tuple[Finding, ...]]:
    try:
        return read_settings(site), ()
    except ConfigError as error:
        if whole or error.reason not in LOCKED:
            raise
        return {}, (
            Finding(
                id="settings-not-read",
                code=Code.FAILURE,
                message=error.message,
                why="Databases were not asked, no variable of the cloud is known, and a hop could not edit the file.",
                next=error.next_command,
            ),
        )


def _names(site: Site, toolchain: Toolchain, *, whole: bool) -> tuple[PasswordNames | None, tuple[Finding, ...]]:
    try:
        return password_names(site, toolchain), ()
    except ConfigError as error:
        if whole:
            raise
        return None, (
            Finding(
                id="passwords-not-read",
                code=Code.FAILURE,
                message=error.message,
                why="Databases were not asked, and nobody can tell which passwords are missing.",
                next=error.next_command,
            ),
        )


def judged(
    site: Site, graph: ReleaseGraph, sight: Sight, *, checklist: bool = False, own_files: bool = False
) -> tuple[Finding, ...]:
    """Every finding of a look, with what the journal remembers of it; the production checklist where it is wanted.

    `own_files`: passwords.yml and the inventory are tried against every hop too, which takes a second or two for each,
    and what `ask_services` heard is judged.
    """
    room = Room(site.min_free_bytes, (local_disk(site.backup_dir), local_disk(site.state_dir)))
    found = judge_site(graph, sight.path, sight.record, release_names(graph), room)
    if checklist:
        found += judge_checklist(sight.record, sight.path.source)
    troubles = sight.troubles
    if own_files:
        found += judge_own_checks(sight.path, sight.record.facts)
        running = sight.record.facts.observed.containers
        files = judge_own_files(site, sight.path.hops, sight.inventory, running=running)
        # one finding for the whole path says more than one per hop, and one of a kind is enough
        troubles = tuple(one for one in troubles if one.id not in {"groups-missing", *(file.id for file in files)})
        found += (*files, *telling(site))
    return with_life((*troubles, *found), memory_of(site))


def ask_services(site: Site, graph: ReleaseGraph, sight: Sight, *, say: Say = _silent) -> Sight:
    """The same look with the services' own upgrade checks of the first hop's target, where its images are on the
    hosts; one play, some seconds for each service. Without such images the look is returned as it is.
    """
    facts = sight.record.facts
    if not sight.path.hops or not pulled(facts, sight.path.hops[0].target):
        return sight
    target = sight.path.hops[0].target
    say(f"Asking the services' own upgrade checks of {target} …")
    toolchain = looking_glass(site, graph, sight.path.source)
    folder = _look_folder(site, "upgrade-checks")
    runner = runner_of(site, toolchain, secrets=sight.passwords is not None)
    try:
        checks = upgrade_checks(site, toolchain, runner, folder, facts, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    observed = facts.observed.model_copy(update={"upgrade_checks": checks})
    seen = facts.model_copy(update={"observed": observed})
    return replace(sight, record=sight.record.model_copy(update={"facts": seen}))


def memory_of(site: Site) -> FindingMemory:
    """What is remembered of findings; nothing where there is no journal yet."""
    if not exists(site.state_dir):
        return FindingMemory()
    with open_journal(site.state_dir, readonly=True) as journal:
        return journal.findings()


def observe_site(site: Site, graph: ReleaseGraph, *, say: Say = _silent) -> CloudFacts:
    """Only the cloud itself, with whatever toolchain is built. Raises as `survey` does."""
    toolchain = looking_glass(site, graph, read_settings(site).get("openstack_release", ""))
    place = site.state_dir / INVENTORIES
    inventory = remembered_inventory(toolchain, site.inventory, site.vault_password_file, place)
    inventory = inventory.without(site.rolling.exclude)
    return look(site, graph, toolchain, inventory, say=say)


def look(
    site: Site,
    graph: ReleaseGraph,
    toolchain: Toolchain,
    inventory: Inventory,
    *,
    heads: bool = True,
    services: bool = False,
    say: Say = _silent,
) -> CloudFacts:
    """One observation of the cloud, kept beside the journal for `status`. The play's own files go away after it.

    Without `heads` nothing is asked that needs a password. `services`: with what gates judge, and the services' probes.
    """
    say(f"Looking at {site.name} ({len(inventory.hosts)} hosts) …")
    folder = _look_folder(site, "observe")
    runner = runner_of(site, toolchain, secrets=heads)
    try:
        names = release_names(graph)
        facts = observe(site, toolchain, runner, folder, names, inventory=inventory, heads=heads, services=services)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    keep_seen(site, facts.document())
    return facts


def _vault(site: Site, toolchain: Toolchain) -> Vault | None:
    return Vault(toolchain, site.vault_password_file) if site.vault_password_file else None


def looking_glass(site: Site, graph: ReleaseGraph, release: str) -> Toolchain:
    """A built toolchain to look at the cloud with: that of `release`, else any other; looking is the same in all."""
    wanted = graph.find(release) if release else None
    ordered = [wanted.id] if wanted else []
    ordered += [name for name in reversed(graph.ids) if name not in ordered]
    for name in ordered:
        try:
            return locate(site, name)
        except EnvironmentMissingError:
            continue
    raise EnvironmentMissingError(
        f"No toolchain is built in {site.toolchains_dir}, so the cloud of {site.name} cannot be looked at.",
        cloud="Nothing was looked at or changed.",
        next_command=f"upgrader toolchain build {wanted.id if wanted else 'RELEASE'}",
        reason="toolchain-missing",
    )


def read_settings(site: Site) -> Mapping[str, str]:
    """Scalars of globals.yml, globals.d and the site's further files, as they hold."""
    return site_settings(site).values


# ---------------------------------------------------------------- binding


def binding_key(site: Site) -> bytes:
    """The site's own key for hashes of secrets; made once, kept at mode 0600 beside the journal."""
    path = site.state_dir / KEY
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        make_dir(site.state_dir, exist_ok=True)
        key = secrets.token_bytes(32)
        write_atomic(path, key, mode=0o600)
    except OSError as error:
        raise EnvironmentMissingError(f"{path} cannot be read: {error.strerror}.", reason="no-binding-key") from None
    return key


def _place_in_journal(site: Site) -> tuple[str, int]:
    """(lineage, serial) that a plan made now is bound to; the journal is made when there is none."""
    with open_journal(site.state_dir, readonly=exists(site.state_dir)) as journal:
        snapshot = journal.snapshot()
        return snapshot.lineage, snapshot.serial


# ---------------------------------------------------------------- toolchains


def built_toolchains(site: Site) -> dict[str, ToolchainPin]:
    """The toolchains that are built for the site, with their exact versions and the digest of their lock."""
    found = {}
    for folder in sorted(site.toolchains_dir.iterdir()) if site.toolchains_dir.is_dir() else ():
        toolchain = Toolchain(folder.name, folder)
        pin = _pin(toolchain, toolchain.manifest)
        if pin:
            found[folder.name] = pin
    return found


def usable_toolchains(site: Site) -> frozenset[str]:
    """Releases whose toolchain is there, made by this tool or not."""
    names = [folder.name for folder in site.toolchains_dir.iterdir()] if site.toolchains_dir.is_dir() else []
    return frozenset(name for name in names if not name.startswith(".") and _there(site, name))


def _there(site: Site, release: str) -> bool:
    try:
        locate(site, release)
    except EnvironmentMissingError:
        return False
    return True


def _pin(toolchain: Toolchain, manifest: Mapping[str, Any]) -> ToolchainPin | None:
    names = ("kolla_ansible", "ansible_core", "python")
    if manifest.get("release") != toolchain.release or not all(isinstance(manifest.get(name), str) for name in names):
        return None
    versions = {name: str(manifest[name]) for name in names}
    return ToolchainPin(release=toolchain.release, lock_sha256=toolchain.lock_sha256, **versions)


# ---------------------------------------------------------------- for those who drive a run


def bind_now(site: Site, graph: ReleaseGraph, facts: CloudFacts, inventory: Inventory) -> Binding:
    """What a plan made now would depend on; compared with a plan's own, it shows drift."""
    return bind(site, facts, inventory.sha256, binding_key(site), release_names(graph))


def plan_site(site: Site, graph: ReleaseGraph, goal: Goal, *, say: Say = _silent) -> Plan:
    """Look at the site and plan. Raises as `survey` and the planner do."""
    from datetime import UTC, datetime

    from upgrader.by_hand import typed, typed_action

    graph.release(goal.target)  # a misspelt name is refused before the cloud is looked at
    sight = survey(site, graph, start=goal.source, target=goal.target, say=say)
    lineage, serial = _place_in_journal(site)
    facts = SiteFacts(
        record=sight.record,
        findings=in_order(judged(site, graph, sight), sight.path),
        passwords=sight.passwords,
        binding=bind_now(site, graph, sight.record.facts, sight.inventory),
        lineage=lineage,
        serial=serial,
        rolled=sight.rolled,
    )
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    frame = Frame(
        made_at=now,
        typed=typed(site),
        typed_action=typed_action(site),
        built=built_toolchains(site),
        usable=usable_toolchains(site),
    )
    return plan(graph, goal, facts, frame)
