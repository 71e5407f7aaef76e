"""`upgrader check` at the command line: records judged without a cloud, and a small sandbox with real Ansible."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gates import golden
from upgrader.cli.main import main
from upgrader.config import Site, load_site
from upgrader.journal import open_journal
from upgrader.kolla.passwords import secret_values
from upgrader.record_file import read_record, write_record
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import damage_answer

Capture = pytest.CaptureFixture[str]
BROKEN = {"from": "2025.1", "to": "2025.2", "settings": {"enable_proxysql": "no"}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "record.json"
    write_record(golden.record(BROKEN), path)
    return path


def judged(capsys: Capture, *words: object) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["check", "--json", *map(str, words)])
    return code, json.loads(capsys.readouterr().out)


# ---------------------------------------------------------------- a record, without a cloud


def test_the_known_outage_of_2025_2_is_blocked(file: Path, capsys: Capture) -> None:
    code, document = judged(capsys, "--facts", file, "--to", "2025.2")
    assert code == 3
    assert document["blocked"] is True
    found = {row["id"]: row for row in document["findings"]}
    assert found["2025.2-proxysql-mandatory"]["blocks"] is True
    assert found["2025.2-proxysql-mandatory"]["hop"] == "2025.1→2025.2"
    assert document["recorded"] is False
    assert document["next"].startswith("upgrader check --to 2025.2 --facts")


def test_a_record_survives_the_file(tmp_path: Path) -> None:
    record = golden.record(BROKEN)
    write_record(record, tmp_path / "a.json")
    assert read_record(tmp_path / "a.json") == record
    write_record(read_record(tmp_path / "a.json"), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600


def test_the_page_ends_with_the_command(file: Path, capsys: Capture) -> None:
    assert main(["check", "--facts", str(file), "--to", "2025.2"]) == 3
    said = capsys.readouterr()
    assert "BLOCKED" in said.out
    assert said.out.splitlines()[-1].startswith(f"Next:  upgrader check --to 2025.2 --facts {file} --explain ")
    assert said.err == ""


def test_the_checklist_on_request(file: Path, capsys: Capture) -> None:
    _, without = judged(capsys, "--facts", file, "--to", "2025.2")
    _, with_it = judged(capsys, "--facts", file, "--to", "2025.2", "--baseline")
    assert not [row for row in without["findings"] if row["id"].startswith("baseline-")]
    assert len([row for row in with_it["findings"] if row["id"].startswith("baseline-")]) == 15


def test_findings_actions_and_variables_are_explained(file: Path, capsys: Capture) -> None:
    words = ["check", "--facts", str(file), "--to", "2025.2", "--explain"]
    assert main([*words, "2025.2-proxysql-mandatory"]) == 0
    assert "blocks" in capsys.readouterr().out
    assert main([*words, "2025.2-valkey"]) == 0
    assert "does not apply, or is done" in capsys.readouterr().out
    assert main([*words, "common-pull"]) == 0
    assert "stage pull of this tool does it" in capsys.readouterr().out
    assert main([*words, "enable_proxysql"]) == 0
    assert "globals.yml" in capsys.readouterr().out
    assert main([*words, "enable_proxysq"]) == 2
    assert "nearest: enable_proxysql" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "no JSON document"),
        (b"[" * 100_000, "no JSON document"),
        (b"[]", "no document of `upgrader check --record`"),
        (b'{"kind": "plan"}', "no document of `upgrader check --record`"),
        (b'{"kind": "site-record", "hosts": 5}', "does not fit this version"),
        (b'{"kind": "site-record", "schema_version": 2, "facts": {}}', "does not fit this version"),
    ],
)
def test_a_file_that_is_no_record(tmp_path: Path, capsys: Capture, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["check", "--facts", str(path)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert str(path) in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--accept", "x"), 2, "needs a reason"),
        (("--accept", "x", "--reason", "  "), 2, "needs a reason"),
        (("--reason", "why"), 2, "belongs to --accept"),
        (("--accept", "x", "--reason", "why", "--facts", "f"), 2, "not for a file of facts"),
        (("--to", "2027.9"), 3, "is not a release of the graph"),
    ],
)
def test_nonsense_is_refused_before_anything_is_looked_at(
    capsys: Capture, words: tuple[str, ...], code: int, said: str
) -> None:
    assert main(["check", *words]) == code
    assert said in capsys.readouterr().err


def test_hostile_words_of_a_host_stay_words(tmp_path: Path, capsys: Capture) -> None:
    """A container's labels and names come from the hosts."""
    evil = "[/x][bold]\x1b[31mred\x1b]0;owned\x07\u202e"
    record = golden.record(BROKEN)
    first, *rest = record.facts.hosts
    container = first.containers[0].model_copy(
        update={"name": evil, "image": evil, "labels": (("kolla_version", evil),), "state": "exited", "health": evil}
    )
    hosts = (first.model_copy(update={"containers": (container, *first.containers[1:]), "error": evil}), *rest)
    path = tmp_path / "r.json"
    write_record(record.model_copy(update={"facts": record.facts.model_copy(update={"hosts": hosts})}), path)
    assert main(["check", "--facts", str(path), "--to", "2025.2", "--details", "--baseline"]) == 3
    said = capsys.readouterr().out
    assert "\\x1b[31m" in said
    assert not [char for char in said if char != "\n" and not char.isprintable()]


def test_half_an_answer_costs_what_is_missing(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "r.json"
    record = golden.record({"from": "2025.1", "to": "2025.2"})
    parts = record.facts.observed.model_copy(update={"rabbitmq": None, "containers": None, "host_systems": None})
    write_record(record.model_copy(update={"facts": record.facts.model_copy(update={"observed": parts})}), path)
    code, document = judged(capsys, "--facts", path, "--to", "2025.2")
    assert code == 3
    assert document["counts"]["unknown"] > 0
    assert any(row["unknown"] and row["blocks"] for row in document["findings"])


# ---------------------------------------------------------------- a small cloud


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("clouds") / "one"
    yield load_site(create_sandbox(root, "2025.1", hosts=(1, 0, 0), services=()))


def on(site: Site, capsys: Capture, *words: str) -> tuple[int, dict[str, Any]]:
    return judged(capsys, "--site", site.file, "--to", "2025.2", *words)


@pytest.mark.slow
def test_a_finding_lives_through_checks(site: Site, tmp_path: Path, capsys: Capture) -> None:
    """Broken, blocked; accepted where that is possible; mended, gone; broken again, marked. No plan becomes stale."""
    settings = site.globals_file
    healthy = settings.read_text()
    kept = tmp_path / "record.json"
    code, first = on(site, capsys, "--record", str(kept), "--baseline")
    assert code == 0, [row["id"] for row in first["findings"] if row["blocks"]]
    assert first["recorded"] is True

    settings.write_text(healthy.replace('enable_proxysql: "yes"', 'enable_proxysql: "no"'))
    code, broken = on(site, capsys)
    assert code == 3
    assert [row["id"] for row in broken["findings"] if row["blocks"]] == ["2025.2-proxysql-mandatory"]
    assert main(["check", "--site", str(site.file), "--to", "2025.2", "--accept", "2025.2-proxysql-mandatory",
                 "--reason", "we like outages"]) == 3  # fmt: skip
    assert "cannot be taken" in capsys.readouterr().err

    settings.write_text(healthy)
    code, mended = on(site, capsys)
    assert code == 0
    assert mended["settled"] == ["2025.2-proxysql-mandatory"]

    settings.write_text(healthy.replace('enable_proxysql: "yes"', 'enable_proxysql: "no"'))
    _, again = on(site, capsys)
    assert [row["id"] for row in again["findings"] if row["regressed"]] == ["2025.2-proxysql-mandatory"]
    settings.write_text(healthy)

    taken = next(row["id"] for row in first["findings"] if row["severity"] == "required" and not row["blocks"])
    code, accepted = on(site, capsys, "--baseline", "--accept", taken, "--reason", "known, and small")
    assert code == 0
    assert next(row for row in accepted["findings"] if row["id"] == taken)["accepted"][1] == "known, and small"
    with open_journal(site.state_dir, readonly=True) as journal:
        assert journal.verify() == ()
        assert journal.snapshot().serial == 0
        assert [event.kind for event in journal.events(kinds=("accepted",))] == ["accepted"]
    assert main(["check", "--facts", str(kept), "--to", "2025.2"]) == 0
    secrets = secret_values(site.passwords)
    for text in (capsys.readouterr().out, kept.read_text(), json.dumps(accepted)):
        assert not [secret for secret in secrets if secret in text]


@pytest.mark.slow
def test_an_unknown_id_names_the_nearest(site: Site, capsys: Capture) -> None:
    words = ["check", "--site", str(site.file), "--to", "2025.2", "--accept", "baseline-vipp", "--reason", "x"]
    assert main(words) == 3
    assert "nearest: baseline-vip" in capsys.readouterr().err


@pytest.mark.slow
def test_what_came_up_since_the_plan_stops_at_preflight(tmp_path: Path, capsys: Capture) -> None:
    """The plan is a day old, and somebody reinstalled a host: nothing is drift, and the hop must not begin."""
    root = tmp_path / "cloud"
    site = load_site(create_sandbox(root, "2025.1", hosts=(1, 0, 0), services=()))
    out = tmp_path / "plan.json"
    assert main(["plan", "--site", str(site.file), "--to", "2025.2", "--out", str(out)]) == 0
    system = root / "hosts" / "ctl1" / "etc" / "os-release"
    system.write_text(system.read_text().replace("12", "11").replace("bookworm", "bullseye"))
    capsys.readouterr()
    assert main(["run", str(out), "--site", str(site.file), "--auto-approve", "--accept", "not-rehearsed=a test"]) == 6
    said = capsys.readouterr().err
    assert "something known upstream stands against this hop" in said
    assert "Debian bullseye" in said
    assert "no running service was changed" in said
    code, document = on(site, capsys)
    assert code == 3
    assert any(row["id"].startswith("host-os-") and row["blocks"] for row in document["findings"])


@pytest.mark.slow
def test_a_service_of_the_target_that_refuses_stops_the_hop_before_anything_changes(
    tmp_path: Path, capsys: Capture
) -> None:
    """Not asked before its images are there; then it refuses; taken by id, the hop goes on."""
    root = tmp_path / "cloud"
    site = load_site(create_sandbox(root, "2025.1", hosts=(1, 0, 0), services=()))
    name, place = "upgrade-check-keystone-2025.2", ("--site", str(site.file))
    _, before = on(site, capsys)
    assert "upgrade-checks-not-run" in [row["id"] for row in before["findings"]]
    damage_answer(root, "keystone-status", code=2, details="a table is missing")
    run = ["run", "--to", "2025.2", *place, "--auto-approve", "--accept", "not-rehearsed=a test"]
    assert main(run) == 6
    said = capsys.readouterr().err
    assert "services of 2025.2 refuse this cloud" in said and "no running service was changed" in said
    code, asked = on(site, capsys)
    found = {row["id"]: row for row in asked["findings"]}
    assert code == 3 and found[name]["blocks"] and found[name]["evidence"] == "a table is missing"
    assert "upgrade-checks-not-run" in asked["settled"]
    code, taken = on(site, capsys, "--accept", name, "--reason", "it is made by hand")
    assert code == 0, [row["id"] for row in taken["findings"] if row["blocks"]]
    assert main(["resume", *place, "--auto-approve"]) == 0, capsys.readouterr().err
