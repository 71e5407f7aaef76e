"""What a backup set of a sandbox holds when its own engine loads it: `python -m upgrader.sandbox.copies SET`.

Restores every schema of the set into a root of its own, dumps them again, and prints as JSON heads, rows and digests
of all tables, and which hosts' saved keys open the saved token. The sandbox itself is not touched. Exit code 1, and
the reason on standard error, when the dump cannot be loaded.
"""

from __future__ import annotations

import gzip
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from upgrader.database.contents import read_contents
from upgrader.database.manifest import DATABASES, FERNET_KEYS, read_manifest
from upgrader.database.unpacked import opened
from upgrader.errors import UpgraderError
from upgrader.sandbox import identity, schemas


def main(words: list[str]) -> int:
    try:
        sys.stdout.write(json.dumps(held_by(Path(words[0]))) + "\n")
    except (schemas.SqlError, UpgraderError, OSError, ValueError, tarfile.TarError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def held_by(folder: Path) -> dict[str, Any]:
    """Heads, rows, digests and the keys' answer. Raises SqlError when a dump is not whole."""
    manifest = read_manifest(folder)
    part = manifest.part(DATABASES)
    files = [folder / entry.path for entry in part.files] if part else []
    with tempfile.TemporaryDirectory(prefix="upgrader-") as root:
        (Path(root) / "database").mkdir()
        again = []
        for file in files:
            name = file.name.partition(".sql")[0]
            with opened(file) as stream:
                schemas.restore(root, name, (line.decode() for line in stream))
            again.append(Path(root) / f"{name}.sql.gz")
            again[-1].write_bytes(gzip.compress("".join(schemas.dump(root, name, "sandbox")).encode(), 1))
        contents = read_contents("mariadb-dump", again)
    return {
        "heads": contents.heads,
        "rows": {name: table.rows for name, table in contents.tables.items()},
        "digests": {name: table.digest for name, table in contents.tables.items()},
        "token": _token(folder, [folder / entry.path for entry in (manifest.part(FERNET_KEYS) or part).files]
                        if part and manifest.part(FERNET_KEYS) else []),
    }  # fmt: skip


def _token(folder: Path, tars: list[Path]) -> dict[str, list[str]]:
    file = folder / "token.json"
    token = str(json.loads(file.read_text()).get("token", "")) if file.is_file() else ""
    found: dict[str, list[str]] = {"opened": [], "shut": []}
    for path in tars:
        host = path.name.removesuffix(f".{FERNET_KEYS}.tar")
        with tarfile.open(path) as tar:
            streams = [tar.extractfile(member) for member in tar if member.isfile()]
            keys = [stream.read().strip() for stream in streams if stream is not None]
        found["opened" if identity.payload_of(token, keys) is not None else "shut"].append(host)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
