"""Whatever is there and whoever interrupts: what must never happen does not, and the end is the same."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.computes_kit import small_cloud
from upgrader.computes.inside.judge import marked
from upgrader.computes.inside.main import answer
from upgrader.sandbox import computes as sandbox
from upgrader.sandbox import nova

HOSTS = ("cmp1", "cmp2", "cmp3")


@contextmanager
def cloud() -> Iterator[tuple[Path, sandbox.SandboxCloud]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(nova, "MIGRATION_SECONDS", 0.0),
        mock.patch.object(sandbox, "_PAUSE_SECONDS", 0.0),
    ):
        root = small_cloud(Path(folder))
        yield root, sandbox.SandboxCloud(str(root))


switches = st.tuples(st.sampled_from(["disable", "enable", "operator off", "operator on"]), st.sampled_from(HOSTS))


@settings(max_examples=20, deadline=None)
@given(st.lists(switches, max_size=12))
def test_an_operators_service_is_never_touched_and_ours_all_come_back(moves: list[tuple[str, str]]) -> None:
    with cloud() as (root, asked):
        model: dict[str, str] = {}  # host → why it is disabled
        for move, host in moves:
            if move == "operator off":
                sandbox.plant_service(root, host, disabled="broken fan")
                model[host] = "broken fan"
            elif move == "operator on":
                with nova.opened(str(root)) as state:
                    state["services"][host] = {}
                model.pop(host, None)
            else:
                answer({"do": move, "hosts": [host], "reason": "run 1"}, asked)
                if move == "disable":
                    model.setdefault(host, "upgrader: run 1")
                elif marked(model.get(host, "")):
                    model.pop(host)
            seen = {row["name"]: row["reason"] for row in answer({"do": "services"}, asked)["services"]}
            assert {name: reason for name, reason in seen.items() if reason} == model
        answer({"do": "enable", "hosts": list(HOSTS)}, asked)
        left = [row for row in answer({"do": "services"}, asked)["services"] if not row["enabled"]]
        assert {row["name"] for row in left} == {name for name, why in model.items() if not marked(why)}


guests = st.tuples(
    st.sampled_from(["ACTIVE", "ACTIVE", "PAUSED", "SHUTOFF", "ERROR"]),
    st.sampled_from(["quick", "quick", "fails"]),
    st.booleans(),
)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(guests, max_size=6),
    st.lists(st.sampled_from(HOSTS[1:]), unique=True),
    st.sets(st.sampled_from(HOSTS[1:])),
    st.lists(st.booleans(), max_size=8),
)
def test_a_drain_comes_to_the_same_end_however_it_is_cut(
    there: list[tuple[str, str, bool]], targets: list[str], off: set[str], forgets: list[bool]
) -> None:
    with cloud() as (root, asked):
        for name in off:
            sandbox.plant_service(root, name, disabled="no")
        made: dict[str, tuple[str, str, bool]] = {}
        for number, (status, migration, pinned) in enumerate(there):
            extra = {"pci_passthrough:alias": "gpu"} if pinned else {}
            made[sandbox.plant_instance(
                root, "cmp1", f"g{number}", status=status, migration=migration, extra=extra  # type: ignore[arg-type]
            )] = (status, migration, pinned)  # fmt: skip
        stays = sandbox.plant_instance(root, "cmp3", "bystander")
        request: dict[str, Any] = {"do": "drain", "host": "cmp1", "targets": targets}
        said: dict[str, Any] = {}
        for forget in forgets:  # stretches of no length; with every other one its answer is lost
            said = answer({**request, "seconds": 0, "state": None if forget else said.get("state")}, asked)
        said = answer({**request, "seconds": 30, "state": said.get("state")}, asked)
        assert said["ended"]
        takers = (set(targets) or set(HOSTS[1:])) - off
        servers = sandbox.state_of(root)["servers"]
        for identity, (status, migration, pinned) in made.items():
            can = status in ("ACTIVE", "PAUSED") and migration == "quick" and not pinned and bool(takers)
            assert servers[identity]["host"] in (takers if can else {"cmp1"})
            assert servers[identity]["status"] == status
        assert servers[stays]["host"] == "cmp3"
        left = {row["id"]: row["why"] for row in said["left"]}
        assert all(left.values()) and set(left) == {name for name in made if servers[name]["host"] == "cmp1"}
