"""What was computed before from the same files, beside the journal: mode 0600, without secrets.

A key covers the release's defaults, the toolchain's lock, every file of the operator's, the names asked for, the
facts given and this package's own code. Nothing is remembered where files alone do not decide the answer: an
inventory that is a program, a template that looks something up elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from upgrader.config import Site
from upgrader.durable import make_dir, read_json, write_json
from upgrader.effective.own_files import OwnFiles
from upgrader.effective.released import Released
from upgrader.record import Effective

FOLDER = "effective"
_KEPT = 4
"""Answers kept per release: the last few states of the files."""
_ELSEWHERE = re.compile(r"\b(?:lookup|query|q)\s*\(|\bnow\s*\(|\brandom\b")
_PLUGIN_SOURCE = re.compile(r"^\s*plugin\s*:", re.MULTILINE)


def key_of(
    site: Site, released: Released, own: OwnFiles, names: Iterable[str], hosts: Mapping[str, Any], facts: Any
) -> str:
    """Digest of everything the answer follows from; empty when files alone do not decide it."""
    if _depends_on_more(site, own):
        return ""
    whole = hashlib.sha256(_code().encode() + released.digest.encode())
    parts: list[Any] = [sorted(names), hosts, facts, str(site.config_dir), str(site.vault_password_file)]
    for file in own.all:
        if file.secret or file.parsed is None:
            # not the content: its digest would let guesses at a password be checked
            state = file.path.stat()
            parts.append((str(file.path), state.st_size, state.st_mtime_ns, state.st_ino))
        else:
            parts.append((str(file.path), file.parsed.text))
    parts.append([*own.inventory, _text(site.config_dir / "ansible.cfg")])
    whole.update(json.dumps(parts, sort_keys=True, default=str).encode())
    return whole.hexdigest()


def recall(site: Site, release: str, key: str) -> Effective | None:
    """The answer remembered under `key`; None for none, or for one that cannot be read."""
    if not key:
        return None
    with suppress(OSError, ValueError):
        reading = read_json(_path(site, release, key))
        if reading.document is not None:
            return Effective.model_validate_json(json.dumps(reading.document))
    return None


def remember(site: Site, key: str, answer: Effective) -> None:
    """Keep an answer; older ones of the release go. A full disk or a missing right costs time later, nothing now."""
    if not key or answer.error:
        return
    with suppress(OSError):
        folder = site.state_dir / FOLDER
        make_dir(folder, exist_ok=True)
        write_json(_path(site, answer.release, key), answer.document())
        old = sorted(folder.glob(f"{answer.release}-*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in old[_KEPT:]:
            path.unlink(missing_ok=True)


def _path(site: Site, release: str, key: str) -> Path:
    return site.state_dir / FOLDER / f"{release}-{key[:32]}.json"


def _depends_on_more(site: Site, own: OwnFiles) -> bool:
    folder = site.inventory if site.inventory.is_dir() else site.inventory.parent
    sources = [site.inventory] if folder != site.inventory else [folder / name for name, _ in own.inventory]
    if any(path.is_file() and path.stat().st_mode & 0o111 for path in sources):
        return True
    texts = [text for _, text in own.inventory] + [file.parsed.text for file in own.all if file.parsed]
    return any(_ELSEWHERE.search(text) for text in texts) or any(
        _PLUGIN_SOURCE.search(text) for _, text in own.inventory
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _code() -> str:
    whole = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()
