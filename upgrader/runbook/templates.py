"""Jinja2 templates of the change document: where they are, what they may do, and what is said when one is wrong.

A site's own file wins over the shipped one of the same name, a translation over English. Templates run in Jinja's
sandbox, every name has to be there, and time, memory and length are limited: an operator writes them, and mistakes are
named with file and line.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2.bccache import Bucket
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from upgrader.errors import ConfigError
from upgrader.runbook.escape import Output
from upgrader.runbook.limits import LONGEST, SpentError, limited

SUFFIX = ".md.j2"
STRINGS = "strings.toml"
ENGLISH = "en"
_PADDING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map"})


def shipped() -> Path:
    """Folder of the templates that come with this tool."""
    import runbooks

    return Path(runbooks.__file__).parent


class _Environment(ImmutableSandboxedEnvironment):
    """Refuses arithmetic that makes huge values; the sandbox itself bounds `range` and hides attributes."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" and numbers and (abs(left) > 10_000 or abs(right) > 16):
            raise SecurityError("a power this large is not computed")
        if operator == "*" and not numbers:
            size = left if isinstance(left, int) else right if isinstance(right, int) else 1
            if size > 1000:
                raise SecurityError(f"nothing is repeated {size} times")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("text is not formatted with %; use {{ … }}")
        return super().call_binop(context, operator, left, right)

    def is_safe_callable(self, obj: Any) -> bool:
        # padding to a width that somebody mistyped takes all memory in one step
        return getattr(obj, "__name__", "") not in _PADDING and super().is_safe_callable(obj)


class _Compiled(jinja2.BytecodeCache):
    """What was compiled in this process, so that several documents cost the compiling once. Jinja compares sources."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED: dict[str, _Compiled] = {}
"""By the kind of output: constants are escaped while they are compiled."""


@dataclass(frozen=True)
class Templates:
    """The folders that templates are looked for in, the first wins."""

    own: Path | None = None
    language: str = ENGLISH

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """Existing folders. Raises ConfigError for an own folder that is none, and a language nobody knows."""
        found = []
        if self.own is not None:
            if not self.own.is_dir():
                raise ConfigError(
                    f"[runbook] templates: {self.own} is not a folder.", cloud=UNTOUCHED, reason="no-templates"
                )
            found += [self.own / self.language, self.own / ENGLISH, self.own]
        ours = shipped()
        there = [base / self.language for base in (self.own, ours) if base is not None]
        if self.language != ENGLISH and not any(folder.is_dir() for folder in there):
            known = sorted(path.name for path in ours.iterdir() if (path / STRINGS).is_file() or path.name == ENGLISH)
            raise ConfigError(
                f"There is no translation {self.language!r}: none of {', '.join(map(str, there))} is a folder.",
                cloud=UNTOUCHED,
                details=[f"shipped: {', '.join(known)}"],
                reason="no-translation",
            )
        found += [ours / self.language, ours / ENGLISH, ours]
        return tuple(dict.fromkeys(folder for folder in found if folder.is_dir()))

    def names(self, folder: str) -> tuple[str, ...]:
        """Names (without suffix) of all fragments in a folder, shipped and own, sorted."""
        found = {path.name.removesuffix(SUFFIX) for base in self.folders for path in (base / folder).glob(f"*{SUFFIX}")}
        return tuple(sorted(found))

    @cached_property
    def strings(self) -> Mapping[str, str]:
        """English → this language, for the words of the pages. Raises ConfigError for a file that is no TOML."""
        import tomllib

        found: dict[str, str] = {}
        for folder in reversed(self.folders):
            path = folder / STRINGS
            if not path.is_file():
                continue
            try:
                read = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise ConfigError(f"{path}: {error}.", cloud=UNTOUCHED, reason="broken-template") from None
            wrong = [key for key, value in read.items() if not isinstance(value, str)]
            if wrong:
                raise ConfigError(f"{path}: {wrong[0]!r} wants a text.", cloud=UNTOUCHED, reason="broken-template")
            found |= read
        return found

    def environment(self, output: Output) -> jinja2.Environment:
        """Jinja's environment for one kind of output; every expression is escaped for it."""
        made = _Environment(
            loader=jinja2.FileSystemLoader([str(folder) for folder in self.folders]),
            undefined=jinja2.StrictUndefined,
            autoescape=True,
            finalize=output.finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            auto_reload=False,
            bytecode_cache=_COMPILED.setdefault(output.name, _Compiled()),
            cache_size=400,
        )
        made.filters.update(output.filters)
        made.filters.pop("format", None)
        made.filters.pop("center", None)
        made.filters.pop("indent", None)
        return made


UNTOUCHED = "Nothing was written."


def rendered(make: Callable[[], str], folders: tuple[Path, ...]) -> str:
    """Run templates within the limits. Raises ConfigError naming file and line of whatever was wrong with them."""
    try:
        with limited():
            text = make()
    except jinja2.TemplateSyntaxError as error:
        raise _broken(error.filename or error.name or "", error.lineno, error.message or "it is no template") from None
    except jinja2.TemplateNotFound as error:
        place, line = _where(error, folders)
        raise _broken(place, line, f"there is no template {error.name}") from None
    except ConfigError:
        raise
    except UnicodeDecodeError as error:
        raise _broken(_unreadable(folders), 0, f"it is not UTF-8 text ({error.reason} at byte {error.start})") from None
    except (jinja2.TemplateError, SpentError, RecursionError, MemoryError, OverflowError) as error:
        raise _broken(*_where(error, folders), _words(error)) from None
    except Exception as error:  # whatever a template does to a value is the template's mistake, if it was in one
        place, line = _where(error, folders)
        if not place:
            raise
        raise _broken(place, line, _words(error)) from None
    if len(text) > LONGEST:
        raise _broken("", 0, f"the document has {len(text)} characters, more than {LONGEST}")
    return text


def _words(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it includes itself, or a macro calls itself, without end"
    if isinstance(error, MemoryError):
        return "it takes too much memory"
    first = (str(error) or type(error).__name__).splitlines()[0]
    return first[:300]


def _where(error: BaseException, folders: tuple[Path, ...]) -> tuple[str, int]:
    """Template and line nearest to the error; Jinja rewrites tracebacks so that they speak of templates."""
    ours = tuple(f"{folder}/" for folder in folders)
    stack = traceback.extract_tb(error.__traceback__)
    for frame in reversed(stack):
        if frame.filename.startswith(ours) and frame.filename.endswith(".j2"):
            return frame.filename, frame.lineno or 0
    return "", 0


def _unreadable(folders: tuple[Path, ...]) -> str:
    for path in sorted(path for folder in folders for path in folder.rglob("*.j2")):
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return str(path)
    return ""


def _broken(place: str, line: int | None, why: str) -> ConfigError:
    where = f"{place}:{line}" if place and line else place or "a template"
    return ConfigError(f"{where}: {why}.".replace("..", "."), cloud=UNTOUCHED, details=(), reason="broken-template")
