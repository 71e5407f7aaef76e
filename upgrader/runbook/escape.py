"""Every value on its way into a document: made visible, without what looks like a secret, escaped for the output.

`Output` is what a Jinja environment needs of it: `finalize`, which every expression goes through, and the filters
`code`, `cellcode`, `commands`, `duration` and `span`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

from jinja2 import Undefined
from markupsafe import Markup

from upgrader.pictures.words import shown
from upgrader.redact import Redactor

_SCRUB = Redactor()
_TEXT = re.compile(
    r"[\\`*\[\]|~]"  # what begins or ends something anywhere
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore inside a word is none of Markdown's business
)
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
"""What could begin HTML or an address; a plain comparison may stay."""
_START = re.compile(r"^([#+\-=>]|\d{1,9}(?=[.)](?:\s|$)))")
_FENCE = re.compile(r"`+")
_HEADING = re.compile(r"^(#{1,5}) ")


@lru_cache(maxsize=8192)
def visible(text: str) -> str:
    """One line: control and direction characters as `\\u202e`, logins in URLs and the like masked."""
    flat = " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
    return shown(_SCRUB.text(flat))


@lru_cache(maxsize=8192)
def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, also in a table's cell; no address in it becomes a link."""
    safe = visible(text).replace("&", "&amp;") if "&" in text else visible(text)
    safe = _TAG.sub("&lt;", _TEXT.sub(r"\\\g<0>", safe))
    safe = safe.replace("://", r":\//").replace("www.", r"www\.")
    return _START.sub(r"\\\1" if safe[:1] in "#+-=>" else r"\1\\", safe) if _START.match(safe) else safe


def code_span(text: str) -> str:
    """A code span of one line, fenced by more backticks than it holds."""
    line = visible(text)
    if not line.strip():
        return ""
    longest = max((len(found) for found in _FENCE.findall(line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line[:1] in "` " or line[-1:] in "` " else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def code_block(lines: Iterable[str], language: str = "sh") -> str:
    """A fenced block, one line each."""
    body = "\n".join(visible(line) for line in lines)
    longest = max((len(found) for found in _FENCE.findall(body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def deeper(text: str, by: int) -> str:
    """Markdown with its headings `by` levels further down; fenced blocks are left alone."""
    found, fence = [], ""
    for line in text.split("\n"):
        start = _FENCE.match(line.lstrip())
        if start and len(start[0]) >= 3 and not fence:
            fence = start[0]
        elif fence and line.strip() == fence:
            fence = ""
        elif not fence and (head := _HEADING.match(line)):
            line = "#" * min(6, len(head[1]) + by) + line[len(head[1]) :]  # noqa: PLW2901
        found.append(line)
    return "\n".join(found)


def duration(seconds: float | None) -> str:
    """`41 min`, `1 h 35`, `20 s`; a dash where nobody knows."""
    if seconds is None:
        return "–"  # noqa: RUF001 - a dash, for people
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02}"


@dataclass(frozen=True, slots=True)
class Output:
    """One kind of document."""

    name: str
    finalize: Callable[[Any], Any]
    filters: Mapping[str, Callable[..., Any]]


def _for_markdown(value: Any) -> Any:
    if isinstance(value, Markup | Undefined):
        return value
    return Markup("" if value is None else markdown_text(str(value)))  # noqa: S704 - escaped just now


def _for_html(value: Any) -> Any:
    if isinstance(value, Markup | Undefined):
        return value
    return "" if value is None else visible(str(value))


def _html_code(text: str) -> Markup:
    return Markup(f"<code>{escape(visible(text))}</code>") if text.strip() else Markup("")  # noqa: S704


def _html_block(lines: Iterable[str]) -> Markup:
    inner = "\n".join(f"<span>{escape(visible(line))}</span>" for line in lines)
    return Markup(f'<pre tabindex="0"><code>{inner}</code></pre>')  # noqa: S704


MARKDOWN = Output(
    "md",
    _for_markdown,
    {
        "code": lambda text: Markup(code_span(text)),  # noqa: S704
        "cellcode": lambda text: Markup(code_span(text).replace("|", "\\|")),  # noqa: S704
        "commands": lambda lines: Markup(code_block(lines)),  # noqa: S704
        "duration": duration,
    },
)
HTML = Output(
    "html",
    _for_html,
    {"code": _html_code, "cellcode": _html_code, "commands": _html_block, "duration": duration},
)
