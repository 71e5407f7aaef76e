"""What was computed before from the same files, beside the journal: mode 0600, without secrets.

A key covers the release's defaults, the toolchain's lock, every file of the operator's, the facts given and this
package's own code. Nothing is remembered where files alone do not decide the answer: an inventory that is a program,
a template that looks something up elsewhere. An answer serves whoever asks for some of its names.

`openstack_release` is not part of the key, because every upgrade edits it: what it is set to is kept beside the answer
with the names that follow from it, and for these only the same setting will do.
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
from upgrader.effective.own_files import OwnFile, OwnFiles
from upgrader.effective.released import Released
from upgrader.kolla.yaml_text import Entry
from upgrader.record import Effective

FOLDER = "effective"
RELEASE = "openstack_release"
_KEPT = 4
"""Answers kept per release: the last few states of the files."""
_ELSEWHERE = re.compile(r"\b(?:lookup|query|q)\s*\(|\bnow\s*\(|\brandom\b")
_PLUGIN_SOURCE = re.compile(r"^\s*plugin\s*:", re.MULTILINE)


def key_of(site: Site, released: Released, own: OwnFiles, hosts: Mapping[str, Any], facts: Any) -> str:
    """Digest of everything the answer follows from; empty when files alone do not decide it."""
    if _depends_on_more(site, own):
        return ""
    whole = hashlib.sha256(_code().encode() + released.digest.encode())
    parts: list[Any] = [hosts, facts, str(site.config_dir), str(site.vault_password_file)]
    for file in own.all:
        if file.secret or file.parsed is None:
            # not the content: its digest would let guesses at a password be checked
            state = file.path.stat()
            parts.append((str(file.path), state.st_size, state.st_mtime_ns, state.st_ino))
        else:
            parts.append((str(file.path), _without_release(file)))
    parts.append([*own.inventory, _text(site.config_dir / "ansible.cfg")])
    whole.update(json.dumps(parts, sort_keys=True, default=str).encode())
    return whole.hexdigest()


def setting_of(own: OwnFiles) -> list[str]:
    """What the operator's files set `openstack_release` to, as written and in their order."""
    return [file.text_of(entry) for file in own.all if (entry := _entry(file)) is not None]


def recall(site: Site, release: str, key: str, names: Iterable[str], setting: list[str]) -> Effective | None:
    """What is remembered of `names` under `key`; None where it is not all of it, or cannot be read."""
    wanted = set(names)
    if not key:
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = read_json(_path(site, release, key)).document
        if kept is None or not wanted <= set(kept["names"]):
            return None
        if kept["setting"] != setting and wanted & set(kept["follow"]):
            return None
        found = Effective.model_validate_json(json.dumps(kept["answer"]))
        return found.model_copy(
            update={"variables": tuple(variable for variable in found.variables if variable.name in wanted)}
        )
    return None


def remember(
    site: Site, key: str, answer: Effective, names: Iterable[str], setting: list[str], follow: Iterable[str]
) -> None:
    """Keep an answer; older ones of the release go. A full disk or a missing right costs time later, nothing now.

    `follow`: which of the names have another value where `openstack_release` is set to something else.
    """
    if not key or answer.error:
        return
    with suppress(OSError):
        folder = site.state_dir / FOLDER
        make_dir(folder, exist_ok=True)
        document = {"names": sorted(names), "setting": setting, "follow": sorted(follow), "answer": answer.document()}
        write_json(_path(site, answer.release, key), document)
        old = sorted(folder.glob(f"{answer.release}-*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in old[_KEPT:]:
            path.unlink(missing_ok=True)


def _path(site: Site, release: str, key: str) -> Path:
    return site.state_dir / FOLDER / f"{release}-{key[:32]}.json"


def _entry(file: OwnFile) -> Entry | None:
    """Where a file sets the release in one line; None also for a file whose words are not told."""
    entry = file.entry(RELEASE) if not file.secret else None
    return entry if entry is not None and entry.kind == "scalar" and "\n" not in file.text_of(entry) else None


def _without_release(file: OwnFile) -> str:
    assert file.parsed is not None  # noqa: S101 - the caller looked
    text, entry = file.parsed.text, _entry(file)
    return text if entry is None else text[: entry.start] + text[entry.end :]


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
