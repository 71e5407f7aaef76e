"""What `status` says of services and hosts: from a run's plays, from the last look, in few lines and little time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cloud_kit.facts import cloud, container, host
from tests.watch_kit import BEGAN, going
from upgrader.progress.kept import FILE, keep
from upgrader.progress.services import ServiceLine, Services
from upgrader.progress.tally import of_documents
from upgrader.redact import Redactor
from upgrader.runner.base import Play
from upgrader.runner.events import EVENTS, Account, read, reconstruct
from upgrader.states import AttemptState, Event
from upgrader.status import Report, Seen, Verdict
from upgrader.status_read import OBSERVED, SEEN, gather, keep_seen, last_seen
from upgrader.views.page import draw
from upgrader.views.progress import service_lines
from upgrader.views.status import status_page
from upgrader.watch.sample import Watcher

COMPUTES = tuple(f"cmp{number:03}" for number in range(300))


def play_of(
    *roles: str, hosts: tuple[str, ...] = COMPUTES, bad: str = "", over: bool = False
) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for role in roles:
        lines += [
            {"kind": "play_start", "play": f"Apply role {role}"},
            {"kind": "task_start", "role": role, "task": "t"},
        ]
        lines += [
            {"kind": "host_failed" if name == bad and role == roles[-1] else "host_ok", "task": "t", "host": name}
            for name in hosts
        ]
    return [*lines, {"kind": "stats"}] if over else lines


def text_of(report: Report) -> str:
    return "\n".join("".join(span.text for span in line).rstrip() for line in draw(status_page(report, BEGAN), 100))


def test_the_services_of_a_run_under_way_and_after_it_broke(tmp_path: Path) -> None:
    with going(tmp_path) as run:
        run.begin()
        for number, lines in enumerate(
            (play_of("keystone", hosts=("ctl1",), over=True), play_of("nova", "neutron")), 1
        ):
            folder = run.folder / "plays" / f"{number:02d}-upgrade"
            folder.mkdir(parents=True)
            keep(folder, of_documents(lines))
        with run.locked():
            report = gather(run.site)
            assert report.services is not None
            assert [(one.name, one.state, one.done) for one in report.services.lines] == [
                ("keystone", "done", 1), ("nova", "done", 300), ("neutron", "now", 0),
            ]  # fmt: skip
            assert "Services: 2 services are done: keystone nova\n  → neutron under way on 300 hosts" in text_of(report)
            assert Watcher(run.site).sample().document()["status"]["services"]["lines"][2]["name"] == "neutron"
        keep(folder, of_documents(play_of("nova", "neutron", bad="cmp017", over=True)))
        run.end(AttemptState.FAILED, Event.FAILED)
        text = text_of(gather(run.site))
        assert "neutron on 299 of 300 hosts; failed: cmp017 (t)" in text
        assert text.count("cmp") == 1, "three hundred that are done are a number"


def test_at_rest_the_images_say_it(tmp_path: Path) -> None:
    with going(tmp_path) as run:
        run.begin()
        run.end()
        made = [
            host(name, container("nova_compute", "2024.2" if number < 100 else "2024.1"), container("cron", "2024.2"))
            for number, name in enumerate(COMPUTES)
        ]
        keep_seen(run.site, cloud(*made).document())
        report = gather(run.site)
        assert report.services is not None and report.services.source == "images"
        text = text_of(report)
        assert "1 of 2 containers are of the new release everywhere" in text
        assert "nova_compute on 100 of 300 hosts; not on cmp100, cmp101" in text and "and 192 more" in text
        assert len(text.splitlines()) < 20
        assert report.document()["cloud"].get("services") is None, "hosts are not told twice"
        keep_seen(run.site, cloud(host("cmp1", container("cron", "2024.2"))).document())
        assert gather(run.site).services is None


def test_the_short_form_holds_for_the_observation_beside_it_alone(tmp_path: Path) -> None:
    with going(tmp_path) as run:
        keep_seen(run.site, cloud(host("cmp1", container("cron", "2024.2"))).document())
        before = last_seen(run.site)
        short = json.loads((run.site.state_dir / SEEN).read_text())
        assert "hosts" not in short
        (run.site.state_dir / OBSERVED).rename(tmp_path / "kept.json")
        assert last_seen(run.site) is None, "it speaks of a file that is not there"
        other = cloud(host("cmp1", container("cron", "2024.1"))).document()
        (run.site.state_dir / OBSERVED).write_text(json.dumps(other))
        seen = last_seen(run.site)
        assert seen is not None and before is not None
        assert (before.release, seen.release) == ("2024.2", "2024.1")
        (run.site.state_dir / SEEN).write_text("{")
        assert last_seen(run.site) == seen


def test_a_play_keeps_its_services_as_it_goes(tmp_path: Path) -> None:
    play = Play("p", Path("/t"), Path("/b"), (Path("/i"),), expected_hosts=("a", "b"))
    account = Account(play, tmp_path, Redactor([]))

    def say(kind: str, **data: object) -> None:
        account.take({"event": kind, "created": "2026-01-01T00:00:00+00:00", "event_data": data})

    say("playbook_on_play_start", name="Gather facts")
    assert not (tmp_path / FILE).exists()
    for role in ("mariadb", "nova"):
        say("playbook_on_play_start", name=f"Apply role {role}")
        say("playbook_on_task_start", task="x", role=role, play=f"Apply role {role}")
        say("runner_on_ok", task="x", role=role, play=f"Apply role {role}", host="a", res={})
    roles = {name: ended for name, _, _, ended in json.loads((tmp_path / FILE).read_text())["roles"]}
    assert roles == {"mariadb": True, "nova": False}
    (tmp_path / FILE).unlink()
    account.result("failed", 2, 1.0)
    assert json.loads((tmp_path / FILE).read_text())["roles"][1][:2] == ["nova", "0"]
    assert account.faults == []


LINES = st.sampled_from(
    [
        '{"counter":1,"kind":"host_ok","task":"t","host":"a"}',
        '{"counter":2,"kind":"task_start","task":"Running db","watched":true}',
        '{"counter": 3, "kind": "host_failed", "task": "t", "host": "b", "message": "no \\"stats\\" here"}',
        '{"counter":4,"kind":"host_unreachable","task":"u","host":"a","message":"gone"}',
        '{"counter":5,"kind":"stats","stats":{"processed":{"a":1},"failures":{},"dark":{}}}',
        '{"counter":6,"kind":"host_ok","message":"\\"watched\\": true","host":"a"}',
        'rubbish with "stats" in it',
        '{"kind":"stats"',
        "",
    ]
)


@given(st.lists(LINES, max_size=12), st.booleans())
def test_what_is_found_without_decoding_all_is_what_decoding_all_finds(lines: list[str], cut: bool) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / EVENTS).write_text("\n".join(lines) + ("" if cut else "\n"))
        every = [event for event, document in read(folder)[0] if event.kind != "stats" or "stats" in document]
        play = Play("p", Path("/t"), Path("/b"), (Path("/i"),))
        found = reconstruct(play, folder)
        assert found.watched == tuple(event.task for event in every if event.watched)
        assert (found.stats is not None) == any(event.kind == "stats" for event in every)
        if found.stats is None:
            expected = {(e.kind, e.host) for e in every if e.kind in ("host_failed", "host_unreachable")}
            assert {trouble.host for trouble in found.failed} == {where for _, where in expected}


def test_a_play_without_events(tmp_path: Path) -> None:
    play = Play("p", Path("/t"), Path("/b"), (Path("/i"),))
    assert reconstruct(play, tmp_path).stats is None
    (tmp_path / EVENTS).touch()
    assert reconstruct(play, tmp_path).stats is None


def test_lines_of_many_services_are_few() -> None:
    lines = tuple(ServiceLine(f"s{number}", "part", 1, 3, left=("a", "b")) for number in range(40))
    told = list(service_lines(Services("images", "then", (*lines, ServiceLine("now", "now", 0, 1)))))
    assert len(told) == 12
    assert "now" in str(told[1].spans) and "31 more" in str(told[-1].spans)


@pytest.mark.parametrize("verdict", [Verdict.NO_RUN, Verdict.DONE])
def test_nothing_is_said_where_nothing_was_begun(verdict: Verdict) -> None:
    assert "Services" not in text_of(Report("s", verdict, hops=(("a", "b", "hop_done"),)))


def test_a_mixed_cloud_of_many_hosts_is_told_in_few_lines() -> None:
    rows = tuple(f"cmp{number}: 2024.2: cron; 2024.1: nova_compute" for number in range(300))
    releases = (("2024.2", ("cron",), COMPUTES), ("2024.1", ("nova_compute",), COMPUTES))
    seen = Seen(
        "2026-11-22T12:00:00Z", "mixed", "", "container images", releases, (*rows, "cmp9: not read (timed out)")
    )
    text = text_of(Report("s", Verdict.NO_RUN, cloud=seen))
    assert "cmp9: not read (timed out)" in text and "300 more, host by host: upgrader status --json" in text
    assert len(text.splitlines()) < 12
    few = text_of(Report("s", Verdict.NO_RUN, cloud=replace(seen, evidence=rows[:3])))
    assert "cmp2: 2024.2: cron" in few and "more" not in few
