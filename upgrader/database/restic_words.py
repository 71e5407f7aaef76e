"""What restic's words mean: each known trouble by name, with what to do about it.

The words are those of restic 0.14 and 0.16, of OpenSSH and of the object stores' clients inside restic.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from upgrader.errors import EnvironmentMissingError, LockedError, RefusedError, UpgraderError

LOCAL_STAYS = "The set on this machine is whole and stays as it is."
INIT = "upgrader backup --init-offbox"


class _Known(NamedTuple):
    words: re.Pattern[str]
    reason: str
    error: type[UpgraderError]
    message: str
    """`{where}` is the repository."""
    next_command: str = ""


def _known(words: str, reason: str, error: type[UpgraderError], message: str, next_command: str = "") -> _Known:
    return _Known(re.compile(words, re.I), reason, error, message, next_command)


_AWAY = "The off-box repository {where} cannot be reached."

_TROUBLES = (
    _known(
        r"source file could not be read|.during.:.(?:archival|scan)",
        "backup-unreadable", RefusedError, "The set here could not be read whole; {where} holds no whole copy of it.",
        "upgrader backup --check newest",
    ),
    _known(
        r"repository is already locked|unable to create lock in backend: repository",
        "offbox-locked", LockedError, "The off-box repository {where} is locked.",
    ),
    _known(
        r"wrong password or no key found",
        "offbox-wrong-password", RefusedError,
        "The password in [backup.offbox] password_file does not open the repository {where}.",
        "put the password with which it was made into that file",
    ),
    _known(
        r"no space left|disk quota exceeded|quota exceeded|not enough space|Errno 28|insufficient ?storage|Too ?Large",
        "offbox-full", EnvironmentMissingError, "There is no space left at the off-box repository {where}.",
        "free space there, then: upgrader backup --copy newest",
    ),
    _known(
        r"config file already exists|repository master key and config already initialized|config already exists",
        "offbox-there-already", RefusedError, "There is a repository at {where} already.",
    ),
    _known(
        r"connection refused|no route to host|network is unreachable|i/o timeout|timed? ?out|no such host"
        r"|could not resolve|dial tcp|temporary failure in name",
        "offbox-unreachable", EnvironmentMissingError, _AWAY,
    ),
    _known(
        r"permission denied|access ?denied|forbidden|401 unauthorized|SignatureDoesNotMatch|signature we calculated"
        r"|InvalidAccessKey|authorization failed|credentials|authenticat|Host key verification failed",
        "offbox-denied", RefusedError, "The off-box repository {where} does not let us in.",
        "check the keys in [backup.offbox] environment_file, or the SSH key and known_hosts of this user",
    ),
    # restic may end before it has read why ssh did
    _known(
        r"unable to start the sftp session|connection reset|connection closed|connection lost|handshake failure|x509"
        r"|broken pipe|503 service",
        "offbox-unreachable", EnvironmentMissingError, _AWAY,
        "log in there once by hand (ssh HOST), as this user",
    ),
    _known(
        r"is there a repository at|unable to open config file|repository does not exist|container not found"
        r"|bucket does not exist|NoSuchBucket",
        "offbox-no-repository", RefusedError, "There is no restic repository at {where}.", INIT,
    ),
    _known(
        r"ciphertext verification failed|does not match id|invalid data returned|not found in (?:index|repository)"
        r"|pack .* (?:contains|does not)|hash mismatch|wrong hash|no such file or directory|does not exist"
        r"|unable to load|unexpected EOF|load.* failed|repository contains errors",
        "offbox-damaged", RefusedError, "The off-box repository {where} is damaged.",
        "restic check --read-data there; keep the local sets until it is mended",
    ),
)  # fmt: skip


def trouble(where: str, command: str, said: str, clean: Callable[[str], str]) -> UpgraderError:
    """The error that restic's words mean, in the order of the table. Nothing but what `clean` left of them is in it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for known in _TROUBLES:
        # the repository's own name must not be taken for a word about it
        evidence = next((line for line in lines if known.words.search(line.replace(where, ""))), "")
        if evidence:
            return known.error(
                known.message.format(where=clean(where)),
                cloud=LOCAL_STAYS,
                next_command=known.next_command,
                details=[clean(evidence)],
                reason=known.reason,
            )
    fatal = [line for line in lines if line.startswith("Fatal")] or lines
    return UpgraderError(
        f"restic {command} failed at {clean(where)}: {clean(fatal[-1]) if fatal else 'it said nothing'}.",
        cloud=LOCAL_STAYS,
        details=[clean(line) for line in lines[-3:]],
        reason="offbox-failed",
    )
