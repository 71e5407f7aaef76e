"""What the names in a condition stand for: which there are, and which parts they have.

Owns the namespace. A name that cannot exist (`observed.rabbitmq.colour`) is a fault of the condition and is found
when it is compiled; what a site knows of a name that can exist is `world.py`'s answer.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from upgrader.observed import Observed
from upgrader.value import Value

Root = Literal[
    "variable", "after", "observed", "host", "answers", "groups", "hop", "hosts", "config_files", "config_options",
    "passwords", "equal_passwords", "release", "source_release", "running_release", "always", "configured",
    "defined_in_release",
]  # fmt: skip

WHOLE: tuple[Root, ...] = (
    "hosts", "config_files", "config_options", "passwords", "equal_passwords", "release", "source_release",
    "running_release", "always",
)  # fmt: skip
"""Names that stand for one thing and have no parts to choose."""

HOP = ("removed_variables", "passwords_added", "groups_added", "oldest_compute_version")
HOST = (
    "name", "groups", "os", "system", "kernel", "engine", "engine_version", "sdk_version", "containers", "images",
    "volumes", "legacy_iptables", "clock.synchronised", "clock.offset_seconds",
)  # fmt: skip
"""What every host tells of itself: a condition with one of these is judged host by host."""

OF_THE_HOP: tuple[Root, ...] = ("after", "hop", "release", "source_release")


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing a condition asks for: `observed.rabbitmq.version` is root `observed`, path (`rabbitmq`, `version`)."""

    root: Root
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.root == "variable":
            return self.path[0]
        if self.root in ("configured", "defined_in_release"):
            return f"'{self.path[0]}' is {self.root}"
        if self.root == "groups" and self.path:
            return f"groups['{self.path[0]}']"
        return ".".join((self.root, *self.path))


@dataclass(frozen=True, slots=True)
class Names:
    """What a condition asks for, by kind."""

    variables: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    observed: frozenset[str] = frozenset()
    """Paths below `observed`: `rabbitmq.version`."""
    answers: frozenset[str] = frozenset()
    host: frozenset[str] = frozenset()
    configured: frozenset[str] = frozenset()
    """Variables of which only is asked whether, or where, they are set."""
    groups: frozenset[str] = frozenset()
    hop: frozenset[str] = frozenset()
    depends_on_hop: bool = False
    """It can have another answer on another hop although the site stays as it is."""


def names_of(references: Iterable[Reference]) -> Names:
    found = tuple(references)

    def of(*roots: Root) -> frozenset[str]:
        return frozenset(".".join(one.path) for one in found if one.root in roots and one.path)

    return Names(
        variables=of("variable"), after=of("after"), observed=of("observed"), answers=of("answers"), host=of("host"),
        configured=of("configured", "defined_in_release"), groups=of("groups"), hop=of("hop"),
        depends_on_hop=any(one.root in OF_THE_HOP for one in found),
    )  # fmt: skip


def reference(name: str, keys: tuple[str, ...]) -> tuple[Reference, int]:
    """What a name followed by these parts stands for, and how many of the parts belong to it.

    The rest are parts of its value. Raises ValueError in words for a name that cannot be.
    """
    if name in WHOLE:
        return Reference(name), 0
    if name == "groups":
        return Reference("groups", keys[:1]), len(keys[:1])
    if name in ("after", "answers"):
        if not keys:
            raise ValueError(f"{name} is followed by a name: {name}.NAME")
        return Reference("after" if name == "after" else "answers", keys[:1]), 1
    if name == "hop":
        return Reference("hop", (_one_of("hop", keys[:1], HOP),)), 1
    if name == "host":
        return _host(keys)
    if name == "observed":
        return _observed(keys)
    return Reference("variable", (name,)), 0


def _one_of(name: str, keys: tuple[str, ...], there: Iterable[str]) -> str:
    wanted = ".".join(keys)
    if wanted in there:
        return wanted
    near = difflib.get_close_matches(wanted, there, n=3, cutoff=0.5) or sorted(there)
    raise ValueError(f"{name} has no {wanted}; there is {', '.join(near)}" if keys else f"{name} alone says nothing")


def _host(keys: tuple[str, ...]) -> tuple[Reference, int]:
    long = ".".join(keys[:2])
    if long in HOST:
        return Reference("host", (long,)), 2 if "." in long else 1
    return Reference("host", (_one_of("host", keys[:1], HOST),)), 1


def _observed(keys: tuple[str, ...]) -> tuple[Reference, int]:
    shape: type[Value] | None = Observed
    taken: list[str] = []
    while shape is not None:
        fields = fields_of(shape)
        where = ".".join(("observed", *taken))
        taken.append(_one_of(where, keys[len(taken) : len(taken) + 1], fields))
        shape = fields[taken[-1]]
    return Reference("observed", tuple(taken)), len(taken)


_FIELDS: dict[type[Value], dict[str, type[Value] | None]] = {}


def fields_of(shape: type[Value]) -> dict[str, type[Value] | None]:
    """Field → the shape of its parts, None where it is a plain value (a list of shapes counts as one)."""
    found = _FIELDS.get(shape)
    if found is None:
        found = _FIELDS[shape] = {}
        for name, hint in typing.get_type_hints(shape).items():
            if name.startswith("_"):
                continue
            kinds = [kind for kind in typing.get_args(hint) or (hint,) if isinstance(kind, type)]
            part = next((kind for kind in kinds if issubclass(kind, Value)), None)
            found[name] = None if typing.get_origin(hint) is tuple else part
    return found
