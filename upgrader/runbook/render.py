"""A document through its templates: Markdown, or one HTML file that needs nothing else.

Prose (stages, incidents, messages, further sections) is written once, in Markdown; the HTML page shows the same prose,
turned into HTML with raw HTML switched off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from jinja2 import Environment, Undefined
from markupsafe import Markup

from upgrader.pictures.style import STYLE
from upgrader.runbook.commands import Typist
from upgrader.runbook.document import Document, Span
from upgrader.runbook.escape import HTML, MARKDOWN, Output, deeper, duration
from upgrader.runbook.templates import SUFFIX, Templates, rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Format = Literal["md", "html"]
_PLACE = re.compile(r"\{(\w+)\}")


def render(made: Document, templates: Templates, kind: Format, *, typist: Typist, logo: str = "") -> str:
    """The whole document. Raises ConfigError naming file and line of a template that is wrong.

    `logo`: a data URI, shown by HTML alone.
    """
    press = _Press(made, templates, kind, typist, logo)
    text = rendered(press.page, templates.folders)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n" if kind == "md" else text.strip("\n") + "\n"


@dataclass
class _Press:
    """One rendering: the environments, and what templates may call."""

    made: Document
    templates: Templates
    kind: Format
    typist: Typist
    logo: str
    _titles: dict[tuple[object, ...], str] = field(default_factory=dict)

    @cached_property
    def _prose(self) -> Environment:
        return self._with_words(self.templates.environment(MARKDOWN), MARKDOWN)

    @cached_property
    def _pages(self) -> Environment:
        return self._with_words(self.templates.environment(HTML), HTML)

    @cached_property
    def _markdown(self) -> MarkdownIt:
        from markdown_it import MarkdownIt

        made = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
        made.add_render_rule("fence", _fence)
        return made

    def page(self) -> str:
        environment = self._prose if self.kind == "md" else self._pages
        return environment.get_template(f"page.{self.kind}.j2").render(self._scope())

    def _scope(self) -> dict[str, Any]:
        return {
            "doc": self.made,
            "site": self.made.site,
            "logo": self.logo,
            "picture_style": Markup(STYLE),  # noqa: S704 - the project's own style sheet
            "language": self.templates.language,
            "incidents": self.templates.names("incidents"),
            "messages": self.templates.names("messages"),
            "sections": self.templates.names("sections"),
        }

    def _with_words(self, environment: Environment, output: Output) -> Environment:
        environment.globals.update(
            {
                "_": self._said,
                "prose": self._html_prose if output is HTML else self._text_prose,
                "has": self._has,
                "title_of": self._title,
                "span": self._span,
                "upgrader": self.typist.upgrader,
                "engine": self.typist.engine,
                "sql": self.typist.sql,
                "unit": self.typist.unit,
                "enter": self.typist.enter,
                "kolla": self.typist.kolla,
                "each_release": self._each_release,
                "paths": _Paths(self.typist),
                "svg": Markup,  # pictures come from this program, every text in them escaped
            }
        )
        return environment

    # ------------------------------------------------------------ what templates call

    def _said(self, english: str, /, **values: Any) -> str:
        """The words in the page's language, with `{name}` replaced."""
        text = self.templates.strings.get(english, english)
        return _PLACE.sub(lambda found: str(values.get(found[1], found[0])), text)

    def _has(self, name: str) -> bool:
        return any((folder / f"{name}{SUFFIX}").is_file() for folder in self.templates.folders)

    def _raw(self, name: str, **more: Any) -> str:
        template = self._prose.get_template(f"{name}{SUFFIX}")
        return template.render({**self._scope(), **more}).strip("\n")

    def _title(self, name: str, **more: Any) -> Any:
        """First line of a fragment, without its `#`; Markdown that is shown as text."""
        key = (name, *(id(value) for value in more.values()))  # they live as long as the document
        if key not in self._titles:
            self._titles[key] = self._raw(name, **more).partition("\n")[0].lstrip("# ").strip()
        first = self._titles[key]
        return Markup(self._markdown.renderInline(first)) if self.kind == "html" else Markup(first)  # noqa: S704

    def _body(self, name: str, level: int, more: dict[str, Any]) -> str:
        text = self._raw(name, **more)
        if text.startswith("# "):
            text = text.partition("\n")[2].strip("\n")
        return deeper(text, level - 1)

    def _text_prose(self, name: str, level: int = 2, **more: Any) -> Markup:
        return Markup(self._body(name, level, more))  # noqa: S704 - escaped value by value

    def _html_prose(self, name: str, level: int = 2, **more: Any) -> Markup:
        made: str = self._markdown.render(self._body(name, level, more))
        return Markup(made.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>"))  # noqa: S704

    def _span(self, span: Span | Undefined) -> str:
        """`41 min (38 min to 52 min)`, or the word that nobody knows."""
        if isinstance(span, Undefined) or span.seconds is None:
            return self._said("not known")
        text = duration(span.seconds)
        if span.low is not None and span.high is not None and duration(span.low) != duration(span.high):
            text += f" ({duration(span.low)} – {duration(span.high)})"  # noqa: RUF001
        return text

    def _each_release(self, action: str, tags: tuple[str, ...] = (), extra: Any = ()) -> tuple[tuple[str, str], ...]:
        """(releases, command) for the releases of the path, once where their commands are the same."""
        found: dict[str, list[str]] = {}
        for release in (self.made.source, *(hop.target for hop in self.made.hops)):
            pairs = tuple((str(name), str(value)) for name, value in extra)
            found.setdefault(self.typist.kolla(action, release, tags=tags, extra=pairs), []).append(release)
        return tuple((", ".join(releases), command) for command, releases in found.items())


def _fence(_renderer: object, tokens: Sequence[Token], at: int, *_: object) -> str:
    """A fenced block of a fragment looks as the pages' own commands do."""
    return str(HTML.filters["commands"](tokens[at].content.rstrip("\n").split("\n")))


@dataclass(frozen=True, slots=True)
class _Paths:
    """Paths that commands speak of."""

    _typist: Typist
    """Private: Jinja's sandbox shows templates nothing that begins with an underscore."""

    @property
    def config_dir(self) -> str:
        return self._typist.config_dir

    @property
    def inventory(self) -> str:
        return self._typist.inventory

    @property
    def globals_file(self) -> str:
        return self._typist.globals_file

    @property
    def passwords(self) -> str:
        return self._typist.passwords

    def toolchain(self, release: str) -> str:
        return self._typist.toolchain(release)
