"""`upgrader runbook` as it is typed: what it writes, what it refuses, and that a refusal leaves every file alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runbook.made import graph, site_plan
from upgrader.cli.main import main
from upgrader.config import load_site
from upgrader.facts.binding import config_sha256
from upgrader.journal import open_journal
from upgrader.model import Binding, Plan
from upgrader.plan_file import write_plan

SITE = """
[site]
name = "prod-fra"
[kolla]
config_dir = "kolla"
inventory = "kolla/multinode"
[state]
dir = "state"
[[contacts]]
name = "Anna"
"""
CANARY = "canary-4f1c9d"


@dataclass
class Place:
    folder: Path
    plan: Plan

    @property
    def plan_file(self) -> Path:
        return self.folder / "plan.json"

    def run(self, *words: str) -> int:
        return main(["runbook", "--site", str(self.folder / "upgrader.toml"), *words])

    def site(self, more: str) -> None:
        (self.folder / "upgrader.toml").write_text(SITE + more)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A site with a journal, and a plan that was made of it just now."""
    kolla = tmp_path / "kolla"
    kolla.mkdir()
    (kolla / "globals.yml").write_text('openstack_release: "2024.1"\n')
    (kolla / "passwords.yml").write_text(f"database_password: {CANARY}\n")
    (kolla / "multinode").write_text("[control]\nctl1\n")
    (tmp_path / "upgrader.toml").write_text(SITE)
    site = load_site(tmp_path / "upgrader.toml")
    with open_journal(site.state_dir, create=True) as journal:
        snapshot = journal.snapshot()
    made = site_plan("2024.1", "2024.2", site=site, blocked=False).model_copy(
        update={
            "lineage": snapshot.lineage,
            "serial": snapshot.serial,
            "binding": Binding(running="2024.1", config_sha256=config_sha256(site)),
            "graph_sha256": graph().sha256,
        }
    )
    write_plan(made, tmp_path / "plan.json")
    return Place(tmp_path, made)


def test_a_document_of_a_plan_by_suffix(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    html, text = place.folder / "change.html", place.folder / "change.md"
    assert place.run(str(place.plan_file), "--no-look", "--out", str(html)) == 0
    said = capsys.readouterr()
    assert f"Wrote {html}" in said.out
    assert "--no-look" in said.err
    assert said.out.rstrip().endswith(f"run {place.plan_file}")
    assert html.read_text().startswith("<!DOCTYPE html>")
    assert place.run(str(place.plan_file), "--no-look", "--out", str(text)) == 0
    assert place.plan.sha256 in text.read_text()
    with open_journal(place.folder / "state", readonly=True) as journal:
        assert journal.snapshot().head in text.read_text()
    first = text.read_bytes()
    assert place.run(str(place.plan_file), "--no-look", "--out", str(text)) == 0
    assert text.read_bytes() == first
    for path in (html, text):
        assert CANARY not in path.read_text()


def test_without_out_it_goes_to_stdout(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run(str(place.plan_file), "--no-look") == 0
    assert capsys.readouterr().out.startswith("# Change document: prod-fra")
    assert place.run(str(place.plan_file), "--no-look", "--format", "html", "--language", "de") == 0
    assert '<html lang="de">' in capsys.readouterr().out
    assert place.run(str(place.plan_file), "--no-look", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "runbook"
    assert document["identity"]["plan_sha256"] == place.plan.sha256
    assert document["contacts"][0]["name"] == "Anna"


def test_a_configuration_that_changed_is_drift(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    out = place.folder / "change.md"
    out.write_text("as it was")
    (place.folder / "kolla" / "globals.yml").write_text('openstack_release: "2024.2"\n')
    assert place.run(str(place.plan_file), "--no-look", "--out", str(out)) == 4
    said = capsys.readouterr().err
    assert "is not what the plan was made from" in said
    assert "configuration" in said
    assert out.read_text() == "as it was"


def test_a_plan_of_another_journal_or_site_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    write_plan(place.plan.model_copy(update={"lineage": "other"}), place.plan_file)
    assert place.run(str(place.plan_file), "--no-look") == 4
    assert "another journal" in capsys.readouterr().err
    write_plan(place.plan.model_copy(update={"site": "prod-ber"}), place.plan_file)
    assert place.run(str(place.plan_file), "--no-look") == 4
    assert "prod-ber" in capsys.readouterr().err


def test_a_plan_that_was_edited_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.plan_file.write_text(place.plan_file.read_text().replace("prod-fra", "prod-fre", 1))
    assert place.run(str(place.plan_file), "--no-look") == 4
    assert "was changed after it was made" in capsys.readouterr().err


def test_without_no_look_the_cloud_is_asked(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no toolchain here to look with, and that is said instead of believing the plan."""
    assert place.run(str(place.plan_file)) == 3
    assert "No toolchain is built" in capsys.readouterr().err


def test_a_broken_template_keeps_no_plan_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UPGRADER_SITE", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("upgrader.runbook.templates.shipped", lambda: tmp_path / "none")
    assert main(["runbook", "--from", "2025.1", "--to", "2025.2", "--out", "change.md"]) == 2
    assert "no template page.md.j2" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run(str(place.plan_file), "--no-look", "--out", str(place.folder / "none" / "change.md")) == 3
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.slow
def test_stdout_that_knows_only_ascii_gets_utf8(place: Place) -> None:
    """A document is UTF-8 wherever it goes."""
    done = subprocess.run(
        [sys.executable, "-m", "upgrader", "runbook", "--from", "2025.1", "--to", "2025.2", "--paper"],
        capture_output=True, check=False, cwd=place.folder, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().startswith("# Change document: paper plan, OpenStack 2025.1 → 2025.2")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("stages/upgrade.md.j2", "# A\n{{ nothing }}", "upgrade.md.j2:2: 'nothing' is undefined"),
        ("stages/upgrade.md.j2", "# A\n{% for %}", "upgrade.md.j2:2: "),
        ("page.md.j2", "{% include 'page.md.j2' %}", "page.md.j2:1: "),
    ],
)
def test_a_broken_template_writes_nothing(
    place: Place, name: str, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = place.folder / "own" / name
    own.parent.mkdir(parents=True)
    own.write_text(text)
    place.site('[runbook]\ntemplates = "own"\n')
    out = place.folder / "change.md"
    out.write_text("as it was")
    assert place.run(str(place.plan_file), "--no-look", "--out", str(out)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Nothing was written" in said
    assert out.read_text() == "as it was"
    assert not [path for path in place.folder.iterdir() if path.name.startswith(".change")]


def test_a_logo_that_is_no_image_writes_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (place.folder / "logo.png").write_text("no image")
    place.site('[runbook]\nlogo = "logo.png"\n')
    assert place.run(str(place.plan_file), "--no-look", "--out", str(place.folder / "c.html")) == 2
    assert "neither PNG nor JPEG nor SVG" in capsys.readouterr().err
    assert not (place.folder / "c.html").exists()


def test_on_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPGRADER_SITE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["runbook", "--from", "2025.1", "--to", "2025.2", "--out", "change.html"]) == 0
    assert "on paper" in capsys.readouterr().out
    kept = tmp_path / "change.plan.json"
    assert kept.is_file()
    first = (tmp_path / "change.html").read_bytes()
    assert b"upgrader run change.plan.json" in first
    assert main(["runbook", "change.plan.json", "--out", "again.html"]) == 0
    assert (tmp_path / "again.html").read_bytes() == first


def test_the_window_of_the_site_counts_where_it_comes_once(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.site('[window]\nstart = "2026-12-05 22:00"\nlength = "8h"\ntimezone = "Europe/Berlin"\n')
    assert place.run(str(place.plan_file), "--no-look") == 0
    assert "Window: **2026-12-05 21:00 UTC (22:00 Europe/Berlin)**" in capsys.readouterr().out
    assert place.run(str(place.plan_file), "--no-look", "--window", "2026-12-12T22:00") == 0
    assert "Window: **2026-12-12 21:00 UTC (22:00 Europe/Berlin)**" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Give either the file of a plan or --to"),
        (("plan.json", "--to", "2025.2"), "Give either the file of a plan or --to"),
        (("plan.json", "--out", "change.docx"), "neither .md nor .html"),
        (("plan.json", "--format", "pdf"), "none of md, html"),
        (("none.json",), "there is no such file"),
        (("plan.json", "--no-look", "--window", "soon"), "no date and time"),
        (
            ("plan.json", "--no-look", "--window", "2026-12-05T22:00Z", "--window", "2026-12-06T22:00Z"),
            "2 windows for 1",
        ),
        (("plan.json", "--no-look", "--language", "xx"), "no translation 'xx'"),
        (("plan.json", "--paper"), "not of paper"),
    ],
)
def test_what_makes_no_sense_is_refused(
    place: Place, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    assert place.run(*words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_cloud_that_changed_is_drift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a sandbox cloud, looked at by real Ansible: straight from site and target, then after a container changed."""
    from upgrader.kolla.passwords import secret_values
    from upgrader.sandbox.create import create_sandbox

    site = load_site(create_sandbox(tmp_path / "cloud", hosts=(1, 1, 1)))
    out, kept = tmp_path / "change.html", tmp_path / "change.plan.json"
    assert main(["runbook", "--site", str(site.file), "--to", "2024.2", "--out", str(out)]) == 0
    first = out.read_bytes()
    secrets = secret_values(site.passwords)
    assert len(secrets) > 10
    assert not [secret for secret in secrets if secret.encode() in first]
    assert main(["runbook", "--site", str(site.file), str(kept), "--out", str(out)]) == 0
    assert out.read_bytes() == first
    container = next(tmp_path.glob("cloud/hosts/*/containers/keystone.json"))
    container.write_text(container.read_text().replace("2024.1", "2023.2"))
    capsys.readouterr()
    assert main(["runbook", "--site", str(site.file), str(kept), "--out", str(out)]) == 4
    said = capsys.readouterr().err
    assert "container keystone runs" in said
    assert out.read_bytes() == first


def test_faults_of_the_site_file_are_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.site('mail = 3\nfax = "1"\n[[contacts]]\nrole = "x"\n[runbook]\nlanguage = "../en"\nfont = "x"\n')
    assert place.run(str(place.plan_file), "--no-look") == 2
    said = capsys.readouterr().err
    wrong = ("[contacts 1] mail", "[contacts 1] fax: no such key", "[contacts 2] name: missing", "[runbook] language")
    for words in (*wrong, "[runbook] font: no such key"):
        assert words in said, words
    (place.folder / "upgrader.toml").write_text(SITE.replace("[[contacts]]", "[contacts]"))
    assert place.run(str(place.plan_file), "--no-look") == 2
    assert "wants sections [[contacts]]" in capsys.readouterr().err
