"""The production checklist: what a cloud should have whichever release it runs, each point with its reason.

Pure: a record in, one finding for every point out, the good ones too. None of them blocks a hop; a point that could
not be judged is unknown and never good. The points are this tool's own advice; `source` is where upstream says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from upgrader.gates import checklist
from upgrader.gates.checklist import PROVED_WITHIN_DAYS, Answer, AsideError, Look, UnknownError
from upgrader.model import Code, Finding
from upgrader.record import SiteRecord

PREFIX = "baseline-"

VARIABLES = frozenset(
    {
        "api_interface",
        "enable_central_logging",
        "enable_cinder",
        "enable_cinder_backend_lvm",
        "enable_mariabackup",
        "enable_octavia",
        "enable_prometheus",
        "enable_rabbitmq",
        "fernet_key_rotation_interval",
        "kolla_enable_tls_backend",
        "kolla_enable_tls_external",
        "kolla_enable_tls_internal",
        "kolla_internal_vip_address",
        "libvirt_tls",
        "octavia_provider_drivers",
        "om_enable_rabbitmq_quorum_queues",
        "openstack_release",
    }
)
"""Effective variables that the points look at."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the checklist: what should be, why, and how to get there."""

    id: str
    title: str
    why: str
    judge: Callable[[Look], Answer]
    fix: tuple[str, ...] = ()
    severity: Literal["required", "advised"] = "required"
    variable: str = ""
    source: str = ""


def baseline(record: SiteRecord, release: str) -> tuple[Finding, ...]:
    """One finding for every point, in the checklist's order. `release` is the one that the cloud runs."""
    return tuple(_finding(point, record, release) for point in POINTS)


def _finding(point: Point, record: SiteRecord, release: str) -> Finding:
    look = Look(record, release)
    unknown = False
    try:
        good, words = point.judge(look)
    except AsideError as aside:
        good, words = True, str(aside)
    except UnknownError as missing:
        good, unknown, words = False, True, f"not known: {missing}"
    return Finding(
        id=f"{PREFIX}{point.id}",
        code=Code.SUCCESS if good else Code.WARNING,
        message=f"{point.title}: {words}" if words else point.title,
        evidence="; ".join(dict.fromkeys(look.evidence)),
        severity=point.severity,
        variable=point.variable,
        why=point.why,
        fix=() if good else point.fix,
        source=point.source,
        unknown=unknown,
    )


_TLS = "openstack/kolla-ansible@22.2.0:doc/source/admin/tls.rst"
_BACKUP = "openstack/kolla-ansible@22.2.0:doc/source/admin/mariadb-backup-and-restore.rst"

POINTS: tuple[Point, ...] = (
    Point(
        "controllers",
        "Odd number of controllers, three or more",
        "Galera and RabbitMQ stop without a majority, and two hosts of two or three of four are needed for one.",
        checklist.controllers,
        ("add or remove controllers until their number is odd and at least 3",),
    ),
    Point(
        "vip",
        "The internal VIP is on its interface, and ours",
        "Every API call goes through this address; a second owner or a host's own address takes all APIs down at once.",
        checklist.vip,
        ("kolla_internal_vip_address: a free address in the network of api_interface",),
        variable="kolla_internal_vip_address",
    ),
    Point(
        "release-pinned",
        "openstack_release is pinned to what runs",
        "Without it the next kolla-ansible command moves the cloud to whatever release its toolchain is made for.",
        checklist.pinned,
        ('openstack_release: "RELEASE"',),
        variable="openstack_release",
    ),
    Point(
        "tls-external",
        "TLS on the external VIP",
        "Passwords and tokens of every user cross the outer network in plain text without it.",
        checklist.switched_on("kolla_enable_tls_external"),
        ("kolla_enable_tls_external: true",),
        variable="kolla_enable_tls_external",
        source=_TLS,
    ),
    Point(
        "tls-internal",
        "TLS on the internal VIP",
        "The services' own passwords and tokens cross the internal network in plain text without it.",
        checklist.switched_on("kolla_enable_tls_internal"),
        ("kolla_enable_tls_internal: true",),
        "advised",
        variable="kolla_enable_tls_internal",
        source=_TLS,
    ),
    Point(
        "quorum-queues",
        "Only quorum queues and streams in RabbitMQ",
        "A classic queue is lost with the node that holds it, and RabbitMQ 4 no longer mirrors any.",
        checklist.quorum_queues,
        ("om_enable_rabbitmq_quorum_queues: true, then the queue migration of your release",),
        variable="om_enable_rabbitmq_quorum_queues",
        source="openstack/kolla-ansible@20.6.0:doc/source/reference/message-queues/rabbitmq.rst",
    ),
    Point(
        "fernet-rotation",
        "Fernet keys are the same everywhere and rotated",
        "A host with other keys refuses tokens at random, and a key that is never rotated signs tokens for ever.",
        checklist.fernet,
        ("look at the container keystone_fernet on every Keystone host",),
        variable="fernet_key_rotation_interval",
    ),
    Point(
        "passwords-vaulted",
        "passwords.yml is encrypted",
        "It holds every secret of the cloud; in plain text one read of the file, or of the repository, is enough.",
        checklist.passwords,
        ("ansible-vault encrypt passwords.yml, then [secrets] vault_password_file in upgrader.toml",),
    ),
    Point(
        "backup-enabled",
        "Database backups are switched on",
        "Schema changes have no way down: behind them only a backup leads back.",
        checklist.switched_on("enable_mariabackup"),
        ("enable_mariabackup: true",),
        variable="enable_mariabackup",
        source=_BACKUP,
    ),
    Point(
        "backup-proved",
        f"A backup was restored within {PROVED_WITHIN_DAYS} days",
        "A backup that nobody ever restored is a hope, not a way back.",
        checklist.proved,
        ("restore the newest backup set on a staging cloud",),
    ),
    Point(
        "backup-off-box",
        "Backups lie on another machine",
        "The fire, the thief or the failed disk that takes the database also takes the backup beside it.",
        checklist.off_box,
        ("[backup] target in upgrader.toml: a folder on a network file system",),
    ),
    Point(
        "monitoring",
        "Monitoring is on",
        "Without figures from before, nobody can tell whether the cloud is slower after a hop.",
        checklist.switched_on("enable_prometheus"),
        ("enable_prometheus: true",),
        "advised",
        variable="enable_prometheus",
    ),
    Point(
        "central-logging",
        "Central logging is on",
        "What went wrong on thirty hosts in one window is found in one place or not at all.",
        checklist.switched_on("enable_central_logging"),
        ("enable_central_logging: true",),
        "advised",
        variable="enable_central_logging",
    ),
    Point(
        "lvm-cinder",
        "Volumes do not live on one host's disks (LVM)",
        "A volume of the LVM backend is away as long as its host is: restarting or reinstalling that host stops it.",
        checklist.lvm,
        ("plan every reboot of these hosts with the owners of the volumes",),
        "advised",
        variable="enable_cinder_backend_lvm",
    ),
    Point(
        "mutual-tls",
        "No certificates between services that could expire unseen",
        "Services that check each other's certificates stop talking when one expires or differs on a single host.",
        checklist.mutual_tls,
        ("before the window look at the expiry of every certificate, on every host",),
        "advised",
        variable="libvirt_tls",
        source=_TLS,
    ),
)
