"""Passwords that are not in passwords.yml but where it points to: a KV store, variables, Ansible's lookups.

What comes from there stands over the file's own entries, and becomes one YAML text in memory: for this program to
read, and for Ansible in place of the file.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from upgrader.config import Site
from upgrader.errors import ConfigError
from upgrader.secret_rules import SecretRules
from upgrader.secret_sources import carried, kv
from upgrader.secret_sources.kv import Value
from upgrader.secret_sources.programs import UNCHANGED

LOOKUP = re.compile(r"\{\{[^}]*?\b(?:lookup|query|q)\s*\(")
_ENTRY = re.compile(r"^[\"']?[A-Za-z_][A-Za-z0-9_]*[\"']?[ \t]*:(?=\s|$)", re.MULTILINE)
_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*$")
_TEMPLATE = re.compile(r"\{[{%#]")
_fetched: dict[SecretRules, dict[str, Value]] = {}


def elsewhere(site: Site | None) -> str:
    """Where the site's passwords are, if not in the file; for messages."""
    if site is None:
        return ""
    if site.secrets.passwords_kv:
        return "/".join(site.secrets.passwords_kv)
    return f"variables {site.secrets.passwords_env}…" if site.secrets.passwords_env else ""


def fetched(site: Site) -> dict[str, Value]:
    """Passwords of a KV store or of variables, by name; fetched once by each process. Raises as `kv.passwords`."""
    rules = site.secrets
    if rules not in _fetched:
        found = kv.passwords(rules) if rules.passwords_kv else _variables(rules)
        wrong = sorted(name for name in found if not _NAME.match(name))
        if wrong:
            raise ConfigError(
                f"{elsewhere(site)} has {wrong[0]!r}, which is no name of a password.", cloud=UNCHANGED,
                reason="password-name",
            )  # fmt: skip
        _fetched[rules] = found
    return _fetched[rules]


def _variables(rules: SecretRules) -> dict[str, Value]:
    prefix = rules.passwords_env
    set_ones = carried.chosen(set(), (prefix,))
    if not set_ones:
        raise ConfigError(
            f"No variable of this shell begins with {prefix}, and the passwords are to come from such "
            "([secrets] passwords_env). They are not kept anywhere: set them again in the shell that continues a run.",
            cloud=UNCHANGED,
            next_command=f"export {prefix}DATABASE_PASSWORD=…",
            reason="passwords-missing",
        )
    return {name.removeprefix(prefix).lower(): kv.as_value(value) for name, value in set_ones.items()}


def names_with_lookups(text: str) -> tuple[str, ...]:
    """Top-level names whose value asks a lookup, in the text's order."""
    return tuple(name for name, part in _parts(text) if name and LOOKUP.search(part))


def composed(text: str, values: Mapping[str, Value], *, ansible: bool) -> str:
    """The file's text with `values` in place of its own entries of these names."""
    kept = "".join(part for name, part in _parts(text) if name not in values)
    return kept + ("" if not kept or kept.endswith("\n") else "\n") + written(values, ansible=ansible)


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """(name, text) of each top-level entry with what follows it; what comes before the first has no name."""
    starts = [match.start() for match in _ENTRY.finditer(text)]
    yield "", text[: starts[0] if starts else None]
    for begin, end in zip(starts, [*starts[1:], len(text)], strict=False):
        part = text[begin:end]
        yield part.partition(":")[0].strip().strip("\"'"), part


def written(values: Mapping[str, Value], *, ansible: bool) -> str:
    """YAML lines. For Ansible, what looks like a template is marked as a plain value."""
    lines = []
    for name, value in values.items():
        if isinstance(value, str):
            lines.append(f"{name}: {_scalar(value, ansible)}")
        else:
            lines.append(f"{name}:" + (" {}" if not value else ""))
            lines += [f"  {json.dumps(key)}: {_scalar(item, ansible)}" for key, item in value.items()]
    return "".join(f"{line}\n" for line in lines)


def _scalar(value: str, ansible: bool) -> str:
    text = json.dumps(value, ensure_ascii=True)  # YAML's double quotes know all of JSON's escapes
    if not value:
        return ""
    return f"!unsafe {text}" if ansible and _TEMPLATE.search(value) else text


def looked_up(
    path: Path, names: tuple[str, ...], rules: SecretRules, ansible: Path, environment: Mapping[str, str]
) -> dict[str, Value]:
    """What Ansible makes of the values of passwords.yml, asked with the program `ansible` of a toolchain (2 s).

    Raises ConfigError naming the file when a lookup fails; Ansible's words are not repeated, they may hold a value.
    """
    if not names:
        return {}
    own = path.parent / "ansible.cfg"
    more = carried.chosen(set(rules.environment), carried.LOOKUP_PREFIXES)
    variables = {**environment, **more, "ANSIBLE_LOG_PATH": "/dev/null"}
    variables |= {"ANSIBLE_CONFIG": str(own)} if own.is_file() else {}
    listed = ", ".join(f"'{name}'" for name in names)
    asked = f"[{listed}] | zip(query('ansible.builtin.vars', {listed})) | list | to_json | b64encode"
    command = [
        str(ansible), "localhost", "--inventory", "localhost,", "--connection", "local", "--extra-vars", f"@{path}",
        "--module-name", "ansible.builtin.debug",
        "--args", f"msg={{{{ {asked} }}}}",
    ]  # fmt: skip
    try:
        run = subprocess.run(
            command, capture_output=True, check=False, cwd="/", env=variables, stdin=subprocess.DEVNULL,
            timeout=max(rules.timeout_seconds, 60),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _failed(path, "they took too long") from None
    except OSError as error:
        raise _failed(path, f"{ansible} cannot be started: {error.strerror}") from None
    if run.returncode:
        raise _failed(path, _why(run.stdout + run.stderr))
    return _answer(run.stdout, path)


def _answer(output: bytes, path: Path) -> dict[str, Value]:
    import base64

    try:
        said = json.loads(output[output.index(b"{") :])
        pairs: list[list[Any]] = json.loads(base64.b64decode(said["msg"]))
        return {
            str(name): {str(key): str(item) for key, item in value.items()} if isinstance(value, dict) else _text(value)
            for name, value in pairs
        }
    except (ValueError, KeyError, TypeError):
        raise _failed(path, "Ansible's answer cannot be read") from None


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


_REASONS = (
    (
        re.compile(rb"could not be found|No module named|required.*library|hvac", re.I),
        "its plug-in or library is not in the toolchain",
    ),
    (re.compile(rb"permission denied|Forbidden|invalid token", re.I), "the token has expired, or may not read it"),
    (re.compile(rb"sealed", re.I), "the server is sealed"),
    (re.compile(rb"connection|timed out|Max retries", re.I), "the server cannot be reached"),
    (re.compile(rb"InvalidPath|path.*not.*exist|404", re.I), "there is nothing at its path"),
)


def _why(said: bytes) -> str:
    return next((words for pattern, words in _REASONS if pattern.search(said)), "Ansible could not compute it")


def _failed(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"A lookup in {path} failed: {why}.",
        cloud=UNCHANGED,
        next_command=f"ansible localhost -c local -e @{path} -m debug -a var=database_password",
        reason="lookup-failed",
    )
