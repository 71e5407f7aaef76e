"""Which service a task belongs to, who is done with it, and what an interrupted play has left to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.progress.kept import FILE, keep, read, read_all
from upgrader.progress.services import MOST, from_images, from_plays
from upgrader.progress.tally import Tally, of_documents, rest_of, roles_done
from upgrader.runner.base import TaskEvent

ORDER = ("cron", "loadbalancer", "mariadb", "rabbitmq", "keystone", "glance", "nova", "neutron")
HOSTS = ("cmp1", "cmp2", "ctl1")


class Told:
    """Events as Ansible gives them, in the order of a linear play."""

    def __init__(self) -> None:
        self.events: list[TaskEvent] = []

    def add(self, kind: str, **more: str) -> None:
        self.events.append(TaskEvent(len(self.events) + 1, kind, **more))  # type: ignore[arg-type]

    def play(self, name: str, role: str, *hosts: str, **bad: str) -> Told:
        """Tasks of `role` on the hosts; `bad` host → kind of its trouble in the last task."""
        self.add("play_start", play=name)
        for number in range(2):
            self.add("task_start", play=name, role=role, task=f"{role} {number}")
            for host in hosts:
                kind = bad.get(host, "host_ok") if number == 1 else "host_ok"
                self.add(kind, play=name, role=role, task=f"{role} {number}", host=host)
        return self

    def role(self, name: str, *hosts: str, **bad: str) -> Told:
        return self.play(f"Apply role {name}", name, *hosts, **bad)


def test_a_play_that_ended() -> None:
    told = Told().role("mariadb", "ctl1").role("nova", *HOSTS)
    told.add("stats")
    found = roles_done(told.events, ORDER, HOSTS)
    assert found.done == ("mariadb", "nova")
    assert found.rest == () and found.lacking == ()
    assert set(found.absent) == set(ORDER) - {"mariadb", "nova"}


def test_the_service_that_was_under_way_is_not_done() -> None:
    told = Told().role("mariadb", "ctl1").role("rabbitmq", "ctl1").role("keystone", "ctl1")
    found = roles_done(told.events, ORDER, HOSTS)
    assert found.done == ("mariadb", "rabbitmq")
    assert found.absent == ("cron", "loadbalancer")
    assert found.rest == ("keystone", "glance", "nova", "neutron")
    assert found.lacking == (("keystone", ("ctl1",)),)


def test_the_play_says_whose_task_it_is() -> None:
    """One play configures the load balancer for every service, by those services' own roles."""
    told = Told().role("loadbalancer", "ctl1")
    told.add("task_start", play="Apply role loadbalancer", role="nova", task="Configure loadbalancer for nova")
    told.add("host_ok", play="Apply role loadbalancer", role="nova", task="x", host="ctl1")
    assert roles_done(told.events, ORDER, HOSTS).rest[0] == "loadbalancer"
    tally = Tally()
    for event in told.events:
        tally.take(event.kind, event.play, event.role, event.task, event.host)
    assert list(tally.roles) == ["loadbalancer"]


def test_a_play_without_hosts_is_a_service_this_cloud_has_not() -> None:
    told = Told().role("mariadb", "ctl1")
    told.add("play_start", play="Apply role rabbitmq")
    told.add("play_start", play="Apply role keystone")
    found = roles_done(told.events, ORDER, HOSTS)
    assert found.done == ("mariadb",), "another service's play has begun"
    told.role("glance", "ctl1")
    assert roles_done(told.events, ORDER, HOSTS).absent == ("cron", "loadbalancer", "rabbitmq", "keystone")


def test_plays_of_a_service_after_its_own() -> None:
    told = Told().role("mariadb", "ctl1").play("Restart mariadb services", "mariadb", "ctl1")
    told.play("Bootstrap nova API databases", "nova", "ctl1").role("nova-cell", "cmp1")
    told.play("Run Nova cell online data migrations", "nova-cell", "ctl1")
    told.add("task_start", play="Run Nova cell online data migrations", role="service-ks-register", task="x")
    found = roles_done(told.events, ORDER, HOSTS)
    assert found.done == ("mariadb",)
    assert found.lacking == (("nova", ("cmp1", "ctl1")),)


@pytest.mark.parametrize("kind", ["host_failed", "host_unreachable"])
def test_a_host_that_broke_off_lacks_everything_from_there_on(kind: str) -> None:
    told = Told().role("cron", *HOSTS).role("keystone", "ctl1").role("nova", *HOSTS, cmp2=kind).role("neutron", "ctl1")
    told.add("stats")
    found = roles_done(told.events, ORDER, HOSTS)
    assert found.done == ("cron", "keystone")
    assert dict(found.lacking) == {"nova": ("cmp2",), "neutron": ("cmp2",)}
    assert found.rest == ("nova", "neutron")


def test_a_host_outside_of_the_wanted_ones_keeps_nobody() -> None:
    told = Told().role("nova", *HOSTS, cmp2="host_failed")
    told.add("stats")
    assert roles_done(told.events, ORDER, ("cmp1", "ctl1")).done == ("nova",)


def test_a_rescued_host_goes_on() -> None:
    told = Told().role("nova", *HOSTS, cmp2="host_failed").role("neutron", *HOSTS)
    told.add("stats")
    assert roles_done(told.events, ORDER, HOSTS).done == ("nova", "neutron")


@st.composite
def plays(draw: st.DrawFn) -> tuple[list[TaskEvent], int]:
    told = Told()
    for name in ORDER:
        hosts = draw(st.lists(st.sampled_from(HOSTS), unique=True, max_size=3))
        if hosts:
            told.role(name, *hosts)
    told.add("stats")
    return told.events, draw(st.integers(0, len(told.events)))


@given(plays())
def test_cut_anywhere_nothing_is_called_done_that_is_not(given_: tuple[list[TaskEvent], int]) -> None:
    events, cut = given_
    found = roles_done(events[:cut], ORDER, HOSTS)
    assert set(found.done) | set(found.absent) | set(found.rest) == set(ORDER)
    for name in (*found.done, *found.absent):
        whole = [event for event in events if event.role == name and event.host]
        cut_off = [event for event in events[:cut] if event.role == name and event.host]
        assert whole == cut_off, f"{name} had more to do"


def test_what_is_kept_is_what_was_counted(tmp_path: Path) -> None:
    told = Told().role("cron", *(f"cmp{n:04}" for n in range(1000))).role("nova", "cmp0001", cmp0001="host_failed")
    tally = of_documents(event.document() for event in told.events)
    keep(tmp_path, tally)
    again = read(tmp_path)
    assert again is not None
    assert again.roles == tally.roles and (again.now, again.over) == ("nova", False)
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    assert '"0-999"' in (tmp_path / FILE).read_text(), "hosts are written as ranges"
    assert rest_of(again, ORDER, HOSTS) == rest_of(tally, ORDER, HOSTS)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"hosts":[],"roles":[["x","0",{},true]]}', '{"hosts":1}'])
def test_a_damaged_file_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert read(tmp_path) is None
    (tmp_path / "plays" / "01-upgrade").mkdir(parents=True)
    (tmp_path / "plays" / "01-upgrade" / FILE).write_text(text)
    assert read_all(tmp_path / "plays") == () and read_all(tmp_path / "none") == ()


def waves(*groups: tuple[str, ...], last_ended: bool = True) -> Iterator[Tally]:
    for number, hosts in enumerate(groups):
        told = Told().role("nova", *hosts).role("neutron", *hosts)
        if last_ended or number < len(groups) - 1:
            told.add("stats")
        yield of_documents(event.document() for event in told.events)


def test_waves_are_added_up() -> None:
    services = from_plays(tuple(waves(("ctl1",), ("cmp1", "cmp2"), last_ended=False)), running=True)
    assert services is not None
    lines = {line.name: line for line in services.lines}
    assert (lines["nova"].state, lines["nova"].done, lines["nova"].total) == ("done", 3, 3)
    assert (lines["neutron"].state, lines["neutron"].done, lines["neutron"].total) == ("now", 1, 3)
    stopped = from_plays(tuple(waves(("ctl1",), ("cmp1", "cmp2"), last_ended=False)), running=False)
    assert stopped is not None
    assert {line.name: line.state for line in stopped.lines}["neutron"] == "stopped"
    assert stopped.lines[1].left == ("cmp1", "cmp2")


def test_a_host_that_came_right_the_second_time() -> None:
    first = of_documents(e.document() for e in Told().role("nova", "cmp1", "cmp2", cmp2="host_failed").events)
    (second,) = waves(("cmp2",))
    services = from_plays((first, second), running=False)
    assert services is not None
    # nothing ended the first play, so its good host counts only as under way then
    assert services.lines[0].failed == () and services.lines[0].total == 2


def test_a_host_that_breaks_off_the_second_time_is_not_done() -> None:
    (first,) = waves(("cmp1", "cmp2"))
    second = of_documents(event.document() for event in Told().role("nova", "cmp2", cmp2="host_failed").events)
    services = from_plays((first, second), running=False)
    assert services is not None
    nova = services.lines[0]
    assert (nova.done, nova.total, nova.failed) == (1, 2, (("cmp2", "nova 1"),))


def test_many_that_are_left_are_counted_not_named() -> None:
    hosts = tuple(f"cmp{number:03}" for number in range(300))
    rows = [("nova_compute", "2025.1", hosts[:100]), ("nova_compute", "2024.2", hosts[100:]), ("cron", "2025.1", hosts)]
    services = from_images(rows, "2025.1", "then")
    assert services is not None
    cron, nova = services.lines
    assert (cron.state, nova.state, nova.done, nova.total) == ("done", "part", 100, 300)
    assert nova.left == hosts[100 : 100 + MOST] and nova.more == 200 - MOST
    assert services.done == 1
    assert from_images(rows, "2025.2", "then") is None
