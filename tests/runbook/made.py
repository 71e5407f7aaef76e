"""Sites, plans and documents for tests, samples and measurements of the change document."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tests.planner.clouds import a_cloud
from upgrader.by_hand import typed, typed_action
from upgrader.config import Site, load_site
from upgrader.estimates import Estimate
from upgrader.estimates.find import stages_of
from upgrader.estimates.value import Source
from upgrader.facts.names import release_names
from upgrader.findings import Room, find_path, in_order, judge_site
from upgrader.graph import ReleaseGraph, load_graph
from upgrader.model import Binding, Code, Finding, Plan
from upgrader.planner import Frame, Goal, SiteFacts, plan
from upgrader.record import Definition, Effective, SiteRecord, Variable
from upgrader.rolling import waves_of
from upgrader.rolling_rules import RollingRules
from upgrader.runbook.build import Given, JournalHead, document
from upgrader.runbook.commands import Typist
from upgrader.runbook.document import Document
from upgrader.runbook.render import Format, render
from upgrader.runbook.templates import Templates
from upgrader.runbook.times import Opening, opening_of

HOME = Path("/srv/upgrader")
SITE = """
[site]
name = "prod-fra"
[kolla]
config_dir = "/etc/kolla"
inventory = "/etc/kolla/multinode"
[secrets]
vault_password_file = "/root/vault password"
[staging]
site = "/srv/upgrader/staging/upgrader.toml"
[backup]
target = "/var/backups/upgrader"
[backup.offbox]
repository = "sftp:backup@nas.example.org:/prod-fra"
password_file = "/root/restic-password"
[toolchains]
dir = "/srv/upgrader/toolchains"
[state]
dir = "/srv/upgrader/state"
[run]
soak = "30min"
[window]
start = "sat 22:00"
length = "8h"
timezone = "Europe/Berlin"
[[contacts]]
name = "Anna Berg"
role = "Change owner"
phone = "+49 69 5550 101"
mail = "anna.berg@example.org"
[[contacts]]
name = "On-call platform team"
role = "Operations"
phone = "+49 69 5550 110"
[[contacts]]
name = "Jo Lind"
role = "Head of infrastructure"
phone = "+49 69 5550 120"
mail = "jo.lind@example.org"
order = 1
"""
SETTINGS = {
    "enable_heat": False,
    "enable_valkey": False,
    "neutron_plugin_agent": "openvswitch",
    "enable_rabbitmq": True,
}


@cache
def graph() -> ReleaseGraph:
    return load_graph()


def a_site(more: str = "", text: str = SITE) -> Site:
    """A site read from a real site file, said to lie in HOME."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upgrader.toml"
        path.write_text(text + more)
        return replace(load_site(path), file=HOME / "upgrader.toml")


def steady(made: Plan) -> Plan:
    """The plan as if it came from release data and a tool that never change, so that samples do not either."""
    return made.model_copy(update={"graph_sha256": "0" * 64, "graph_version": "1.0.0", "tool_version": "0.1.0"})


@cache
def paper(source: str, target: str) -> Plan:
    return steady(plan(graph(), Goal(target, source), None, Frame(typed=typed(), typed_action=typed_action())))


def site_plan(source: str, target: str, *, site: Site | None = None, blocked: bool = True, **cloud: object) -> Plan:
    """The plan of an observed cloud. Not `blocked`: every blocker is accepted by name."""
    facts = a_cloud(graph(), source, **cloud).model_copy(update={"site": "prod-fra"})  # type: ignore[arg-type]
    written = Definition(place="globals.yml:3", kind="globals", text="")
    variables = tuple(
        Variable(name=name, value=json.dumps(value), configured=True, definitions=(written,))
        for name, value in sorted(SETTINGS.items())
    )
    record = SiteRecord(
        facts=facts,
        effective=tuple(Effective(release=name, by="toolchain", variables=variables) for name in graph().ids),
        hosts=tuple((host.name, host.groups) for host in facts.hosts),
        groups=("control", "network", "compute", "loadbalancer"),
    )
    path = find_path(graph(), facts.reading, "", target)
    findings = in_order(judge_site(graph(), path, record, release_names(graph()), Room(0)), path)
    if not blocked:
        findings = tuple(_taken(finding) for finding in findings)
    known = SiteFacts(
        record=record,
        findings=findings,
        passwords=frozenset({"valkey_master_password"}),
        binding=Binding(running=facts.reading.release),
        lineage="6f1c2a3e-0000-4000-8000-000000000001",
        serial=3,
        rolled=waves_of(dict(record.hosts), RollingRules(), [host for host, _ in record.hosts]),
    )
    frame = Frame(made_at="2026-11-22T14:03:00Z", typed=typed(site), typed_action=typed_action(site))
    return steady(plan(graph(), Goal(target), known, frame))


def _taken(finding: Finding) -> Finding:
    if finding.code is not Code.FAILURE:
        return finding
    return finding.model_copy(update={"accepted": ("anna", "looked at, settled by hand on 2026-11-20")})


SECONDS = {
    "preflight": 240, "backup": 420, "pull": 840, "rehearse": 2040, "broker": 1140, "upgrade": 1680, "verify": 250,
    "soak": 1800, "finalize": 120, "rollback_redeploy": 1320, "rollback_restore": 1860, "verify_old": 250,
}  # fmt: skip


def estimated(made: Plan) -> tuple[Estimate, ...]:
    """Estimates that never change: of a site's rehearsal where it has one, of its past, else assumed."""
    found = []
    for name, stage in (pair for hop in made.document()["hops"] for pair in stages_of(hop)):
        seconds = SECONDS[stage]
        source: Source = "baseline"
        if made.site:
            source = "rehearsal" if stage in ("upgrade", "rehearse") else "history" if stage == "pull" else "baseline"
        samples = {"rehearsal": 2, "history": 5}.get(source, 0)
        note = "" if samples else "assumed figures, not measured on any production cloud"
        found.append(Estimate(name, stage, seconds, seconds * 3 // 4, seconds * 7 // 4, source, samples, note))
    return tuple(found)


@dataclass(frozen=True)
class Sample:
    """Everything that one rendered document is made from."""

    plan: Plan
    site: Site | None = None
    openings: tuple[Opening, ...] = ()
    language: str = "en"
    logo: str = ""

    @property
    def document(self) -> Document:
        head = JournalHead("5d" * 32, 41) if self.site else JournalHead()
        change = "CHG0031337" if self.site else ""
        given = Given(estimated(self.plan), head, self.openings, change=change)
        return document(self.plan, self.site, given)

    def render(self, kind: Format, templates: Templates | None = None) -> str:
        """Made once for each sample and kind, unless with templates of its own."""
        if templates is not None:
            return self.anew(kind, templates)
        key = (id(self), kind)
        if key not in _TEXTS:
            _TEXTS[key] = (self, self.anew(kind))
        return _TEXTS[key][1]

    def anew(self, kind: Format, templates: Templates | None = None) -> str:
        own = templates or Templates(language=self.language)
        return render(self.document, own, kind, typist=Typist(self.site), logo=self.logo)


_TEXTS: dict[tuple[int, str], tuple[Sample, str]] = {}
"""With the sample itself, so that its identity is not given to another."""


@cache
def two_hops(language: str = "en") -> Sample:
    """A real site, a window for the first hop, nothing blocks."""
    site = a_site()
    window = opening_of("2026-12-05T22:00/6h", "Europe/Berlin")
    made = site_plan("2024.1", "2025.1", site=site, blocked=False)
    return Sample(made, site, (window,), language)


@cache
def blocked() -> Sample:
    """Hosts whose system the target does not support, and a plan that is refused for it."""
    site = a_site()
    return Sample(site_plan("2024.1", "2025.1", site=site, os="ubuntu-22.04"), site)


@cache
def forward_only() -> Sample:
    """A hop on which one thing has no way back."""
    return Sample(paper("2024.2", "2025.1"))


SAMPLES = {
    "paper-2023.1-2023.2.md": lambda: Sample(paper("2023.1", "2023.2")),
    "site-2024.1-2025.1.md": two_hops,
    "site-2024.1-2025.1.html": two_hops,
    "site-2024.1-2025.1.de.md": lambda: two_hops("de"),
    "blocked-2024.1-2025.1.md": blocked,
    "blocked-2024.1-2025.1.html": blocked,
    "forward-only-2024.2-2025.1.md": forward_only,
    "forward-only-2024.2-2025.1.html": forward_only,
}
"""Name of a sample in runbooks/samples → what it is made from."""


def kind_of(name: str) -> Format:
    return "html" if name.endswith(".html") else "md"
