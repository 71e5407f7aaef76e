"""passwords.yml of the sandbox: the keys a release asks for, and random values in kolla-genpwd's formats.

Secrets of a sandbox open nothing, but are treated as secrets all the same: the tests look for them everywhere.
"""

from __future__ import annotations

import re
import secrets
import string
import uuid
from pathlib import Path

_KEYS = (
    # those of openstack/kolla-ansible:etc/kolla/passwords.yml that a sandbox's services use
    "rbd_secret_uuid", "cinder_rbd_secret_uuid", "database_password", "mariadb_backup_database_password",
    "mariadb_monitor_password", "keystone_admin_password", "keystone_database_password", "glance_database_password",
    "glance_keystone_password", "nova_database_password", "nova_api_database_password", "nova_keystone_password",
    "placement_keystone_password", "placement_database_password", "neutron_database_password",
    "neutron_keystone_password", "metadata_secret", "cinder_database_password", "cinder_keystone_password",
    "heat_database_password", "heat_keystone_password", "heat_domain_admin_password", "horizon_secret_key",
    "horizon_database_password", "memcache_secret_key", "osprofiler_secret", "nova_ssh_key", "kolla_ssh_key",
    "keystone_ssh_key", "neutron_ssh_key", "haproxy_ssh_key", "rabbitmq_password", "rabbitmq_monitoring_password",
    "rabbitmq_cluster_cookie", "haproxy_password", "keepalived_password", "redis_master_password",
    "libvirt_sasl_password", "proxysql_admin_password", "proxysql_stats_password",
)  # fmt: skip
_SINCE = {"valkey_master_password": "2025.1", "prometheus_haproxy_password": "2025.1"}


def keys(release: str) -> tuple[str, ...]:
    return (*_KEYS, *(key for key, first in _SINCE.items() if first <= release))


def example(release: str) -> str:
    """The release's list of keys with empty values, as it ships it."""
    return "---\n" + "".join(_empty(key) for key in keys(release))


def _empty(key: str) -> str:
    return f"{key}:\n  private_key:\n  public_key:\n" if key.endswith("_ssh_key") else f"{key}:\n"


def filled(release: str) -> str:
    return fill(example(release))


def fill(text: str) -> str:
    """Give every empty key of a passwords file a random value; values that are there stay."""
    lines, parent = [], ""
    for line in text.splitlines():
        if re.fullmatch(r"[A-Za-z0-9_]+:\s*", line):
            parent = line.rstrip().rstrip(":")
            lines.append(line.rstrip() if parent.endswith("_ssh_key") else f"{parent}: {_value(parent)}")
        elif parent and line.strip() == "private_key:":
            lines += ["  private_key: |", "    -----BEGIN PRIVATE KEY-----"]
            lines += [f"    {_text(64)}" for _ in range(4)] + ["    -----END PRIVATE KEY-----"]
        elif parent and line.strip() == "public_key:":
            lines.append(f"  public_key: ssh-rsa {_text(64)}")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def top_level(text: str) -> dict[str, str]:
    """Key → the lines that belong to it, in order."""
    found: dict[str, str] = {}
    key = ""
    for line in text.splitlines(keepends=True):
        match = re.match(r"([A-Za-z0-9_]+):", line)
        key = match[1] if match else key
        if key:
            found[key] = found.get(key, "") + line
    return found


def value(path: Path, key: str) -> str:
    """A plain value out of a passwords file."""
    match = re.search(rf"^{key}: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1].strip("'\"") if match else ""


def _value(key: str) -> str:
    return str(uuid.uuid4()) if key.endswith("_uuid") else _text(40)


def _text(length: int) -> str:
    # begins with a letter: a value of digits with one "e" among them would be read as a number
    letters = string.ascii_letters + string.digits
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(letters) for _ in range(length - 1))
