"""A logo has to be an image that reaches nowhere."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import pytest

from upgrader.errors import ConfigError
from upgrader.runbook.logo import LARGEST, data_uri

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><rect width="4" height="4" fill="#123"/></svg>'


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int = 2, height: int = 2) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" + b"\x80" * 2 + b"\0" + b"\x80" * 2)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int = 16, height: int = 8) -> bytes:
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + b"\xff\xe0" + struct.pack(">H", 4) + b"JF" + frame + b"\xff\xda\x00\x02xx\xff\xd9"


@pytest.mark.parametrize(("data", "kind"), [(png(), "png"), (jpeg(), "jpeg"), (SVG.encode(), "svg+xml")])
def test_real_images_are_embedded_whole(tmp_path: Path, data: bytes, kind: str) -> None:
    path = tmp_path / "logo"
    path.write_bytes(data)
    head, _, body = data_uri(path).partition(",")
    assert head == f"data:image/{kind};base64"
    assert base64.b64decode(body) == data


BAD = {
    "text": (b"hello", "neither PNG nor JPEG nor SVG"),
    "empty": (b"", "neither"),
    "html": (b"<html><body/></html>", "no SVG"),
    "no xml": (b"<svg", "no SVG"),
    "script": (SVG.replace("<rect", "<script>x</script><rect").encode(), "<script>"),
    "handler": (SVG.replace("<rect", '<rect onload="x()"').encode(), "onload"),
    "elsewhere": (SVG.replace("<rect", '<image href="http://x.example/a.png"/><rect').encode(), "href"),
    "style": (SVG.replace("<rect", "<style>@import 'http://x.example'</style><rect").encode(), "from elsewhere"),
    "fill": (SVG.replace("#123", "url(http://x.example/a)").encode(), "from elsewhere"),
    "entities": (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.encode(), "document type"),
    "torn png": (png()[:-6], "breaks off"),
    "damaged png": (png().replace(b"IDAT", b"IDAX"), "damaged"),
    "wide png": (png(99999), "99999 by 2 pixels"),
    "flat png": (png(0), "0 by 2 pixels"),
    "torn jpeg": (jpeg()[:-2], "breaks off"),
    "no jpeg": (b"\xff\xd8hello", "damaged"),
    "large": (png() + b"\0" * LARGEST, "more than"),
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, what: str) -> None:
    data, words = BAD[what]
    path = tmp_path / "logo.png"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        data_uri(path)
    assert str(path) in caught.value.message
    assert words in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        data_uri(tmp_path / "none.png")
    with pytest.raises(ConfigError, match="no such file"):
        data_uri(tmp_path)
    assert data_uri(None) == ""


def test_references_inside_the_picture_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "logo.svg"
    path.write_text(SVG.replace("<rect", '<use href="#a"/><rect').replace("#123", "url(#g)"))
    assert data_uri(path).startswith("data:image/svg+xml;base64,")
