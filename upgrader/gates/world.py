"""What a site record knows of the names in conditions, on one hop.

Owns the lookup: which release's values count, what is unknown and why, which services are there at all. Pure: the
record is all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from upgrader.gates.ground import Ground, has_value, host_sight, jsonable, loaded, place_of, variable_sight
from upgrader.gates.names import Reference, Root
from upgrader.gates.words import Sight, Spread, absent, known, listed, plain, undefined, unknown
from upgrader.graph import Hop, ReleaseGraph
from upgrader.record import SiteRecord

_OPERATORS_OWN = ("inventory", "globals", "extra")
_EVERYWHERE: tuple[Root, ...] = (
    "observed", "host", "groups", "hosts", "answers", "passwords", "equal_passwords", "config_files",
    "config_options", "running_release", "always",
)  # fmt: skip


class World:
    """One site on one hop, asked by conditions. `beside` shares the indexed record with another hop's world."""

    def __init__(self, record: SiteRecord, graph: ReleaseGraph, hop: Hop, beside: World | None = None) -> None:
        self.record, self.graph, self.hop = record, graph, hop
        self.ground: Ground = beside.ground if beside and beside.record is record else Ground(record)
        self._seen: dict[Reference, Sight | Spread] = {}

    def sight(self, reference: Reference) -> Sight | Spread:
        """What is known of a name."""
        seen = self.ground.seen if reference.root in _EVERYWHERE else self._seen
        found = seen.get(reference)
        if found is None:
            found = seen[reference] = _LOOKUPS[reference.root](self, reference)
        return found

    def hosts_of(self, spread: Mapping[Reference, Spread]) -> tuple[str, ...]:
        """The hosts a condition is judged for: every host that was looked at, or those a variable differs on."""
        if any(reference.root == "host" for reference in spread):
            return tuple(host.name for host in self.record.facts.hosts)
        return tuple(sorted({host for one in spread.values() for host in one.by_host}))

    def look(self, what: str, name: str) -> tuple[bool, str]:
        """Whether a variable is configured, or defined in the release, with the evidence. ValueError: unknown."""
        found = self.sight(Reference("configured" if what == "configured" else "defined_in_release", (name,)))
        if isinstance(found, Spread) or found.state != "known":
            raise ValueError(found.otherwise.said if isinstance(found, Spread) else found.said)
        return bool(found.value), found.said

    # ------------------------------------------------------------ variables

    def variable(self, reference: Reference) -> Sight | Spread:
        """The value at the release the hop starts from; what that does not have, at the target."""
        name, source, target = reference.path[0], self.hop.source, self.hop.target
        found = self.ground.usable(source, name)
        if found is None and source in self.ground.whole:
            found = self.ground.usable(target, name)
        if found is not None:
            return variable_sight(name, found)
        return self._literal(name) or self._nowhere(name)

    def after(self, reference: Reference) -> Sight | Spread:
        name, target = reference.path[0], self.hop.target
        found = self.ground.usable(target, name)
        if found is not None:
            return variable_sight(str(reference), found)
        if target in self.ground.whole:
            return undefined(f"after.{name}: {target} has no such variable")
        return self._literal(name) or unknown(f"after.{name}: {self._not_built(target)}")

    def _literal(self, name: str) -> Sight | Spread | None:
        """What the operator wrote out, which no release's defaults change."""
        found = self.ground.configured.get(name)
        if found is None or not has_value(found):
            return None
        written = [one.text for one in found.definitions if one.kind in _OPERATORS_OWN]
        if not found.per_host:
            written = written[-1:]  # the strongest is the one that counts
        return None if any("{{" in text or "{%" in text for text in written) else variable_sight(name, found)

    def _nowhere(self, name: str) -> Sight:
        for release in (self.hop.source, self.hop.target):
            if release not in self.ground.whole:
                return unknown(f"{name}: {self._not_built(release)}")
        return undefined(f"{name} is set nowhere: neither {self.hop.source} nor {self.hop.target} knows it")

    def _not_built(self, release: str) -> str:
        found = self.record.effective_of(release)
        if found is not None and found.error:
            return f"the variables of {release} could not be computed: {plain(found.error, 200)}"
        return f"toolchain of {release} is not built: upgrader toolchain build {release}"

    def configured(self, reference: Reference) -> Sight:
        name = reference.path[0]
        found = self.ground.configured.get(name)
        if found is not None:
            return Sight("known", True, f"{name} is set ({place_of(found) or 'by the operator'})", "true")
        if not any(not one.error for one in self.record.effective):
            return unknown(f"{name}: {self._not_built(self.hop.source)}")
        return Sight("known", False, f"{name} is not set", "false")

    def defined_in_release(self, reference: Reference) -> Sight:
        name, release = reference.path[0], self.hop.source
        found = self.ground.effective.get(release, {}).get(name)
        if found is not None and any(one.kind not in _OPERATORS_OWN for one in found.definitions):
            return Sight("known", True, f"{release} has {name}", "true")
        if release not in self.ground.whole:
            return unknown(f"{name}: {self._not_built(release)}")
        return Sight("known", False, f"{release} has no {name}", "false")

    def answers(self, reference: Reference) -> Sight:
        name = reference.path[0]
        text = self.ground.answers.get(name)
        if text is None:
            return unknown(f"answer {name} in [answers] of upgrader.toml")
        return loaded(f"answers.{name}", text, "upgrader.toml")

    # ------------------------------------------------------------ what was seen

    def observed(self, reference: Reference) -> Sight:
        part, name = reference.path[0], str(reference)
        if self.ground.runs(part) is False:
            return absent(f"{part} does not run here")
        value: Any = self.record.facts.observed
        error = ""
        for step in reference.path:
            value = getattr(value, step, None) if value is not None else None
            error = getattr(value, "error", "") or error
        if value is None:
            return unknown(f"{name} was not read{self._why_unread(error)}")
        return known(name, jsonable(value))

    def _why_unread(self, error: str) -> str:
        if error:
            return f": {plain(error, 200)}"
        silent = [host.name for host in self.record.facts.hosts if not host.reachable or host.error]
        return f": {listed(silent)} could not be read" if silent else ""

    def host(self, reference: Reference) -> Spread:
        field = reference.path[0]
        by_host = {host.name: host_sight(host, field) for host in self.record.facts.hosts}
        return Spread(by_host, unknown(f"host.{field} was not read"))

    # ------------------------------------------------------------ the inventory, files, the hop

    def groups(self, reference: Reference) -> Sight:
        if self.ground.groups is None:
            return unknown("the inventory was not read")
        if not reference.path:
            names = sorted(self.ground.groups)
            return Sight("known", self.ground.groups, f"{len(names)} groups in the inventory", "groups")
        name = reference.path[0]
        if name not in self.ground.groups:
            return Sight("known", [], f"the inventory has no group {plain(name)}", "[]")
        return known(str(reference), self.ground.groups[name])

    def hosts(self, _reference: Reference) -> Sight:
        return known("hosts", list(self.ground.hosts)) if self.ground.hosts else unknown("the inventory was not read")

    def files(self, reference: Reference) -> Sight:
        found: tuple[str, ...] | None = getattr(self.record, reference.root)
        if found is None:
            what = "passwords.yml" if "passwords" in reference.root else "the folder of own configuration files"
            return unknown(f"{what} could not be read")
        return Sight(
            "known", list(found), f"{reference.root}: {listed([plain(item) for item in found]) or 'none'}", "f"
        )

    def of_hop(self, reference: Reference) -> Sight:
        if reference.root != "hop":
            return known(reference.root, self.hop.target if reference.root == "release" else self.hop.source)
        name = reference.path[0]
        if name == "oldest_compute_version":
            return self._oldest_compute()
        if name == "removed_variables":
            removed = self.graph.variables(self.hop).removed
            value = sorted({*removed.group_vars, *removed.role_defaults})
        else:
            value = sorted(self.hop.passwords.added if name == "passwords_added" else self.hop.groups.added)
        return Sight("known", value, f"{self.hop.title}: {len(value)} {name.replace('_', ' ')}", "h")

    def _oldest_compute(self) -> Sight:
        """The service version of the oldest release whose computes the target's nova accepts."""
        oldest = self.graph.components(self.hop.target).nova_rpc.oldest_supported_compute
        if self.graph.find(oldest) is None:
            return unknown(f"the service version of nova {oldest} is not in the release graph")
        version = self.graph.components(oldest).nova_rpc.service_version
        return Sight("known", version, f"{self.hop.target} accepts computes from {oldest} on ({version})", str(version))

    def running_release(self, _reference: Reference) -> Sight:
        """What the cloud runs now: what was observed counts for the hop that starts there, not for later ones."""
        reading = self.record.facts.reading
        if reading.kind == "exact":
            return known("running release", reading.release)
        return unknown(
            f"which release runs is {reading.kind}" + (f": {plain(reading.how, 200)}" if reading.how else "")
        )

    def always(self, _reference: Reference) -> Sight:
        return Sight("known", True, "every cloud", "true")


_LOOKUPS: Mapping[str, Callable[[World, Reference], Sight | Spread]] = {
    "variable": World.variable, "after": World.after, "observed": World.observed, "host": World.host,
    "answers": World.answers, "groups": World.groups, "hosts": World.hosts, "hop": World.of_hop,
    "release": World.of_hop, "source_release": World.of_hop, "config_files": World.files,
    "config_options": World.files, "passwords": World.files, "equal_passwords": World.files,
    "running_release": World.running_release, "always": World.always,
    "configured": World.configured, "defined_in_release": World.defined_in_release,
}  # fmt: skip
