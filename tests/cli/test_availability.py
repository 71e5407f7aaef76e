"""`upgrader availability`: a table for people, one document for programs, refusals in words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.availability.test_work import LINES, attempt
from tests.golden.compare import check
from upgrader.availability.records import Answer, Api, Header, Mark, answer_line
from upgrader.cli.main import main

SITE = '[site]\nname = "prod"\n[kolla]\nconfig_dir = "."\ninventory = "inventory"\n'
APIS = (
    Api("keystone token", "https://cloud.example.org:5000/v3/auth/tokens", 0.5),
    Api("nova", "https://cloud.example.org:8774/", 0.5),
    Api("heat", "https://old.example.org:8004/", 0.5),
    Api("designate", "https://dns.example.org:9001/", 0.5),
    Api("object store", "https://cloud.example.org:6780/", 0.5),
)


def records(state: Path, run: str = "3c0ffee0-0000-4000-8000-000000000000") -> Path:
    """A probe's forty seconds, a death of half a minute, and its rest."""
    folder = state / "availability" / run
    folder.mkdir(parents=True)
    base = 1_800_000_000.0
    lines = [Header("b", base, 0.0, 5.0, APIS[:4]).line()]
    for number in range(80):
        asked = number / 2
        token = not 12 <= asked < 15.5
        nova = not (4 <= asked < 5 or 11.5 <= asked < 18)
        lines += [
            answer_line(Answer(0, asked, asked + 0.025, token, "201" if token else "503"), 0.0),
            answer_line(Answer(1, asked, asked + 0.004, nova, "" if nova else "refused Connection refused"), 0.0),
            answer_line(Answer(2, asked, asked + 0.001, False, "tls certificate has expired"), 0.0),
            answer_line(Answer(3, asked, asked, asked != 20, "name dns.example.org cannot be resolved"), 0.0)
            if asked == 20
            else answer_line(Answer(3, asked, asked + 0.01, True, "300"), 0.0),
        ]
    (folder / "answers-0001.log").write_text("".join(lines))
    more = [Header("b", base + 70, 70.0, 5.0, APIS).line()]
    more += [
        answer_line(Answer(api, 70 + n / 2, 70.01 + n / 2, api != 2, ""), 70.0) for n in range(9) for api in range(4)
    ]
    more += [Mark("rest", 75, base + 75, "2024.1 → 2024.2 is at rest in hold_finalize").line()]
    (folder / "answers-0002.log").write_text("".join(more))
    attempt(state, run, "upgrade", LINES, run=run, end=25)
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "upgrader.toml").write_text(SITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UPGRADER_SITE", raising=False)
    return tmp_path


def test_the_table(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records(place / "state")
    assert main(["availability"]) == 0
    check("availability/table.txt", capsys.readouterr().out)


def test_the_document(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records(place / "state")
    assert main(["availability", "--json", "--run", "3c0f"]) == 0
    document = json.loads(capsys.readouterr().out)
    found = {api["api"]: api for api in document["apis"]}
    assert (document["kind"], document["probing"]) == ("availability", False)
    assert [outage["during"][0]["words"] for outage in found["nova"]["outages"]] == [
        "nova : Checking", "nova : Restart nova-api",
    ]  # fmt: skip
    assert found["heat"]["never_up"] and found["heat"]["outages"][0]["kinds"] == ["tls"]
    assert found["designate"]["outages"][0]["ours"]
    assert found["keystone token"]["unknown"] == pytest.approx(30.5, abs=0.1)
    assert found["object store"]["asked"] == 0


def test_the_newest_run_is_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = records(place / "state", "aaaa1111")
    records(place / "state", "bbbb2222")
    for path in old.iterdir():
        os.utime(path, (1, 1))
    assert main(["availability"]) == 0
    assert "run bbbb2222" in capsys.readouterr().out
    assert main(["availability", "--run", "aaaa"]) == 0
    assert main(["availability", "--run", "c"]) == 2
    assert "aaaa1111" in capsys.readouterr().err


def test_nothing_was_asked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["availability"]) == 3
    assert "No public API of prod was asked." in capsys.readouterr().err
    (place / "upgrader.toml").write_text(SITE.replace("[kolla]", 'sandbox = "."\n[kolla]'))
    assert main(["availability"]) == 3
    assert "a sandbox has no public API to ask" in capsys.readouterr().err
    assert main(["availability", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["reason"] == "nothing-asked"
