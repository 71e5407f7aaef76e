"""The page on paper, by a real browser: `chromium --headless --print-to-pdf`. Nothing is lost, nothing is cut off."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.runbook.made import two_hops

BROWSER = shutil.which("chromium")
READER = shutil.which("pdftotext")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and READER) and os.environ.get("UPGRADER_CI") != "1", reason="no chromium or no pdftotext here"
    ),
]


def browser(folder: Path, *words: str) -> None:
    assert BROWSER, "Debian's package chromium is needed"
    profile = folder / "profile"
    subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", *words],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """Text of the printed page, by a reader of its own, and the file."""
    folder = tmp_path_factory.mktemp("print")
    page, out = folder / "page.html", folder / "page.pdf"
    page.write_text(two_hops().render("html"))
    browser(folder, "--no-pdf-header-footer", f"--print-to-pdf={out}", page.as_uri())
    assert READER, "pdftotext (poppler-utils) is needed"
    done = subprocess.run([READER, "-layout", str(out), "-"], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout, out.read_bytes()


def test_every_chapter_and_command_is_on_paper(printed: tuple[str, bytes]) -> None:
    text, data = printed
    assert data.startswith(b"%PDF")
    flat = re.sub(r"\s+", "", text)
    made = two_hops().document
    for hop in made.hops:
        for stage in hop.stages:
            for line in (*stage.tool.lines, *stage.hand.lines, *stage.check.lines, *stage.back_hand.lines):
                assert re.sub(r"\s+", "", line) in flat, line
    for words in ("Go / no-go", "POINT OF NO RETURN", "Galera lost its quorum", "Sign-off", made.identity.plan_sha256):
        assert re.sub(r"\s+", "", words) in flat, words


def test_hops_begin_on_pages_of_their_own(printed: tuple[str, bytes]) -> None:
    pages = printed[0].split("\f")
    for number in (1, 2):
        begins = [page for page in pages if re.search(rf"\d+\. Hop {number} of 2", page)]
        assert begins
        assert re.match(rf"\s*\d+\. Hop {number} of 2", begins[0])


def test_contents_and_links_of_the_screen_are_not_printed(printed: tuple[str, bytes]) -> None:
    assert "Contents" not in printed[0]
    assert "To the content" not in printed[0]
