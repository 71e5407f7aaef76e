"""The real computes: each question or change is one play of a few seconds that runs a script in a container of Nova's.

Long work goes in stretches, so that it can be stopped between two of them and a kill costs at most one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from upgrader.computes import decisions
from upgrader.computes.decisions import Names
from upgrader.computes.port import (
    Agent,
    Cancelled,
    Computes,
    ComputesError,
    ComputeService,
    ComputesStopped,
    Drained,
    Instance,
    Switched,
    Trial,
)
from upgrader.computes.program import program
from upgrader.config import Site
from upgrader.facts.plays import HasHosts, group_hosts, own_play
from upgrader.kolla.toolchain import Toolchain
from upgrader.runner.base import PlayResult, Runner

PLAY = "computes"
ANSWER = "Answer of Nova"
NAME = "Name of the host"
CONTAINER = "nova_api"
_PLAYBOOK = Path(__file__).parent / "ask.yml"
_API_GROUPS = ("nova-api", "control")
_COMPUTE_GROUPS = ("nova-compute", "compute")
STRETCH_SECONDS = 20
ENDING_SECONDS = 45
"""What a stretch may take that ends what was begun."""
_BESIDES_SECONDS = 120
"""What signing in, patience with an API that restarts, and lists may take beside a stretch's own seconds."""

FolderMaker = Callable[[str], Path]
"""Name of a play → a folder for it that does not exist yet."""


def computes_of(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    inventory: HasHosts,
    folder_maker: FolderMaker,
    cancelled: Cancelled,
    last: Runner | None = None,
) -> Computes:
    """The computes of a site's cloud. See `port.Computes`.

    `cancelled` stops what only looks, a drain and a trial. `last` runs what has to be done even then: enabling,
    ending a migration that was begun, removing a trial instance. It must not stop with the attempt (AnsibleRunner
    without cancel_files); without it `runner` is taken.
    """
    return NovaComputes(site, toolchain, runner, inventory, folder_maker, cancelled, last or runner)


class NovaComputes:
    """See `port.Computes`. Remembers which host answered and by what names Nova knows the hosts."""

    def __init__(
        self,
        site: Site,
        toolchain: Toolchain,
        runner: Runner,
        inventory: HasHosts,
        folder_maker: FolderMaker,
        cancelled: Cancelled,
        last: Runner,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site, self._toolchain, self._folder_maker = site, toolchain, folder_maker
        self._runner, self._last, self._cancelled, self._clock = runner, last, cancelled, clock
        self._api = _first_group(inventory, _API_GROUPS)
        self._hosts = _first_group(inventory, _COMPUTE_GROUPS)
        self._told: dict[str, list[str]] | None = None
        self._names: Names | None = None
        self.stretch_seconds: float = STRETCH_SECONDS
        self.trouble = ""
        """Why the last answer of `services` lacks versions or hypervisors; empty when it does not."""

    # ------------------------------------------------------------ looking

    def services(self) -> tuple[ComputeService, ...]:
        """See Computes.services."""
        return self._services(self._runner, self._cancelled)

    def instances(self, hosts: Sequence[str]) -> tuple[Instance, ...]:
        """See Computes.instances."""
        names = self._known()
        said = self._ask("instances", hosts=[_sure(names, host) for host in hosts])
        return decisions.instances(said, names)

    def agents(self, hosts: Sequence[str]) -> tuple[Agent, ...]:
        """See Computes.agents."""
        names = self._known()
        return decisions.agents(self._ask("agents"), names, frozenset(hosts))

    # ------------------------------------------------------------ switching

    def disable(self, hosts: Sequence[str], reason: str) -> tuple[Switched, ...]:
        """See Computes.disable."""
        names = self._known()
        said = self._ask("disable", hosts=[names.nova(host) for host in hosts], reason=reason)
        return decisions.switched(said, hosts)

    def enable(self, hosts: Sequence[str]) -> tuple[Switched, ...]:
        """See Computes.enable."""
        if self._names is None:
            self._services(self._last, _never)
        names = self._known()
        said = self._ask("enable", self._last, _never, hosts=[names.nova(host) for host in hosts])
        return decisions.switched(said, hosts)

    # ------------------------------------------------------------ long work

    def drain(self, host: str, targets: Sequence[str], budget_seconds: float, cancelled: Cancelled) -> Drained:
        """See Computes.drain."""
        names = self._known()
        began = self._clock()
        said: dict[str, Any] = {}
        moved: list[Sequence[str]] = []
        stopped: Literal["", "budget", "canceled", "trouble"] = ""
        words = ""
        asked: dict[str, Any] = {
            "host": _sure(names, host),
            "targets": [_sure(names, name) for name in targets],
        }
        while not said.get("ended"):
            rest = budget_seconds - (self._clock() - began)
            stopped = "canceled" if cancelled() else "budget" if rest <= 0 else ""
            if stopped:
                break
            seconds = min(self.stretch_seconds, rest)
            try:
                said = self._ask("drain", None, cancelled, **asked, seconds=seconds, state=said.get("state"))
            except ComputesStopped:
                stopped = "canceled"
                break
            except ComputesError as error:
                stopped, words = "trouble", error.message
                break
            moved += said["moved"]
        if stopped:
            try:
                said = self._ask("drain", self._last, _never, **asked, abort=True, seconds=ENDING_SECONDS,
                                 state=said.get("state"))  # fmt: skip
                moved += said["moved"]
            except ComputesError as error:
                words = words or error.message
        seconds = self._clock() - began
        return decisions.drained(host, said, moved, names, stopped=stopped, seconds=seconds, words=words)

    def trial(self, host: str, other: str = "") -> Trial:
        """See Computes.trial."""
        names = self._known()
        asked: dict[str, Any] = {"host": _sure(names, host), "other": _sure(names, other) if other else ""}
        said: dict[str, Any] = {}
        trouble = ""
        while not said.get("ended"):
            try:
                if trouble or self._cancelled():
                    trouble = trouble or "stopped on request"
                    said = self._ask("trial", self._last, _never, **asked, finish=True, seconds=ENDING_SECONDS,
                                     state=said.get("state"))  # fmt: skip
                else:
                    said = self._ask("trial", **asked, seconds=self.stretch_seconds, state=said.get("state"))
            except ComputesError as error:
                if trouble:  # it could not be cleared away either: the next trial's first step does that
                    left = (*said.get("left", ()), "what the trial made: Nova could not be asked to remove it")
                    return decisions.tried(host, {**said, "left": left}, trouble)
                trouble = "stopped on request" if isinstance(error, ComputesStopped) else error.message
        return decisions.tried(host, said, trouble)

    # ------------------------------------------------------------ asking

    def _known(self) -> Names:
        if self._names is None:
            self.services()
        assert self._names is not None  # noqa: S101 - services() learns them or raises
        return self._names

    def _services(self, runner: Runner, cancelled: Cancelled) -> tuple[ComputeService, ...]:
        said = self._ask("services", runner, cancelled)
        self._names = Names(self._hosts, self._told, {row["name"] for row in said["services"]})
        self.trouble = str(said.get("trouble", ""))
        return decisions.services(said, self._names)

    def _ask(
        self, do: str, runner: Runner | None = None, cancelled: Cancelled | None = None, **more: Any
    ) -> dict[str, Any]:
        """One play on the first host of Nova's API that answers. Raises ComputesError or ComputesStopped."""
        troubles = []
        for host in tuple(self._api):
            result = self._play(host, {"do": do, **more}, runner or self._runner, cancelled or self._cancelled)
            if result.status == "canceled":
                raise ComputesStopped(f"asking Nova ({do}) was stopped", reason="nova-stopped")
            found = result.collected.get(ANSWER, {}).get(host, {})
            try:
                said = decisions.answer(str(found.get("stdout", "")))
            except ValueError as error:
                troubles.append(f"{host}: {_why(found, result) or error}")
                continue
            # who answered is asked first from now on
            self._api = (host, *(name for name in self._api if name != host))
            if "error" in said:
                raise _error(f"Nova could not be asked ({do}): {said['error']}", [f"asked on {host}"])
            return said
        raise _error(f"no container {CONTAINER} could ask Nova ({do})", troubles or ["the inventory names no host"])

    def _play(self, host: str, request: dict[str, Any], runner: Runner, cancelled: Cancelled) -> PlayResult:
        learning = self._told is None
        seconds = float(request.get("seconds", 0)) + _BESIDES_SECONDS
        play = own_play(
            self._site,
            self._toolchain,
            f"{PLAY}-{request['do']}",
            _PLAYBOOK,
            (host,),
            values=(
                ("upgrader_named", ",".join(self._hosts) if learning else ""),
                ("upgrader_container", CONTAINER),
                ("upgrader_limit", round(seconds)),
                ("upgrader_program", program(request)),
            ),
            collect=(ANSWER, NAME) if learning else (ANSWER,),
            variables=False,
        )
        result = runner.run(play, self._folder_maker(play.name), cancelled=cancelled)
        told = result.collected.get(NAME, {})
        if learning and told:
            self._told = {name: str(said.get("stdout", "")).splitlines() for name, said in told.items()}
        return result


def _never() -> bool:
    return False


def _sure(names: Names, host: str) -> str:
    """Nova's name of a host. Raises ComputesError where it is another's."""
    name = names.nova(host)
    if not name:
        raise _error(
            f"by what name Nova knows {host} cannot be told", ["it did not say, and another host has its name"]
        )
    return name


def _first_group(inventory: HasHosts, groups: Sequence[str]) -> tuple[str, ...]:
    return next((hosts for group in groups if (hosts := group_hosts(inventory, group))), ())


def _why(found: Any, result: PlayResult) -> str:
    if found.get("rc") in (124, 137):
        return "no answer in time"
    lines = str(found.get("stderr") or found.get("msg") or "").strip().splitlines()
    return lines[-1][:300] if lines else result.message


def _error(message: str, details: Sequence[str]) -> ComputesError:
    return ComputesError(message, details=details, next_command="upgrader check", reason="nova-not-asked")
