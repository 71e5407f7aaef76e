"""The site's logo as a data URI: a real PNG, JPEG or SVG, not too large, and nothing that reaches elsewhere."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree as Tree

from upgrader.errors import ConfigError

LARGEST = 200 * 1024
"""Bytes. The file is part of every document."""
MOST_PIXELS = 4000
_PNG = b"\x89PNG\r\n\x1a\n"
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_ELSEWHERE = re.compile(r"(?i)(?:url\(\s*['\"]?|^)\s*(?!#|data:image/)\S")
_ACTIVE = frozenset({"script", "foreignobject", "iframe", "object", "embed", "handler"})


def data_uri(path: Path | None) -> str:
    """`data:image/png;base64,…`; empty without a logo. Raises ConfigError naming the file and what is wrong with it."""
    if path is None:
        return ""
    try:
        if not path.is_file():
            raise _wrong(path, "there is no such file")
        if path.stat().st_size > LARGEST:
            raise _wrong(path, f"it has {path.stat().st_size} bytes, more than {LARGEST}")
        data = path.read_bytes()
    except OSError as error:
        raise _wrong(path, f"it cannot be read ({error.strerror})") from None
    kind, why = _kind(data)
    if why:
        raise _wrong(path, why)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _kind(data: bytes) -> tuple[str, str]:
    """(type, what is wrong with it)."""
    if data.startswith(_PNG):
        return "png", _png(data)
    if data.startswith(b"\xff\xd8"):
        return "jpeg", _jpeg(data)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "svg+xml", _svg(data)
    return "", "it is neither PNG nor JPEG nor SVG"


def _png(data: bytes) -> str:
    """Every chunk whole with its checksum, a size, pixels, and an end."""
    at, names = len(_PNG), list[bytes]()
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if len(body) < length or data[at + 8 + length : at + 12 + length] != struct.pack(">I", zlib.crc32(name + body)):
            return "it is a damaged PNG"
        if not names and (name != b"IHDR" or length != 13):
            return "it is a PNG without a size"
        if name == b"IHDR" and (why := _size(*struct.unpack(">II", body[:8]))):
            return why
        names.append(name)
        at += 12 + length
        if name == b"IEND":
            break
    return "" if names[-1:] == [b"IEND"] and b"IDAT" in names else "it is a PNG that breaks off"


def _jpeg(data: bytes) -> str:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if marker in _FRAMES:
            if at + 9 > len(data):
                break
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return _size(width, height) or (
                "" if data.rstrip(b"\0").endswith(b"\xff\xd9") else "it is a JPEG that breaks off"
            )
        if marker == 0xDA or length < 2:
            break
        at += 2 + length
    return "it is a damaged JPEG"


def _size(width: int, height: int) -> str:
    if width and height and max(width, height) <= MOST_PIXELS:
        return ""
    return f"it is {width} by {height} pixels; up to {MOST_PIXELS} are taken"


def _svg(data: bytes) -> str:
    """A browser shows an SVG of an image element without scripts or addresses; others that read the file may not."""
    text = data.decode("utf-8", errors="replace")
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        return "it is an SVG with a document type; save it as plain SVG"
    try:
        root = Tree.fromstring(text)  # noqa: S314 - without a document type there are no entities to expand
    except (Tree.ParseError, ValueError) as error:
        return f"it is no SVG ({error})"
    if root.tag.rpartition("}")[2].lower() != "svg":
        return "it is XML, but no SVG"
    for element in root.iter():
        name = str(element.tag).rpartition("}")[2].lower()
        if name in _ACTIVE:
            return f"it is an SVG with <{name}>"
        for attribute, value in element.attrib.items():
            plain = attribute.rpartition("}")[2].lower()
            if plain.startswith("on") or (plain in ("href", "src") and _ELSEWHERE.match(value)):
                return f"it is an SVG with {plain}={value[:40]!r}"
        if re.search(
            r"(?i)@import|url\(\s*['\"]?\s*(?!#|data:image/)", " ".join((element.text or "", *element.attrib.values()))
        ):
            return "it is an SVG that loads something from elsewhere"
    return ""


def _wrong(path: Path, why: str) -> ConfigError:
    return ConfigError(f"[runbook] logo: {path}: {why}.", cloud="Nothing was written.", reason="no-logo")
