"""Stand-ins for `sops`, `vault` and `bao` with the command lines, exit codes and words that the real ones document."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent


def program(folder: Path, name: str, source: str) -> Path:
    """An executable of this name in `folder` that runs one of the stand-ins beside this module."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n" + (HERE / source).read_text())
    path.chmod(0o755)
    return path


def sops(folder: Path) -> Path:
    """`sops`; its calls are in `sops.calls` beside it."""
    return program(folder, "sops", "fake_sops.py")


def kv(folder: Path, secrets: dict[str, dict[str, object]], name: str = "vault", **more: object) -> Path:
    """`vault` or `bao` with a server that holds `secrets` (mount/path → fields). Further: sealed, away, tokens, v1."""
    path = program(folder, name, "fake_vault.py")
    tell(path, secrets=secrets, **more)
    return path


def tell(path: Path, **state: object) -> None:
    """Change the server behind a stand-in."""
    store = path.with_name(f"{path.name}.store")
    known = json.loads(store.read_text()) if store.exists() else {"tokens": ["good-token"]}
    store.write_text(json.dumps({**known, **state}))


def calls(path: Path) -> list[dict[str, object]]:
    """What a stand-in was started with: words, and names of variables."""
    log = path.with_name(f"{path.name}.calls")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
