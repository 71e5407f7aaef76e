"""A site's own templates: they win, may add and translate, and what is wrong with one is named with file and line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.runbook.made import Sample, paper
from upgrader.errors import ConfigError
from upgrader.runbook import limits
from upgrader.runbook.templates import Templates, shipped


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample(paper("2025.1", "2025.2"))


def put(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_an_own_fragment_wins_and_the_others_stay(sample: Sample, tmp_path: Path) -> None:
    put(tmp_path, "stages/upgrade.md.j2", "# Our upgrade\n\nCall Kim before **{{ hop.target }}**.")
    text = sample.render("md", Templates(tmp_path))
    assert "### 1.5 Our upgrade" in text
    assert "Call Kim before **2025.2**." in text
    assert "### 1.1 Preflight" in text
    html = sample.render("html", Templates(tmp_path))
    assert "<p>Call Kim before <strong>2025.2</strong>.</p>" in html


def test_new_fragments_are_added(sample: Sample, tmp_path: Path) -> None:
    put(tmp_path, "incidents/9-storage.md.j2", "# Ceph is read-only\n\n## Look\n\nceph -s")
    put(tmp_path, "sections/legal.md.j2", "# Legal\n\nWorks council informed.")
    put(tmp_path, "messages/9-board.md.j2", "# To the board\n\nDone.")
    put(tmp_path, "notes/verify.md.j2", "Ask the payroll team.")
    for kind in ("md", "html"):
        text = sample.render(kind, Templates(tmp_path))  # type: ignore[arg-type]
        for words in ("Ceph is read-only", "Works council informed.", "To the board", "Ask the payroll team."):
            assert words in text, (kind, words)


def test_a_translation_falls_back_to_english(sample: Sample, tmp_path: Path) -> None:
    put(tmp_path, "nl/strings.toml", '"Sign-off" = "Akkoord"')
    put(tmp_path, "nl/stages/upgrade.md.j2", "# Bijwerken\n\nNaar {{ hop.target }}.")
    text = sample.render("md", Templates(tmp_path, "nl"))
    assert "Akkoord" in text
    assert "### 1.5 Bijwerken" in text
    assert "### 1.1 Preflight" in text
    assert '<html lang="nl">' in sample.render("html", Templates(tmp_path, "nl"))


def test_a_language_nobody_knows_is_refused(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no translation 'xx'"):
        sample.render("md", Templates(tmp_path, "xx"))
    with pytest.raises(ConfigError, match="is not a folder"):
        sample.render("md", Templates(tmp_path / "none"))


WRONG = {
    "syntax": ("# A\n\n{% if %}", 3, "Expected an expression"),
    "unclosed": ("# A\n{% for a in doc.hops %}", 2, "end"),
    "missing name": ("# A\n\n{{ hop.nothing }}", 3, "has no attribute 'nothing'"),
    "undefined": ("# A\n{{ nobody }}", 2, "'nobody' is undefined"),
    "huge range": ("# A\n{% for a in range(99999999) %}x{% endfor %}", 2, "Range too big"),
    "include of itself": ("# A\n{% include 'stages/upgrade.md.j2' %}", 2, "without end"),
    "nothing there": ("# A\n\n\n{% include 'nowhere.j2' %}", 4, "no template nowhere.j2"),
    "outside": ("# A\n{% include '../../../etc/passwd' %}", 2, "no template"),
    "division": ("# A\n{{ 1 // 0 }}", 2, "division"),
    "repeated": ("# A\n{{ 'x' * 1000000000 }}", 2, "repeated"),
    "power": ("# A\n{{ 10 ** 100000000 }}", 2, "power"),
    "attributes": ("# A\n{{ ''.__class__.__mro__ }}", 2, "unsafe"),
    "padding": ("# A\n{{ 'x'.ljust(1000000000) }}", 2, "not safely callable"),
    "private": ("# A\n{{ paths._typist }}", 2, "is unsafe"),
    "no such command": ("# A\n{{ kolla('rollback', '2025.2') }}", 2, "no command 'rollback'"),
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_what_is_wrong_is_named_with_file_and_line(sample: Sample, tmp_path: Path, what: str) -> None:
    text, line, words = WRONG[what]
    path = put(tmp_path, "stages/upgrade.md.j2", text)
    with pytest.raises(ConfigError) as caught:
        sample.render("html", Templates(tmp_path))
    assert f"{path}:{line}: " in caught.value.message, caught.value.message
    assert words in caught.value.message
    assert caught.value.cloud == "Nothing was written."


def test_text_that_is_no_utf8_is_named(sample: Sample, tmp_path: Path) -> None:
    path = put(tmp_path, "stages/upgrade.md.j2", b"# A\n\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        sample.render("md", Templates(tmp_path))
    assert str(path) in caught.value.message


def test_strings_that_are_no_texts_are_named(sample: Sample, tmp_path: Path) -> None:
    path = put(tmp_path, "nl/strings.toml", "'Sign-off' = 3")
    with pytest.raises(ConfigError, match="wants a text") as caught:
        sample.render("md", Templates(tmp_path, "nl"))
    assert str(path) in caught.value.message
    put(tmp_path, "nl/strings.toml", "Sign-off")
    with pytest.raises(ConfigError, match=r"strings\.toml"):
        sample.render("md", Templates(tmp_path, "nl"))


ENDLESS = {
    "time": "# A\n{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
    "memory": "# A\n{% set s = namespace(t='xxxxxxxx') %}\n"
    "{% for a in range(60) %}{% set s.t = s.t ~ s.t %}{% endfor %}",
}


@pytest.mark.parametrize("what", sorted(ENDLESS))
def test_a_template_without_end_ends(
    sample: Sample, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.3)
    monkeypatch.setattr(limits, "MEMORY", 64 * 1024**2)
    path = put(tmp_path, "stages/upgrade.md.j2", ENDLESS[what])
    with pytest.raises(ConfigError) as caught:
        sample.render("md", Templates(tmp_path))
    assert f"{path}:" in caught.value.message
    assert ("come to an end" if what == "time" else "too much memory") in caught.value.message


def test_a_contact_of_another_language_stays_text(sample: Sample, tmp_path: Path) -> None:
    put(tmp_path, "purpose.md.j2", "# {{ evil }}\n\n{{ evil }}".replace("evil", "doc.change"))
    made = replace(sample.document, change="<img src=x onerror=alert(1)> **x**")
    from upgrader.runbook.commands import Typist
    from upgrader.runbook.render import render

    html = render(made, Templates(tmp_path), "html", typist=Typist())
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; **x**" in html


def test_everything_shipped_is_used(sample: Sample) -> None:
    """A fragment that no page asks for would rot."""
    folders = {path.parent.name for path in (shipped() / "en").rglob("*.md.j2")}
    assert folders == {"en", "stages", "signs", "ways", "messages", "incidents"}
    known = {path.name.removesuffix(".md.j2") for path in (shipped() / "en" / "stages").iterdir()}
    from upgrader.states import FORWARD

    assert known == {state.value for state in FORWARD}
    assert {path.name for path in (shipped() / "en" / "signs").iterdir()} == {f"{name}.md.j2" for name in known}
