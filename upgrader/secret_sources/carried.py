"""Variables of the operator's shell that sources need, carried to the detached process of an attempt in memory.

They are in nobody's environment but the shell's own: the supervisor gets them through an inherited file in memory and
gives them to the programs that fetch secrets, and to no other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from upgrader.secret_rules import SecretRules
from upgrader.secret_sources.memory import make

DESCRIPTOR = "UPGRADER_CARRIED"
"""Number of the inherited descriptor; the variable says nothing else."""
KV_PREFIXES = ("VAULT_", "BAO_")
SOPS_PREFIXES = ("SOPS_",)
SOPS_NAMES = ("GNUPGHOME", "XDG_CONFIG_HOME")
LOOKUP_PREFIXES = (*KV_PREFIXES, "ANSIBLE_HASHI_VAULT_")

_carried: dict[str, str] = {}


def environ() -> Mapping[str, str]:
    """This process's variables and the carried ones."""
    return {**os.environ, **_carried}


def wanted(rules: SecretRules, *, sops: bool = True) -> dict[str, str]:
    """Variables that the rules can need, of those that are set."""
    names = {*rules.environment, *([rules.password_env] if rules.password_env else ())}
    prefixes = [*([rules.passwords_env] if rules.passwords_env else ())]
    if rules.password_kv or rules.passwords_kv:
        prefixes += KV_PREFIXES
    if rules.lookups:
        prefixes += LOOKUP_PREFIXES
    if sops:
        prefixes += SOPS_PREFIXES
        names |= {*SOPS_NAMES}
    return chosen(names, tuple(prefixes))


def chosen(names: set[str], prefixes: tuple[str, ...]) -> dict[str, str]:
    """The set variables of these names and prefixes."""
    return {
        name: value
        for name, value in environ().items()
        if (name in names or (prefixes and name.startswith(prefixes))) and name != DESCRIPTOR
    }


@contextmanager
def handed(values: Mapping[str, str]) -> Iterator[tuple[tuple[int, ...], dict[str, str]]]:
    """(descriptors, variables) to start a child with that shall take over `values`; nothing for no values."""
    if not values:
        yield (), {}
        return
    descriptor = make(json.dumps(dict(values)).encode())[1]
    try:
        yield (descriptor,), {DESCRIPTOR: str(descriptor)}
    finally:
        os.close(descriptor)


def unpack() -> None:
    """Take over what the parent handed on, if it did; called once, before anything is fetched."""
    number = os.environ.pop(DESCRIPTOR, "")
    if not number.isdigit():
        return
    try:
        os.lseek(int(number), 0, os.SEEK_SET)
        with os.fdopen(int(number), "rb") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return
    _carried.update({str(name): str(value) for name, value in found.items()})
