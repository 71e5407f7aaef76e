"""The production checklist: every point judged good, bad and not known, each from a record of a few words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gates.small import HOSTS, SOURCE, effective, record, variable
from upgrader.gates.baseline import POINTS, PREFIX, VARIABLES, baseline
from upgrader.model import Code, Finding
from upgrader.observed import BrokerFacts, FernetFacts, Observed, VipFacts
from upgrader.record import Keeping, SiteRecord

GOOD = {
    "api_interface": "eth1",
    "enable_central_logging": "yes",
    "enable_cinder": True,
    "enable_cinder_backend_lvm": "no",
    "enable_mariabackup": "yes",
    "enable_octavia": "no",
    "enable_prometheus": True,
    "enable_rabbitmq": "yes",
    "fernet_key_rotation_interval": 259200,
    "kolla_enable_tls_backend": "no",
    "kolla_enable_tls_external": "yes",
    "kolla_enable_tls_internal": "yes",
    "kolla_internal_vip_address": "10.0.0.250",
    "libvirt_tls": "no",
    "octavia_provider_drivers": "ovn:OVN",
    "om_enable_rabbitmq_quorum_queues": True,
}
THREE = (*HOSTS, ("ctl3", ("control", "rabbitmq")))
VIP = VipFacts(address="10.0.0.250", owners=("ctl1",), host_address=False, interfaces=("ctl1: eth1",), answers=False)
KEPT = Keeping(
    passwords_encrypted=True,
    passwords_mode="0600",
    passwords_in_git=True,
    backups=2,
    last_backup_at="2025-12-31T00:00:00Z",
    last_proved_at="2025-12-20T00:00:00Z",
    backup_place="network file system",
)


def a_record(
    settings: dict[str, Any] | None = None,
    *,
    drop: str = "",
    release: str = SOURCE,
    **more: Any,
) -> SiteRecord:
    values = {**GOOD, **(settings or {})}
    found = [variable(name, value) for name, value in values.items() if name != drop]
    if drop != "openstack_release":
        found.append(variable("openstack_release", release, place="globals.yml:3"))
    broker = BrokerFacts(non_quorum_queues=0)
    seen = Observed(rabbitmq=broker, vip=VIP, fernet=FernetFacts(same=True, primary_age_hours=40.0))
    given: dict[str, Any] = {"observed": seen, "hosts": THREE, "keeping": KEPT, **more}
    return record(*found, **given)


def point(name: str, of: SiteRecord) -> Finding:
    return next(found for found in baseline(of, SOURCE) if found.id == PREFIX + name)


def seen(**changes: Any) -> Observed:
    return a_record().facts.observed.model_copy(update=changes)


def kept(**changes: Any) -> Keeping:
    return KEPT.model_copy(update=changes)


def test_a_cloud_that_is_as_it_should_be() -> None:
    found = baseline(a_record(), SOURCE)
    assert {finding.id: finding.message for finding in found if finding.code is not Code.SUCCESS} == {}
    assert len(found) == len(POINTS) == len({finding.id for finding in found})
    assert all(finding.why.endswith(".") and finding.why.count(". ") == 0 for finding in found), "one sentence each"


def test_nothing_is_good_in_an_empty_record() -> None:
    """Except what a missing variable settles: there is no such thing in that release."""
    empty = SiteRecord(facts=a_record().facts.model_copy(update={"observed": Observed()}))
    found = baseline(empty, SOURCE)
    assert [finding.id for finding in found if finding.code is Code.SUCCESS] == []
    assert all(finding.unknown for finding in found)
    assert all(finding.code is not Code.FAILURE for finding in found), "the checklist blocks nothing"


CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("controllers", "2", {"hosts": HOSTS}),
    ("controllers", "1", {"hosts": (("ctl1", ("control",)),)}),
    ("controllers", "4", {"hosts": (*THREE, ("ctl4", ("control",)))}),
    ("vip", "own address", {"observed": {"vip": VIP.model_copy(update={"host_address": True})}}),
    ("vip", "ctl1, ctl2 at the same time", {"observed": {"vip": VIP.model_copy(update={"owners": ("ctl1", "ctl2")})}}),
    ("vip", "on eth0 of ctl1", {"observed": {"vip": VIP.model_copy(update={"interfaces": ("ctl1: eth0",)})}}),
    ("vip", "none of our hosts", {"observed": {"vip": VIP.model_copy(update={"owners": (), "answers": True})}}),
    ("vip", "no host holds it", {"observed": {"vip": VIP.model_copy(update={"owners": ()})}}),
    ("release-pinned", "the cloud runs 2024.2", {"release": "2024.1"}),
    ("tls-external", "off", {"settings": {"kolla_enable_tls_external": "no"}}),
    ("tls-internal", "off", {"settings": {"kolla_enable_tls_internal": False}}),
    ("quorum-queues", "5 queues", {"observed": {"rabbitmq": BrokerFacts(non_quorum_queues=5)}}),
    ("quorum-queues", "the setting is off", {"settings": {"om_enable_rabbitmq_quorum_queues": "no"}}),
    ("fernet-rotation", "differ on ctl2", {"observed": {"fernet": FernetFacts(same=False, odd=("ctl2",))}}),
    ("fernet-rotation", "7 days old", {"observed": {"fernet": FernetFacts(same=True, primary_age_hours=170.0)}}),
    ("passwords-vaulted", "mode 0644", {"keeping": {"passwords_encrypted": False, "passwords_in_git": False,
                                                     "passwords_mode": "0644"}}),
    ("passwords-vaulted", "under version control", {"keeping": {"passwords_encrypted": False}}),
    ("backup-enabled", "off", {"settings": {"enable_mariabackup": "no"}}),
    ("backup-proved", "none of them was ever restored", {"keeping": {"last_proved_at": ""}}),
    ("backup-proved", "no backup set", {"keeping": {"last_proved_at": "", "backups": 0}}),
    ("backup-proved", "31 days old", {"keeping": {"last_proved_at": "2025-12-01T00:00:00Z"}}),
    ("backup-off-box", "on this machine alone", {"keeping": {"backup_place": "this machine"}}),
    ("backup-off-box", "host of the cloud", {"keeping": {"backup_place": "host of the cloud"}}),
    ("monitoring", "off", {"settings": {"enable_prometheus": "no"}}),
    ("central-logging", "off", {"settings": {"enable_central_logging": "no"}}),
    ("lvm-cinder", "storage hosts", {"settings": {"enable_cinder_backend_lvm": "yes"}}),
    ("mutual-tls", "libvirt", {"settings": {"libvirt_tls": "yes"}}),
    ("mutual-tls", "Octavia", {"settings": {"enable_octavia": "yes", "octavia_provider_drivers": "amphora:Amphora"}}),
]  # fmt: skip


def changed(given: dict[str, Any]) -> SiteRecord:
    more = dict(given)
    if "observed" in more:
        more["observed"] = seen(**more["observed"])
    if "keeping" in more:
        more["keeping"] = kept(**more["keeping"])
    return a_record(more.pop("settings", None), **more)


@pytest.mark.parametrize(("name", "words", "given"), CASES)
def test_a_point_that_is_not_as_it_should_be(name: str, words: str, given: dict[str, Any]) -> None:
    found = point(name, changed(given))
    assert (found.code, found.unknown) == (Code.WARNING, False)
    assert words in found.message
    assert found.fix
    assert {other.id for other in baseline(changed(given), SOURCE) if other.code is not Code.SUCCESS} == {found.id}


UNKNOWN: list[tuple[str, str, dict[str, Any]]] = [
    ("controllers", "no group control", {"hosts": (("x", ("compute",)),)}),
    ("vip", "timed out", {"observed": {"vip": VipFacts(error="timed out")}}),
    ("vip", "was not asked", {"observed": {"vip": VIP.model_copy(update={"owners": (), "answers": None})}}),
    ("vip", "interface", {"observed": {"vip": VIP.model_copy(update={"interfaces": None})}}),
    ("tls-external", "neither yes nor no", {"settings": {"kolla_enable_tls_external": "maybe"}}),
    ("tls-internal", "not a variable", {"drop": "kolla_enable_tls_internal"}),
    ("quorum-queues", "no route", {"observed": {"rabbitmq": BrokerFacts(error="no route")}}),
    ("fernet-rotation", "not compared", {"observed": {"fernet": None}}),
    ("fernet-rotation", "no number", {"settings": {"fernet_key_rotation_interval": "often"}}),
    ("passwords-vaulted", "could not be read", {"keeping": {"passwords_encrypted": None}}),
    ("backup-proved", "could not be read", {"keeping": {"backups": None}}),
    ("backup-proved", "no time", {"keeping": {"last_proved_at": "yesterday"}}),
    ("backup-off-box", "could not be told", {"keeping": {"backup_place": ""}}),
]


@pytest.mark.parametrize(("name", "words", "given"), UNKNOWN)
def test_a_point_that_cannot_be_judged_is_never_good(name: str, words: str, given: dict[str, Any]) -> None:
    found = point(name, changed(given))
    assert (found.code, found.unknown) == (Code.WARNING, True)
    assert words in found.message


def test_a_release_without_toolchain_names_the_command() -> None:
    of = a_record().model_copy(update={"effective": ()})
    assert f"upgrader toolchain build {SOURCE}" in point("tls-external", of).message
    broken = a_record().model_copy(update={"effective": (effective(SOURCE, error="globals.yml is locked"),)})
    assert "globals.yml is locked" in point("tls-external", broken).message


def test_a_cloud_without_rabbitmq_needs_no_quorum_queues() -> None:
    assert (
        point("quorum-queues", a_record({"enable_rabbitmq": "no"}, observed=seen(rabbitmq=None))).code is Code.SUCCESS
    )


def test_interfaces_may_differ_between_hosts() -> None:
    values = [variable(name, value) for name, value in GOOD.items() if name != "api_interface"]
    values.append(variable("api_interface", hosts={"ctl1": "bond0", "ctl2": "eth1"}))
    vip = VIP.model_copy(update={"interfaces": ("ctl1: bond0:vip",)})
    of = record(*values, observed=seen(vip=vip), hosts=THREE, keeping=KEPT)
    assert point("vip", of).code is Code.SUCCESS


def test_variables_are_those_the_points_ask_for() -> None:
    assert set(GOOD) | {"openstack_release"} == set(VARIABLES)
