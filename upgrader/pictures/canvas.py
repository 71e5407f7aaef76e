"""A sheet that shapes are put on, and that becomes one `<svg>` element."""

from __future__ import annotations

import hashlib
from html import escape
from typing import Literal

from upgrader.pictures.style import STYLE
from upgrader.pictures.words import cut, shown

NARROWEST, WIDEST = 320, 2400
Fill = Literal["hatch", "mesh", "rain"]
_PATTERNS: dict[Fill, tuple[int, str]] = {
    "hatch": (6, "M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2"),
    "mesh": (6, "M0,0 l6,6 M0,6 l6,-6"),
    "rain": (8, "M2,1 v3 M6,5 v3"),
}
_SIZES = {"text": 13.0, "small": 12.0, "inside": 12.0, "strong": 13.5, "alarm": 13.5, "head": 15.5}


def number(value: float) -> str:
    """One decimal at most, no exponent and no `-0`: the same bytes everywhere."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


class Sheet:
    """Collects shapes; `svg` closes it. Coordinates are CSS pixels from the left upper corner."""

    def __init__(self, width: int) -> None:
        self.width = float(min(WIDEST, max(NARROWEST, width)))
        self.height = 0.0
        self._shapes: list[str] = []
        self._used: set[Fill] = set()

    def _add(self, kind: str, look: str, places: dict[str, float], tip: str = "", extra: str = "") -> None:
        where = "".join(f' {name}="{number(value)}"' for name, value in places.items())
        head = f'<{kind} class="up-{look}"{where}{extra}'
        self._shapes.append(f"{head}><title>{escape(shown(tip))}</title></{kind}>" if tip else f"{head}/>")

    def box(
        self, x: float, y: float, width: float, height: float, look: str, *, tip: str = "", fill: Fill | None = None,
        round_: float = 0,
    ) -> None:  # fmt: skip
        """A rectangle, filled with a pattern where one is named; `tip` is shown when it is pointed at."""
        places = {"x": x, "y": y, "width": max(width, 0.5), "height": height}
        if round_:
            places["rx"] = round_
        extra = ""
        if fill:
            self._used.add(fill)
            extra = f' fill="url(#\0{fill})"'
        self._add("rect", look, places, tip, extra)

    def line(self, x1: float, y1: float, x2: float, y2: float, look: str, *, tip: str = "") -> None:
        """A straight line."""
        self._add("line", look, {"x1": x1, "y1": y1, "x2": x2, "y2": y2}, tip)

    def path(self, look: str, *moves: str | float, tip: str = "") -> None:
        """A path of SVG's own letters and numbers."""
        told = " ".join(move if isinstance(move, str) else number(move) for move in moves)
        self._add("path", look, {}, tip, f' d="{told}"')

    def text(
        self, x: float, y: float, text: str, look: str = "text", *, width: float | None = None,
        anchor: Literal["start", "middle", "end"] = "start",
    ) -> None:  # fmt: skip
        """A line of text with its base line at `y`, cut to `width`; the whole is its tip when something was cut."""
        told = shown(text) if width is None else cut(text, _SIZES.get(look, 13.0), width)
        if not told.strip():
            return
        places = f' x="{number(x)}" y="{number(y)}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
        tip = f"<title>{escape(shown(text))}</title>" if told != shown(text) else ""
        self._shapes.append(f'<text class="up-{look}"{places}>{escape(told)}{tip}</text>')

    def svg(self, title: str, description: str, *, styled: bool) -> str:
        """The whole picture. Names inside it are made of its content, so that many can stand in one page."""
        body = "".join(self._shapes)
        size = f"{number(self.width)} {number(self.height)}"
        told = f"<title>{escape(shown(title))}</title>", f"<desc>{escape(shown(description))}</desc>"
        name = "up" + hashlib.sha256("\n".join((size, *told, body)).encode()).hexdigest()[:10]
        title_, desc = (f'{part[:-1]} id="{name}-{part[1:-1]}">' for part in ("<title>", "<desc>"))
        patterns = "".join(_pattern(fill, name) for fill in _PATTERNS if fill in self._used)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="up-picture" role="img" viewBox="0 0 {size}" '
            f'width="{number(self.width)}" height="{number(self.height)}" '
            f'aria-labelledby="{name}-title" aria-describedby="{name}-desc">'
            f"{told[0].replace('<title>', title_, 1)}{told[1].replace('<desc>', desc, 1)}"
            + (f"<style>{STYLE}</style>" if styled else "")
            + (f"<defs>{patterns}</defs>" if patterns else "")
            + f'<rect class="up-paper" width="{number(self.width)}" height="{number(self.height)}"/>'
            + body.replace("url(#\0", f"url(#{name}-")
            + "</svg>"
        )


def _pattern(fill: Fill, name: str) -> str:
    size, path = _PATTERNS[fill]
    return (
        f'<pattern id="{name}-{fill}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">'
        f'<path class="up-{fill}" d="{path}"/></pattern>'
    )
