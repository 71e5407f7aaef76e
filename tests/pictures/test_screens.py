"""Pictures and report in a real browser: light, dark, on a phone, on paper. Needs Debian's chromium."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.pictures.samples import ALL
from upgrader.pictures import style

pytestmark = pytest.mark.slow

_PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>pictures</title></head>
<body style="margin:8px">{body}{script}</body></html>"""
_LOOK = """<script>
const found = {out: [], over: [], width: document.documentElement.scrollWidth, room: window.innerWidth, fills: {}};
for (const svg of document.querySelectorAll('svg')) {
  const [, , wide, high] = svg.getAttribute('viewBox').split(' ').map(Number);
  const texts = [...svg.querySelectorAll('text')].map(one => [one.firstChild.textContent, one.getBBox()]);
  for (const [text, box] of texts)
    if (box.x < -0.5 || box.x + box.width > wide + 0.5 || box.y < -0.5 || box.y + box.height > high + 0.5)
      found.out.push(text);
  for (const [one, a] of texts) for (const [two, b] of texts)
    if (one < two && a.x + 2 < b.x + b.width && b.x + 2 < a.x + a.width
        && a.y + 5 < b.y + b.height && b.y + 5 < a.y + a.height)
      found.over.push(one + ' / ' + two);
  for (const name of ['paper', 'text', 'small', 'bar', 'alarm'])
    for (const shape of svg.querySelectorAll('.up-' + name)) found.fills[name] = getComputedStyle(shape).fill;
}
const told = document.createElement('pre');
told.id = 'found';
told.textContent = JSON.stringify(found);
document.body.append(told);
</script>"""

Look = Callable[..., dict[str, Any]]


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--user-data-dir={tmp_path / 'profile'}", *words],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip

    return run


@pytest.fixture
def look(tmp_path: Path, chromium: Callable[..., subprocess.CompletedProcess[str]]) -> Look:
    """What the browser makes of some HTML: texts that leave their picture or cover each other, colours, width."""

    def measured(page: str, *, width: int = 1000, dark: bool = False) -> dict[str, Any]:
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        mode = ["--blink-settings=preferredColorScheme=0"] if dark else []
        done = chromium(*mode, f"--window-size={width},2000", "--dump-dom", path.as_uri())
        told = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
        assert told, done.stdout[-2000:]
        found: dict[str, Any] = json.loads(unescape(told[1]))
        return found

    return measured


def page(width: int) -> str:
    return _PAGE.format(body="".join(draw(width) for draw in ALL.values()), script=_LOOK)


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


@pytest.mark.parametrize("width", [340, 760])
def test_no_text_leaves_its_picture_or_covers_another(look: Look, width: int) -> None:
    found = look(page(width), width=width + 40)
    assert found["out"] == [] and found["over"] == []
    assert found["width"] <= found["room"]


@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_the_reader(look: Look, dark: bool) -> None:
    fills = look(page(760), dark=dark)["fills"]
    roles = {"paper": "paper", "text": "ink", "small": "muted", "bar": "plan", "alarm": "bad"}
    assert fills == {name: rgb(style._ROLES[role][dark]) for name, role in roles.items()}


def _report() -> str:
    golden = Path(__file__).parents[1] / "golden" / "report" / "whole.html"
    text = golden.read_text(encoding="utf-8")
    without_policy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    return without_policy.replace("</body>", f"{_LOOK}</body>")


@pytest.mark.parametrize("width", [500, 1000])
def test_a_report_fits_its_screen(look: Look, width: int) -> None:
    found = look(_report(), width=width)
    assert found["out"] == [] and found["over"] == []
    assert found["width"] <= found["room"], "wide tables scroll by themselves"


def test_a_report_is_printed_on_white(
    tmp_path: Path, chromium: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    golden = Path(__file__).parents[1] / "golden" / "report" / "whole.html"
    paper = tmp_path / "report.pdf"
    chromium(
        "--blink-settings=preferredColorScheme=0", "--no-pdf-header-footer", f"--print-to-pdf={paper}", golden.as_uri()
    )
    content = paper.read_bytes()
    assert content.startswith(b"%PDF-") and 2 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 20
