"""A physical copy made ready on a database host: is there room, is it what the set says, does a server run on it.

Owns the plays and what their answers mean. Everything up to `place` leaves what runs alone: the copy is unpacked,
prepared and tried in a volume of its own, with the old release's image and without network.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from upgrader import durable
from upgrader.config import Site
from upgrader.database import manifest as parts
from upgrader.database.manifest import FileEntry, Manifest
from upgrader.database.prove import FILE as PROOF
from upgrader.database.restore import differences
from upgrader.database.unpacked import DumpDamaged, opened
from upgrader.errors import UpgraderError
from upgrader.facts.parse import Sections, sections
from upgrader.facts.plays import own_play, shown, work_folder
from upgrader.facts.server import galera_facts
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts
from upgrader.runner.base import Play, PlayResult

ROOM, TRIED, BEGUN = "Answer about the room", "Answer about the copy", "Answer of the first server"
RESERVE = 3 << 30
"""Bytes beside the data: redo log (2 GiB as kolla-ansible 20.6.0 sets it, seen), binary logs, Galera's cache."""
MIB = 1 << 20
_HERE = Path(__file__).parent
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Stream:
    """The set's stream: where it lies on this machine, and how large the data in it are."""

    file: Path
    entry: FileEntry
    plain: int
    host: str
    """Host that it was taken on."""

    @property
    def needed(self) -> int:
        """Bytes that a server's data folder made of it takes at most."""
        return self.plain + self.plain // 20 + RESERVE


def stream_of(folder: Path, manifest: Manifest) -> Stream:
    """Raises UpgraderError when the set has no stream or it cannot be read to its end."""
    part = manifest.part(parts.MARIABACKUP)
    if part is None or len(part.files) != 1:
        raise _refused(f"Backup set {folder.name} holds no stream of mariadb-backup")
    facts, entry = dict(part.facts), part.files[0]
    try:
        plain = int(facts.get("plain_bytes") or _length(folder / entry.path))
    except (DumpDamaged, ValueError) as error:
        raise _refused(f"The stream of backup set {folder.name} cannot be read: {error}") from None
    return Stream(folder / entry.path, entry, plain, facts.get("host", ""))


def _length(path: Path) -> int:
    count = 0
    with opened(path) as plain:
        while chunk := plain.read(_CHUNK):
            count += len(chunk)
    return count


def _refused(words: str) -> UpgraderError:
    return UpgraderError(
        f"{words}.", cloud="No database was touched.", next_command="upgrader backup --list", reason="cannot-restore"
    )


# ---------------------------------------------------------------- what the set says


def expected(folder: Path, manifest: Manifest) -> tuple[Manifest, bool]:
    """The manifest with the row counts that the copy must have, and whether they are known exactly.

    What a server was asked beside the backup may differ by what was written meanwhile; what the proof counted in the
    restored copy does not.
    """
    proved = _proved_rows(folder, manifest)
    if proved:
        rows = tuple((name, proved[name]) for name, _ in manifest.rows if name in proved)
        return manifest.model_copy(update={"rows": rows}), True
    if manifest.counted == "dump":
        return manifest, True
    return manifest.model_copy(update={"rows": ()}), False


def _proved_rows(folder: Path, manifest: Manifest) -> dict[str, int]:
    if manifest.proof is None:
        return {}
    try:
        text = (folder / PROOF).read_bytes()
        if hashlib.sha256(text).hexdigest() != manifest.proof.file_sha256:
            return {}
        return {str(name): int(count) for name, count in json.loads(text)["rows"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def images_of(folder: Path, manifest: Manifest, facts: CloudFacts, *, same_series: bool) -> tuple[str, ...]:
    """Names of images with the set's own server, the best first: the one that ran when it was taken.

    `same_series`: what runs now is of the set's series, so that its image does as well.
    """
    seen = {}
    for host in facts.hosts:
        for container in host.containers:
            if container.name == "mariadb":
                seen[container.image] = container.image.partition("@")[0].rpartition(":")[0]
    kept: list[str] = []
    part = manifest.part(parts.IMAGES)
    for entry in part.files if part else ():
        try:
            rows = json.loads((folder / entry.path).read_bytes())["images"].values()
        except (OSError, ValueError, KeyError, AttributeError):
            continue
        names = [str(tag) for row in rows for tag in row.get("tags") or ()]
        kept += [name for name in names if _is_server(name) or name.rpartition(":")[0] in seen.values()]
    return tuple(dict.fromkeys((*sorted(kept), *(seen if same_series else ()))))


def _is_server(image: str) -> bool:
    return image.rpartition(":")[0].rpartition("/")[2] == "mariadb-server"


def passwords_of(folder: Path, manifest: Manifest, site: Site, staging: Path) -> tuple[Path | None, bool]:
    """passwords.yml as the set has it, written below `staging`, and whether it differs from the site's now."""
    part = manifest.part(parts.PASSWORDS)
    for entry in part.files if part else ():
        try:
            with tarfile.open(folder / entry.path) as tar:
                for member in tar:
                    stream = tar.extractfile(member) if member.isfile() else None
                    if stream is None or Path("/", member.name) != site.passwords:
                        continue
                    text = stream.read()
                    durable.write_atomic(staging / "passwords.yml", text, mode=0o600)
                    now = site.passwords.read_bytes() if site.passwords.is_file() else b""
                    return staging / "passwords.yml", now != text
        except (OSError, tarfile.TarError):
            continue
    return None, False


# ---------------------------------------------------------------- room


@dataclass(frozen=True)
class Room:
    """What one database host has for a copy."""

    host: str
    values: Mapping[str, str]
    images: tuple[str, ...]

    def step(self, stream: Stream) -> str:
        """The last step that was done of the copy of this stream; empty: none."""
        name, _, sha = self.values.get("step", "").partition(" ")
        return name if sha == stream.entry.sha256 else ""

    def lacks(self, stream: Stream, *, chosen: bool) -> str:
        """What is missing there, in words; empty when there is room. `chosen`: the copy is made there."""
        free = {name: int(self.values.get(name) or 0) for name in ("volumes", "work")}
        needed = {"volumes": stream.needed, "work": 0}
        if chosen and "stream" not in self.values:
            same = self.values.get("volumes-on") == self.values.get("work-on")
            needed["volumes" if same else "work"] += stream.entry.bytes
        where = {"volumes": "the engine's volumes", "work": "/var/tmp"}  # noqa: S108 - named, not used
        short = [name for name, wanted in needed.items() if wanted > free[name]]
        return ", ".join(
            f"{self.host} has {free[name] // MIB} MiB free for {where[name]}, {needed[name] // MIB} MiB are needed"
            for name in short
        )


def room_play(
    site: Site, toolchain: Toolchain, hosts: Sequence[str], stream: Stream, volume: str, images: Sequence[str]
) -> Play:
    return own_play(
        site, toolchain, "look-for-room", _HERE / "physical_room.yml", hosts,
        values=(
            ("upgrader_work", work_folder(site, "physical")), ("upgrader_copy", volume),
            ("upgrader_sha", stream.entry.sha256), ("upgrader_size", stream.entry.bytes),
            ("upgrader_images", list(images)),
        ),
        collect=(ROOM,), expected=hosts, variables=False,
    )  # fmt: skip


def rooms(result: PlayResult, hosts: Sequence[str]) -> dict[str, Room]:
    found = {}
    for host in hosts:
        lines = [line.split("\t", 1) for line in _said(result, ROOM, host)[0].get("room") if "\t" in line]
        images = tuple(value for name, value in lines if name == "image")
        found[host] = Room(host, {name: value for name, value in lines if name != "image"}, images)
    return found


# ---------------------------------------------------------------- the copy


def copy_play(
    site: Site, toolchain: Toolchain, room: Room, stream: Stream, volume: str, image: str, passwords: Path | None
) -> Play:
    """`passwords`: the set's own, in whose moment the copy is."""
    here = room.values.get("stream", "")
    send = not here and room.step(stream) not in ("prepared", "tried", "placed")
    play = own_play(
        site, toolchain, "make-the-copy-ready", _HERE / "physical_copy.yml", (room.host,),
        values=(
            ("upgrader_work", work_folder(site, "physical")), ("upgrader_copy", volume),
            ("upgrader_sha", stream.entry.sha256), ("upgrader_stream_file", str(stream.file)),
            ("upgrader_stream", here), ("upgrader_send", send), ("upgrader_image", image),
        ),
        collect=(TRIED,), expected=(room.host,),
    )  # fmt: skip
    return replace(play, extra_vars_files=(*play.extra_vars_files, *((passwords,) if passwords else ())))


def place_play(site: Site, toolchain: Toolchain, host: str, stream: Stream, volume: str) -> Play:
    return own_play(
        site, toolchain, "put-the-copy-in-place", _HERE / "physical_place.yml", (host,),
        values=(("upgrader_copy", volume), ("upgrader_sha", stream.entry.sha256)),
        expected=(host,), variables=False,
    )  # fmt: skip


def begin_play(site: Site, toolchain: Toolchain, host: str, limit: int) -> Play:
    return own_play(
        site, toolchain, "begin-with-one-server", _HERE / "physical_begin.yml", (host,),
        values=(("upgrader_limit", limit),), collect=(BEGUN,), expected=(host,),
    )  # fmt: skip


def end_play(site: Site, toolchain: Toolchain, host: str, volume: str) -> Play:
    return own_play(
        site, toolchain, "remove-the-rest", _HERE / "physical_end.yml", (host,),
        values=(("upgrader_copy", volume),), expected=(host,), variables=False,
    )  # fmt: skip


def _said(result: PlayResult, task: str, host: str) -> tuple[Sections, Mapping[str, Any]]:
    said = shown(result, task, host)
    return sections(str(said.get("stdout", ""))), said


@dataclass(frozen=True)
class Answer:
    """What a server on the copy said: why it did not come to that, or where it differs from the set."""

    error: str
    wrong: tuple[str, ...]
    version: str
    databases: int


def answer(result: PlayResult, task: str, host: str, wanted: Manifest) -> Answer:
    """The answers of `task`, judged against what the set says."""
    found, said = _said(result, task, host)
    words = "; ".join(f"{what}: {text}" for what, text in found.failed.items())
    if words or str(said.get("rc")) != "0":
        trouble = next((t.message for t in (*result.failed, *result.unreachable) if t.host == host), "")
        return Answer(words or str(said.get("stderr", "")).strip() or trouble or result.message, (), "", 0)
    version = galera_facts(found.get("galera")).server_version
    return Answer("", tuple(differences(wanted, found)), version, len(found.get("schemas")))


def clear(staging: Path) -> Path:
    """A fresh private folder for secrets on their way; the caller removes it."""
    shutil.rmtree(staging, ignore_errors=True)
    durable.make_dir(staging)
    return staging
