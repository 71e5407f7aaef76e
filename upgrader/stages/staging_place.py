"""Production and staging side by side, as the stage that rehearses on staging asks about them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from upgrader.config import Site
from upgrader.kolla.settings import site_settings
from upgrader.model import Code, Finding
from upgrader.stages.base import StageContext
from upgrader.staging import same
from upgrader.staging.apart import reached, same_addresses, same_hosts, same_interfaces
from upgrader.staging.overrides import left_out
from upgrader.staging.passes import Wanted
from upgrader.staging.settings import addresses_of, fingerprint
from upgrader.status_read import facts_seen
from upgrader.survey import built_toolchains


@dataclass
class Place:
    """The two sites, and what is asked of a walk on staging."""

    ctx: StageContext
    staging: Site

    @cached_property
    def settings(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Production's, staging's."""
        return site_settings(self.ctx.site).values, site_settings(self.staging).values

    @cached_property
    def built(self) -> same.Built:
        """Staging's toolchains with exact versions."""
        return built_toolchains(self.staging)

    @cached_property
    def wanted(self) -> Wanted:
        ctx = self.ctx
        rules = ctx.site.staging_rules
        return Wanted(
            site=ctx.site.name,
            lineage=ctx.plan.lineage,
            hop=ctx.hop,
            parts=same.parts(ctx.plan, ctx.hop, built_toolchains(ctx.site)),
            settings=fingerprint(ctx.site, read_as=addresses_of(*self.settings)),
            overrides=left_out(ctx.site),
            copy=rules.database == "copy",
            max_age_seconds=rules.max_age_seconds,
        )

    def shared(self) -> tuple[str, ...]:
        """What both clouds have, by their settings, inventories and last looks."""
        toolchain = self.ctx.source_toolchain
        ours, theirs = (
            reached(toolchain, site.inventory, site.vault_password_file) for site in (self.ctx.site, self.staging)
        )
        found = (*same_addresses(*self.settings), *same_hosts(ours, theirs))
        return (*found, *same_interfaces(facts_seen(self.ctx.site), facts_seen(self.staging)))

    def command(self, verb: str) -> str:
        """What an operator types for staging."""
        return f"upgrader --site {shlex.quote(str(self.staging.file))} {verb}"


def finding(identifier: str, message: str, next_command: str, *, evidence: str = "") -> Finding:
    return Finding(id=identifier, code=Code.FAILURE, message=message, next=next_command, evidence=evidence)
