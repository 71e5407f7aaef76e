"""Where a dump's text comes from: plain, gzip and zstd files, and standard input, read in pieces.

Decompression runs in a program of its own (pigz or gzip, zstd), so that it works beside the reading. What a file is,
its first bytes say, not its name. Owns the words for what is no dump.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from upgrader.errors import EnvironmentMissingError, UpgraderError

PIECE = 256 * 1024
"""Measured: larger pieces leave the processor's cache and are read slower."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_SKIPPABLE = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))
"""Frames that pzstd and others put in front (RFC 8878, 3.1.2)."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_OTHERS = {
    b"PGDMP": "a dump of PostgreSQL",
    b"SQLite format 3\0": "an SQLite database",
    b"XBSTCK01": "a physical backup (mariadb-backup's stream): the heads lie in its data files",
    b"\xfd7zXZ\0": "compressed with xz: xz -dc FILE | upgrader inspect -",
    b"BZh": "compressed with bzip2: bzip2 -dc FILE | upgrader inspect -",
    b"PK\x03\x04": "a zip archive",
    b"\x7fELF": "a program",
    b"<?xml": "XML: take the dump without --xml",
}


class DamagedError(UpgraderError):
    """The compressed file is cut off or broken; what came before was read."""


class ForeignError(UpgraderError):
    """The bytes are no dump of MariaDB or MySQL."""


class CharsetError(UpgraderError):
    """The text is in a character set in which no server reads statements."""


@dataclass(frozen=True)
class Opened:
    """A dump's text. `compression` is `gzip`, `zstd` or empty."""

    pieces: Iterator[bytes]
    compression: str


@contextmanager
def opened(stream: IO[bytes]) -> Iterator[Opened]:
    """The text behind `stream`, an unbuffered file at its start or a pipe.

    While it is read DamagedError, ForeignError and CharsetError may come. Raises EnvironmentMissingError without zstd.
    """
    again = _place(stream)
    first = _first(stream)
    packed = _Packed(stream, first, again)
    if first.startswith(_GZIP):
        with _unpacked(packed, _gzip(), "gzip") as pieces:
            yield Opened(_judged(pieces), "gzip")
    elif first.startswith((_ZSTD, *_SKIPPABLE)):
        with _unpacked(packed, _zstd(), "zstd") as pieces:
            yield Opened(_judged(pieces), "zstd")
    else:
        yield Opened(_judged(_plain(stream, first)), "")


@dataclass(frozen=True)
class _Packed:
    stream: IO[bytes]
    first: bytes
    """What was read of it to know what it is."""
    again: int | None
    """Where the file can be read again from; None for a pipe."""

    def pieces(self) -> Iterator[bytes]:
        return _plain(self.stream, self.first)


def _place(stream: IO[bytes]) -> int | None:
    try:
        return os.lseek(stream.fileno(), 0, os.SEEK_CUR)
    except OSError:  # also what a stream without a descriptor raises
        return None


def _first(stream: IO[bytes]) -> bytes:
    """Enough to know what it is; a pipe may give less at a time than was asked for."""
    found = b""
    while len(found) < 512 and (more := stream.read(PIECE)):
        found += more
    return found


def _plain(stream: IO[bytes], first: bytes) -> Iterator[bytes]:
    yield first
    while piece := stream.read(PIECE):
        yield piece


def _gzip() -> list[str]:
    # pigz checks and writes in threads of their own
    for program in ("pigz", "gzip"):
        if path := shutil.which(program):
            return [path, "-dc"]
    return []


def _zstd() -> list[str]:
    path = shutil.which("zstd")
    if path is None:
        raise EnvironmentMissingError(
            "The dump is compressed with zstd, and no zstd program was found.",
            cloud="Nothing was read.",
            next_command="apt-get install zstd",
            reason="zstd-missing",
        )
    # --long=31: dumps made with a large window are read too, at the price of its memory
    return [path, "-dcq", "--long=31"]


@contextmanager
def _unpacked(packed: _Packed, program: list[str], name: str) -> Iterator[Iterator[bytes]]:
    if not program:
        yield _inflated(packed.pieces())
        return
    if packed.again is not None:
        os.lseek(packed.stream.fileno(), packed.again, os.SEEK_SET)
    process = subprocess.Popen(
        program,
        stdin=subprocess.PIPE if packed.again is None else packed.stream,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    with suppress(OSError):  # a wish: fewer and larger pieces
        fcntl.fcntl(process.stdout or 0, fcntl.F_SETPIPE_SZ, PIECE)
    words: list[bytes] = []
    workers = [threading.Thread(target=_listen, args=(process.stderr, words), daemon=True)]
    if packed.again is None:
        workers.append(threading.Thread(target=_pump, args=(packed.pieces(), process.stdin), daemon=True))
    for worker in workers:
        worker.start()

    def pieces() -> Iterator[bytes]:
        assert process.stdout is not None  # noqa: S101 - made with a pipe
        while piece := process.stdout.read(PIECE):
            yield piece
        if process.wait() != 0:
            workers[0].join()
            said = b"".join(words).decode(errors="replace").strip().splitlines()
            raise DamagedError(f"{name} cannot unpack it to its end: {_own_words(said)}")

    try:
        yield pieces()
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _pump(pieces: Iterator[bytes], into: IO[bytes] | None) -> None:
    assert into is not None  # noqa: S101 - made with a pipe
    # a program that ended, or was ended, takes no more
    with suppress(OSError, ValueError):
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[into.write(view) :]
    with suppress(OSError):
        into.close()


def _listen(pipe: IO[bytes] | None, words: list[bytes]) -> None:
    with suppress(OSError, ValueError):
        while pipe is not None and (line := pipe.read(4096)):
            if len(words) < 16:
                words.append(line)


def _own_words(said: list[str]) -> str:
    """The program's last words without its own name and the names of pipes."""
    last = said[-1] if said else "it gave no reason"
    return last.removeprefix("/*stdin*\\").split(": ", 1)[-1].strip(" :") or "it gave no reason"


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    """Without any program: slower, in this process."""
    stream = zlib.decompressobj(31)
    try:
        for piece in packed:
            data = piece
            while data:
                if stream.eof:
                    stream = zlib.decompressobj(31)
                yield stream.decompress(data, PIECE)
                data = stream.unused_data if stream.eof else stream.unconsumed_tail
    except zlib.error as error:
        raise DamagedError(f"gzip data is broken: {error}") from None
    if not stream.eof:
        raise DamagedError("gzip cannot unpack it to its end: unexpected end of file")


def _judged(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, once the first of them has shown that they can be a dump."""
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= 512:
            break
    _must_be_text(first)
    if first:
        yield first
    yield from pieces


def _must_be_text(first: bytes) -> None:
    if first.startswith(_UTF16):
        raise CharsetError(
            "It is UTF-16, as some shells write redirected output: no server reads that, and bytes may be lost."
        )
    for front, what in _OTHERS.items():
        if first.startswith(front):
            raise ForeignError(f"It is {what}.")
    if first[257:262] == b"ustar":
        raise ForeignError("It is a tar archive: unpack it and name what is in it.")
    if first.startswith((_GZIP, _ZSTD)):
        raise ForeignError("It is compressed twice.")
    head = first[:4096]
    if b"\0" in head or sum(byte < 9 or 13 < byte < 32 for byte in head) > len(head) // 20:
        raise ForeignError("It is no text: not a dump of MariaDB or MySQL.")


def open_path(path: Path) -> IO[bytes]:
    return path.open("rb", buffering=0)
