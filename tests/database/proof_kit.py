"""Small backup sets with everything a proof looks at: dumps by a real server, Fernet keys, a token, credentials."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.fernet import Fernet

from upgrader.database import manifest as parts
from upgrader.database.compare import mydumped
from upgrader.database.contents import read_contents
from upgrader.database.key_proof import NULL_KEY
from upgrader.database.manifest import BackupSet, DumpFormat, Manifest
from upgrader.database.throwaway import Server, programs, throwaway

SMILE = "\U0001f600"
SCHEMAS = f"""
CREATE DATABASE keystone CHARACTER SET utf8mb4; USE keystone;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('47147121'), ('c88cdce8f248');
CREATE TABLE user (id INT PRIMARY KEY, name VARCHAR(50), secret BLOB, UNIQUE KEY named (name), KEY part (secret(4)));
INSERT INTO user VALUES (1, '{SMILE} l1\\nl2; -- '' "q"', x'00ff27'), (2, 'INSERT INTO `user` VALUES (1)', '');
CREATE TABLE credential (id VARCHAR(64) PRIMARY KEY, encrypted_blob TEXT, key_hash VARCHAR(64), user_id INT,
  CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES user (id));
CREATE DATABASE nova CHARACTER SET utf8mb3; USE nova;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('2903cd72dc14');
CREATE TABLE instances (id INT PRIMARY KEY AUTO_INCREMENT, uuid VARCHAR(36) NOT NULL, host VARCHAR(255),
  UNIQUE KEY uniq (uuid), KEY by_host (host));
INSERT INTO instances SELECT seq, CONCAT('uuid-', seq), CONCAT('host', seq % 7) FROM seq_1_to_ROWS;
CREATE TABLE instance_extra (id INT NOT NULL, instance_uuid VARCHAR(36), pci TEXT, KEY of_uuid (instance_uuid),
  CONSTRAINT extra_of FOREIGN KEY (instance_uuid) REFERENCES instances (uuid));
INSERT INTO instance_extra SELECT seq, CONCAT('uuid-', seq), REPEAT('x', 90) FROM seq_ROWS_to_1;
CREATE VIEW hosts AS SELECT DISTINCT host FROM instances;
CREATE TRIGGER counted BEFORE INSERT ON instances FOR EACH ROW SET NEW.host = COALESCE(NEW.host, 'none');
DELIMITER ;;
CREATE PROCEDURE answer() BEGIN
SELECT 42;
END;;
DELIMITER ;
"""
"""`instance_extra` has no key of its own, and its rows lie in the order they came in."""


def has_programs(*names: str) -> bool:
    return all(shutil.which(name) for name in ("mariadbd", "mariadb-install-db", "mariadb-dump", *names))


@contextmanager
def cloud(parent: Path, rows: int = 2000) -> Iterator[Server]:
    """A server that plays the cloud's, with two schemas."""
    with throwaway(parent, programs(), pool="32M", redo="16M") as server:
        server.sql(SCHEMAS.replace("ROWS", str(rows)))
        yield server


@dataclass
class Keys:
    """A host's key repositories, and what was made with them."""

    fernet: dict[int, bytes] = field(default_factory=lambda: {0: Fernet.generate_key(), 1: Fernet.generate_key()})
    credential: dict[int, bytes] = field(default_factory=dict)

    def token(self, ends: datetime, *, by: int = 1) -> str:
        """A token scoped to a project, as Keystone packs it."""
        user, project, audit = b"\x01" * 16, b"\x02" * 16, b"\x03" * 16
        body = b"\x96\x02" + b"\x92\xc3" + _bytes(user) + b"\x01" + b"\x92\xc3" + _bytes(project)
        body += b"\xcb" + struct.pack(">d", ends.timestamp()) + b"\x91" + _bytes(audit)
        return Fernet(self.fernet[by]).encrypt(body).decode().rstrip("=")

    def credentials(self) -> str:
        """SQL that stores two credentials the way Keystone does: by the primary key, else by the null key."""
        key = self.credential[max(self.credential)] if self.credential else NULL_KEY
        digest = hashlib.sha1(key, usedforsecurity=False).hexdigest()
        rows = [(name, Fernet(key).encrypt(b'{"access": "a"}').decode(), digest) for name in ("c1", "c2")]
        return "DELETE FROM keystone.credential; INSERT INTO keystone.credential VALUES " + ", ".join(
            f"('{name}', '{blob}', '{digest}', 1)" for name, blob, digest in rows
        )


def _bytes(data: bytes) -> bytes:
    return b"\xc4" + bytes([len(data)]) + data


def key_tar(path: Path, folder: str, keys: dict[int, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for number, key in keys.items():
            member = tarfile.TarInfo(f"{folder}/{number}")
            member.size = len(key)
            tar.addfile(member, io.BytesIO(key))
    return path


def make_set(
    folder: Path,
    server: Server,
    keys: Keys,
    *,
    dump_format: DumpFormat = "mariadb-dump",
    schemas: Sequence[str] = ("keystone", "nova"),
    ends: datetime | None = None,
    change: Callable[[Path], None] = lambda _folder: None,
) -> BackupSet:
    """A finished set of what `server` holds now. `change` may spoil files before they are recorded."""
    made = BackupSet.begin(folder, Manifest(site="s", release="2025.1", made_at=parts.now(), dump_format=dump_format))
    made.describe(dump_format)
    (folder / "database").mkdir(mode=0o700)
    (folder / "keys").mkdir(mode=0o700)
    files = _DUMPS[dump_format](folder / "database", server, schemas)
    ends = ends or datetime.now(UTC).replace(microsecond=0) + timedelta(hours=12)
    kept = {"token": keys.token(ends), "expires_at": ends.strftime("%Y-%m-%dT%H:%M:%S.000000Z")}
    (folder / "token.json").write_text(json.dumps(kept))
    for host in ("ctl1", "ctl2"):
        key_tar(folder / "keys" / f"{host}.fernet-keys.tar", "fernet-keys", keys.fernet)
        if keys.credential:
            key_tar(folder / "keys" / f"{host}.credential-keys.tar", "credential-keys", keys.credential)
    contents = read_contents(dump_format, files)
    change(folder)
    made.record(parts.MARIABACKUP if dump_format == "mariabackup" else parts.DATABASES, files)
    if dump_format != "mariabackup":
        (folder / "database" / "grants.sql.gz").write_bytes(gzip.compress(b"-- none\n"))
        made.record(parts.GRANTS, [folder / "database" / "grants.sql.gz"])
    made.record(parts.FERNET_KEYS, sorted((folder / "keys").glob("*.fernet-keys.tar")))
    if keys.credential:
        made.record(parts.CREDENTIAL_KEYS, sorted((folder / "keys").glob("*.credential-keys.tar")))
    made.record(parts.TOKEN, [folder / "token.json"])
    for name in (parts.CONFIGURATION, parts.INVENTORY, parts.PASSWORDS, parts.IMAGES):
        (folder / name).write_bytes(b"x")
        made.record(name, [folder / name])
    heads = contents.heads or {"keystone": ("47147121", "c88cdce8f248"), "nova": ("2903cd72dc14",)}
    version = server.sql("SELECT VERSION()")[0][0]
    made.note(server_version=version, heads=heads, rows={}, tables=contents.tables.values(), counted="dump")
    assert made.finish() == ()
    return made


def _mariadb_dump(folder: Path, server: Server, schemas: Sequence[str]) -> list[Path]:
    files = []
    for schema in schemas:
        words = [
            "mariadb-dump", "--no-defaults", f"--socket={server.socket}", "--user=root", "--single-transaction",
            "--quick", "--routines", "--triggers", "--events", "--hex-blob", "--default-character-set=utf8mb4",
            "--databases", schema,
        ]  # fmt: skip
        done = subprocess.run(words, capture_output=True, check=True)
        files.append(folder / f"{schema}.sql.gz")
        files[-1].write_bytes(gzip.compress(done.stdout, 1))
    return files


def _mydumper(folder: Path, server: Server, schemas: Sequence[str]) -> list[Path]:
    mydumped(server, folder / "mydumper", schemas)
    return sorted((folder / "mydumper").iterdir())


def _mariabackup(folder: Path, server: Server, schemas: Sequence[str]) -> list[Path]:
    words = [
        "mariadb-backup", "--no-defaults", "--backup", "--stream=xbstream", f"--socket={server.socket}", "--user=root",
        f"--target-dir={folder / 'work'}", f"--datadir={server.folder / 'data'}",
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, check=True)
    shutil.rmtree(folder / "work", ignore_errors=True)
    (folder / "mariabackup.xbs.gz").write_bytes(gzip.compress(done.stdout, 1))
    return [folder / "mariabackup.xbs.gz"]


_DUMPS = {"mariadb-dump": _mariadb_dump, "mydumper": _mydumper, "mariabackup": _mariabackup}


def damage_key(key: bytes) -> bytes:
    """Another key of the right form."""
    raw = bytearray(base64.urlsafe_b64decode(key))
    raw[0] ^= 1
    return base64.urlsafe_b64encode(bytes(raw))
