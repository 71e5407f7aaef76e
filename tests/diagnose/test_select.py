"""Which lines are shown: what failed where it failed, errors first, no noise, within the room there is."""

from __future__ import annotations

from tests.diagnose_kit import AT, GROUPS, failure, story
from tests.engine_kit.place import graph
from upgrader.diagnose.choose import choose
from upgrader.diagnose.model import Excerpt, Trail
from upgrader.diagnose.select import BUDGET, LONGEST, selected, telling_lines, trails

TOLD = story(failure("ctl2"))
CHOICE = choose(TOLD, graph(), dict.fromkeys(("ctl1", "ctl2", "ctl3"), GROUPS))


def excerpt(host: str, folder: str, *lines: str, container: str = "", away: float = 0) -> Excerpt:
    rows = tuple((AT - away + number / 100, text) for number, text in enumerate(lines))
    return Excerpt(host, container, f"/var/log/kolla/{folder}/x.log" if folder else "", folder, rows)


def shown(*excerpts: Excerpt) -> list[tuple[str, str]]:
    return [(one.host, one.folder or one.container) for one in selected(excerpts, TOLD, CHOICE)]


def test_the_failing_service_on_the_failed_host_is_first_and_errors_come_before_calm():
    found = shown(
        excerpt("ctl1", "mariadb", "all is well"),
        excerpt("ctl1", "keystone", "ERROR elsewhere"),
        excerpt("ctl2", "mariadb", "ERROR of what it stands on"),
        excerpt("ctl2", "keystone", "INFO here it failed"),
        excerpt("ctl3", "rabbitmq", "ERROR far"),
    )
    assert found[:4] == [("ctl2", "keystone"), ("ctl1", "keystone"), ("ctl2", "mariadb"), ("ctl3", "rabbitmq")]
    assert ("ctl1", "mariadb") not in found


def test_of_equal_ones_the_nearest_error_is_first():
    found = shown(
        excerpt("ctl1", "rabbitmq", "ERROR early", away=200), excerpt("ctl3", "mariadb", "ERROR at the moment", away=1)
    )
    assert found == [("ctl3", "mariadb"), ("ctl1", "rabbitmq")]


def test_a_one_shot_container_is_of_its_service():
    assert shown(
        excerpt("ctl2", "", "INFO x", container="haproxy"), excerpt("ctl2", "", "x", container="bootstrap_keystone")
    )[0] == ("ctl2", "bootstrap_keystone")


def test_what_a_shell_shows_of_itself_is_left_out_of_output_and_kept_in_files():
    (output,) = selected([excerpt("ctl2", "", "+ set -e", "++ cat x", "ERROR y", container="keystone")], TOLD, CHOICE)
    assert [text for _, text in output.lines] == ["ERROR y"] and output.left_out == 2
    (file,) = selected([excerpt("ctl2", "keystone", "+ added")], TOLD, CHOICE)
    assert [text for _, text in file.lines] == ["+ added"]


def test_the_same_words_in_a_row_are_one_line():
    (found,) = selected(
        [excerpt("ctl2", "keystone", *(f"retry {number}" for number in range(50)), "end")], TOLD, CHOICE
    )
    assert [text for _, text in found.lines] == ["retry 0", "    (the line above 49 times more)", "end"]


def test_there_is_no_more_than_there_is_room_for():
    many = [
        excerpt(f"ctl{host}", folder, *(f"ERROR {number} {'word ' * 300}{chr(65 + number)}" for number in range(26)))
        for host in (1, 2, 3)
        for folder in ("keystone", "mariadb", "rabbitmq", "haproxy")
    ]
    found = selected(many, TOLD, CHOICE)
    assert sum(len(text) for one in found for _, text in one.lines) <= BUDGET
    assert all(len(text) <= LONGEST + 2 for one in found for _, text in one.lines)
    assert found[0].host == "ctl2"


def test_rules_hear_the_failure_first_and_only_errors_of_logs():
    told = story(failure(message="it broke", words="rc: 1"), message="upgrade: failed")
    lines = [line.text for line in telling_lines(told, [excerpt("ctl1", "keystone", "ERROR a", "INFO b")], CHOICE)]
    assert lines == ["it broke", "rc: 1", "upgrade: failed", "ERROR a"]


def test_a_request_that_is_only_in_one_place_tells_nothing_new():
    one = Trail("req-1", ((AT, "ctl1", "/a", "x"), (AT, "ctl1", "/a", "y")))
    two = Trail("req-2", ((AT, "ctl1", "/a", "x"), (AT, "ctl2", "/a", "y")))
    assert trails([one, two]) == (two,)
    long = Trail("req-3", tuple((AT, f"ctl{number % 3}", "/a", "word " * 100) for number in range(40)))
    (cut,) = trails([long])
    assert cut.left_out and sum(len(text) for *_, text in cut.lines) < 9_000
