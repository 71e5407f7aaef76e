"""Where the copy comes from: a backup set, or a dump alone. Opens it as a throwaway server and says what is in it.

A dump is loaded without what it says of the server's own tables, in the client's mode in which no statement can read
a file or start a program.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from upgrader.database import questions
from upgrader.database.dump_files import open_path, opened
from upgrader.database.dump_scan import SYSTEM
from upgrader.database.manifest import Manifest, must_be_whole, read_manifest
from upgrader.database.throwaway import Server, programs, sweep, throwaway
from upgrader.errors import ConfigError, UpgraderError
from upgrader.graph import ReleaseGraph, release_of_heads
from upgrader.graph.heads import span
from upgrader.model import SchemaHead
from upgrader.rehearsal.keys import NO_KEYS, Keys

POOL = "512M"
SANDBOX_MODE = b"/*M!999999\\- enable the sandbox mode */ \n"
"""The line with which newer dumps begin; a client that does not know it reads a comment."""
_DATABASE_LINES = (b"USE `", b"-- Current Database: `")


@dataclass(frozen=True, slots=True)
class CopySource:
    """A backup set's folder, or a dump file; exactly one."""

    folder: Path | None = None
    dump: Path | None = None
    programs_dir: Path | None = None

    def manifest(self) -> Manifest | None:
        """The set's manifest, every byte of the set checked; None for a dump. Raises UpgraderError when it is not
        whole."""
        return must_be_whole(self.folder) if self.folder is not None else None

    def keys(self, graph: ReleaseGraph) -> Keys:
        return Keys.of(self.folder, read_manifest(self.folder), graph.migrations) if self.folder else NO_KEYS

    @contextmanager
    def opened(self, parent: Path) -> Iterator[Server]:
        """A throwaway server below `parent` with the copy in it. Raises UpgraderError in the server's own words."""
        if self.folder is not None:
            from upgrader.database.load import open_copy

            with open_copy(self.folder, parent, programs_dir=self.programs_dir) as server:
                yield server
        else:
            assert self.dump is not None  # noqa: S101 - one of both
            sweep(parent)
            with throwaway(parent, programs(self.programs_dir), pool=POOL) as server:
                load_dump(server, self.dump)
                yield server


def newest_set(folder: Path) -> Path:
    """The newest finished set. Raises ConfigError when there is none."""
    found: list[tuple[str, Path]] = []
    for manifest in folder.glob("*/manifest.json"):
        with suppress(ConfigError):
            known = read_manifest(manifest.parent)
            if known.state in ("unverified", "proved"):
                found.append((known.made_at, manifest.parent))
    if not found:
        raise ConfigError(
            f"There is no finished backup set in {folder}.",
            cloud="Nothing was looked at or changed.",
            next_command="upgrader backup",
            reason="no-backup-set",
        )
    return max(found)[1]


def release_in(server: Server, graph: ReleaseGraph, wanted: str = "", known: str = "") -> tuple[str, str]:
    """(release, how it is known) of the copy: `wanted` is the operator's word, `known` the set's.

    Raises UpgraderError when the heads contradict it, or say nothing definite and nobody named one.
    """
    names = questions.databases(server)
    rows = questions.heads(server, names)
    reading = release_of_heads(graph, (SchemaHead(database=name, heads=heads) for name, heads in rows.items()))
    named = graph.release(wanted or known).id if wanted or known else ""
    if reading.kind == "agree" and (named in reading.releases or (not named and len(reading.releases) == 1)):
        how = f"its schema heads fit {span(reading.releases)}"
        return named or reading.releases[0], how if not named else f"{'your word' if wanted else 'the set'}; {how}"
    if reading.kind == "agree" and not named:
        words, fix = f"fit {' and '.join(reading.releases)} alike", f"upgrader rehearse --from {reading.releases[0]}"
    elif reading.kind == "agree":
        words, fix = f"fit {span(reading.releases)}, not {named}", f"upgrader rehearse --from {reading.releases[0]}"
    else:
        words, fix = "fit no release", "upgrader inspect FILE"
    raise ConfigError(
        f"The copy's schema heads {words}.",
        cloud="Only the copy was touched.",
        details=reading.evidence,
        next_command=fix,
        reason="copy-of-unknown-release",
    )


# ---------------------------------------------------------------- a dump


def load_dump(server: Server, path: Path) -> None:
    """Load the services' databases out of a dump, plain or compressed. Raises UpgraderError in the server's words."""
    with open_path(path) as stream, opened(stream) as text:
        _feed(server, path.name, service_lines(lines_of(text.pieces)))


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines; a line of rows may be long, but no longer than the packet it was dumped for."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def service_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines outside of the server's own databases, whose accounts are no business of a copy."""
    own = False
    for line in lines:
        if line.startswith(_DATABASE_LINES):
            own = line.split(b"`")[1].decode(errors="replace") in SYSTEM
        if not own:
            yield line


def _feed(server: Server, name: str, lines: Iterable[bytes]) -> None:
    words = ["--local-infile=0", "--init-command=SET SESSION foreign_key_checks=0, unique_checks=0"]
    client = subprocess.Popen(
        server.client(*words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert client.stdin is not None and client.stderr is not None  # noqa: S101 - made with pipes
    said: list[bytes] = []
    listener = threading.Thread(target=lambda: said.append(client.stderr.read() if client.stderr else b""))
    listener.start()
    try:
        with suppress(BrokenPipeError):
            client.stdin.write(SANDBOX_MODE)
            for line in lines:
                client.stdin.write(line)
        with suppress(BrokenPipeError):
            client.stdin.close()
        code = client.wait()
    except BaseException:
        client.kill()
        client.wait()
        raise
    finally:
        listener.join()
    if code:
        told = [line for line in b"".join(said).decode(errors="replace").splitlines() if line.strip()]
        raise UpgraderError(
            f"{name} could not be loaded: {told[-1][:400] if told else f'the client ended with {code}'}.",
            cloud="Only the copy was touched; the dump is as it was.",
            reason="dump-not-loaded",
        )
