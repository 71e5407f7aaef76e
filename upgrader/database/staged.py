"""A set made ready to be sent to a database host: one tar of `<schema>.sql.gz`, whatever the set's format.

Hosts need nothing but a client and gzip: what lies in zstd is unpacked here, on its way, and mydumper's files are put
in the order in which a client can read them. Everything is written below one folder that its caller removes.
"""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from upgrader import durable
from upgrader.database import manifest as parts
from upgrader.database.dump_files import opened
from upgrader.database.manifest import Manifest
from upgrader.errors import EnvironmentMissingError, UpgraderError

_SQL = (".sql.gz", ".sql.zst", ".sql")
_GRANTS = "grants"
_VIEW, _TRIGGERS, _TABLE = "-schema-view", "-schema-triggers", "-schema"


def stage_dump(
    set_folder: Path, manifest: Manifest, staging: Path, only: Collection[str] | None = None
) -> tuple[Path, tuple[str, ...]]:
    """The tar, and the schemas in it. `only`: these schemas, and no accounts.

    Raises UpgraderError for a dump that cannot be unpacked or a schema the set does not hold, EnvironmentMissingError
    when this machine's disk is full or a program is missing. Nothing was sent anywhere then.
    """
    dump = staging / "dump.tar"
    schemas = schema_files(manifest)
    missing = sorted(set(only or ()) - schemas.keys())
    if missing or not schemas:
        raise UpgraderError(
            f"Backup set {set_folder.name} does not hold {', '.join(missing) or 'any schema'}.",
            cloud="No database was touched.",
            reason="cannot-restore",
        )
    chosen = {name: files for name, files in schemas.items() if only is None or name in only}
    try:
        with tarfile.open(dump, "w") as tar:
            for name, files in chosen.items():
                _add(tar, staging, name, _text(set_folder, manifest, name, files))
            part = manifest.part(parts.GRANTS) if only is None else None
            for entry in part.files if part else ():
                _add(tar, staging, _GRANTS, _unpacked(set_folder / entry.path))
    except OSError as error:
        raise EnvironmentMissingError(
            f"{error.strerror or error} on this machine, in {staging.parent}: the set could not be made ready.",
            cloud="No database was touched; the services are stopped.",
            next_command="free space there, then: upgrader rollback",
            reason="staging-failed",
        ) from None
    return dump, tuple(chosen)


def schema_files(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Schema → its files in the set, in order of names."""
    part = manifest.part(parts.DATABASES)
    found: dict[str, list[str]] = {}
    for entry in part.files if part else ():
        name = Path(entry.path).name
        if name == "metadata" or not name.endswith(_SQL):
            continue
        plain = _plain(name)
        schema = _schema_of(plain) if manifest.dump_format == "mydumper" else plain
        if schema != _GRANTS or manifest.dump_format == "mydumper":
            found.setdefault(schema, []).append(entry.path)
    return {schema: tuple(sorted(files)) for schema, files in sorted(found.items())}


def stage_keys(set_folder: Path, manifest: Manifest, staging: Path) -> tuple[str, ...]:
    """For every Keystone host of the set its keys as text, `<host>.b64`; the hosts."""
    packed: dict[str, list[bytes]] = {}
    for name in (parts.FERNET_KEYS, parts.CREDENTIAL_KEYS):
        part = manifest.part(name)
        for entry in part.files if part else ():
            host = Path(entry.path).name.removesuffix(f".{name}.tar")
            packed.setdefault(host, []).append((set_folder / entry.path).read_bytes())
    for host, tars in packed.items():
        durable.write_atomic(staging / f"{host}.b64", base64.b64encode(_joined(tars)))
    return tuple(sorted(packed))


def _joined(tars: list[bytes]) -> bytes:
    """One tar with the members of all, owners and modes kept."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as joined:
        for data in tars:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for member in tar:
                    joined.addfile(member, tar.extractfile(member) if member.isfile() else None)
    return buffer.getvalue()


def _plain(name: str) -> str:
    return next((name.removesuffix(end) for end in _SQL if name.endswith(end)), name)


def _schema_of(plain: str) -> str:
    """Schema of one of mydumper's files: `nova-schema-create`, `nova.instances.00000`, `nova-schema-post`."""
    for end in ("-schema-create", "-schema-post"):
        if plain.endswith(end) and "." not in plain:
            return plain.removesuffix(end)
    return plain.partition(".")[0]


# ---------------------------------------------------------------- text


def _unpacked(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as stream, opened(stream) as dump:
        yield from dump.pieces


def _text(set_folder: Path, manifest: Manifest, schema: str, files: Sequence[str]) -> Iterator[bytes]:
    """What a client reads to make the schema anew, once it is dropped."""
    paths = [set_folder / file for file in files]
    if manifest.dump_format != "mydumper":
        for path in paths:
            yield from _unpacked(path)
        return
    yield from in_order(schema, paths)


def in_order(schema: str, paths: Iterable[Path]) -> Iterator[bytes]:
    """mydumper's files of one schema as one stream: database, tables, rows, routines, views, triggers.

    Routines before views, which may call them. Triggers last, so that no row is changed on its way. A table that
    stands in for a view is made with the tables and gives way to it, so views may refer to one another.
    """
    kinds: dict[str, list[Path]] = {key: [] for key in ("create", "table", "rows", "post", "view", "triggers")}
    for path in sorted(paths):
        kinds[_kind(_plain(path.name), schema)].append(path)
    for kind, found in kinds.items():
        if kind == "rows":
            yield b"SET FOREIGN_KEY_CHECKS=0, UNIQUE_CHECKS=0;\n"
        if kind == "post":
            # rows are written in UTC; an event keeps the zone of the session that makes it
            yield b"SET SESSION time_zone = @@GLOBAL.time_zone;\n"
        for path in found:
            yield from _whole_statements(path) if kind in ("post", "triggers") else _unpacked(path)
            yield b"\n"
        if kind == "create":
            yield f"USE `{schema}`;\n".encode()
    yield b"-- Dump completed\n"


def _kind(plain: str, schema: str) -> str:
    if plain == f"{schema}-schema-create":
        return "create"
    if plain == f"{schema}-schema-post":
        return "post"
    ends = ((_VIEW, "view"), (_TRIGGERS, "triggers"), (_TABLE, "table"))
    return next((kind for end, kind in ends if plain.endswith(end)), "rows")


def _whole_statements(path: Path) -> Iterator[bytes]:
    """Bodies hold semicolons; mydumper ends a statement by a semicolon at a line's end, and nothing else by it."""
    text = b"".join(_unpacked(path))
    for statement in text.split(b";\n"):
        if statement.strip():
            yield b"DELIMITER //upgrader//\n" + statement.strip() + b"\n//upgrader//\nDELIMITER ;\n"


# ---------------------------------------------------------------- packing


def _add(tar: tarfile.TarFile, staging: Path, name: str, pieces: Iterable[bytes]) -> None:
    """One file of the tar, packed on its way; nothing of it is ever unpacked on a disk."""
    packed = staging / f"{name}.sql.gz"
    with packed.open("wb") as out:
        packed.chmod(0o600)
        with _packer(out.fileno()) as write:
            for piece in pieces:
                write(piece)
    tar.add(packed, arcname=packed.name)
    packed.unlink()


class _packer:  # noqa: N801 - used as a function
    """gzip of what is written, by a program beside this one; into an open file."""

    def __init__(self, descriptor: int) -> None:
        program = shutil.which("pigz") or shutil.which("gzip")
        if program is None:
            raise EnvironmentMissingError("gzip is not installed on this machine.", cloud="No database was touched.")
        self.process = subprocess.Popen(
            [program, "-1", "-c"], stdin=subprocess.PIPE, stdout=descriptor, stderr=subprocess.PIPE
        )

    def __enter__(self) -> Callable[[bytes], object]:
        assert self.process.stdin is not None  # noqa: S101 - made with a pipe
        return self.process.stdin.write

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self.process.stdin is not None:
                self.process.stdin.close()
        except BrokenPipeError:
            pass
        words = self.process.stderr.read().decode(errors="replace").strip() if self.process.stderr else ""
        code = self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()
        # a full disk shows as a broken pipe here; what the program said of it is the cause
        if code and (kind is None or issubclass(kind, OSError)):
            raise OSError(0, words.rpartition(": ")[2] or f"packing ended with exit code {code}")
