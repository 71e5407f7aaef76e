"""The bytes of a set's file, uncompressed: by a program beside this one, so that reading and unpacking go side by side.

A file whose compression does not end as it should is damaged, but only for a reader that came to its end.
"""

from __future__ import annotations

import fcntl
import gzip
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from upgrader.errors import EnvironmentMissingError

_PIPE_BYTES = 1024 * 1024
_LARGE = 1024 * 1024
"""Smaller files are not worth a process."""
_STRICT = {".zst": ("zstd",), ".gz": ("gzip",)}
"""By suffix, programs that tell what follows the end of the compressed bytes; the others pass over it in silence."""
_FAST = {**_STRICT, ".gz": ("igzip", "pigz", "gzip")}
"""The fastest first: igzip (Debian's isal) takes a third of pigz' time (benchmarks/restore.py)."""


class DumpDamaged(Exception):  # noqa: N818 - a finding about a file, which its reader puts into words
    """The dump is not whole or is not one; the message names the file."""


@contextmanager
def opened(path: Path, *, fast: bool = False) -> Iterator[IO[bytes]]:
    """The uncompressed bytes of a file as a stream. Raises DumpDamaged when its compression does not end as it should.

    `fast`: for files of which it is known that nothing follows that end, because their digest was compared.
    Raises EnvironmentMissingError where a .zst file is met without the program zstd.
    """
    if path.suffix == ".zst" or (path.suffix == ".gz" and path.stat().st_size > _LARGE and _program(path, fast)):
        with piped(path, fast=fast) as stream:
            yield stream
        return
    with path.open("rb") if path.suffix != ".gz" else gzip.open(path, "rb") as plain:
        try:
            yield plain  # type: ignore[misc]  # both read bytes
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DumpDamaged(f"{path.name} is cut off or damaged: {error}") from None


@contextmanager
def piped(path: Path, *, fast: bool = False) -> Iterator[IO[bytes]]:
    """As `opened`, and another process may read from it too: a file without compression, or a pipe.

    Raises EnvironmentMissingError where no program for the file's suffix is installed.
    """
    if path.suffix not in _STRICT:
        with path.open("rb") as plain:
            yield plain
        return
    program = _program(path, fast)
    if not program:
        raise _missing(path)
    # its words come on a pipe that is read only after its end: they are one line
    process = subprocess.Popen(
        [program, "-dcq", "--", str(path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=_PIPE_BYTES,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - pipes were asked for
    widen(process.stdout)
    whole = False
    try:
        yield process.stdout
        whole = not process.stdout.read(1)
    finally:
        process.stdout.close()
        if not whole:
            process.kill()
        words = process.stderr.read().decode(errors="replace").strip()
        process.stderr.close()
        code = process.wait()
    if whole and code:
        raise DumpDamaged(f"{path.name} is cut off or damaged: {words or f'{Path(program).name} ended with {code}'}")


def widen(stream: IO[bytes] | int) -> None:
    """Let the pipe hold more, so that its two ends wait less for each other; where that is not allowed, it does not."""
    with suppress(OSError):
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _program(path: Path, fast: bool) -> str:
    found = (shutil.which(name) for name in (_FAST if fast else _STRICT)[path.suffix])
    return next(filter(None, found), "")


def _missing(path: Path) -> EnvironmentMissingError:
    (package,) = _STRICT[path.suffix]
    return EnvironmentMissingError(
        f"{path.name} is compressed, and {package} is not installed here.",
        cloud="Nothing was restored.",
        next_command=f"apt-get install --no-install-recommends {package}",
        reason=f"{package}-missing",
    )
