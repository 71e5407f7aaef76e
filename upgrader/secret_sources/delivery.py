"""What a play needs to open the site's files: fetched by whoever starts it, handed to its process through a pipe.

The play's process offers it to Ansible: vault passwords as files in memory, plain texts sealed for a password that
is itself only in memory. Nothing of it is in a command line, in an environment or, in the clear, on a disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upgrader.config import Site
from upgrader.errors import ConfigError
from upgrader.secret_sources import sops, values
from upgrader.secret_sources.identities import Identity, identities, rules_of, site_of
from upgrader.secret_sources.memory import held
from upgrader.secret_sources.programs import UNCHANGED
from upgrader.secret_sources.sealing import LABEL, fresh_password, seal

FOLDER = "given"
_VAULT_HEADER = b"$ANSIBLE_VAULT;"


@dataclass(frozen=True, slots=True)
class Delivery:
    """For one play. Empty where Ansible can be given the operator's own files."""

    identities: tuple[Identity, ...] = ()
    files: tuple[tuple[Path, bytes], ...] = field(default=(), repr=False)
    """(file of variables, plain text in its place)."""

    @property
    def secrets(self) -> frozenset[str]:
        """Vault passwords in it, for redaction."""
        return frozenset(one.password for one in self.identities if one.password)

    def document(self) -> dict[str, Any]:
        """For the pipe; `received` reads it."""
        return {
            "identities": [[one.label, str(one.file or ""), one.password] for one in self.identities],
            "files": [[str(path), plain.decode()] for path, plain in self.files],
        }


def delivery(key: Path | None, files: Sequence[Path], ansible: Path, environment: Mapping[str, str]) -> Delivery:
    """Everything behind a site's key, and the plain text of each of `files` that Ansible cannot read by itself.

    `ansible` and its environment answer lookups. Raises as `identities`, `sops.decrypt` and `values.fetched`.
    """
    site = site_of(key)
    given = []
    for path in files:
        plain = _plain(key, site, path, ansible, environment)
        if plain is not None:
            given.append((path, plain))
    return Delivery(identities(key) if site is not None else (), tuple(given))


def _plain(
    key: Path | None, site: Site | None, path: Path, ansible: Path, environment: Mapping[str, str]
) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None  # Ansible says so
    plain = sops.decrypt(data, path, rules_of(key)) if sops.is_sops(data) else None
    if site is not None and path == site.passwords:
        return overlaid(site, plain or data, ansible, environment, for_ansible=True) or plain
    return plain


def overlaid(
    site: Site, data: bytes, ansible: Path | None, environment: Mapping[str, str], *, for_ansible: bool
) -> bytes | None:
    """The passwords file's plain content with what comes from elsewhere; None where nothing does.

    Raises ConfigError for an encrypted file whose passwords are elsewhere, and for lookups without a toolchain.
    """
    rules = site.secrets
    if not (rules.passwords_kv or rules.passwords_env or rules.lookups):
        return None
    if data.startswith(_VAULT_HEADER) and rules.lookups:
        return None
    if data.startswith(_VAULT_HEADER):
        raise ConfigError(
            f"{site.passwords} is encrypted as a whole, and [secrets] says that passwords are elsewhere: one of them.",
            cloud=UNCHANGED,
            next_command=f"ansible-vault decrypt {site.passwords}",
            reason="two-sources",
        )
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{site.passwords} is not UTF-8 text.", reason="broken-yaml") from None
    if not rules.lookups:
        return values.composed(text, values.fetched(site), ansible=for_ansible).encode()
    names = values.names_with_lookups(text)
    if not names:
        return None
    if ansible is None:
        raise ConfigError(
            f"{site.passwords} takes values by lookups, and no toolchain is built that could answer them.",
            cloud=UNCHANGED,
            next_command="upgrader toolchain build RELEASE",
            reason="toolchain-missing",
        )
    found = values.looked_up(site.passwords, names, rules, ansible, environment)
    return values.composed(text, found, ansible=for_ansible).encode()


@contextmanager
def received(document: Mapping[str, Any], folder: Path) -> Iterator[tuple[list[str], dict[Path, Path]]]:
    """In the play's process: (options for `ansible-playbook`, file → file to give in its place).

    `folder` is private and does not outlive the play.
    """
    with ExitStack() as stack:
        words: list[str] = []

        def offer(label: str, password: str) -> None:
            words.extend(("--vault-id", f"{label}@{stack.enter_context(held(password.encode()))}"))

        for label, file, password in document.get("identities", ()):
            if file:
                words.extend(("--vault-id", f"{label}@{file}"))
            else:
                offer(label, password)
        replaced: dict[Path, Path] = {}
        once = fresh_password() if document.get("files") else ""
        for number, (path, plain) in enumerate(document.get("files", ())):
            place = folder / FOLDER / str(number) / Path(path).name
            place.parent.mkdir(mode=0o700, parents=True)
            place.touch(mode=0o600)
            place.write_bytes(seal(plain.encode(), once))
            replaced[Path(path)] = place
        if once:
            offer(LABEL, once)
        yield words, replaced
