"""Compressed dumps: what follows their end, what is cut off, and who may be fast."""

import gzip
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from upgrader.database.unpacked import DumpDamaged, opened

TEXT = random.Random(1).randbytes(1_500_000).hex().encode()  # noqa: S311 - no secret
"""Larger, compressed, than what is read without a program."""


@pytest.mark.parametrize("size", [1000, len(TEXT)])
def test_what_was_written_is_read(tmp_path: Path, size: int) -> None:
    path = tmp_path / "dump.sql.gz"
    path.write_bytes(gzip.compress(TEXT[:size]))
    for fast in (False, True):
        with opened(path, fast=fast) as stream:
            assert stream.read() == TEXT[:size]


@pytest.mark.parametrize("size", [1000, len(TEXT)])
@pytest.mark.parametrize("tail", [b"not of a dump", gzip.compress(b"more")[:-6]], ids=["foreign", "cut-member"])
def test_what_follows_the_end_is_damage(tmp_path: Path, size: int, tail: bytes) -> None:
    path = tmp_path / "dump.sql.gz"
    path.write_bytes(gzip.compress(TEXT[:size]) + tail)
    with pytest.raises(DumpDamaged, match=r"dump\.sql\.gz"), opened(path) as stream:
        stream.read()


@pytest.mark.parametrize("size", [1000, len(TEXT)])
@pytest.mark.parametrize("fast", [False, True])
def test_a_stream_that_is_cut_off_is_damage(tmp_path: Path, size: int, fast: bool) -> None:
    path = tmp_path / "dump.sql.gz"
    packed = gzip.compress(TEXT[:size])
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DumpDamaged, match="cut off"), opened(path, fast=fast) as stream:
        stream.read()


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs zstd")
def test_what_follows_the_end_of_zstd_is_damage(tmp_path: Path) -> None:
    plain = tmp_path / "dump.sql"
    plain.write_bytes(TEXT)
    subprocess.run(["zstd", "-q", str(plain)], check=True)
    path = tmp_path / "dump.sql.zst"
    with opened(path) as stream:
        assert stream.read() == TEXT
    path.write_bytes(path.read_bytes() + b"not of a dump")
    with pytest.raises(DumpDamaged, match=r"dump\.sql\.zst"), opened(path) as stream:
        stream.read()
