"""What the cloud is asked, and that every kind of silence is told as a gap."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.diagnose_kit import AT, GROUPS, MOMENT, answer, facts, failure, hosts, log, story
from tests.engine_kit.place import graph, site_of
from upgrader.diagnose import asking
from upgrader.diagnose.asking import ASK, Heard, Question, _answer, _trail, requests_of
from upgrader.diagnose.model import Excerpt, Story
from upgrader.diagnose.on_host import MARK
from upgrader.errors import EnvironmentMissingError
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.runner.base import HostTrouble, PlayResult

ONE, TWO = (f"req-{digit * 8}-2222-4333-8444-555555555555" for digit in "12")
NAMES = ("ctl1", "ctl2", "ctl3")


class Cloud:
    """Stands in for Ansible: what hosts answer to each play, by whether requests are followed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.logs: dict[str, object] = {}
        self.followed: dict[str, object] = {}
        self.lost: dict[str, str] = {}
        self.seen = facts(*hosts(*NAMES))
        self.plays: list[dict[str, object]] = []
        inventory = Inventory(dict.fromkeys(NAMES, GROUPS), {}, "")
        monkeypatch.setattr(asking, "looking_glass", lambda *_: Toolchain("2024.2", Path("/t")))
        monkeypatch.setattr(asking, "remembered_inventory", lambda *_: inventory)
        monkeypatch.setattr(asking, "observe", lambda *_, **__: self.seen)
        monkeypatch.setattr(asking, "keep_seen", lambda *_: None)
        monkeypatch.setattr(asking, "AnsibleRunner", lambda **_: self)

    def run(self, play, _folder, *, cancelled):
        values = dict(play.extra_vars)
        self.plays.append(values)
        said = self.followed if values["upgrader_question"]["ids"] else self.logs
        shown = {
            host: {"stdout": f"noise\r\n{MARK}{json.dumps(found)}\r\n" if isinstance(found, dict) else found}
            for host, found in said.items()
        }
        unreachable = tuple(HostTrouble(host, "", words) for host, words in self.lost.items())
        assert cancelled() in (True, False)
        return PlayResult("diagnose", "successful", 0, collected={ASK: shown}, unreachable=unreachable)


@pytest.fixture
def cloud(monkeypatch):
    return Cloud(monkeypatch)


def ask(tmp_path: Path, told: Story, stop=lambda: False) -> Heard:
    heard = Heard()
    Question(site_of(tmp_path), graph(), told, heard, stop, lambda _line: None).ask()
    return heard


def error_log(request: str):
    return log(
        f"2026-11-22 03:12:05 ERROR keystone [{request}] x", path="/var/log/kolla/keystone/k.log", folder="keystone"
    )


def test_logs_are_read_and_requests_followed(tmp_path, cloud):
    cloud.logs = {"ctl1": answer(error_log(ONE)), "ctl2": answer(), "ctl3": answer()}
    passed = log(f"INFO [{ONE}] passed", path="/var/log/kolla/haproxy/h.log", folder="haproxy")
    cloud.followed = {"ctl1": answer(error_log(ONE)), "ctl2": answer(passed), "ctl3": answer()}
    heard = ask(tmp_path, story(failure()))
    assert [excerpt.host for excerpt in heard.excerpts] == ["ctl1"]
    (trail,) = heard.trails
    assert trail.request == ONE and set(trail.hosts) == {"ctl1", "ctl2"}
    assert heard.gaps == []
    first, second = (play["upgrader_question"] for play in cloud.plays)
    assert first["begin"] < AT < first["end"] and first["folders"][0] == "keystone" and first["ids"] == []
    assert second["ids"] == [ONE] and second["folders"] == []


def test_hosts_that_do_not_answer_are_gaps(tmp_path, cloud):
    cloud.logs = {"ctl1": "sudo: a password is required", "ctl2": f"{MARK}{{broken"}
    cloud.lost = {"ctl3": "timed out"}
    gaps = {gap.what: gap.why for gap in ask(tmp_path, story(failure())).gaps}
    assert set(gaps) == {"logs on ctl1", "logs on ctl2", "logs on ctl3"}
    assert gaps["logs on ctl3"] == "timed out"


def test_what_a_host_could_not_read_is_a_gap(tmp_path, cloud):
    cloud.logs = dict.fromkeys(NAMES, answer(unread=[["keystone", "no rights"]]))
    gaps = ask(tmp_path, story(failure())).gaps
    assert [(gap.what, gap.why) for gap in gaps][0] == ("ctl1: keystone", "no rights")  # noqa: RUF015


def test_an_unreachable_host_is_not_asked_again(tmp_path, cloud):
    rows = hosts(*NAMES)
    rows[0] = rows[0].model_copy(update={"reachable": False, "error": "no route", "containers": ()})
    cloud.seen = facts(*rows)
    heard = ask(tmp_path, story(failure("ctl1")))
    assert heard.choice.hosts == ("ctl2", "ctl3")
    assert ("host ctl1", "no route") in [(gap.what, gap.why) for gap in heard.gaps]


def test_a_cloud_that_cannot_be_looked_at_is_asked_for_its_logs(tmp_path, cloud, monkeypatch):
    def refuse(*_given, **_more):
        raise EnvironmentMissingError("nothing answers")

    monkeypatch.setattr(asking, "observe", refuse)
    cloud.logs = {"ctl1": answer(error_log(ONE))}
    heard = ask(tmp_path, story(failure()))
    assert heard.facts is None and heard.excerpts
    assert heard.gaps[0].why == "nothing answers"


def test_it_stops_when_it_is_asked_to(tmp_path, cloud):
    heard = ask(tmp_path, story(failure()), stop=lambda: True)
    assert cloud.plays == [] and heard.gaps[-1].why == "it was asked to stop"


def test_a_look_that_takes_too_long_is_cut_off_and_told(tmp_path, cloud, monkeypatch):
    def slow(*_given, cancelled, **_more):
        monkeypatch.setattr(asking.time, "monotonic", lambda: time.time() + 1e9)
        assert cancelled()
        return cloud.seen

    monkeypatch.setattr(asking, "observe", slow)
    heard = ask(tmp_path, story(failure()))
    assert "cut off" in heard.gaps[0].why and heard.cut_off


def test_without_a_request_in_an_error_nobody_is_asked_twice(tmp_path, cloud):
    cloud.logs = {"ctl1": answer(log(f"INFO [{ONE}] fine", path="/k.log", folder="keystone"))}
    ask(tmp_path, story(failure()))
    assert len(cloud.plays) == 1


def test_requests_of_the_failure_come_first():
    rows = ((AT - 1, f"ERROR {TWO}"), (AT - 90, f"INFO {ONE}"))
    excerpt = Excerpt("ctl1", "", "/k.log", "keystone", rows)
    told = story(failure(words=f"rc: 1 {ONE}"), moment=MOMENT)
    assert requests_of(told, [excerpt]) == (ONE, TWO)


def test_a_trail_has_its_own_lines_only_in_their_order():
    rows = [(AT, "ctl2", "b", f"{ONE} second"), (AT - 1, "ctl1", "a", f"{ONE} first"), (AT, "ctl1", "a", TWO)]
    assert [text.split()[-1] for *_, text in _trail(ONE, rows).lines] == ["first", "second"]
    many = [(AT + number, "ctl1", "a", f"{ONE} {number}") for number in range(100)]
    cut = _trail(ONE, many)
    assert (
        (len(cut.lines), cut.left_out) == (40, 60)
        and cut.lines[0][3].endswith(" 0")
        and cut.lines[-1][3].endswith("99")
    )


@pytest.mark.parametrize("text", ["", "x", f"{MARK}[]", f"{MARK}{{", "{}"])
def test_what_is_no_answer_is_none(text):
    assert _answer(text) is None
