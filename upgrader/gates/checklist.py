"""How the points of the production checklist are judged: each takes a look at the record and says good or not.

Pure. What a point needs and nobody knows raises UnknownError with the way to make it known; what this cloud does not
have raises AsideError.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from upgrader.record import Keeping, SiteRecord, Variable

PROVED_WITHIN_DAYS = 30
"""A backup that was restored longer ago says little about one taken tomorrow."""

_TRUE, _FALSE = ("yes", "true", "on", "1", "y", "t"), ("no", "false", "off", "0", "n", "f", "")


class UnknownError(Exception):
    """Something that a point needs is not known; the message says what, and how to make it known."""


class AsideError(Exception):
    """The point is about something this cloud does not have."""


@dataclass
class Look:
    """The record as the points ask it; what they asked for becomes the evidence."""

    record: SiteRecord
    release: str
    evidence: list[str] = field(default_factory=list)

    def variable(self, name: str) -> Variable:
        effective = self.record.effective_of(self.release)
        if effective is None:
            raise UnknownError(f"{name}: toolchain of {self.release} is not built: "
                                f"upgrader toolchain build {self.release}")  # fmt: skip
        found = effective.find(name)
        if found is None:
            raise UnknownError(f"{name} is not a variable of {self.release}" if not effective.error
                                else f"{name}: {effective.error}")  # fmt: skip
        if found.error:
            raise UnknownError(f"{name}: {found.error}")
        return found

    def values(self, name: str) -> dict[str, Any]:
        """Host → value; one entry under an empty name where it is the same everywhere."""
        found = self.variable(name)
        if found.value is not None:
            value = json.loads(found.value)
            self.evidence.append(f"{name} = {_shown(value)}")
            return {"": value}
        if not found.per_host:
            raise UnknownError(f"{name} has no value")
        self.evidence.append(f"{name} differs between hosts")
        return {host: json.loads(text) for host, text in found.per_host}

    def flag(self, name: str) -> bool:
        answers = {_bool(name, value) for value in self.values(name).values()}
        if len(answers) > 1:
            raise UnknownError(f"{name} differs between hosts")
        return answers.pop()

    def flag_or(self, name: str, absent: bool) -> bool:
        """For variables that only some releases have."""
        effective = self.record.effective_of(self.release)
        if effective is not None and not effective.error and effective.find(name) is None:
            return absent
        return self.flag(name)

    @property
    def keeping(self) -> Keeping:
        if self.record.keeping is None:
            raise UnknownError("only the machine that the site is driven from can tell")
        return self.record.keeping

    def group(self, name: str) -> list[str]:
        return [host for host, groups in self.record.hosts if name in groups]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bool(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    said = str(value).strip().lower()
    if said not in _TRUE + _FALSE:
        raise UnknownError(f"{name} is {said!r}, neither yes nor no")
    return said in _TRUE


Answer = tuple[bool, str]
"""(as it should be, what was found)."""


def controllers(look: Look) -> Answer:
    hosts = look.group("control")
    if not hosts:
        raise UnknownError("the inventory has no group control")
    look.evidence.append(f"group control: {', '.join(hosts)}")
    return len(hosts) >= 3 and len(hosts) % 2 == 1, f"{len(hosts)}"


def vip(look: Look) -> Answer:
    address = _shown(next(iter(look.values("kolla_internal_vip_address").values())))
    vip = look.record.facts.observed.vip
    if vip is None or vip.error:
        raise UnknownError(vip.error if vip else "no host was asked for the address")
    if vip.host_address:
        return False, f"{address} is a host's own address and cannot move when that host fails"
    if vip.owners is None:
        raise UnknownError("no host said whether it holds the address")
    if not vip.owners:
        if vip.answers is None:
            raise UnknownError("whether something else answers there was not asked")
        words = "is answered by something that is none of our hosts" if vip.answers else "is free; no host holds it"
        return False, f"{address} {words}"
    if len(vip.owners) > 1:
        return False, f"{address} is held by {', '.join(vip.owners)} at the same time"
    return _right_interface(look, address, vip.interfaces or ())


def _right_interface(look: Look, address: str, seen: tuple[str, ...]) -> Answer:
    wanted = look.values("api_interface")
    for line in seen:
        host, _, interface = line.partition(": ")
        right = wanted.get(host, wanted.get("", ""))
        # an address of keepalived may carry a label, eth0:vip
        if right and interface.partition(":")[0] != right:
            return False, f"{address} is on {interface} of {host}, api_interface is {right}"
    if not seen:
        raise UnknownError(f"the interface that holds {address} was not seen")
    return True, f"{address} on {'; '.join(seen)}"


def pinned(look: Look) -> Answer:
    found = look.variable("openstack_release")
    said = _shown(next(iter(look.values("openstack_release").values())))
    if not found.configured:
        return False, f"not set, the toolchain's own default is {said}"
    return said == look.release, said if said == look.release else f"set to {said}, the cloud runs {look.release}"


def switched_on(name: str, *, off: str = "off") -> Callable[[Look], Answer]:
    def judge(look: Look) -> Answer:
        return (True, "on") if look.flag(name) else (False, off)

    return judge


def quorum_queues(look: Look) -> Answer:
    if not look.flag_or("enable_rabbitmq", True):
        raise AsideError("this cloud has no RabbitMQ of its own")
    broker = look.record.facts.observed.rabbitmq
    if broker is None or broker.error or broker.non_quorum_queues is None:
        raise UnknownError((broker.error if broker else "") or "the queues were not counted")
    if broker.non_quorum_queues:
        return False, f"{broker.non_quorum_queues} queues are neither quorum queues nor streams"
    on = look.flag_or("om_enable_rabbitmq_quorum_queues", True)
    return on, "no other queue exists" if on else "none other exists now, but the setting is off"


def fernet(look: Look) -> Answer:
    keys = look.record.facts.observed.fernet
    if keys is None or keys.error or keys.same is None:
        raise UnknownError((keys.error if keys else "") or "the keys were not compared")
    if not keys.same:
        return False, f"keys differ on {', '.join(keys.odd or ()) or 'some hosts'}"
    if keys.primary_age_hours is None:
        raise UnknownError("the age of the primary key was not seen")
    try:
        interval = float(next(iter(look.values("fernet_key_rotation_interval").values()))) / 3600
    except (TypeError, ValueError):
        raise UnknownError("fernet_key_rotation_interval is no number") from None
    age = keys.primary_age_hours
    words = f"primary key {_age(age)} old, to be rotated every {_age(interval)}"
    # one rotation may be missed by a host that was away; two were not done
    return age <= 2 * interval, words


def _age(hours: float) -> str:
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} h"


def passwords(look: Look) -> Answer:
    kept = look.keeping
    if kept.passwords_encrypted is None:
        raise UnknownError("passwords.yml could not be read")
    if kept.passwords_encrypted:
        return True, "in Ansible Vault"
    if kept.passwords_in_git:
        return False, "in plain text under version control"
    where = "; whether git has it could not be asked" if kept.passwords_in_git is None else ""
    return False, f"in plain text, mode {kept.passwords_mode}{where}"


def proved(look: Look) -> Answer:
    kept = look.keeping
    if kept.backups is None:
        raise UnknownError("the backup target could not be read")
    if not kept.last_proved_at:
        return (
            False,
            f"{kept.backups} complete sets, none of them was ever restored" if kept.backups else "no backup set",
        )
    days = _days(kept.last_proved_at, look.record.facts.observed_at)
    return days <= PROVED_WITHIN_DAYS, f"{days:.0f} days old"


def _days(then: str, now: str) -> float:
    try:
        return (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds() / 86400
    except (TypeError, ValueError):
        raise UnknownError(f"{then!r} or {now!r} is no time") from None


def off_box(look: Look) -> Answer:
    place = look.keeping.backup_place
    if not place:
        raise UnknownError("where the backup target lies could not be told")
    return place == "network file system", f"on a {place}" if place != "this machine" else "on this machine alone"


def lvm(look: Look) -> Answer:
    if not look.flag_or("enable_cinder", False) or not look.flag_or("enable_cinder_backend_lvm", False):
        return True, "no volume depends on one host"
    return False, f"on {', '.join(look.group('storage')) or 'the storage hosts'}"


def mutual_tls(look: Look) -> Answer:
    used = []
    if look.flag_or("libvirt_tls", False):
        used.append("libvirt between the compute hosts")
    drivers = ""
    if look.flag_or("enable_octavia", False):
        drivers = _shown(next(iter(look.values("octavia_provider_drivers").values())))
    if "amphora" in drivers:
        used.append("Octavia to its amphorae")
    if look.flag_or("kolla_enable_tls_backend", False):
        used.append("HAProxy to the services' own certificates")
    return not used, "; ".join(used) or "no certificates between services"
