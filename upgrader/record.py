"""Everything that gates judge a site by, frozen: what was observed, what Ansible computes, what the operator answered.

Owns the shapes only. A record can be written to a file and judged later, elsewhere, without the cloud: gates are
pure functions of it and of the release graph.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from upgrader.model import CloudFacts, ReleaseId
from upgrader.value import Value

RECORD_SCHEMA = 1


class Definition(Value):
    """One place that sets a variable, from weakest to strongest as Ansible ranks them."""

    place: str
    """`group_vars/all.yml of kolla-ansible 20.6.0`, `role nova`, `inventory group control`, `globals.yml:12` …"""
    kind: Literal["role default", "release default", "inventory", "globals", "extra"]
    text: str
    """As written there; empty for a secret."""
    hosts: tuple[str, ...] = ()
    """For definitions of the inventory: whom they concern; empty: every host."""


class Variable(Value):
    """What Ansible computes for one variable. Values are JSON text, so that types survive."""

    name: str
    value: str | None = None
    """The value that holds on every host; None where hosts differ or nothing could be computed."""
    per_host: tuple[tuple[str, str], ...] = ()
    """(host, JSON text) where hosts differ, sorted."""
    configured: bool = False
    """The operator's own files set it: inventory, globals or extras; not only a default."""
    definitions: tuple[Definition, ...] = ()
    error: str = ""
    """Why it could not be computed, in Ansible's words without secrets."""
    secret: bool = False
    """A password: whether it is set is known (`value` is then `true` or `false`), never what it is."""

    def loaded(self) -> Any:
        """The value itself. Raises LookupError when there is none that holds everywhere."""
        if self.value is None:
            raise LookupError(self.name)
        return json.loads(self.value)


class Effective(Value):
    """The variables of one release, as its own Ansible computes them from its defaults and the operator's files."""

    release: ReleaseId
    by: Literal["toolchain", "shipped defaults"]
    """`shipped defaults`: that release's toolchain is not built; only what needs no template is known."""
    variables: tuple[Variable, ...] = ()
    error: str = ""

    def find(self, name: str) -> Variable | None:
        return next((variable for variable in self.variables if variable.name == name), None)


class Keeping(Value):
    """How the site is kept, as this machine can see it: what no host and no setting tells."""

    passwords_encrypted: bool | None = None
    """Every value of passwords.yml is in Ansible Vault; None: it could not be read."""
    passwords_mode: str = ""
    """Its access rights, `0600`."""
    passwords_in_git: bool | None = None
    """passwords.yml is under version control; None: git could not be asked."""
    backups: int | None = None
    """Complete backup sets in the site's backup target; None: it could not be read."""
    last_backup_at: str = ""
    """UTC, ISO 8601; empty when there is none."""
    last_proved_at: str = ""
    """When the newest set that was restored somewhere was taken; empty when none was."""
    backup_place: Literal["", "network file system", "this machine", "host of the cloud"] = ""
    """Where the backup target lies; empty: not known."""


class SiteRecord(Value):
    """What gates are given. None or a missing entry means: not known, which is never green."""

    schema_version: Literal[1] = 1
    kind: Literal["site-record"] = "site-record"
    facts: CloudFacts
    effective: tuple[Effective, ...] = ()
    hosts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(host, groups) of the inventory, sorted."""
    groups: tuple[str, ...] = ()
    """Every group of the inventory, empty ones too, sorted."""
    groups_by_tool: tuple[str, ...] = ()
    """Groups that hops of the path add and this tool writes into the inventory itself, sorted."""
    passwords: tuple[str, ...] | None = None
    """Names in passwords.yml that have a value, sorted; None: it could not be read."""
    equal_passwords: tuple[str, ...] | None = None
    """`valkey_master_password = redis_master_password`: pairs that have to be the same and are; None: not compared."""
    answers: tuple[tuple[str, str], ...] = ()
    """(name, JSON text) from [answers] of upgrader.toml: what no probe can find out."""
    config_files: tuple[str, ...] | None = None
    """Files of the operator's own below the custom configuration folder, relative, sorted; None: not read."""
    config_options: tuple[str, ...] | None = None
    """`nova/nova-compute.conf [DEFAULT] reserved_host_memory_mb = 2048` of the files that are INI; no secrets."""
    keeping: Keeping | None = None
    """None: nobody looked; a record that was judged elsewhere still has what was seen then."""

    @property
    def with_own_groups(self) -> SiteRecord:
        """The record once this tool has added its groups: that is how the hops will find the inventory."""
        return self.model_copy(update={"groups": tuple(sorted({*self.groups, *self.groups_by_tool}))})

    def effective_of(self, release: str) -> Effective | None:
        return next((found for found in self.effective if found.release == release), None)
