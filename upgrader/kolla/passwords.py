"""passwords.yml: adds the keys that a release newly wants, and says which values must never be shown.

New values are made by the release's own kolla-genpwd and kolla-mergepwd, so their forms (SSH keys, UUIDs, Fernet
keys) are right. Existing lines keep every byte; a file that is encrypted stays encrypted. Nothing here prints.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from upgrader import processes
from upgrader.config import Site
from upgrader.durable import write_atomic
from upgrader.errors import ConfigError, EnvironmentMissingError, StaleError
from upgrader.kolla.commands import genpwd, mergepwd
from upgrader.kolla.globals_yml import keep_copy
from upgrader.kolla.toolchain import Toolchain, environment
from upgrader.kolla.vault import Vault, decrypt, decrypt_values, encrypt, encrypt_values, encrypted, same_content
from upgrader.kolla.yaml_text import VAULT_HEADER, Entry, Tree, YamlText, parse, quoted, read_bytes, scalars_below
from upgrader.secret_sources.delivery import overlaid
from upgrader.secret_sources.identities import site_of
from upgrader.secret_sources.memory import WRITABLE, held
from upgrader.secret_sources.values import elsewhere, names_with_lookups

REDIS, VALKEY = "redis_master_password", "valkey_master_password"
_SHORTEST_SECRET = 6
_SCRATCH = ".upgrader-passwords-"

Valkey = Literal["", "copied", "same", "differs", "aligned"]
"""How the Valkey password stands to the Redis one. Upstream's move from Redis to Valkey (2025.2) needs them equal."""


@dataclass(frozen=True, slots=True)
class PasswordMerge:
    """A planned merge. Its representation shows names only."""

    path: Path
    added: tuple[str, ...]
    empty: tuple[str, ...]
    """Keys with no value in the operator's file; kolla-ansible refuses most of them, nothing fills them here."""
    valkey: Valkey
    before: bytes = field(repr=False)
    after: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasswordNames:
    """What may be said of a passwords file: names only."""

    all: tuple[str, ...]
    """In the file's order."""
    filled: tuple[str, ...]
    """Those that have a value, sorted."""
    encrypted: bool
    """No value lies there in the clear: the file is encrypted as a whole, each value by itself, or they are
    elsewhere."""
    equal: tuple[str, ...] = ()
    """`a = b` for the pairs of passwords that a release wants equal and that are."""


def names(path: Path, vault: Vault | None = None) -> PasswordNames:
    """Names in a passwords file, and whether it is encrypted. Raises ConfigError as `keys` does."""
    data, text = open_passwords(path, vault)
    outside = kept_elsewhere(path, data, vault)
    filled = [entry for entry in text.entries if not entry.empty]
    scalars = [found for entry in filled for found in scalars_below(entry.tree, entry.key)]
    sealed = all(tag == "!vault" or key == "public_key" for key, tag, _ in scalars)
    return PasswordNames(
        tuple(entry.key for entry in text.entries),
        tuple(sorted(entry.key for entry in filled)),
        encrypted(data) or bool(outside) or (bool(filled) and sealed),
        (f"{VALKEY} = {REDIS}",) if valkey_state(text, path, vault, adding=False) == "same" else (),
    )


def keys(path: Path, vault: Vault | None = None) -> tuple[str, ...]:
    """Names in a passwords file, in its order. Raises ConfigError (unreadable, broken, wrong vault password)."""
    return tuple(entry.key for entry in open_passwords(path, vault)[1].entries)


def secret_values(path: Path, vault: Vault | None = None, *, shortest: int = _SHORTEST_SECRET) -> frozenset[str]:
    """Every value of at least `shortest` characters, and every line of the ones with several lines, for redaction.

    Public keys and the marker lines of private keys are left out. Raises ConfigError as `keys` does.
    """
    text = open_passwords(path, vault)[1]
    found: set[str] = set()
    sealed: list[str] = []
    for entry in text.entries:
        for key, tag, value in scalars_below(entry.tree, entry.key):
            if tag == "!vault":
                sealed.append(value)
            elif key != "public_key":
                found |= _forms(value, shortest)
    for value in decrypt_values(sealed, path, vault):
        found |= _forms(value, shortest)
    return frozenset(found)


def plan_merge(
    path: Path, toolchain: Toolchain, vault_password_file: Path | None = None, *, align_valkey: bool = False
) -> PasswordMerge:
    """What passwords.yml becomes for the toolchain's release; nothing is written.

    A new Valkey password is a copy of the Redis one, as kolla-mergepwd does. `align_valkey` also makes an existing,
    different one equal: right before the move from Redis to Valkey, wrong once Valkey holds data. Raises ConfigError
    naming the file, EnvironmentMissingError when the toolchain lacks its programs.
    """
    vault = Vault(toolchain, vault_password_file) if vault_password_file else None
    before, text = open_passwords(path, vault)
    _sweep(path)
    example = parse(_example(toolchain), toolchain.example_passwords)
    missing = [entry for entry in example.entries if text.get(entry.key) is None]
    state = valkey_state(text, path, vault, adding=any(entry.key == VALKEY for entry in missing))
    if kept_elsewhere(path, before, vault):
        return _left_to_people(path, before, vault, text, missing, state, align_valkey=align_valkey)
    plain = text.text
    if state == "differs" and align_valkey:
        plain, state = _aligned(text), "aligned"
    if missing:
        plain = _appended(text, plain, _generated(text, missing, example, toolchain, path, vault))
    empty = _empty(text)
    added = tuple(entry.key for entry in missing)
    if plain == text.text:
        return PasswordMerge(path, (), empty, state, before, before)
    _prove(text, plain, added, changed=VALKEY if state == "aligned" else "")
    after = plain.encode()
    if encrypted(before):
        after = encrypt(plain.encode(), before, path, vault)
        if not same_content(decrypt(after, path, vault), plain.encode(), before, path):
            raise ConfigError(f"{path} could not be encrypted again; it was left as it is.", reason="vault-failed")
    return PasswordMerge(path, added, empty, state, before, after)


def apply_merge(merge: PasswordMerge, keep: Path) -> None:
    """Write a planned merge: a copy (mode 0600) into the folder `keep` first. Keeps owner, mode and links.

    Does nothing when there is nothing to do. Raises StaleError when the file is neither as before nor as after.
    """
    now = read_bytes(merge.path)
    if now == merge.after:
        return
    if now != merge.before:
        raise StaleError(
            f"{merge.path} was changed by somebody else since the merge was planned.", reason="file-changed"
        )
    target = merge.path.resolve()
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):  # of a run that was killed while writing
        leftover.unlink(missing_ok=True)
    try:
        keep_copy(merge.path, merge.before, keep)
        write_atomic(target, merge.after, like=target.stat())
    except OSError as error:
        raise ConfigError(f"{merge.path} cannot be written: {error.strerror}.", reason="unwritable-file") from None


def open_passwords(path: Path, vault: Vault | None) -> tuple[bytes, YamlText]:
    """Bytes as they lie there, and the plain text read. Raises ConfigError (unreadable, broken, wrong password).

    The text has what `[secrets]` takes from elsewhere in place of the file's own; `text_in_file` has not.
    """
    data = read_bytes(path)
    return data, text_of(data, path, vault)


def text_of(data: bytes, path: Path, vault: Vault | None) -> YamlText:
    """As `open_passwords`, for other bytes of the same file."""
    site = _site(path, vault)
    text = text_in_file(data, path, vault)
    if site is not None and vault is not None:
        plain = data if data.startswith(VAULT_HEADER) else text.text.encode()
        tools = vault.toolchain
        whole = overlaid(site, plain, tools.bin / "ansible", environment(tools), for_ansible=False)
        if whole is not None:
            return parse(whole, path)
    asked = names_with_lookups(text.text)
    if asked:
        raise ConfigError(
            f"{path} takes {asked[0]} by a lookup, so that its value is not known here and could not be kept out of "
            "logs; say [secrets] lookups = true, and in environment which variables the lookups need.",
            next_command="upgrader check",
            reason="lookups-not-allowed",
        )
    return text


def text_in_file(data: bytes, path: Path, vault: Vault | None) -> YamlText:
    """The file's own text, opened."""
    return parse(decrypt(data, path, vault) if encrypted(data) else data, path)


def _site(path: Path, vault: Vault | None) -> Site | None:
    """The site whose passwords file it is, where its `[secrets]` says more than a password file."""
    site = site_of(vault.password_file) if vault is not None else None
    return site if site is not None and site.passwords == path else None


def kept_elsewhere(path: Path, before: bytes, vault: Vault | None) -> str:
    """Where passwords are instead of in the file, to which nothing may then be added in the clear."""
    site = _site(path, vault)
    outside = elsewhere(site)
    if outside or site is None or not site.secrets.lookups:
        return outside
    return "what its lookups ask" if names_with_lookups(text_in_file(before, path, vault).text) else ""


def _left_to_people(
    path: Path,
    before: bytes,
    vault: Vault | None,
    text: YamlText,
    missing: list[Entry],
    state: Valkey,
    *,
    align_valkey: bool,
) -> PasswordMerge:
    """Raises ConfigError naming what has to be added where the passwords are: this tool only reads there."""
    where = kept_elsewhere(path, before, vault)
    if missing:
        names = [entry.key for entry in missing]
        raise ConfigError(
            f"{len(names)} new password{'s are' if len(names) > 1 else ' is'} wanted, and passwords are in {where}, "
            f"where this tool only reads; add there, with values of kolla-genpwd: {', '.join(names)}.",
            details=names,
            next_command="upgrader check",
            reason="passwords-elsewhere",
        )
    if state == "differs" and align_valkey:
        raise ConfigError(f"set {VALKEY} to the value of {REDIS} in {where} by hand.", reason="not-editable")
    return PasswordMerge(path, (), _empty(text), state, before, before)


def _empty(text: YamlText) -> tuple[str, ...]:
    return tuple(entry.key for entry in text.entries if entry.empty and entry.key != "docker_registry_password")


def _forms(value: str, shortest: int) -> set[str]:
    lines = [line.strip() for line in value.splitlines()]
    kept = {line for line in lines if len(line) >= shortest and not line.startswith("-----")}
    return kept | ({value} if len(value) >= shortest else set())


def _example(toolchain: Toolchain) -> bytes:
    if not (toolchain.example_passwords.is_file() and (toolchain.bin / "kolla-genpwd").exists()):
        raise EnvironmentMissingError(
            f"The toolchain of {toolchain.release} has no kolla-genpwd or no list of passwords.",
            next_command=f"upgrader toolchain build {toolchain.release}",
            reason="toolchain-missing",
        )
    return read_bytes(toolchain.example_passwords)


def _generated(
    text: YamlText, missing: list[Entry], example: YamlText, toolchain: Toolchain, path: Path, vault: Vault | None
) -> str:
    """YAML lines of the missing keys with fresh values, in the order of the release's own list."""
    redis = text.get(REDIS)
    # Of the operator's values only the Redis password is needed by the programs, so only it is given to them.
    known = redis is not None and redis.kind == "scalar" and not redis.encrypted and not redis.empty
    old = f"{REDIS}: {quoted(redis.text)}\n" if redis and known else "{}\n"
    wanted = "\n".join(example.lines_of(entry).rstrip() for entry in missing) + "\n"
    with ExitStack() as stack:
        files = [stack.enter_context(held(part.encode(), mode=WRITABLE)) for part in (old, wanted, "")]
        _run(toolchain, genpwd(str(files[1])))
        _run(toolchain, mergepwd(*(str(file) for file in files)))
        made = parse(files[2].read_bytes(), path)
    if redis is not None and redis.encrypted:
        own = {VALKEY: f"{VALKEY}:{text.text[redis.key_end : redis.end].partition(':')[2].rstrip()}\n"}
    elif redis is not None and known:
        own = {VALKEY: f"{VALKEY}: {quoted(redis.text)}\n"}
    else:
        own = {}
    found = {entry.key: entry for entry in made.entries}
    absent = [entry.key for entry in missing if entry.key not in found]
    if absent:
        raise EnvironmentMissingError(f"kolla-mergepwd of {toolchain.release} made no {', '.join(absent)}.")
    lines = {entry.key: own.get(entry.key) or made.lines_of(found[entry.key]).rstrip() + "\n" for entry in missing}
    sealed = [found for entry in text.entries for _key, tag, found in scalars_below(entry.tree) if tag == "!vault"]
    if sealed:
        lines = _sealed(lines, path, vault, sealed[0])
    return "".join(lines.values())


def _sealed(lines: dict[str, str], path: Path, vault: Vault | None, like: str) -> dict[str, str]:
    """The same entries with every value encrypted, for files whose values are encrypted one by one."""
    parsed = parse("".join(lines.values()).encode(), path)
    open_entries = [entry for entry in parsed.entries if not entry.encrypted]
    plain = [text for entry in open_entries for _key, _tag, text in scalars_below(entry.tree) if text]
    ciphers = iter(encrypt_values(plain, path, vault, like))
    return lines | {entry.key: _vaulted(entry.key, entry.tree, ciphers, "") for entry in open_entries}


def _vaulted(key: str, tree: Tree, ciphers: Iterator[str], indent: str) -> str:
    if tree[0] == "mapping":
        pairs: tuple[tuple[Tree, Tree], ...] = tree[1:]
        return f"{indent}{key}:\n" + "".join(_vaulted(str(k[1]), value, ciphers, indent + "  ") for k, value in pairs)
    if not tree[1]:
        return f"{indent}{key}:\n"
    return f"{indent}{key}: !vault |\n" + "".join(f"{indent}  {line}\n" for line in next(ciphers).splitlines())


def valkey_state(text: YamlText, path: Path, vault: Vault | None, *, adding: bool) -> Valkey:
    """How the two passwords stand in a file; `adding`: a missing Valkey password is about to be made."""
    redis, valkey = text.get(REDIS), text.get(VALKEY)
    if redis is None or redis.kind != "scalar" or redis.empty:
        return ""
    if valkey is None:
        return "copied" if adding else ""
    if valkey.kind != "scalar":
        return ""
    values = [decrypt_values([e.text], path, vault)[0] if e.encrypted else e.text for e in (redis, valkey)]
    return "same" if values[0] == values[1] else "differs"


def _aligned(text: YamlText) -> str:
    redis, valkey = text.get(REDIS), text.get(VALKEY)
    if redis is None or valkey is None or redis.encrypted or valkey.encrypted or "\n" in text.lines_of(valkey):
        raise ConfigError(f"{text.path}: set {VALKEY} to the value of {REDIS} by hand.", reason="not-editable")
    space = " " if valkey.start == valkey.end else ""
    return text.text[: valkey.start] + space + quoted(redis.text) + text.text[valkey.end :]


def _appended(text: YamlText, plain: str, lines: str) -> str:
    if not text.block:
        raise ConfigError(
            f"{text.path} is written in braces; new passwords cannot be added to it.", reason="not-editable"
        )
    indent = " " * text.indent
    new = "".join(f"{indent}{line}{text.eol}" if line else text.eol for line in lines.split("\n")[:-1])
    return plain + ("" if plain in ("", "\ufeff") or plain.endswith("\n") else text.eol) + new


def _prove(text: YamlText, plain: str, added: tuple[str, ...], *, changed: str) -> None:
    """Raises ConfigError unless every old value is as it was and exactly the intended keys are new."""
    try:
        new = {entry.key: entry for entry in parse(plain.encode(), text.path).entries}
    except ConfigError:
        new = {}
    kept = [entry for entry in text.entries if entry.key != changed]
    whole = all(entry.key in new and _same(entry, new[entry.key]) for entry in kept)
    named = [*(entry.key for entry in text.entries), *added]
    if not whole or list(new) != named or (not changed and not plain.startswith(text.text)):
        raise ConfigError(f"{text.path} cannot be extended safely; nothing was changed.", reason="not-editable")


def _same(old: Entry, new: Entry) -> bool:
    # A line end after the last line of an encrypted block becomes part of the text, and means nothing.
    return old.tree == new.tree or (old.encrypted and new.encrypted and old.text.rstrip("\n") == new.text.rstrip("\n"))


def _sweep(path: Path) -> None:
    """Delete what earlier versions of this program left when they were killed: folders with values."""
    for folder in path.resolve().parent.glob(f"{_SCRATCH}*"):
        owner = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        if owner.isdigit() and not processes.alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _run(toolchain: Toolchain, words: tuple[str, ...]) -> None:
    program, *arguments = words
    command = [str(toolchain.bin / program), *arguments]
    # umask: the programs create their results with mode 0640
    run = subprocess.run(
        command,
        env=environment(toolchain),
        cwd="/",
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        umask=0o077,
    )
    if run.returncode:  # its output is not repeated: a traceback may hold a value
        raise EnvironmentMissingError(
            f"{program} of {toolchain.release} failed with exit code {run.returncode}.",
            next_command=f"upgrader toolchain build {toolchain.release}",
            reason="genpwd-failed",
        )
