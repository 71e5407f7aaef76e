"""The second coordinate of a path: which operating systems the hosts run, and where on the way they have to change.

Every hop needs hosts whose system its target release accepts. Where it does not, the hop cannot be planned until the
hosts have moved, and the move itself is possible on certain releases only: both are said here, for all hops of a path
at once. Which release accepts what is that release's own precheck (ansible/roles/prechecks/vars/main.yml).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upgrader.graph import Hop, Release, ReleaseGraph
from upgrader.model import CloudFacts, Code, Finding

if TYPE_CHECKING:
    from upgrader.graph.records import HostWindow

UNREAD, MIXED = "host-os-unread", "host-os-mixed"

_NAMES = {
    # ID of os-release → the name in the release graph
    "debian": "Debian",
    "ubuntu": "Ubuntu",
    "rocky": "Rocky Linux",
    "centos": "CentOS Stream",
    "openeuler": "openEuler",
}
_CODENAMES = {
    ("Debian", "11"): "bullseye",
    ("Debian", "12"): "bookworm",
    ("Debian", "13"): "trixie",
    ("Ubuntu", "20.04"): "focal",
    ("Ubuntu", "22.04"): "jammy",
    ("Ubuntu", "24.04"): "noble",
}
_SHOWN_HOSTS = 4


@dataclass(frozen=True, slots=True, order=True)
class System:
    """An operating system, named as in `Release.host_os`: `Ubuntu` and `jammy`, `Rocky Linux` and `9`."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()

    @property
    def id(self) -> str:
        """`ubuntu-jammy`, `rocky-9`, `centos-stream9`: the form of conditions (`observed.host_systems`)."""
        if self.name == "CentOS Stream":
            return f"centos-stream{self.version}"
        return "-".join(filter(None, (self.name.lower().removesuffix(" linux").replace(" ", "-"), self.version)))

    def among(self, systems: Mapping[str, Sequence[str]]) -> bool:
        """Whether a mapping of system name → versions has it."""
        return self.version in systems.get(self.name, ())


def system_of(os: str) -> System | None:
    """The system of `HostFacts.os` (`ubuntu-22.04`, `rocky-9.4`); None when it was not read.

    A version that has no name of its own stays as it is, as does a distribution that the graph does not know.
    """
    kind, _, version = os.strip().partition("-")
    if not kind:
        return None
    name = _NAMES.get(kind.lower(), kind)
    if name in ("Rocky Linux", "CentOS Stream"):
        return System(name, version.partition(".")[0])
    return System(name, _CODENAMES.get((name, version), version))


def covered_actions(graph: ReleaseGraph) -> frozenset[str]:
    """Actions of the graph that say for one hop what is judged here: whoever lists both says it once."""
    return frozenset(action for window in graph.host_windows for action in window.actions)


def judge_host_systems(graph: ReleaseGraph, hops: Sequence[Hop], facts: CloudFacts) -> tuple[Finding, ...]:
    """What the systems of the hosts have against the hops of a path, worst first; nothing when every hop accepts them.

    Blocking: a system that a hop's target does not accept (once, at the first such hop), and hosts whose system was
    not read. A warning: hosts of one distribution on different systems. Pure.
    """
    if not hops:
        return ()
    by_system: dict[System, list[str]] = {}
    unread: list[str] = []
    for host in facts.hosts:
        system = system_of(host.os) if host.reachable else None
        if system is None:
            unread.append(host.name)
        else:
            by_system.setdefault(system, []).append(host.name)
    found = [_unread(unread, hops[0])] if unread else []
    for system, hosts in sorted(by_system.items()):
        refusing = next((hop for hop in hops if not system.among(graph.release(hop.target).host_os)), None)
        if refusing is not None:
            found.append(_refused(graph, hops, refusing, system, hosts))
    return (*_merged(found), *_mixed(by_system, hops[0]))


# ---------------------------------------------------------------- one trouble in words


def _refused(graph: ReleaseGraph, hops: Sequence[Hop], hop: Hop, system: System, hosts: Sequence[str]) -> Finding:
    window = _window(graph, system, hop)
    target = graph.release(hop.target)
    if window is None:
        return _no_window(graph, hop, system, hosts, target)
    on_the_way = [one.source for one in hops if one.source <= hop.source and one.source in window.possible_on]
    return _finding(
        window.finding,
        hop,
        hosts,
        message=f"{_shown(hosts)} run {system}; {target.id} needs {_wanted(target, window)}",
        why=f"{hop.source} → {hop.target} cannot be planned: {target.id} refuses {system} hosts in its prechecks,"
        f" and the move is possible on {_listed(window.possible_on, 'or')} only",
        fix=_moves(graph, hops, window, on_the_way),
        next_command=_next(hops, on_the_way),
        source=f"{window.id}; {target.host_os_source[0]}",
    )


def _no_window(graph: ReleaseGraph, hop: Hop, system: System, hosts: Sequence[str], target: Release) -> Finding:
    """A system with no way forward in the data: too new for this release, or never accepted by any."""
    accepting = [release.id for release in graph.releases if system.among(release.host_os)]
    accepts = _systems(target.host_os)
    if accepting:
        why = f"{system} is accepted by {_listed(accepting, 'and')}, not by {target.id}"
        fix: tuple[str, ...] = (f"install {_shown(hosts)} with one of: {accepts}",)
    else:
        why = f"no release of the graph accepts {system}; kolla-ansible's prechecks refuse it by name"
        fix = (
            f"move {_shown(hosts)} to one of: {accepts}",
            "or, where prechecks_enable_host_os_checks: false is your decision, accept this finding with the reason",
        )
    return _finding(
        f"host-os-{system.id}",
        hop,
        hosts,
        message=f"{_shown(hosts)} run {system}; {target.id} accepts {accepts}",
        why=why,
        fix=fix,
        next_command="",
        source=target.host_os_source[0],
        overridable=not accepting,
    )


def _moves(graph: ReleaseGraph, hops: Sequence[Hop], window: HostWindow, on_the_way: Sequence[str]) -> tuple[str, ...]:
    move = f"{window.origin} → {window.target}, host by host"
    if not on_the_way:
        return (
            f"{move}: possible on {_listed(window.possible_on, 'or')} only, and this cloud is past it on"
            f" {hops[0].source}; reinstall the hosts one by one with what {hops[0].source} accepts"
            f" ({_systems(graph.release(hops[0].source).host_os)}), which upstream has not tested from there",
        )
    here = hops[0].source in on_the_way
    start = f"while the cloud runs {_listed(on_the_way, 'or')}" + (" (it does now)" if here else "")
    narrow = tuple(f"on {line.replace(': ', ': kolla-ansible ', 1)}" for line in window.only if line[:6] in on_the_way)
    return (f"{move}, {start}", *narrow)


def _next(hops: Sequence[Hop], on_the_way: Sequence[str]) -> str:
    """What to type: nothing of ours moves a host; a window that opens later is reached by a shorter plan."""
    if not on_the_way or hops[0].source in on_the_way:
        return ""
    return f"upgrader plan --to {on_the_way[-1]}"


def _unread(hosts: Sequence[str], hop: Hop) -> Finding:
    return Finding(
        id=UNREAD,
        code=Code.FAILURE,
        severity="blocker",
        host=",".join(sorted(hosts)),
        hop=_name(hop),
        message=f"the operating system of {_shown(hosts)} is not known",
        why="each release accepts certain systems only; a host that was not read may be on one that the hop refuses",
        evidence="no answer, or no ID and VERSION_ID in its os-release",
        fix=("make the hosts reachable, or take them out of the inventory; then look again",),
        next="upgrader check",
        unknown=True,
    )


def _mixed(by_system: dict[System, list[str]], hop: Hop) -> tuple[Finding, ...]:
    """Hosts of one distribution on different versions: a move that is not finished."""
    found = []
    for name in sorted({system.name for system in by_system}):
        several = sorted(system for system in by_system if system.name == name)
        if len(several) < 2:
            continue
        parts = [f"{_shown(by_system[system])} run {system}" for system in several]
        fewest = min(several, key=lambda system: len(by_system[system]))
        found.append(
            Finding(
                id=MIXED,
                code=Code.WARNING,
                severity="required",
                host=",".join(sorted(by_system[fewest])),
                hop=_name(hop),
                message="; ".join(parts),
                why="a move of the hosts' system that is not finished; image tags follow one kolla_base_distro_version,"
                " and a hop in the middle of the move is two changes at once",
                fix=("finish the move on every host before the hop",),
            )
        )
    return tuple(found)


def _finding(
    name: str,
    hop: Hop,
    hosts: Sequence[str],
    *,
    message: str,
    why: str,
    fix: tuple[str, ...],
    next_command: str,
    source: str,
    overridable: bool = False,
) -> Finding:
    return Finding(
        id=name,
        code=Code.FAILURE,
        severity="blocker",
        host=",".join(sorted(hosts)),
        hop=_name(hop),
        message=message,
        why=why,
        fix=fix,
        next=next_command,
        source=source,
        overridable=overridable,
    )


# ---------------------------------------------------------------- small words


def _merged(found: Iterable[Finding]) -> list[Finding]:
    """Two systems of one window (Rocky 9 and CentOS Stream 9) are one finding with both messages."""
    merged: dict[str, Finding] = {}
    for finding in found:
        before = merged.get(finding.id)
        if before is None:
            merged[finding.id] = finding
            continue
        hosts = sorted({*before.host.split(","), *finding.host.split(",")})
        changes = {"host": ",".join(hosts), "message": f"{before.message}; {finding.message}"}
        merged[finding.id] = before.model_copy(update=changes)
    return sorted(merged.values(), key=lambda finding: finding.hop)


def _window(graph: ReleaseGraph, system: System, hop: Hop) -> HostWindow | None:
    fitting = [window for window in graph.host_windows if system.among(window.leave)]
    return next((window for window in fitting if window.deadline_before <= hop.target), None)


def _wanted(target: Release, window: HostWindow) -> str:
    """What follows the system, as far as the target accepts it."""
    names = [
        str(System(name, version))
        for name, versions in window.become.items()
        for version in versions
        if System(name, version).among(target.host_os)
    ]
    return _listed(names, "or") if names else f"one of {_systems(target.host_os)}"


def _systems(accepted: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{name} {'/'.join(versions)}" for name, versions in accepted.items())


def _shown(hosts: Sequence[str]) -> str:
    """`cmp07, cmp08, cmp09 and 15 more`: a message must fit a line; the finding itself names every host."""
    hosts = sorted(hosts)
    if len(hosts) <= _SHOWN_HOSTS:
        return _listed(hosts, "and")
    return f"{', '.join(hosts[: _SHOWN_HOSTS - 1])} and {len(hosts) - _SHOWN_HOSTS + 1} more"


def _listed(names: Sequence[str], word: str) -> str:
    return " ".join([", ".join(names[:-1]), word, names[-1]]) if len(names) > 1 else "".join(names)


def _name(hop: Hop) -> str:
    return f"{hop.source}→{hop.target}"
