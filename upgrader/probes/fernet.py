"""Do all Keystone hosts hold the same Fernet keys, and are they rotated?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import FernetFacts
from upgrader.probes.base import failure, good, hosts_with, said_by, unread, warning

ID = "fernet"
_STALE = 2.0
"""Rotations that may have been missed before it is said: one can fall between two looks."""


def fernet(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about the keys on every host of Keystone; none where no Keystone runs."""
    seen = facts.observed.fernet
    if seen is None:
        where = hosts_with(facts, "keystone")
        if not where:
            return ()
        return (unread(Code.WARNING, "fernet-unread", "the Fernet keys were not looked at", ", ".join(where)),)
    found = (*_keys(seen), *_age(seen))
    return found or (good(ID, f"{len(seen.hosts or ())} Keystone hosts hold the same {seen.count} Fernet keys"),)


def _keys(seen: FernetFacts) -> Iterable[Finding]:
    if seen.hosts is None:
        yield unread(Code.FAILURE, "fernet-unread", "the Fernet keys could not be read anywhere", seen.error)
        return
    if seen.error:
        hosts = said_by(seen.error)
        yield unread(Code.FAILURE, "fernet-unread", "not every host's Fernet keys were read", seen.error, host=hosts)
    if seen.count == 0:
        yield failure(
            "fernet-keys-missing",
            "no Keystone host holds Fernet keys",
            host=", ".join(seen.hosts),
            why="without keys Keystone issues no token",
            fix=("kolla-ansible -i INVENTORY deploy --tags keystone",),
        )
    elif seen.odd:
        yield failure(
            "fernet-keys-differ",
            "Keystone hosts hold different Fernet keys",
            host=", ".join(seen.odd),
            evidence=f"{len(seen.odd)} of {len(seen.hosts)} hosts differ from the others (compared by keyed hash)",
            why="a token from one host is refused by the other; the upgrade restarts Keystone on all of them, and "
            "whichever set is copied then decides which tokens live on",
            fix=(
                "look again in a minute: a rotation may be on its way",
                "docker exec keystone_fernet /usr/bin/fernet-push.sh on a host that holds the right keys",
            ),
        )


def _age(seen: FernetFacts) -> Iterable[Finding]:
    age, every = seen.primary_age_hours, seen.rotation_hours
    if age is None or every is None or age <= every * _STALE:
        return
    yield warning(
        "fernet-keys-stale",
        f"the primary Fernet key is {age / 24:.0f} days old, it is to be rotated every {every / 24:.0f}",
        why="the container that rotates keys does not; the upgrade sets it up anew, and the first rotation after a "
        "long pause ends tokens earlier than anybody expects",
        next="look at the log of keystone_fernet and at its SSH to the other hosts",
    )
