"""The document as one HTML file: style and pictures inside it, nothing fetched, no script, made for paper too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from upgrader.pictures import STYLE
from upgrader.report.as_markdown import visible
from upgrader.report.blocks import (
    Callout,
    Cell,
    Code,
    Document,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Piece,
    Table,
    Word,
)

_STYLE = """
:root{color-scheme:light dark}
body{margin:0;background:#fff;color:#18222c;font:16px/1.5 system-ui,sans-serif}
main{max-width:62rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0 1rem}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid #b4bdc7}
h3{font-size:1.05rem;margin:1.75rem 0 .5rem}
p{margin:.5rem 0}
.scroll{overflow-x:auto;margin:.75rem 0 1.25rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{border-bottom:1px solid #d5dbe1;padding:.35rem .6rem .35rem 0;text-align:left;vertical-align:top}
td{overflow-wrap:break-word}
td.w{overflow-wrap:anywhere}
td.t{white-space:nowrap}
th{border-bottom:2px solid #8792a0}
.n{text-align:right;padding-right:1.2rem;white-space:nowrap;font-variant-numeric:tabular-nums}
code{font:.88em ui-monospace,monospace;background:#eef2f6;padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}
li{margin:.4rem 0}
li code.line{display:block;width:fit-content;max-width:100%;margin:.2rem 0;padding:.25em .5em}
ul.ticks{list-style:none;padding-left:0}
ul.ticks>li{padding-left:1.9rem;position:relative}
ul.ticks>li::before{content:"";position:absolute;left:.2rem;top:.25em;width:.85rem;height:.85rem}
ul.ticks>li::before{border:1.5px solid #55606c}
figure{margin:1rem 0 1.5rem}
figure svg{display:block;max-width:100%;height:auto}
.callout{border:2px solid #55606c;border-left-width:8px;padding:.6rem .9rem;margin:1rem 0;font-weight:600}
.callout.bad{border-color:#a8201a}
.callout.good{border-color:#1d6f46}
.good{color:#1d6f46}
.bad{color:#a8201a;font-weight:600}
.warn{font-weight:600}
@media screen and (prefers-color-scheme:dark){
body{background:#12171d;color:#e8edf2}
h2{border-color:#4a5663}
th,td{border-color:#333e49}
th{border-bottom-color:#73808d}
code{background:#1d2630}
.good{color:#74c99c}
.bad{color:#ff9a90}
.callout{border-color:#a7b2bd}
.callout.bad{border-color:#ff9a90}
.callout.good{border-color:#74c99c}
ul.ticks>li::before{border-color:#a7b2bd}
}
@media print{
@page{margin:16mm 14mm}
body{font-size:10.5pt}
main{max-width:none;padding:0}
h2,h3{break-after:avoid}
tr,figure,li,.callout{break-inside:avoid}
thead{display:table-header-group}
.scroll{overflow:visible}
code{background:none;border:1px solid #b4bdc7}
}
"""
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}")
_LONG = 28
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_text(document: Document) -> str:
    """The whole file, closed with a newline."""
    title = _text(document.title)
    body = "\n".join(_block(block) for block in document.blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{title}</title>\n<style>{_STYLE}{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _block(block: object) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{_text(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{_pieces(block.pieces)}</p>"
    if isinstance(block, Callout):
        return f'<p class="callout {block.tone}">{_pieces(block.pieces)}</p>'
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Listing):
        return _listing(block)
    assert isinstance(block, Picture)  # noqa: S101 - there is no other
    return f"<figure>{block.svg}</figure>"


def _text(text: str) -> str:
    return escape(visible(text))


def _piece(piece: Piece) -> str:
    if isinstance(piece, Code):
        return f"<code>{_text(piece.text)}</code>" if piece.text else ""
    if isinstance(piece, Word):
        return f'<span class="{piece.tone}">{_text(piece.text)}</span>' if piece.tone else _text(piece.text)
    return _text(piece)


def _pieces(pieces: Iterable[Piece]) -> str:
    return "".join(map(_piece, pieces))


def _cell(cell: Cell, *, number: bool) -> str:
    told = _pieces(cell) if isinstance(cell, tuple) else _piece(cell)
    kind = "n" if number else _kind(cell)
    return f'<td class="{kind}">{told}</td>' if kind else f"<td>{told}</td>"


def _kind(cell: Cell) -> str:
    """How a cell breaks: a moment nowhere, a very long word anywhere, anything else between words."""
    text = cell if isinstance(cell, str) else ""
    if _MOMENT.fullmatch(text):
        return "t"
    pieces = cell if isinstance(cell, tuple) else (cell,)
    words = " ".join(piece if isinstance(piece, str) else piece.text for piece in pieces).split()
    return "w" if any(len(word) > _LONG for word in words) else ""


def _table(table: Table) -> str:
    caption = f"<caption>{_text(table.caption)}</caption>" if table.caption else ""
    head = "".join(
        f'<th scope="col"{" class=n" if at in table.numbers else ""}>{_text(word)}</th>'
        for at, word in enumerate(table.head)
    )
    rows = "\n".join(
        "<tr>" + "".join(_cell(cell, number=at in table.numbers) for at, cell in enumerate(row)) + "</tr>"
        for row in table.rows
    )
    # a table wider than a phone scrolls by itself; the keyboard has to reach it
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(table.caption or table.head[0])}"><table>'
        f"{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _listing(listing: Listing) -> str:
    items = []
    for pieces, commands in listing.items:
        lines = "".join(f'<code class="line">{_text(command)}</code>' for command in commands)
        items.append(f"<li>{_pieces(pieces)}{lines}</li>")
    kind = ' class="ticks"' if listing.ticks else ""
    return f"<ul{kind}>\n" + "\n".join(items) + "\n</ul>"
