"""Two renderings → what differs: told once for hosts alike, counted whole, shown in bounds."""

from __future__ import annotations

from pathlib import Path

from upgrader.kolla.aside.compare import MOST_LINES_OF_A_FILE, compare, read_rendering
from upgrader.kolla.aside.conceal import marker
from upgrader.rendered import FileDifference


def test_changed_added_and_removed_files_by_service() -> None:
    before = {("a", "nova-api/nova.conf"): "[x]\nold = 1\n", ("a", "redis/redis.conf"): "one\ntwo\n"}
    after = {("a", "nova-api/nova.conf"): "[x]\nnew = 1\n", ("a", "valkey/valkey.conf"): "one\n"}
    found = compare(before, after)
    assert [(one.service, one.added, one.removed) for one in found.services] == [
        ("nova-api", 1, 1),
        ("redis", 0, 2),
        ("valkey", 1, 0),
    ]
    assert [file.kind for one in found.services for file in one.files] == ["changed", "removed", "added"]
    assert found.texts["nova-api"] == (
        "# nova-api/nova.conf changed on a: +1 -1\n--- a/nova-api/nova.conf\n+++ b/nova-api/nova.conf\n"
        "@@ -1,2 +1,2 @@\n [x]\n-old = 1\n+new = 1\n"
    )


def test_the_same_is_no_difference() -> None:
    same = {("a", "x/y"): "1\n"}
    assert compare(same, dict(same)).services == ()


def test_hosts_alike_are_told_once() -> None:
    before = {(host, "x/y"): "1\n" for host in ("a", "b", "c")}
    after = {("a", "x/y"): "2\n", ("b", "x/y"): "2\n", ("c", "x/y"): "3\n"}
    (service,) = compare(before, after).services
    assert [file.hosts for file in service.files] == [("a", "b"), ("c",)]


def test_long_differences_are_cut_in_the_text_and_not_in_the_count() -> None:
    after = {("a", "x/y"): "".join(f"{number}\n" for number in range(5000))}
    found = compare({}, after)
    assert found.services[0].files == (FileDifference(path="x/y", kind="added", added=5000, hosts=("a",)),)
    assert len(found.texts["x"].splitlines()) == MOST_LINES_OF_A_FILE + 2
    assert "more lines of this file" in found.texts["x"]


def test_a_line_that_looks_like_a_header_is_counted() -> None:
    found = compare({("a", "x/y"): "-- z\n"}, {("a", "x/y"): "++ z\n"})
    assert (found.services[0].added, found.services[0].removed) == (1, 1)


def test_the_folder_of_the_rendering_makes_no_difference(tmp_path: Path) -> None:
    for name in ("one", "two"):
        place = tmp_path / name / "ctl1" / "cron"
        place.mkdir(parents=True)
        (place / "run.sh").write_text(f"cd {tmp_path / name / 'ctl1'}/cron\n")
    texts = [read_rendering(tmp_path / name, marker(b"k")) for name in ("one", "two")]
    assert texts[0] == texts[1] == {("ctl1", "cron/run.sh"): "cd /etc/kolla/cron\n"}
