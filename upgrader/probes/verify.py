"""One look at a cloud that has just changed: facts, and whether tokens work. One play."""

from __future__ import annotations

from pathlib import Path

from upgrader.config import Site
from upgrader.facts.heads import ReleaseNames
from upgrader.facts.observe import facts_of, observe_play
from upgrader.facts.plays import HasHosts, group_hosts
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Finding
from upgrader.probes.keystone import ANSWER, PROBES, token_findings
from upgrader.runner.base import Cancelled, EventSink, Runner

_PLAYBOOK = Path(__file__).parent / "verify.yml"


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
) -> tuple[CloudFacts, tuple[Finding, ...]]:
    """Facts as `observe` gives them, and findings about tokens: a fresh one, and the one in `token_file` if given.

    Raises what `observe` raises. A cloud without database servers or Keystone gets no finding about tokens.
    """
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
        return facts, ()
    return facts, token_findings(result, "validate" if token_file else "issue")
