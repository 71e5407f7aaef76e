"""The operator's own programs that give secrets: started with what they need, judged, and never quoted at length."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.redact import Redactor
from upgrader.secret_sources.carried import environ

UNCHANGED = "Nothing was changed."
_PASSED = ("PATH", "HOME", "USER", "LOGNAME", "TZ", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "TERM")
_LONGEST = 64 * 1024 * 1024
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Said:
    """What a program said. Its representation holds no secret."""

    code: int
    words: str
    """Its standard error in one line, shortened and without what looks like a secret."""
    _output: list[bytes]

    @property
    def output(self) -> bytes:
        return self._output[0]

    def __repr__(self) -> str:
        return f"Said(code={self.code})"


def run(
    words: Sequence[str], *, key: str, given: bytes = b"", more: Mapping[str, str] | None = None, seconds: int
) -> Said:
    """Start a program with `given` on its standard input. `key` is the setting that names it.

    Raises EnvironmentMissingError when it is not there, ConfigError when it does not end in time.
    """
    passed = {name: value for name, value in environ().items() if name in _PASSED}
    variables = {"PATH": os.defpath, **passed, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **(more or {})}
    try:
        process = subprocess.run(
            list(words), input=given, capture_output=True, check=False, cwd="/", env=variables, timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{words[0]} gave no answer within {seconds} s ([secrets] {key}).",
            cloud=UNCHANGED,
            next_command="",
            reason="secrets-timeout",
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        raise EnvironmentMissingError(
            f"There is no program {words[0]} on this machine ([secrets] {key}).",
            cloud=UNCHANGED,
            next_command=f"command -v {words[0]}",
            reason="secrets-program-missing",
        ) from None
    except OSError as error:
        raise EnvironmentMissingError(
            f"{words[0]} cannot be started: {error.strerror} ([secrets] {key}).",
            cloud=UNCHANGED,
            reason="secrets-program-missing",
        ) from None
    if len(process.stdout) > _LONGEST:
        raise ConfigError(f"{words[0]} said more than 64 MiB ([secrets] {key}).", cloud=UNCHANGED)
    said = " ".join(process.stderr.decode(errors="replace").split())
    return Said(process.returncode, Redactor().text(said)[:_SHOWN], [process.stdout])
