"""globals.yml and globals.d: what holds, and changing single settings without touching anything else.

Values are read as they are written: `openstack_release: 2025.1` is the text "2025.1", although YAML would make a
number of it. An edit is planned first, proves that only the intended keys change, and is written later. A file that is
encrypted as a whole is read and edited through Ansible Vault, and stays encrypted; its plain text is never on a disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from upgrader.durable import make_dir, write_atomic
from upgrader.errors import ConfigError, StaleError
from upgrader.kolla.vault import Vault, decrypt, encrypt, encrypted
from upgrader.kolla.yaml_text import Entry, YamlText, parse, quoted, read_bytes

Key = Callable[[], Vault | None]
"""Gives what opens encrypted files; asked only when there is one."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TRUE = ("yes", "true", "on", "1", "y", "t")
_FALSE = ("no", "false", "off", "0", "n", "f")


@dataclass(frozen=True, slots=True)
class Globals:
    """Effective top-level scalars over all files; the last file that says something wins."""

    values: Mapping[str, str]
    """As written; null is the empty text. Values in Ansible Vault are left out."""
    where: Mapping[str, tuple[Path, int]]
    """File and line (from 1) of what holds, for scalars and for everything else."""

    def get(self, key: str, default: str = "") -> str:
        return self.values.get(key, default)

    def flag(self, key: str) -> bool | None:
        """Truth value as Ansible's `bool` filter reads it; None when it is not set, or is an expression."""
        value = self.values.get(key, "").strip().lower()
        return True if value in _TRUE else False if value in _FALSE else None


@dataclass(frozen=True, slots=True)
class Edit:
    """A planned change of one file. `diff` holds the removed and added lines, nothing else of the file; it is empty for
    an encrypted one."""

    path: Path
    keys: tuple[str, ...]
    diff: tuple[str, ...]
    before: bytes = field(repr=False)
    after: bytes = field(repr=False)


def globals_files(config_dir: Path, release: str, extra: Sequence[Path] = ()) -> tuple[Path, ...]:
    """globals.yml, the files of globals.d, then `extra`, in the order of rising precedence.

    2024.2 and newer take *.yml, *.yaml and *.json sorted by path; older releases take *.yml in no certain order,
    here sorted as well. Raises ConfigError when there is no globals.yml.
    """
    main = config_dir / "globals.yml"
    if not main.is_file():
        raise ConfigError(f"{main} does not exist.", reason="missing-file")
    endings = (".yml",) if release < "2024.2" else (".yml", ".yaml", ".json")
    folder = config_dir / "globals.d"
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix in endings and path.is_file())
    except FileNotFoundError:
        found = []
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}.", reason="unreadable-file") from None
    return (main, *found, *extra)


def read_globals(files: Sequence[Path], key: Key | None = None) -> Globals:
    """What holds after reading `files` in their order.

    Raises ConfigError naming file and line, or the encrypted file that `key` does not open.
    """
    values: dict[str, str] = {}
    where: dict[str, tuple[Path, int]] = {}
    for path in files:
        for entry in _opened(path, key)[1].entries:
            where[entry.key] = (path, entry.line)
            values.pop(entry.key, None)
            if entry.kind == "scalar" and not entry.encrypted:
                values[entry.key] = entry.text
    return Globals(values, where)


def plan_edit(files: Sequence[Path], settings: Mapping[str, str], key: Key | None = None) -> tuple[Edit, ...]:
    """Changes that make every one of `settings` hold, one per file that changes; nothing is written.

    A key is changed in the file that wins for it; a key that is nowhere is added to the first file. A setting that
    holds already is left alone, so planning twice is planning once. Raises ConfigError when a key cannot be
    changed safely (not a one-line value, a file in braces, a value used by reference elsewhere), and as `read_globals`.
    """
    opened = [_opened(path, key) for path in files]
    wanted: dict[int, dict[str, str]] = {}
    for name, value in settings.items():
        if not _KEY.fullmatch(name):
            raise ConfigError(f"{name!r} is not a name of a setting.", reason="bad-key")
        holders = [number for number, (_, text) in enumerate(opened) if text.get(name)]
        wanted.setdefault(holders[-1] if holders else 0, {})[name] = value
    edits = []
    for number, todo in sorted(wanted.items()):
        data, text = opened[number]
        edit = _edit(text, todo)
        if edit is not None:
            edits.append(_sealed(edit, data, key) if encrypted(data) else edit)
    return tuple(edits)


def apply_edit(edit: Edit, keep: Path) -> None:
    """Write a planned change: first a copy of the file as it was into the folder `keep`, then the new content.

    Keeps owner and mode, follows symbolic links, and does nothing when it is done already. Raises StaleError when
    the file is neither as planned from nor as planned to.
    """
    now = read_bytes(edit.path)
    if now == edit.after:
        return
    if now != edit.before:
        raise StaleError(
            f"{edit.path} was changed by somebody else since the change was planned.", reason="file-changed"
        )
    target = edit.path.resolve()
    try:
        keep_copy(edit.path, edit.before, keep)
        write_atomic(target, edit.after, like=target.stat())
    except OSError as error:
        raise ConfigError(f"{edit.path} cannot be written: {error.strerror}.", reason="unwritable-file") from None


def keep_copy(path: Path, content: bytes, keep: Path) -> None:
    """Copy (mode 0600) of a file about to be changed; an earlier copy with other content is never overwritten."""
    make_dir(keep, exist_ok=True)
    name = f"{path.parent.name}.{path.name}"
    for number in count():
        copy = keep / (f"{name}.{number}" if number else name)
        if not copy.exists():
            write_atomic(copy, content)
            return
        if copy.read_bytes() == content:
            return


def _opened(path: Path, key: Key | None) -> tuple[bytes, YamlText]:
    """The bytes as they lie there, and the plain text read."""
    data = read_bytes(path)
    if not encrypted(data):
        return data, parse(data, path)
    return data, parse(decrypt(data, path, key() if key else None), path)


def _sealed(edit: Edit, data: bytes, key: Key | None) -> Edit:
    """The same change of the encrypted file, with the label that `data` has; proved by opening it again."""
    vault = key() if key else None
    after = encrypt(edit.after, data, edit.path, vault)
    if decrypt(after, edit.path, vault) != edit.after:
        raise ConfigError(f"{edit.path} could not be encrypted again; it was left as it is.", reason="vault-failed")
    return Edit(edit.path, edit.keys, (), data, after)


def _edit(before: YamlText, settings: Mapping[str, str]) -> Edit | None:
    todo = {key: value for key, value in settings.items() if not _holds(before.get(key), value)}
    if not todo:
        return None
    text = before.text
    present = [entry for entry in before.entries if entry.key in todo]
    for entry in sorted(present, key=lambda item: item.start, reverse=True):
        text = _replaced(before, text, entry, todo[entry.key])
    for key in [key for key in todo if before.get(key) is None]:
        text = _with_line(before, text, f"{key}: {quoted(todo[key])}")
    after = text.encode()
    diff = _proved(before, after, todo)
    return Edit(before.path, tuple(sorted(todo)), diff, before.text.encode(), after)


def _holds(entry: Entry | None, value: str) -> bool:
    return entry is not None and entry.kind == "scalar" and entry.text == value and not (entry.number or entry.empty)


def _replaced(before: YamlText, text: str, entry: Entry, value: str) -> str:
    old = text[entry.start : entry.end]
    if entry.kind != "scalar" or "\n" in old or "\r" in old or entry.encrypted:
        raise ConfigError(
            f"{before.path}, line {entry.line}: {entry.key} is not a value on one line; set it to {value!r} by hand.",
            reason="not-editable",
        )
    space = " " if entry.start == entry.end and before.text[entry.start - 1] == ":" else ""
    return text[: entry.start] + space + quoted(value) + text[entry.end :]


def _with_line(before: YamlText, text: str, line: str) -> str:
    if not before.block:
        raise ConfigError(f"{before.path} is written in braces; add `{line}` by hand.", reason="not-editable")
    ended = text in ("", "\ufeff") or text.endswith("\n")
    new = " " * before.indent + line
    return text + new + before.eol if ended else text + before.eol + new


def _proved(before: YamlText, after: bytes, settings: Mapping[str, str]) -> tuple[str, ...]:
    """The changed lines, after making sure that nothing but `settings` changed. Raises ConfigError otherwise."""
    problem = ConfigError(
        f"{before.path} cannot be changed safely: setting {', '.join(sorted(settings))} would change more than that.",
        reason="not-editable",
    )
    try:
        parsed = parse(after, before.path)
    except ConfigError:
        raise problem from None
    old = {entry.key: entry.tree for entry in before.entries}
    new = {entry.key: entry.tree for entry in parsed.entries}
    texts = {key: entry.text for key in settings if (entry := parsed.get(key)) and not entry.number}
    others = {key for key in old if key not in settings}
    if new.keys() != old.keys() | settings.keys() or texts != settings or any(new[key] != old[key] for key in others):
        raise problem
    old_lines, new_lines = before.lines, parsed.lines
    changed = {number for number, line in enumerate(old_lines) if new_lines[number : number + 1] != [line]}
    replaced = [entry for key in settings if (entry := before.get(key))]
    meant = {before.line_at(entry.start) for entry in replaced}
    whole = all(_only_value_differs(before, new_lines, entry, settings) for entry in replaced)
    fresh = [f"{key}: {quoted(settings[key])}" for key in settings if key not in old]
    if changed != meant or not whole or [line.strip() for line in new_lines[len(old_lines) :]] != fresh:
        raise problem
    pairs = [(f"-{old_lines[number]}", f"+{new_lines[number]}") for number in sorted(changed)]
    return tuple(line for pair in pairs for line in pair) + tuple(f"+{line}" for line in new_lines[len(old_lines) :])


def _only_value_differs(before: YamlText, lines: list[str], entry: Entry, settings: Mapping[str, str]) -> bool:
    """Whether the line of a changed value is otherwise as it was: key, spacing, comment."""
    number = before.line_at(entry.start)
    if number >= min(len(lines), len(before.lines)):
        return False
    same = [other for other in before.entries if before.line_at(other.start) == number]
    offset = max(before.text.rfind("\n", 0, entry.start), before.text.rfind("\r", 0, entry.start)) + 1
    head = before.lines[number][: min(other.start for other in same) - offset]
    tail = before.lines[number][max(other.end for other in same) - offset :]
    value = lines[number].removeprefix(head).removesuffix(tail)
    if not (lines[number].startswith(head) and lines[number].endswith(tail)):
        return False
    # Several keys on one line stand in braces; that their values are right is proved by parsing.
    return len(same) > 1 or value == (" " if entry.start == entry.end else "") + quoted(settings[entry.key])
