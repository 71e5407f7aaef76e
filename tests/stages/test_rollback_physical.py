"""A restore from a physical copy on a small cloud of values: broken off anywhere it comes right the next time.

Only the hands are replaced (plays and looks). Steps, choices, judgements and the order of things are the real ones.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.journal_kit import Crash
from tests.stages.test_rollback_restore import BEFORE, GOOD, HEADS, HOSTS, OLD, SCHEMAS, Place
from upgrader import durable
from upgrader.back_map import RESTORE_CHANGED
from upgrader.context import AttemptContext
from upgrader.database import physical_copy
from upgrader.database.manifest import BackupSet, Manifest, ProofSummary, now, required_parts, sha256_of
from upgrader.model import Code, Finding
from upgrader.runner.base import HostTrouble, PlayResult
from upgrader.stages import physical, rollback_restore

IMAGE = f"r/kolla/mariadb-server:{OLD}"
ROWS = {"keystone.user": 2, "neutron.networks": 3}
GIB = 1 << 30


@dataclass(frozen=True)
class Call:
    name: str
    hosts: tuple[str, ...]
    extra_vars_files: tuple[Path, ...] = ()


class Physical(Place):
    """Servers of which one gets a copy: `copy` is ready, `room` is free on every host, `answers` is what is said."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        self.copy, self.free, self.images = False, dict.fromkeys(HOSTS, 50 * GIB), [IMAGE]
        self.counted, self.words = dict(ROWS), ""
        self.files: tuple[Path, ...] = ()
        for name, hand in (("look", lambda *_, **__: self.cloud.facts()), ("switch", self._switch),
                           ("run_action", self._physical_action)):  # fmt: skip
            patch.setattr(physical, name, hand)
        patch.setattr(physical_copy, "own_play", lambda *words, **_: Call(words[2], tuple(words[4])))
        patch.setattr(rollback_restore, "restore_keys", self._keys)
        patch.setattr(AttemptContext, "run", self._play)

    def _set(self) -> None:
        version = BEFORE
        made = BackupSet.begin(self.folder / "set", Manifest(site="s", release=OLD, made_at=now()))
        made.describe("mariabackup")
        for part in required_parts("mariabackup"):
            path = made.folder / part
            path.write_bytes(gzip.compress(b"XBSTCK01 and so on") if part == "mariabackup" else b"{}")
            if part == "images":
                path.write_text(json.dumps({"images": {"sha256:1": {"tags": [IMAGE], "digests": []}}}))
            if part == "passwords":
                self.passwords(path, "old")
            made.record(part, [path], {"host": "ctl2"} if part == "mariabackup" else None)
        made.note(server_version=version, heads=HEADS, rows=dict(ROWS))
        assert made.finish() == ()
        (made.folder / "proof.json").write_text(json.dumps({"rows": list(ROWS.items())}))
        made.proved(ProofSummary(proved_at=now(), server=version, file_sha256=sha256_of(made.folder / "proof.json")))

    def passwords(self, path: Path, text: str) -> None:
        with tarfile.open(path, "w") as tar:
            member = tarfile.TarInfo(str(self.site_passwords).lstrip("/"))
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))

    @property
    def site_passwords(self) -> Path:
        from tests.engine_kit.place import site_of

        return site_of(self.folder).passwords

    # ------------------------------------------------------------ hands

    cancel = ""
    """Play that is canceled the next time it runs."""

    def _play(self, play: Any) -> PlayResult:
        if play.name == self.cancel:
            self.cancel = ""
            return PlayResult(play.name, "canceled", 254)
        hand = {
            "look-for-room": self._room, "make-the-copy-ready": self._ready, "put-the-copy-in-place": self._in_place,
            "begin-with-one-server": self._begin, "remove-the-rest": self._end,
        }.get(play.name)  # fmt: skip
        return self._run(play) if hand is None else hand(play)

    def _room(self, play: Call) -> PlayResult:
        images = [f"image\t{name}" for name in self.images]
        said = {}
        for host in play.hosts:
            free = [f"volumes\t{self.free[host]}", f"work\t{self.free[host]}", "volumes-on\t1", "work-on\t1"]
            said[host] = {"msg": {"stdout": "\n".join(["@@room", *free, *images])}}
        return good(play, physical_copy.ROOM, said)

    def _answer(self) -> dict[str, Any]:
        lines = ["@@heads", *(f"{name}\talembic_version\t{head}" for name in SCHEMAS for head in HEADS[name])]
        lines += ["@@rows", *("\t".join((*name.split("."), str(count))) for name, count in self.counted.items())]
        lines += ["@@schemas", *SCHEMAS, "@@galera", f"version\t{BEFORE}"]
        text = self.words or "\n".join(lines)
        return {"msg": {"stdout": text, "rc": 1 if self.words else 0}}

    def _ready(self, play: Call) -> PlayResult:
        assert set(self.cloud.services.values()) == {"running"}, "nothing is stopped before the copy is ready"
        self.files = play.extra_vars_files
        assert [path.read_text() for path in self.files] == ["old"], "the passwords of the copy's own time"
        self.cloud.act(f"copy {play.hosts[0]}", lambda: setattr(self, "copy", not self.words))
        return good(play, physical_copy.TRIED, {play.hosts[0]: self._answer()})

    def _in_place(self, play: Call) -> PlayResult:
        def change() -> None:
            assert not any(server.running for server in self.cloud.servers.values()), "under a running server"
            server = self.cloud.servers[play.hosts[0]]
            assert self.copy and server.there
            server.rows, server.history = dict.fromkeys(SCHEMAS, "old"), 5000
            self.copy = False

        if self.copy:
            self.cloud.act(f"place {play.hosts[0]}", change)
        else:
            assert self.cloud.servers[play.hosts[0]].history == 5000, "neither there nor in place"
        return good(play)

    def _begin(self, play: Call) -> PlayResult:
        server = self.cloud.servers[play.hosts[0]]
        if not server.joined:

            def change() -> None:
                assert not self.cloud.members, "a second cluster beside another"
                server.running = server.joined = True

            self.cloud.act(f"begin {play.hosts[0]}", change)
        return good(play, physical_copy.BEGUN, {play.hosts[0]: self._answer()})

    def _end(self, play: Call) -> PlayResult:
        self.cloud.act("end", lambda: None)
        return good(play)

    def _physical_action(self, ctx: Any, action: str, *words: Any, **more: Any) -> Any:
        if action != "pull":
            return self._action(ctx, action, *words)
        assert (more["release"], more["tags"]) == (OLD, ("mariadb",))
        self.cloud.act("pull", lambda: self.images.append(IMAGE) if self.pullable else None)
        return SimpleNamespace(hosts_seen=HOSTS, seconds=1.0)

    pullable = True

    def _keys(self, *_: Any) -> tuple[Finding, ...]:
        self.cloud.act("keys", lambda: None)
        return (Finding(id="restore-keys", code=Code.SUCCESS, message="keys"),)


def good(play: Call, task: str = "", said: Any = None) -> PlayResult:
    return PlayResult(
        play.name, "successful", 0, stats={}, hosts_seen=play.hosts, collected={task: said} if task else {}
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Physical:
    return Physical(tmp_path, monkeypatch)


ACTIONS = [
    "copy ctl2", *(f"stop keystone {host}" for host in HOSTS), "settings", *(f"take away {host}" for host in HOSTS),
    "deploy-mariadb", *(f"stop mariadb {host}" for host in HOSTS), "place ctl2", "begin ctl2", "keys", "join ctl1",
    "join ctl3", "deploy", "end",
]  # fmt: skip
STEPS = [
    "backup set", "make the physical copy ready", "stop the services", "configuration",
    "database servers of the old series", "message brokers of the old series", "put the physical copy in place",
    "one database server", "keys", "the other database servers rejoin", "start what still is of the old release",
    f"kolla-ansible deploy of {OLD}", "start what the deployment left stopped", "remove what made the copy ready",
]  # fmt: skip


@pytest.mark.parametrize("number", ["10.11", "11.4"])
def test_from_end_to_end_whatever_series_runs_now(place: Physical, number: str) -> None:
    for server in place.cloud.servers.values():
        server.series = number
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.done == ACTIONS
    assert place.cloud.condition() == GOOD
    assert place.cloud.kept == dict.fromkeys(HOSTS, dict.fromkeys(SCHEMAS, "new")), "what was there before all of this"
    assert [step.name for step in outcome.steps if step.name in STEPS] == STEPS
    said = {step.name: step.message for step in outcome.steps}
    assert "a server 10.11.6-MariaDB-log started on it on ctl2" in said["make the physical copy ready"]
    assert "are kept there in volume mariadb_kept_a1" in said["database servers of the old series"]
    assert not list((place.folder / "state" / "physical").glob("*.json"))
    assert not (place.folder / "set" / ".restoring").exists(), "no secret is left beside the set"


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("part", ["before", "after"])
def test_broken_off_at_any_action_the_next_attempt_ends_as_an_undisturbed_one(
    place: Physical, action: str, part: str
) -> None:
    place.cloud.break_at = f"{part} {action}"
    with pytest.raises(Crash):
        place.attempt()
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.condition() == GOOD
    assert place.cloud.kept == dict.fromkeys(HOSTS, dict.fromkeys(SCHEMAS, "new"))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("end", ["begun", "ended"])
def test_broken_off_at_either_end_of_any_step(place: Physical, step: str, end: str) -> None:
    def hook(name: str) -> None:
        if name == f"stage.rollback_restore.{step}.{end}":
            raise Crash(name)

    with durable.failpoints(hook), pytest.raises(Crash):
        place.attempt()
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.condition() == GOOD


@pytest.mark.parametrize(
    "name", ["look-for-room", "make-the-copy-ready", "put-the-copy-in-place", "begin-with-one-server"]
)
def test_canceled_in_any_play_it_goes_on_the_next_time(place: Physical, name: str) -> None:
    place.cancel = name
    outcome = place.attempt()
    assert (outcome.verdict, outcome.message) == ("canceled", f"stopped on request at {name}")
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.condition() == GOOD


# ---------------------------------------------------------------- what is refused while everything still runs


def untouched(place: Physical, outcome: Any, words: str) -> None:
    assert outcome.verdict == "failed"
    assert words in outcome.message
    assert "No database was touched and no service stopped. Next: upgrader rollback --restore" in outcome.message
    assert set(place.cloud.services.values()) == {"running"}
    assert {row for server in place.cloud.members for row in server.rows.values()} == {"new"}


@pytest.mark.parametrize("host", HOSTS)
def test_no_room_on_any_of_the_hosts(place: Physical, host: str) -> None:
    place.free[host] = GIB // 2
    outcome = place.attempt()
    untouched(place, outcome, f"there is no room for the physical copy: {host} has 512 MiB free")
    assert place.cloud.done == []
    place.free[host] = 50 * GIB
    assert place.attempt().verdict == "succeeded"


@pytest.mark.parametrize(
    "words",
    [
        "@@failed unpack gzip: unexpected end of file", "@@failed copy it does not have the checksum",
        "@@failed try a server does not start on it: [ERROR] InnoDB: corrupted", "@@failed heads ERROR 1045 (28000)",
    ],
)  # fmt: skip
def test_a_copy_that_is_not_fit_to_run(place: Physical, words: str) -> None:
    place.words = words
    untouched(place, place.attempt(), words.split(" ", 2)[2])


def test_a_copy_that_is_not_what_the_set_says(place: Physical) -> None:
    place.counted["keystone.user"] = 1
    untouched(place, place.attempt(), "keystone.user has 1 rows after the restore, at the dump it had 2")


def test_nothing_is_restored_in_part(place: Physical) -> None:
    untouched(place, place.attempt(RESTORE_CHANGED), "a part of it cannot be restored")


def test_an_image_that_is_gone_is_pulled_or_named(place: Physical) -> None:
    place.images.clear()
    place.pullable = False
    untouched(place, place.attempt(), f"ctl2 has no image of the database server of {OLD}")
    place.pullable = True
    assert place.attempt().verdict == "succeeded"


def test_a_stream_that_is_damaged_in_the_set(place: Physical) -> None:
    (place.folder / "set" / "mariabackup").write_bytes(b"XBSTCK01")
    outcome = place.attempt()
    assert outcome.verdict == "failed"
    assert "mariabackup has 8 bytes instead of" in outcome.message
    assert place.cloud.done == []


# ---------------------------------------------------------------- what is told


def test_changed_passwords_are_told(place: Physical) -> None:
    place.site_passwords.parent.mkdir(parents=True, exist_ok=True)
    place.site_passwords.write_text("another")
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    (told,) = (finding for finding in outcome.findings if finding.id == "restore-passwords")
    assert "passwords.yml was changed since" in told.message and told.code is Code.WARNING


def test_rows_that_nobody_counted_in_a_copy_are_not_held_against_it(place: Physical) -> None:
    opened = BackupSet.open(place.folder / "set")
    opened.disproved()
    place.counted["keystone.user"] = 99
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert "restore-rows" in [finding.id for finding in outcome.findings]


def test_a_server_that_does_not_begin_is_named_with_the_condition(
    place: Physical, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = place._begin
    trouble = HostTrouble("ctl2", "Start and ask", "no route")
    lost = PlayResult("begin-with-one-server", "failed", 2, failed=(trouble,), stats={}, hosts_seen=("ctl2",))
    monkeypatch.setattr(place, "_begin", lambda _play: lost)
    outcome = place.attempt()
    assert outcome.verdict == "failed"
    assert "ctl2: the database server does not start on the physical copy: " in outcome.message
    assert "no route" in outcome.message
    assert outcome.message.endswith("the services and database servers stay stopped. Next: upgrader rollback")
    monkeypatch.setattr(place, "_begin", real)
    assert place.attempt().verdict == "succeeded"
    assert place.cloud.condition() == GOOD


# ---------------------------------------------------------------- again


def test_once_restored_it_is_not_restored_over_what_was_written_since(place: Physical) -> None:
    place.cloud.break_at = "after deploy"
    with pytest.raises(Crash):
        place.attempt()
    place.counted["keystone.user"] = 99
    place.cloud.done.clear()
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert not {"copy ctl2", "place ctl2", "begin ctl2", "deploy-mariadb"} & set(place.cloud.done)


def test_after_another_upgrade_it_is_restored_again(place: Physical) -> None:
    place.cloud.break_at = "after deploy"
    with pytest.raises(Crash):
        place.attempt()
    for server in place.cloud.servers.values():
        server.rows = dict.fromkeys(SCHEMAS, "new")
    place.cloud.done.clear()
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.condition() == GOOD
    assert "place ctl2" in place.cloud.done


def test_all_of_it_goes_down_after_the_others_rejoined(place: Physical) -> None:
    place.cloud.break_at = "after join ctl3"
    with pytest.raises(Crash):
        place.attempt()
    for server in place.cloud.servers.values():
        server.running = server.joined = False
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert "mariadb-recovery" in place.cloud.done
    assert place.cloud.condition() == GOOD
