"""One look at a cloud that has just changed: facts, and whether tokens work. One play."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from upgrader import durable
from upgrader.config import Site
from upgrader.facts.heads import ReleaseNames
from upgrader.facts.observe import facts_of, observe_play
from upgrader.facts.plays import HasHosts, group_hosts, shown
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Finding
from upgrader.probes.base import warning
from upgrader.probes.keystone import ANSWER, OLD, PROBES, token_findings
from upgrader.runner.base import Cancelled, EventSink, Runner

_PLAYBOOK = Path(__file__).parent / "verify.yml"


class Look(NamedTuple):
    facts: CloudFacts
    tokens: tuple[Finding, ...]
    host: str = ""
    """Where Keystone was asked; empty: nowhere."""
    url: str = ""
    """Keystone's own address, as the databases say; empty: not known."""


def look(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    names: ReleaseNames,
    *,
    inventory: HasHosts,
    token_file: Path | None = None,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> Look:
    """Facts as `observe` gives them, with what the services say; and findings about tokens: a fresh one, and the one
    in `token_file` if given.

    A kept token that has expired since proves nothing and is not asked about, which is a warning. Raises what
    `observe` raises. A cloud without database servers or Keystone gets no finding about tokens.
    """
    expired = _expired(token_file) if token_file else None
    if expired:
        token_file = None
    keystone, servers = group_hosts(inventory, "keystone"), group_hosts(inventory, "mariadb")
    values = [
        ("upgrader_token_host", keystone[0] if keystone and servers else "upgrader_none"),
        ("upgrader_token_action", "validate" if token_file else "issue"),
        ("upgrader_token_file", str(token_file or "")),
        ("upgrader_probes", str(PROBES)),
    ]
    play = observe_play(site, toolchain, inventory, playbook=_PLAYBOOK, values=values, collect=(ANSWER,))
    result = runner.run(play, folder, on_event=on_event, cancelled=cancelled)
    facts = facts_of(site, result, inventory, names)
    if not keystone or not servers:
        return Look(facts, ())
    findings = token_findings(result, "validate" if token_file else "issue")
    url = str(shown(result, ANSWER, keystone[0]).get("url", ""))
    return Look(facts, (*findings, expired) if expired else findings, keystone[0], url)


def _expired(token_file: Path) -> Finding | None:
    """A warning when the kept token is past its end; tokens live for a day unless a site says otherwise."""
    reading = durable.read_json(token_file)
    ends = str((reading.document or {}).get("expires_at", ""))
    try:
        over = datetime.fromisoformat(ends) <= datetime.now(UTC)
    except (ValueError, TypeError):
        return None
    if not over:
        return None
    return warning(OLD, f"the token kept with the backup expired at {ends}; whether older tokens work was not asked")
