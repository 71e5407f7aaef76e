"""Which release runs: container images first, image labels where a tag is no release name, schema heads as the check.

Pure: facts in, a reading out. Owns the rule that a release is never guessed: what nothing names stays unknown,
and what two witnesses say differently is mixed, told host by host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from upgrader.facts.heads import Heads, ReleaseNames, head_disagreements, meaning, own_databases, releases_of_heads
from upgrader.model import ContainerFacts, HostFacts, ReleaseReading, SchemaHead

_RUNNING = frozenset({"running", "restarting", "paused", "unknown"})
_MAJOR = re.compile(r"^v?(\d+)\.")


@dataclass(frozen=True, slots=True)
class Witness:
    """One container and the release it names; `release` is empty when nothing does, `how` is tag or label."""

    host: str
    service: str
    image: str
    release: str
    how: str = ""
    contradiction: str = ""


def is_kolla(container: ContainerFacts, names: ReleaseNames) -> bool:
    """Whether a container belongs to the cloud: by its image's label or release tag, by its name, or by both names.

    One that has the name of a Kolla service counts whatever its image is called: what it runs is then asked for,
    not passed over.
    """
    labels = dict(container.labels)
    if is_one_shot(container):
        return False
    if "kolla_version" in labels or names.of_tag(_tag(container.image)) or container.name in names.containers:
        return True
    return _basename(container.image).startswith(container.name.replace("_", "-"))


def is_one_shot(container: ContainerFacts) -> bool:
    """Bootstrap and task containers are left behind exited; they say nothing about what runs.

    kolla-ansible gives them the label BOOTSTRAP (roles/*/tasks/bootstrap_service.yml) or such a name.
    """
    return "BOOTSTRAP" in dict(container.labels) or container.name.startswith("bootstrap_")


def _tag(image: str) -> str:
    reference = image.partition("@")[0]
    name, colon, tag = reference.rpartition(":")
    return tag if colon and "/" not in tag and name else ""


def _basename(image: str) -> str:
    reference = image.partition("@")[0]
    tag = _tag(image)
    bare = reference[: -len(tag) - 1] if tag else reference
    return bare.rpartition("/")[2]


def release_of_label(container: ContainerFacts, names: ReleaseNames) -> str:
    """Release named by the label `kolla_version`, e.g. `20.6.0` → 2025.1; empty when there is none."""
    match = _MAJOR.match(dict(container.labels).get("kolla_version", ""))
    return names.majors.get(int(match[1]), "") if match else ""


def release_of(container: ContainerFacts, names: ReleaseNames) -> str:
    """Release that one container's image names by tag or label; empty when neither does."""
    return names.of_tag(_tag(container.image)) or release_of_label(container, names)


def witnesses(hosts: Iterable[HostFacts], names: ReleaseNames) -> tuple[Witness, ...]:
    """Every container of the cloud that runs and what it says; stopped ones only where nothing runs at all."""
    found = [(host, container) for host in hosts for container in host.containers if is_kolla(container, names)]
    running = [(host, container) for host, container in found if container.state in _RUNNING]
    return tuple(_witness(host.name, container, names) for host, container in running or found)


def _witness(host: str, container: ContainerFacts, names: ReleaseNames) -> Witness:
    tag, label = names.of_tag(_tag(container.image)) or "", release_of_label(container, names)
    contradiction = ""
    if tag and label and tag != label:
        version = dict(container.labels)["kolla_version"]
        contradiction = f"its tag says {tag}, but the image was made by kolla {version}, which is {label}"
    return Witness(host, container.name, container.image, tag or label, "tag" if tag else "label", contradiction)


def read_release(
    hosts: Iterable[HostFacts],
    heads: Iterable[SchemaHead],
    names: ReleaseNames,
    structures: Mapping[str, frozenset[str]] | None = None,
) -> ReleaseReading:
    """The release that runs. Evidence names hosts and containers; nothing is inferred from settings.

    `structures`: what the databases show of migration scripts (`server.structures`), as far as it was asked for.

    Hosts that could not be read do not make the others' answers untrue: they are named in the evidence of every
    kind, and whoever needs all hosts has to look at them.
    """
    hosts, heads = tuple(hosts), tuple(heads)
    seen = witnesses(hosts, names)
    unread = tuple(_unread(host) for host in hosts if not host.reachable or (host.error and not host.containers))
    databases = own_databases(heads, (witness.service for witness in seen))
    look = _Look(seen, databases, names, unread, _interrupted(databases, names, structures or {}))
    releases = sorted({witness.release for witness in seen if witness.release})
    contradictions = tuple(f"{w.host}: {w.service} ({w.image}): {w.contradiction}" for w in seen if w.contradiction)
    if len(releases) > 1:
        return look.reading("mixed", "container images", _per_host(seen))
    if contradictions:
        return look.reading("mixed", "image tags and labels", contradictions)
    if not seen:
        return look.reading("unknown", "nothing could be read", ("no container of the cloud was found",))
    release = releases[0] if releases else ""
    nameless = tuple(
        f"{w.host}: {w.service} ({w.image or 'no image reference'}) names no release" for w in seen if not w.release
    )
    return _by_heads(look, release, nameless) if nameless else _checked(look, release)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a reading is made from, once every container has been asked."""

    seen: tuple[Witness, ...]
    databases: Heads
    names: ReleaseNames
    unread: tuple[str, ...]
    interrupted: tuple[str, ...] = ()
    """Databases whose rows are those of a release, but in which a migration script never ended."""

    def reading(
        self, kind: Literal["exact", "mixed", "unknown"], how: str, evidence: Iterable[str] = (), release: str = ""
    ) -> ReleaseReading:
        return ReleaseReading(
            kind=kind,
            release=release,
            how=how,
            evidence=(*evidence, *self.unread),
            by_service=_by_service(self.seen),
        )

    def against(self, release: str) -> tuple[str, ...]:
        return tuple(f"database {line}" for line in head_disagreements(release, self.databases, self.names))


def _interrupted(databases: Heads, names: ReleaseNames, structures: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    told = ((name, names.unfinished(name, rows, structures.get(name, frozenset()))) for name, rows in databases.items())
    return tuple(f"database {name}: {words}" for name, words in sorted(told) if words)


def _unread(host: HostFacts) -> str:
    return f"{host.name}: not read ({host.error or 'unreachable'})"


def _by_service(seen: Iterable[Witness]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    places: dict[tuple[str, str], set[str]] = {}
    for witness in seen:
        places.setdefault((witness.service, witness.release), set()).add(witness.host)
    return tuple((service, release, tuple(sorted(where))) for (service, release), where in sorted(places.items()))


def _per_host(seen: Iterable[Witness]) -> tuple[str, ...]:
    """`ctl1: 2025.1: keystone, memcached; 2025.2: mariadb`, one line for each host."""
    rows: dict[str, dict[str, list[str]]] = {}
    for witness in seen:
        rows.setdefault(witness.host, {}).setdefault(witness.release or "not named", []).append(witness.service)
    return tuple(
        f"{host}: " + "; ".join(f"{release}: {', '.join(sorted(names))}" for release, names in sorted(told.items()))
        for host, told in sorted(rows.items())
    )


def _checked(look: _Look, release: str) -> ReleaseReading:
    """Every container names `release`: do the schemas agree?"""
    how = "image labels" if all(witness.how == "label" for witness in look.seen) else "container images"
    against = look.against(release)
    if against:
        return look.reading("mixed", f"{how} say {release}, schema heads do not", (*against, *look.interrupted))
    if look.interrupted:
        return look.reading("mixed", f"{how} say {release}, database structures do not", look.interrupted)
    checked = sum(1 for database in look.databases if look.names.expected(release, database))
    if checked:
        how += f", agreeing with the schema heads of {checked} database{'' if checked == 1 else 's'}"
    return look.reading("exact", how, (), release)


def _by_heads(look: _Look, release: str, nameless: tuple[str, ...]) -> ReleaseReading:
    """Some containers, or all, name no release: the heads may, if they leave exactly one and nobody objects."""
    fitting = releases_of_heads(look.databases, look.names)
    if release and fitting and release not in fitting:
        how = f"container images say {release}, schema heads do not"
        return look.reading("mixed", how, (*look.against(release), *nameless))
    if len(fitting) == 1:
        return look.reading("exact", "schema heads", nameless, fitting[0])
    if len(fitting) > 1:
        nameless = (f"schema heads fit {', '.join(fitting)} alike", *nameless)
    else:
        told = (
            f"database {name}: {' + '.join(heads) or 'no head'} ({meaning(name, heads, look.names)})"
            for name, heads in sorted(look.databases.items())
        )
        nameless = (*told, *nameless)
    return look.reading("unknown", "tags and labels name no release", nameless)
