"""The trial of the APIs against clouds that work, that refuse, and that were left in the middle of a trial."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.smoke.fake_cloud import PASSWORD, Cloud, running_cloud
from upgrader.smoke import inside
from upgrader.smoke.inside import calls, things, trial
from upgrader.smoke.inside.things import MARK
from upgrader.smoke.inside.trial import Trial

EVERYTHING = ["cinder", "glance", "neutron", "nova", "nova-compute"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("OS_PASSWORD", PASSWORD)
    for module in (calls, things, trial):
        monkeypatch.setattr(module, "PAUSE", 0.0)
    with running_cloud() as found:
        found.flavors["f-1"] = {"id": "f-1", "name": "m1.small", "description": None}
        found.images["i-1"] = {"id": "i-1", "name": "debian", "owner": "p-admin", "status": "active"}
        found.servers["s-1"] = {"id": "s-1", "name": "theirs", "owner": "p-admin", "status": "ACTIVE", "left": 0}
        yield found


def tried(cloud: Cloud, runs: list[str] | None = None, **wish: Any) -> dict[str, tuple[bool | None, str]]:
    wanted = {"mode": "full", "runs": EVERYTHING if runs is None else runs, "limit": 60, "server": 5, **wish}
    made = Trial(cloud.url + "/v3/", "admin", "admin", wanted)
    made.run()
    return {step["step"]: (step["ok"], step["words"]) for step in made.steps}


def bad(steps: dict[str, tuple[bool | None, str]]) -> dict[str, tuple[bool | None, str]]:
    return {name: step for name, step in steps.items() if step[0] is not True}


def test_everything_works_and_nothing_is_left(cloud: Cloud) -> None:
    before = cloud.things()
    steps = tried(cloud)
    assert bad(steps) == {}
    assert {
        "token", "catalogue", "answers-image", "leftovers", "member", "token-member", "list-glance", "quota-nova",
        "quota-neutron", "quota-cinder", "image", "image-download", "server", "server-delete", "image-delete",
        "removed",
    } <= set(steps)  # fmt: skip
    assert cloud.things() == before
    # the member itself made and removed them; the operator's own were never changed
    members = {(method, path.split("/")[2]) for method, path, user in cloud.asked if user.startswith("user-")}
    assert {("POST", "images"), ("PUT", "images"), ("POST", "servers"), ("DELETE", "servers")} <= members
    assert not [path for method, path, _ in cloud.asked if method != "GET" and path.endswith(("f-1", "i-1", "s-1"))]


def test_read_only_makes_nothing(cloud: Cloud) -> None:
    steps = tried(cloud, mode="read-only")
    assert bad(steps) == {}
    assert {"list-nova", "quota-nova"} <= set(steps)
    assert {method for method, _, _ in cloud.asked} == {"GET"}


def test_services_that_do_not_run_are_not_asked(cloud: Cloud) -> None:
    cloud.types = ["identity"]
    steps = tried(cloud, [])
    assert bad(steps) == {
        "image": (None, "Glance does not run here"), "server": (None, "Nova does not run here"),
    }  # fmt: skip
    assert not [path for _, path, _ in cloud.asked if "images" in path or "servers" in path or "quota" in path]
    assert steps["removed"][0] is True
    assert cloud.things()["users"] == ["admin"]


def test_a_service_that_runs_has_to_be_in_the_catalogue(cloud: Cloud) -> None:
    cloud.types.remove("image")
    ok, words = tried(cloud)["catalogue"]
    assert (ok, words) == (False, "status 200: there is no endpoint of glance in it")


@pytest.mark.parametrize(
    ("refuse", "step", "words"),
    [
        ("POST /v3/projects", "member", "status 403: planted"),
        ("POST /v2/images", "image", "status 403: planted"),
        ("PUT /v2/images/.*", "image", "status 403: planted"),
        ("GET /v2/images/.*/file", "image-download", "status 403: planted"),
        ("POST /v2.1/servers", "server", "status 403: planted"),
        ("DELETE /v2.1/servers/.*", "server-delete", "status 403: planted"),
        ("GET /v2.1/os-quota-sets/.*", "quota-nova", "status 403: planted"),
        ("GET /v3/projects", "leftovers", "status 403: planted"),
    ],
)
def test_a_refusal_is_told_by_step(cloud: Cloud, refuse: str, step: str, words: str) -> None:
    cloud.refuse[refuse] = (403, "planted")
    assert bad(tried(cloud))[step] == (False, words)
    cloud.refuse.clear()
    assert bad(tried(cloud)) == {}, "whatever was left is found and removed"
    assert cloud.things()["users"] == ["admin"]
    assert cloud.things()["images"] == ["debian"]
    assert cloud.things()["servers"] == ["theirs"]


def test_an_image_that_comes_back_changed(cloud: Cloud) -> None:
    cloud.damaged = True
    steps = tried(cloud)
    assert steps["image-download"][0] is False
    assert steps["server"] == (None, "there is no image to make it from")
    assert cloud.things()["images"] == ["debian"]


def test_a_server_that_fails_or_does_not_come(cloud: Cloud) -> None:
    cloud.server_ends = "ERROR"
    assert tried(cloud)["server"] == (False, "status 200: the server is in ERROR, twice: No valid host was found.")
    assert cloud.things()["servers"] == ["theirs"]
    cloud.server_ends, cloud.lag = "ACTIVE", 10**9
    assert "is BUILD" in tried(cloud, server=0.05)["server"][1]
    left = cloud.things()
    assert left["servers"] != ["theirs"], "it does not go either"
    assert len(left["projects"]) == 2, "its project stays, so that it is found again"
    cloud.lag = 1
    for server in cloud.servers.values():
        server["left"] = 0
    assert tried(cloud)["leftovers"] == (True, "2 things of an interrupted trial removed")
    assert cloud.things()["projects"] == ["admin"]


def test_a_server_that_a_restarting_host_dropped_is_made_again(cloud: Cloud) -> None:
    cloud.first_server_ends = "ERROR"
    done, words = tried(cloud)["server"]
    assert done and "at the second try (the server is in ERROR: No valid host was found.)" in words
    assert cloud.things()["servers"] == ["theirs"]


@pytest.mark.parametrize("lost", ["POST /v2.1/servers", "POST /v2/images"])
def test_what_was_made_without_an_answer_goes_as_well(cloud: Cloud, lost: str) -> None:
    before = cloud.things()
    cloud.lost = {lost}
    steps = tried(cloud)
    assert [f"{name}s" for name in ("image", "server") if steps[name][0] is False] == [lost.rpartition("/")[2]]
    assert steps["removed"][0] is True
    assert cloud.things() == before


def test_quotas_without_room_are_no_verdict(cloud: Cloud) -> None:
    cloud.refuse["POST /v2.1/servers"] = (403, "Quota exceeded for instances: Requested 1, but already used 0 of 0")
    ok, words = tried(cloud)["server"]
    assert ok is None
    assert "leave no room" in words


def test_the_flavor_of_the_site(cloud: Cloud) -> None:
    assert bad(tried(cloud, flavor="m1.small")) == {}
    assert not [path for method, path, _ in cloud.asked if method == "POST" and "flavors" in path]
    assert tried(cloud, flavor="gone")["server"][0] is None
    assert cloud.things()["flavors"] == ["m1.small"]


def test_leftovers_are_known_by_name_and_mark(cloud: Cloud) -> None:
    ours = {"name": "upgrader-smoke-0123abcd", "description": MARK}
    cloud.projects["p-9"] = {**ours, "id": "p-9"}
    cloud.users["u-9"] = {**ours, "id": "u-9", "password": "x"}
    cloud.images["i-9"] = {"id": "i-9", "name": "x", "owner": "p-9", "status": "queued"}
    cloud.flavors["f-9"] = {**ours, "id": "f-9"}
    # alike, and somebody else's
    cloud.users["u-8"] = {"id": "u-8", "name": ours["name"], "description": "mine", "password": "x"}
    cloud.users["u-7"] = {"id": "u-7", "name": "upgrader-smoke-test", "description": MARK, "password": "x"}
    steps = tried(cloud)
    assert steps["leftovers"] == (True, "4 things of an interrupted trial removed")
    assert bad(steps) == {}
    assert set(cloud.users) == {"u-admin", "u-8", "u-7"}
    assert set(cloud.projects) == {"p-admin"}
    assert set(cloud.images) == {"i-1"}
    assert set(cloud.flavors) == {"f-1"}


def test_a_load_balancer_without_servers_yet_is_waited_for(cloud: Cloud) -> None:
    cloud.away = {"login": 2, "GET /v2.1/": 2, "GET /v2.1/os-quota-sets/.*": 2}
    assert bad(tried(cloud)) == {}


def test_a_service_that_stays_away_is_named(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_GLANCE_AT", 0.01)
    cloud.away = {"GET /v2.1/": 10**6}
    assert tried(cloud, mode="read-only")["answers-compute"] == (False, "status 503: Service Unavailable")


def test_the_time_for_the_whole_ends_it_and_still_removes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = Trial._image

    def late(self: Trial, content: bytes) -> str:
        said = upload(self, content)
        self.admin.deadline = self.member.deadline = 0.0
        return said

    monkeypatch.setattr(Trial, "_image", late)
    steps = tried(cloud)
    assert steps["image-download"] == (None, "the time for the whole trial is used up")
    assert steps["removed"][0] is True
    assert cloud.things()["users"] == ["admin"]


def test_without_a_token_nothing_else_is_asked(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "wrong")
    steps = tried(cloud)
    assert list(steps) == ["token"]
    assert steps["token"][0] is False


def test_as_it_runs_in_the_container(cloud: Cloud) -> None:
    """The two texts, one after the other, on the standard input of a Python that knows nothing of this project."""
    folder = Path(inside.__file__).parent
    future = "from __future__ import annotations"
    texts = [(folder / name).read_text().replace(future, "") for name in ("calls.py", "things.py", "trial.py")]
    wish = {"mode": "full", "runs": ["glance", "neutron"], "limit": 60, "server": 5, "flavor": ""}
    done = subprocess.run(
        [sys.executable, "-I", "-", "smoke", cloud.url, "admin", "admin"],
        input="\n".join([future, *texts]),
        env={"OS_PASSWORD": PASSWORD, "UPGRADER_SMOKE": json.dumps(wish), "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    assert [step for step in said["steps"] if step["ok"] is False] == []
    assert done.stderr == ""
    for secret in (PASSWORD, *cloud.tokens):
        assert secret not in done.stdout
