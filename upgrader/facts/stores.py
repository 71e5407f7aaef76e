"""Keys, caches and databases beside MariaDB: Fernet, memcached, Redis, Valkey, OVN, Ceph. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from upgrader.facts.said import Said, number, oldest, table, text, texts
from upgrader.observed import CacheFacts, CephFacts, FernetFacts, OvnFacts

DEFAULT_ROTATION_HOURS = 72.0
"""`fernet_key_rotation_interval`: fernet_token_expiry + fernet_token_allow_expired_window
(openstack/kolla-ansible@21.3.0:ansible/group_vars/all/keystone.yml)."""
SILENT_MS, SILENT_TIMERS = 10_000, 3
"""A member of an OVN database cluster that the leader has not heard of for this long, and for so many election timers,
is gone: it answers heartbeats three times in each."""


def fernet_facts(said: Said, rotation: str = "") -> FernetFacts | None:
    """`rotation`: seconds between two rotations as the site configures them; empty: kolla-ansible's default."""
    if not said:
        return None
    said = said.sorted_out()
    sets = {host: tuple(sorted(table(answer.get("keys")).items())) for host, answer in said.answers.items()}
    if not sets:
        return FernetFacts(error=said.error)
    most = _most(keys for keys in sets.values() if keys)
    odd = tuple(host for host, keys in sets.items() if keys != most or not keys)
    ages = [_hours(answer.get("primary_age_hours")) for answer in said.answers.values()]
    return FernetFacts(
        error=said.error,
        hosts=tuple(sets),
        # hosts that did not answer may differ; one that does differ is enough
        same=False if odd else None if said.refused else True,
        odd=odd,
        primary_age_hours=max((age for age in ages if age is not None), default=None),
        rotation_hours=int(rotation) / 3600 if rotation.isdigit() else DEFAULT_ROTATION_HOURS,
        count=max(map(len, sets.values())),
    )


def _most(sets: Iterable[tuple[tuple[str, Any], ...]]) -> tuple[tuple[str, Any], ...] | None:
    """The keys that more hosts hold than any other keys; None where that is nobody's."""
    ranked = Counter(sets).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def _hours(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def cache_facts(kind: str, said: Said) -> CacheFacts | None:
    """memcached, Redis or Valkey on every host that runs it."""
    if not said:
        return None
    said = said.sorted_out()
    masters = tuple(host for host, answer in said.answers.items() if answer.get("role") == "master")
    return CacheFacts(
        kind=kind,
        error=said.error,
        hosts=tuple(sorted((*said.answers, *said.refused))),
        down=tuple(sorted(said.refused)),
        version=oldest(text(answer.get("version")) for answer in said.answers.values()),
        master=None if kind == "memcached" or not said.answers else masters,
        unlinked=tuple(
            host
            for host, answer in said.answers.items()
            if answer.get("role") == "slave" and answer.get("link") != "up"
        ),
    )


def ovn_facts(north: Said, south: Said) -> OvnFacts | None:
    if not north and not south:
        return None
    north, south = north.sorted_out(), south.sorted_out()
    errors = [f"{name}: {said.error}" for name, said in (("nb", north), ("sb", south)) if said.error]
    versions = [text(answer.get("version")) for said in (north, south) for answer in said.answers.values()]
    return OvnFacts(error="; ".join(errors), nb=_cluster(north), sb=_cluster(south), version=oldest(versions))


def _cluster(said: Said) -> str | None:
    """`healthy` or what is wrong; None when nobody answered."""
    if not said.answers:
        return None
    wrong = [f"{host}: {words}" for host, words in said.refused.items()]
    wanted = len(said.answers) + len(said.refused)
    for host, answer in said.answers.items():
        if answer.get("status") != "cluster member":
            wrong.append(f"{host}: status {text(answer.get('status')) or 'unknown'}")
        elif answer.get("leader") in (None, "", "unknown"):
            wrong.append(f"{host}: knows no leader")
        if number(answer.get("servers")) != wanted:
            wrong.append(f"{host}: its cluster has {number(answer.get('servers'))} of {wanted} members")
        silent, timer = (number(answer.get(name)) or 0 for name in ("silent_ms", "timer_ms"))
        if silent > max(SILENT_MS, SILENT_TIMERS * timer):
            wrong.append(f"{host}: a member was last heard {silent // 1000} s ago")
    leaders = [host for host, answer in said.answers.items() if answer.get("role") == "leader"]
    if len(leaders) > 1:
        wrong.append(f"{', '.join(leaders)} all lead")
    return "; ".join(wrong) or "healthy"


def ceph_facts(said: Said) -> CephFacts | None:
    """The first cluster a client could ask; None when no client holds a keyring."""
    said = said.sorted_out()
    for answer in said.answers.values():
        if answer.get("health"):
            noout = answer.get("noout")
            return CephFacts(
                health=text(answer["health"]),
                noout=noout if isinstance(noout, bool) else None,
                checks=texts(answer.get("checks")),
            )
    return CephFacts(error=said.error) if said.error else None
