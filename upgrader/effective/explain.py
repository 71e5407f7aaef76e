"""What is known of one variable, ready to be shown: `upgrader check --explain VARIABLE`.

Pure: everything comes out of a SiteRecord, so a record from a file can be explained without a cloud.
"""

from __future__ import annotations

import difflib
import json

from upgrader.effective.definitions import strongest
from upgrader.record import Definition, Effective, SiteRecord, Variable
from upgrader.value import Value

_TYPES = {bool: "truth value", int: "number", float: "number", str: "text", list: "list", dict: "mapping"}


class Explained(Value):
    """One variable in one release."""

    release: str
    by: str
    """`toolchain`, or `shipped defaults` when that release's toolchain is not built."""
    defined: bool
    """False: this release does not know the variable, and nobody sets it."""
    value: str | None = None
    """JSON text of the value that holds on every host; of a secret only whether it is set, `true` or `false`."""
    per_host: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(JSON text, hosts) where hosts differ, most hosts first."""
    type: str = ""
    """`truth value`, `number`, `text`, `list`, `mapping`, `nothing`, `password`; empty when there is no value."""
    configured: bool = False
    origin: str = ""
    """Place of the definition that holds; `differs` when hosts take it from different ones."""
    definitions: tuple[Definition, ...] = ()
    """Weakest first."""
    secret: bool = False
    error: str = ""


class Explanation(Value):
    """One variable over all releases of a record, in their order."""

    name: str
    releases: tuple[Explained, ...]
    similar: tuple[str, ...] = ()
    """Names close to one that no release knows."""

    @property
    def known(self) -> bool:
        return any(item.defined for item in self.releases)


def explain(record: SiteRecord, name: str) -> Explanation:
    """Value, type, origin and chain of definitions of a variable in every release that the record holds.

    Never raises for a name: one that nobody knows has no definitions, and `similar` may tell what was meant. Only
    variables that were computed can be explained; who asks for another one has to compute it first.
    """
    releases = tuple(_explained(effective, name) for effective in record.effective)
    similar: tuple[str, ...] = ()
    if not any(item.defined for item in releases):
        names = {variable.name for effective in record.effective for variable in effective.variables}
        similar = tuple(difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.7))
    return Explanation(name=name, releases=releases, similar=similar)


def _explained(effective: Effective, name: str) -> Explained:
    variable = effective.find(name)
    if variable is None:
        return Explained(release=effective.release, by=effective.by, defined=False, error=effective.error)
    return Explained(
        release=effective.release,
        by=effective.by,
        defined=True,
        value=variable.value,
        per_host=_by_value(variable),
        type=_type_of(variable),
        configured=variable.configured,
        origin=_origin(variable),
        definitions=variable.definitions,
        secret=variable.secret,
        error=variable.error,
    )


def _by_value(variable: Variable) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for host, text in variable.per_host:
        found.setdefault(text, []).append(host)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple((text, tuple(hosts)) for text, hosts in ordered)


def _type_of(variable: Variable) -> str:
    if variable.secret:
        return "password"
    texts = [variable.value] if variable.value is not None else [text for _, text in variable.per_host]
    kinds = {_TYPES.get(type(json.loads(text)), "nothing") for text in texts}
    return " or ".join(sorted(kinds))


def _origin(variable: Variable) -> str:
    hosts = [host for host, _ in variable.per_host] or [""]
    places = {found.place for host in hosts if (found := strongest(variable.definitions, host))}
    return places.pop() if len(places) == 1 else "differs" if places else ""
