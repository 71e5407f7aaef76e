"""Golden cases: a few lines about a site, expanded to the whole record that gates judge.

The site they start from is a small healthy cloud with everything known: three controllers, two computes, one storage
host on Debian, an inventory with the groups of every release, a Kolla configuration that names its own registry.
Variables have the defaults of the releases themselves (`release_graph/defaults`), computed here by plain Jinja, with
the case's settings on top of them. A case says only what is different.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined
from jinja2.nativetypes import NativeEnvironment

from tests.gates import small
from upgrader.gates import terms, variables_needed
from upgrader.graph import Hop
from upgrader.model import CloudFacts, ContainerFacts, HostFacts, ReleaseReading
from upgrader.observed import Observed
from upgrader.record import Definition, Effective, SiteRecord, Variable

CASES = Path(__file__).with_name("cases")
STANDING = CASES / "standing.toml"
UNKNOWN = "?"
"""In a case: what stands there was not read."""

SETTINGS = {
    "kolla_base_distro": "debian",
    "docker_registry": "registry.example:4000",
    "docker_namespace": "own",
    "kolla_internal_vip_address": "10.0.0.250",
    "kolla_external_vip_address": "10.0.0.251",
    "enable_proxysql": "yes",
}
ANSWERS = {
    "release_notes_read": "2026.2", "newest_point_release": True, "hosts_managed_by_kolla": False, "own_scripts": False,
    "custom_playbooks": False, "system_scoped_tokens": False, "custom_service_users": False, "neutron_many_tags": False,
    "application_credentials": False, "nova_mnt_mounted": False,
}  # fmt: skip
HOSTS = {
    "ctl1": "control",
    "ctl2": "control",
    "ctl3": "control",
    "cmp1": "compute",
    "cmp2": "compute",
    "sto1": "storage",
}
CONTAINERS = {
    "control": ("mariadb", "proxysql", "haproxy", "keepalived", "rabbitmq", "memcached", "keystone", "glance_api",
                "nova_api", "nova_conductor", "nova_scheduler", "neutron_server", "placement_api", "heat_api",
                "horizon"),
    "compute": ("nova_compute", "nova_libvirt", "openvswitch_vswitchd", "neutron_openvswitch_agent"),
    "storage": ("cron", "fluentd"),
}  # fmt: skip
VERSIONS = {
    # what is healthy at each release: RabbitMQ, and nova's service version
    "2023.1": ("3.11.28", 66), "2023.2": ("3.12.14", 66), "2024.1": ("3.13.7", 67), "2024.2": ("3.13.7", 67),
    "2025.1": ("4.0.9", 68), "2025.2": ("4.1.4", 70), "2026.1": ("4.2.1", 72),
}  # fmt: skip


def load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def record(case: Mapping[str, Any]) -> SiteRecord:
    """The whole record of a case."""
    hosts = _hosts(case)
    groups = _groups(case)
    return SiteRecord(
        facts=CloudFacts(
            site="golden", observed_at="2026-01-01T00:00:00Z", hosts=hosts, observed=_observed(case, hosts),
            reading=_reading(case),
        ),
        effective=tuple(_effective(release, case) for release in _releases(case)),
        hosts=tuple(
            (host.name, tuple(sorted(name for name, has in groups.items() if host.name in has))) for host in hosts
        ),
        groups=tuple(sorted(groups)),
        passwords=_or_unknown(case.get("passwords", ["keystone_admin_password"])),
        equal_passwords=_or_unknown(case.get("equal_passwords", [])),
        answers=tuple(sorted((name, json.dumps(value)) for name, value in _answers(case).items())),
        config_files=_or_unknown(case.get("config_files", [])),
        config_options=_or_unknown(case.get("config_options", [])),
    )  # fmt: skip


def hops(case: Mapping[str, Any]) -> tuple[Hop, ...]:
    return small.graph().path(case["from"], case["to"])


def _or_unknown(value: Any) -> tuple[str, ...] | None:
    return None if value == UNKNOWN else tuple(sorted(value))


def _answers(case: Mapping[str, Any]) -> dict[str, Any]:
    given = {**ANSWERS, **case.get("answers", {})}
    return {name: value for name, value in given.items() if value != UNKNOWN}


# ---------------------------------------------------------------- hosts and services


def _reading(case: Mapping[str, Any]) -> ReleaseReading:
    runs = case.get("running", case["from"])
    if runs in ("mixed", "unknown"):
        return ReleaseReading(kind=runs, how="containers disagree" if runs == "mixed" else "nothing could be read")
    return ReleaseReading(kind="exact", release=runs, how="containers")


def _hosts(case: Mapping[str, Any]) -> tuple[HostFacts, ...]:
    """`hosts.NAME` of a case changes one of the site's hosts or adds one; `kind` says what it is."""
    told = case.get("hosts", {})
    names = {**HOSTS, **{name: entry.get("kind", HOSTS.get(name, "compute")) for name, entry in told.items()}}
    found = []
    for name, kind in names.items():
        entry = dict(told.get(name, {}))
        running = [*CONTAINERS[kind], *entry.pop("containers", []), *case.get("containers", {}).get(kind, [])]
        gone = case.get("without_containers", [])
        entry.pop("kind", None)
        given: dict[str, Any] = {
            "engine": "docker", "engine_version": "27.5.1", "os": case.get("os", "debian-12"),
            "kernel": "6.1.0-28-amd64", "sdk_version": "7.1.0", "volumes": (), "legacy_iptables": 0, **entry,
        }  # fmt: skip
        if not given.get("reachable", True):
            running = []
        facts = tuple(ContainerFacts(name=one, image=f"own/{one}") for one in running if one not in gone)
        found.append(HostFacts(name=name, containers=facts, **given))
    return tuple(found)


def _observed(case: Mapping[str, Any], hosts: tuple[HostFacts, ...]) -> Observed:
    broker, service = VERSIONS[case.get("running_as", case["from"])]
    read = all(host.reachable for host in hosts)
    parts: dict[str, Any] = {
        "containers": sorted({one.name for host in hosts for one in host.containers}) if read else None,
        "volumes": ["mariadb"] if read else None,
        "rabbitmq": {
            "version": broker, "non_quorum_queues": 0, "transient_queues": 0, "mirrored_queues": 0,
            "disabled_flags": [],
        },
        "nova": {
            "services_down": [], "unmigrated": [], "hypervisors": ["qemu"], "vif_types": ["ovs"],
            "oldest_service_version": service,
        },
        "cinder": {"unmigrated": []},
        "ironic": {"waiting": [], "drivers": ["ipmi"], "interfaces": ["inspect_interface=agent"]},
        "octavia": {"providers": ["octavia"], "protocols": ["HTTP"]},
        "magnum": {"drivers": ["kubernetes/k8s_cluster_api"]},
        "upgrade_checks": [],
    }  # fmt: skip
    for name, value in case.get("observed", {}).items():
        parts[name] = {**parts.get(name, {}), **value} if isinstance(value, dict) else value
    return Observed.model_validate(_known(parts))


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _known(item) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(_known(item) for item in value)
    return None if value == UNKNOWN else value


@functools.cache
def _every_group() -> dict[str, str]:
    """Every group of every release that a condition or a hop names → the kind of host in it."""
    graph = small.graph()
    found = {"cinder-volume": "storage", "cinder-backup": "storage", "rabbitmq": "control", "masakari-api": "control"}
    found |= {"kolla-logs": "control", "kolla-toolbox": "control"}
    for edge in graph.edges:
        for name, within in graph.hop(*edge).groups.added.items():
            found[name] = "storage" if "storage" in within and "control" not in within else "control"
    return found


def _groups(case: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    of = {kind: tuple(name for name, one in HOSTS.items() if one == kind) for kind in ("control", "compute", "storage")}
    found = {**of, **{name: of[kind] for name, kind in _every_group().items()}}
    found |= {name: tuple(hosts) for name, hosts in case.get("groups", {}).items()}
    return {name: hosts for name, hosts in found.items() if name not in case.get("without_groups", [])}


# ---------------------------------------------------------------- variables


def _releases(case: Mapping[str, Any]) -> list[str]:
    """Releases of the path that have a toolchain: published ones that the case does not name as not built."""
    passed = [case["from"], *(hop.target for hop in hops(case))]
    known = small.graph()
    return [one for one in passed if known.release(one).kolla_ansible.newest and one not in case.get("not_built", [])]


@functools.cache
def _needed() -> frozenset[str]:
    return variables_needed(small.graph())


@functools.cache
def _defaults(release: str) -> Mapping[str, tuple[str, str]]:
    files = small.graph().defaults(release).files
    return {name: (text, file.path) for file in files for name, text in file.values.items()}


def _effective(release: str, case: Mapping[str, Any]) -> Effective:
    """What differs from the site as it stands is computed, the rest is taken from there."""
    settings = {**SETTINGS, **case.get("settings", {})}
    settings = {name: value for name, value in settings.items() if name not in case.get("without_settings", [])}
    per_host = case.get("host_settings", {})
    found = dict(_standing(release))
    changed = {name for name in {*SETTINGS, *settings} if settings.get(name) != SETTINGS.get(name)} | set(per_host)
    if changed:
        defaults = _defaults(release)
        values = Values({**{name: json.loads(text) for name, (text, _) in defaults.items()}, **settings})
        for name in _touched(release, frozenset(changed)):
            found.pop(name, None)
            if name in defaults or name in settings or name in per_host:
                found[name] = _variable(release, name, values, settings, per_host.get(name, {}))
    return Effective(release=release, by="toolchain", variables=tuple(found[name] for name in sorted(found)))


@functools.cache
def _standing(release: str) -> Mapping[str, Variable]:
    """The variables of the site when a case changes none of them."""
    defaults = _defaults(release)
    values = Values({**{name: json.loads(text) for name, (text, _) in defaults.items()}, **SETTINGS})
    names = sorted((set(defaults) | set(SETTINGS)) & _needed())
    return {name: _variable(release, name, values, SETTINGS, {}) for name in names}


@functools.cache
def _touched(release: str, changed: frozenset[str]) -> tuple[str, ...]:
    """Variables that can have another value when these change: they, and all whose templates come to name them."""
    templates = {name: _words(text) for name, (text, _) in _defaults(release).items() if "{{" in text or "{%" in text}
    found = set(changed)
    while more := {name for name, words in templates.items() if name not in found and words & found}:
        found |= more
    return tuple(sorted(found & _needed()))


def _variable(
    release: str, name: str, values: Values, settings: Mapping[str, Any], hosts: Mapping[str, Any]
) -> Variable:
    places = []
    text, file = _defaults(release).get(name, ("", ""))
    if file:
        kind = "role default" if "/roles/" in file else "release default"
        places.append(Definition(place=file, kind=kind, text=str(json.loads(text))))
    if name in settings:
        places.append(Definition(place="globals.yml", kind="globals", text=str(settings[name])))
    if hosts:
        places.append(Definition(place="host_vars", kind="inventory", text=str(dict(hosts))))
    value, error = values.json(name) if file or name in settings else ("null", "")
    per_host = tuple((host, json.dumps(hosts.get(host, json.loads(value or "null")))) for host in sorted(HOSTS))
    return Variable(
        name=name, value=None if hosts else value, per_host=per_host if hosts else (), error=error,
        configured=name in settings or bool(hosts), definitions=tuple(places),
    )  # fmt: skip


class Values:
    """Variables that name each other, as templates do. Each is computed once."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.done: dict[str, Any] = {}

    def json(self, name: str) -> tuple[str | None, str]:
        """(JSON text, why there is none)."""
        try:
            return json.dumps(self.value(name)), ""
        except Exception as error:
            return None, str(error)

    def value(self, name: str) -> Any:
        if name not in self.done:
            raw = self.raw[name]
            self.done[name] = self._rendered(raw) if isinstance(raw, str) and ("{{" in raw or "{%" in raw) else raw
        return self.done[name]

    def _rendered(self, text: str) -> Any:
        given: dict[str, Any] = {"ansible_facts": {"processor_vcpus": 8}}
        for name in _words(text) & set(self.raw):
            with contextlib.suppress(Exception):  # the template may not come to ask for what fails
                given[name] = self.value(name)
        return _template(text).render(given)


_ENVIRONMENT = NativeEnvironment(undefined=StrictUndefined)
_ENVIRONMENT.filters |= {"bool": terms.boolean, "ansible.utils.ipaddr": lambda value, _what="": value}


@functools.cache
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Za-z_]\w*", text))


@functools.cache
def _template(text: str) -> Any:
    return _ENVIRONMENT.from_string(text)
