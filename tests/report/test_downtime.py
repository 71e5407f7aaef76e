"""Downtime in a report: out of a probe's own records, with the task each outage fell into."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.report_kit import Run
from upgrader.availability.records import Answer, Api, Header, answer_line, folder_of
from upgrader.report import gather, html, markdown
from upgrader.report.downtime import apis_of

Begin = Callable[..., Run]
AT, CLOCK = 1_800_000_000.0, 500.0


def records(state_dir: Path, run: str) -> None:
    """Two APIs asked once a second for a minute; neutron is away from the 20th to the 31st."""
    folder = folder_of(state_dir, run)
    folder.mkdir(parents=True)
    apis = (Api("keystone", "http://vip:5000/", 1.0), Api("neutron", "http://vip:9696/", 1.0))
    header = Header("boot-1", AT, CLOCK, 5.0, apis)
    lines = [header.line()]
    for second in range(60):
        for api in (0, 1):
            asked = CLOCK + second + api / 10
            away = api == 1 and 20 <= second < 31
            lines.append(answer_line(Answer(api, asked, asked + 0.01, not away, "refused" if away else ""), CLOCK))
    (folder / "answers-0001.log").write_text("".join(lines))


def worked(state_dir: Path, run: str) -> None:
    folder = state_dir / "attempts" / "a"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({"run": run, "stage": "upgrade", "hop": 0}))
    progress = [
        {"at": "2027-01-15T08:00:05+00:00", "kind": "step_start", "step": "kolla-ansible upgrade"},
        {"at": "2027-01-15T08:00:15+00:00", "kind": "task_start", "task": "Restart neutron-server", "role": "neutron"},
        {"at": "2027-01-15T08:00:40+00:00", "kind": "play_end"},
    ]
    (folder / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in progress))
    (folder / "exit.json").write_text(json.dumps({"ended_at": "2027-01-15T08:00:41+00:00"}))


def test_each_api_how_long_when_and_during_what(begin: Begin) -> None:
    run = begin()
    records(run.site.state_dir, run.id)
    worked(run.site.state_dir, run.id)
    report = gather(run.site)
    keystone, neutron = report.apis
    assert (keystone.asked, keystone.failed, keystone.outages) == (60, 0, ())
    assert (neutron.asked, neutron.failed, len(neutron.outages)) == (60, 11, 1)
    assert neutron.low <= neutron.seconds <= neutron.high and 10 <= neutron.seconds <= 12
    away = neutron.outages[0]
    assert away.began.startswith("2027-01-15T08:00:20.1") and away.ended.startswith("2027-01-15T08:00:31.1")
    assert away.during == ("upgrade: neutron : Restart neutron-server",) and "refused" in away.error
    text = markdown(report)
    assert "| neutron | 11 s |" in text and "neutron : Restart neutron-server" in text
    assert "longest 11 s in sum (neutron), of 2 APIs" in text
    assert "neutron away from 08:00:20 UTC, 11 s: refused" in html(report).replace("-refused", "refused")


def test_without_records_nothing_is_claimed(begin: Begin) -> None:
    run = begin()
    report = gather(run.site)
    assert report.apis == () and report.no_apis == "no probe asked the APIs during this run"
    folder_of(run.site.state_dir, run.id).mkdir(parents=True)
    assert apis_of(run.site.state_dir, run.id) == ((), "the probe was started, but recorded no answer")
    text = markdown(gather(run.site))
    assert "Nothing is claimed about downtime." in text


def test_damaged_records_do_not_end_a_report(begin: Begin) -> None:
    run = begin()
    records(run.site.state_dir, run.id)
    path = folder_of(run.site.state_dir, run.id) / "answers-0001.log"
    path.write_bytes(path.read_bytes()[:700] + b"\xff\x00{\n" * 20 + path.read_bytes()[700:])
    assert [one.api for one in gather(run.site).apis] == ["keystone", "neutron"]
    path.write_bytes(b"\x00" * 5000)
    assert gather(run.site).apis == ()
