"""Looks at the cloud for a diagnosis: one observation, then the logs of the hosts that matter, then requests followed.

Owns what is asked, of whom and for how long. Only reads; every trouble becomes a gap, none is raised. A cloud that
does not answer costs no more than its time.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upgrader.config import Site
from upgrader.diagnose.choose import Choice, choose
from upgrader.diagnose.cloud import iso, moment
from upgrader.diagnose.model import Excerpt, Gap, Story, Trail
from upgrader.diagnose.on_host import MARK
from upgrader.diagnose.scrub import SHORTEST, without_keys
from upgrader.durable import make_dir
from upgrader.errors import UpgraderError
from upgrader.facts.names import release_names
from upgrader.facts.observe import observe
from upgrader.facts.plays import cloud_hosts, own_play
from upgrader.graph import ReleaseGraph
from upgrader.kolla.inventory import INVENTORIES, Inventory, remembered_inventory
from upgrader.kolla.passwords import secret_values
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import Vault
from upgrader.model import CloudFacts
from upgrader.runner.ansible import AnsibleRunner
from upgrader.runner.base import PlayResult
from upgrader.secret_sources.identities import identities
from upgrader.status_read import keep_seen
from upgrader.survey import LOOKS, looking_glass, read_settings

ASK = "Read the logs"
SECONDS = 150.0
"""What one diagnosis may ask the cloud in all; each host of a large cloud adds a little."""
WINDOW_BEFORE, WINDOW_AFTER = 300.0, 120.0
"""Seconds of the logs around the moment."""
_PER_HOST = 0.4
_HOST_SECONDS = 40
_LINES, _BYTES, _TOTAL = 400, 60_000, 200_000
_FOLLOWED, _TRAIL_LINES = 4, 40
_PATIENCE = 5.0
REQUEST = re.compile(r"\breq-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
_BAD = re.compile(r"\b(ERROR|CRITICAL|FATAL)\b|Traceback|\[error\]")
_SECRET_SETTING = re.compile(r"passw|passphrase|secret|token$|credential|private|(^|_)key$|apikey|auth_string")
Say = Callable[[str], None]


@dataclass
class Heard:
    """What the cloud said, as far as it was asked and answered."""

    secrets: frozenset[str] = frozenset()
    """Values that must not be in the file; what was read of them."""
    facts: CloudFacts | None = None
    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    excerpts: tuple[Excerpt, ...] = ()
    trails: tuple[Trail, ...] = ()
    gaps: list[Gap] = field(default_factory=list)
    choice: Choice | None = None
    engine: str = ""
    cut_off: bool = False
    """The look at the cloud was ended before everybody had answered: silence means nothing."""

    def gap(self, what: str, why: object) -> None:
        words = why.message if isinstance(why, UpgraderError) else f"{why}"
        self.gaps.append(Gap(what, " ".join(words.split())[:400] or type(why).__name__))


def secrets_of(site: Site, graph: ReleaseGraph, heard: Heard) -> bool:
    """Learn every secret of the site's files. False: passwords.yml could not be read, so that not all are known."""
    found: set[str] = set()
    try:
        settings = read_settings(site)
        found |= {value for name, value in settings.items() if _SECRET_SETTING.search(name.lower()) and value}
    except (UpgraderError, OSError) as error:
        heard.gap("globals.yml", error)
    if site.vault_password_file is not None:
        try:
            for one in identities(site.vault_password_file):
                found.add(one.file.read_text(encoding="utf-8").strip() if one.file else one.password)
        except (UpgraderError, OSError, UnicodeDecodeError):
            found.discard("")
    try:
        vault = None
        if site.vault_password_file is not None:
            vault = Vault(looking_glass(site, graph, ""), site.vault_password_file)
        found |= secret_values(site.passwords, vault, shortest=SHORTEST)
    except (UpgraderError, OSError) as error:
        heard.gap("passwords.yml", error)
        heard.secrets = frozenset(found)
        return False
    heard.secrets = frozenset(found)
    return True


@dataclass
class Question:
    """One diagnosis' way to the cloud."""

    site: Site
    graph: ReleaseGraph
    story: Story
    heard: Heard
    stop: Callable[[], bool]
    say: Say
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._until = self._began

    def ask(self) -> None:
        """Everything there is to ask. Never raises for a trouble of the cloud or of its files."""
        try:
            toolchain = looking_glass(self.site, self.graph, self.story.target or self._release())
            inventory = remembered_inventory(
                toolchain, self.site.inventory, self.site.vault_password_file, self.site.state_dir / INVENTORIES
            )
        except (UpgraderError, OSError) as error:
            self.heard.gap("the cloud", error)
            return
        total = self.seconds + _PER_HOST * len(inventory.hosts)
        self._observe(toolchain, inventory, total * 0.5)
        if self.stop():
            self.heard.gap("logs", "it was asked to stop")
            return
        self._logs(toolchain, inventory, total)
        if self.heard.excerpts and not self.stop():
            self._follow(toolchain, inventory, total)

    def _release(self) -> str:
        try:
            return read_settings(self.site).get("openstack_release", "")
        except (UpgraderError, OSError):
            return ""

    def _over(self, seconds: float) -> Callable[[], bool]:
        """Whether the play has to end: `seconds` after the beginning of the whole, or when it is asked to."""
        self._until = self._began + seconds
        return lambda: time.monotonic() > self._until or self.stop()

    def _runner(self) -> AnsibleRunner:
        # short values are taken out later: here they could be part of a path that the play needs
        return AnsibleRunner(secrets=[one for one in self.heard.secrets if len(one) > 5], patience=_PATIENCE)

    def _folder(self) -> Path:
        folder = self.site.state_dir / LOOKS / f"diagnose-{uuid.uuid4().hex}"
        make_dir(folder.parent, exist_ok=True)
        return folder

    # ------------------------------------------------------------ the cloud as it is

    def _observe(self, toolchain: Toolchain, inventory: Inventory, seconds: float) -> None:
        self.say(f"Looking at {self.site.name} ({len(cloud_hosts(inventory))} hosts) …")
        folder = self._folder()
        over = self._over(seconds)
        try:
            facts = observe(
                self.site, toolchain, self._runner(), folder, release_names(self.graph),
                inventory=inventory, cancelled=over,
            )  # fmt: skip
        except (UpgraderError, OSError) as error:
            self.heard.gap("the cloud as it is", error)
            return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.heard.facts = facts
        self.heard.engine = next((host.engine for host in facts.hosts if host.engine), "")
        if time.monotonic() > self._until:
            self.heard.cut_off = True
            self.heard.gap("the cloud as it is", f"the look was cut off after {seconds:.0f} s; what was heard is told")
        elif all(host.reachable for host in facts.hosts):
            keep_seen(self.site, facts.document())
        for host in facts.hosts:
            if not host.reachable:
                self.heard.gap(f"host {host.name}", host.error or "it does not answer")
        if facts.heads_error:
            self.heard.gap("databases", facts.heads_error)

    # ------------------------------------------------------------ logs

    def _logs(self, toolchain: Toolchain, inventory: Inventory, seconds: float) -> None:
        facts = self.heard.facts
        reachable = None if facts is None else [host.name for host in facts.hosts if host.reachable]
        sick = [
            one.name
            for host in (facts.hosts if facts else ())
            for one in host.containers
            if one.state not in ("running", "unknown") or one.health == "unhealthy"
        ]
        groups = {host: inventory.hosts.get(host, ()) for host in cloud_hosts(inventory)}
        choice = choose(self.story, self.graph, groups, reachable=reachable, sick=list(dict.fromkeys(sick))[:12])
        self.heard.choice = choice
        if not choice.hosts:
            self.heard.gap("logs", "no host that matters for the failure answers")
            return
        self.say(f"Reading logs on {', '.join(choice.hosts)} …")
        result = self._play(toolchain, choice, self._question(choice, ()), seconds)
        if result is None:
            return
        excerpts = []
        for host, answer in self._answers(result, choice.hosts).items():
            self.heard.answers[host] = answer
            excerpts += _excerpts(host, answer)
        self.heard.excerpts = tuple(excerpts)

    def _question(self, choice: Choice, ids: Sequence[str]) -> dict[str, Any]:
        around = around_of(self.story)
        return {
            "begin": around - WINDOW_BEFORE,
            "end": around + WINDOW_AFTER,
            "moment": around,
            "containers": [] if ids else list(choice.containers),
            "folders": [] if ids else list(choice.folders),
            "ids": list(ids),
            "lines": _LINES if not ids else 60,
            "bytes": _BYTES if not ids else 20_000,
            "total": _TOTAL if not ids else 60_000,
            "seconds": _HOST_SECONDS,
        }

    def _play(
        self, toolchain: Toolchain, choice: Choice, question: Mapping[str, Any], seconds: float
    ) -> PlayResult | None:
        folder = self._folder()
        # a little more than the host's own limit, so that it is the host that says what it did not come to
        values = (("upgrader_question", dict(question)), ("upgrader_seconds", _HOST_SECONDS + 20))
        play = own_play(
            self.site, toolchain, "diagnose", Path(__file__).parent / "ask.yml", choice.hosts,
            values=values, collect=(ASK,), variables=False,
        )  # fmt: skip
        try:
            return self._runner().run(play, folder, cancelled=self._over(seconds))
        except (UpgraderError, OSError) as error:
            self.heard.gap("logs", error)
            return None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _answers(self, result: PlayResult, hosts: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        lost = {trouble.host: trouble.message for trouble in (*result.unreachable, *result.failed)}
        for host in hosts:
            said = result.collected.get(ASK, {}).get(host, {})
            answer = _answer(str(said.get("stdout", "")))
            if answer is None:
                why = lost.get(host) or str(said.get("msg") or said.get("stderr") or "").strip()[-300:]
                self.heard.gap(f"logs on {host}", why or result.error or "no answer in the time there was")
                continue
            found[host] = answer
            for what, reason in answer.get("unread", ()):
                self.heard.gap(f"{host}: {what}", reason)
        return found

    # ------------------------------------------------------------ requests

    def _follow(self, toolchain: Toolchain, inventory: Inventory, seconds: float) -> None:
        choice = self.heard.choice
        ids = requests_of(self.story, self.heard.excerpts)
        if not ids or choice is None:
            return
        self.say(f"Following {len(ids)} request{'s' if len(ids) > 1 else ''} …")
        result = self._play(toolchain, choice, self._question(choice, ids), seconds)
        if result is None:
            return
        lines = [
            (at, host, excerpt.place, text)
            for host, answer in self._answers(result, choice.hosts).items()
            for excerpt in _excerpts(host, answer)
            for at, text in excerpt.lines
        ]
        self.heard.trails = tuple(trail for one in ids if (trail := _trail(one, lines)).lines)


def around_of(story: Story) -> float:
    """Seconds since the epoch of the moment; now where there is none."""
    return moment(story.moment) or time.time()


def window_of(story: Story) -> tuple[str, str]:
    around = around_of(story)
    return iso(around - WINDOW_BEFORE), iso(around + WINDOW_AFTER)


def _answer(output: str) -> dict[str, Any] | None:
    """The one line of JSON of a host; a terminal may have mixed other output around it."""
    for line in output.splitlines():
        _, mark, text = line.partition(MARK)
        if mark:
            try:
                found = json.loads(text.strip())
            except ValueError:
                return None
            return found if isinstance(found, dict) else None
    return None


def _excerpts(host: str, answer: Mapping[str, Any]) -> list[Excerpt]:
    found = []
    for source in answer.get("sources", ()):
        lines = tuple((float(at), str(text)) for at, text in source["lines"])
        found.append(
            Excerpt(
                host=host,
                container=str(source["container"]),
                path=str(source["path"]),
                folder=str(source["folder"]),
                lines=without_keys(lines),
                left_out=int(source["left_out"]),
                zone=str(answer.get("zone", "")),
            )
        )
    return found


def requests_of(story: Story, excerpts: Iterable[Excerpt]) -> tuple[str, ...]:
    """Ids worth following: those the failure names, then those of errors, nearest to the moment first."""
    around = around_of(story)
    found = dict.fromkeys(REQUEST.findall(story.text))
    near = sorted(
        (abs(at - around), one)
        for excerpt in excerpts
        for at, text in excerpt.lines
        if _BAD.search(text)
        for one in REQUEST.findall(text)
    )
    return tuple(dict.fromkeys([*found, *(one for _, one in near)]))[:_FOLLOWED]


def _trail(request: str, lines: Iterable[tuple[float, str, str, str]]) -> Trail:
    mine = sorted({line for line in lines if request in line[3]})
    if len(mine) <= _TRAIL_LINES:
        return Trail(request, tuple(mine))
    # where it came from and how it ended say most
    kept = (*mine[: _TRAIL_LINES // 2], *mine[-_TRAIL_LINES // 2 :])
    return Trail(request, kept, len(mine) - len(kept))
