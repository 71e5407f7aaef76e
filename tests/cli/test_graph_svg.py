"""`upgrader graph --svg`: the releases as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from upgrader.cli.main import main
from upgrader.graph import load_graph

SVG = "{http://www.w3.org/2000/svg}"


def test_every_release_is_in_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "--svg"]) == 0
    root = ET.fromstring(capsys.readouterr().out)  # noqa: S314 - our own
    texts = {text.text for text in root.iter(f"{SVG}text")}
    known = load_graph()
    assert {release.id for release in known.releases} <= texts
    desc = root.find(f"{SVG}desc")
    assert desc is not None and desc.text is not None and desc.text.count("skip, never taken") == len(known.skips)


def test_only_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "--svg", "--dot"]) == 2
    assert "--svg" in capsys.readouterr().err
