"""What finalize removes where the site wants it: what the hop replaced, nothing else, and never at the hop's cost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cloud_kit.facts import cloud, container, host
from tests.engine_kit.place import a_hop, graph, site_of
from upgrader.context import AttemptContext
from upgrader.database import manifest
from upgrader.hop_rules import HopRules
from upgrader.model import AttemptRequest, Code, Plan, StageOutcome
from upgrader.stages import finalize, prune
from upgrader.stages.base import StageCanceled, StepFailed, conduct_stage

OLD, NEW = "2024.2-debian-bookworm", "2025.1-debian-bookworm"
ROWS: dict[str, Any] = {
    "sha256:old": {"tags": [f"r/kolla/keystone:{OLD}", "keep/this:mine", f"r/kolla/gone:{OLD}"], "digests": []},
    "sha256:same": {"tags": ["r/kolla/cron:own-7", "r/kolla/cron:its-other-name"], "digests": []},
    "sha256:digest": {"tags": None, "digests": ["r/kolla/keystone@sha256:1"]},
}


def runs(name: str, tag: str, image_id: str) -> Any:
    return container(name, "2025.1").model_copy(update={"image": f"r/kolla/{name}:{tag}", "image_id": image_id})


NOW = cloud(host("ctl1", runs("keystone", NEW, "sha256:new"), runs("cron", "own-7", "sha256:same")))


def test_what_is_named_by_the_backup_set_unused_and_of_a_repository_in_use() -> None:
    assert prune.replaced(ROWS, NOW) == (f"r/kolla/keystone:{OLD}",)


def test_one_container_that_still_runs_it_keeps_an_image_everywhere() -> None:
    left = cloud(*NOW.hosts, host("ctl2", runs("keystone", OLD, "sha256:old")))
    assert prune.replaced(ROWS, left) == ()
    renamed = cloud(*NOW.hosts, host("ctl2", runs("keystone", OLD, "sha256:built anew under the old name")))
    assert prune.replaced(ROWS, renamed) == ()


@pytest.mark.parametrize("change", [{"reachable": False}, {"error": "the engine does not answer"}])
def test_nothing_goes_while_a_host_was_not_seen(change: dict[str, Any]) -> None:
    unseen = cloud(*NOW.hosts, host("ctl2").model_copy(update=change))
    with pytest.raises(StepFailed, match="ctl2"):
        prune.replaced(ROWS, unseen)


ENGINE = """
engine() {
  case $1 in
    image) printf '%s\\n' r/kolla/keystone:old r/kolla/keystone:old-too r/kolla/next:new ;;
    rmi) [ "$2" = r/kolla/keystone:old ] || { echo "conflict: in use"; return 1; } ;;
  esac
}
"""


def test_on_a_host_the_engine_has_the_last_word() -> None:
    script = Path(prune.__file__).with_name("prune.sh").read_text()
    names = "r/kolla/keystone:old\nr/kolla/keystone:old-too\nr/kolla/elsewhere:old\nr/kolla/next"
    done = subprocess.run(
        ["bash", "-c", f"{ENGINE}\nimages='{names}'\n{script}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "removed r/kolla/keystone:old", "kept r/kolla/keystone:old-too: conflict: in use ",
    ]  # fmt: skip


class Place:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.wanted: list[tuple[str, ...]] = []
        self.said = f"removed r/kolla/keystone:{OLD}"
        self.trouble: Exception | None = None
        patch.setattr(finalize, "inventory_of", lambda *_: None)
        patch.setattr(finalize, "look", lambda *_, **__: NOW)
        patch.setattr(
            prune, "own_play", lambda *_, values, **__: self.wanted.append(tuple(dict(values)["upgrader_images"]))
        )
        self.set = folder / "set"
        self.set.mkdir()
        (self.set / "images.json").write_text(json.dumps({"images": ROWS}))
        taken = manifest.BackupSet(self.set, manifest.Manifest(site="s", release="2024.2", made_at=manifest.now()))
        taken.record(manifest.IMAGES, [self.set / "images.json"])

    def run(self, _play: Any) -> Any:
        if self.trouble:
            raise self.trouble
        return SimpleNamespace(collected={prune.ANSWER: {"ctl1": {"stdout": self.said}}})

    def attempt(self, *, wanted: bool = True, release: str = "2025.1") -> StageOutcome:
        plan = Plan.model_validate(
            {
                "from": "2024.2", "to": release, "site": "s", "tool_version": "0", "graph_version": "1",
                "graph_sha256": "0", "hops": (a_hop("2024.2", release),),
            }
        )  # fmt: skip
        request = AttemptRequest(
            attempt="a1", run="r", epoch=1, hop=0, stage="finalize", number=1, site_file="s", plan_file="p",
            state_dir=str(self.folder / "state"), backup_set=str(self.set),
        )  # fmt: skip
        attempt = self.folder / "attempt"
        attempt.mkdir(exist_ok=True)
        site = site_of(self.folder, hops=HopRules(prune_images=wanted))
        ctx = prune.StageContext(request, site, plan, graph(), AttemptContext(attempt))
        ctx.__dict__["target_toolchain"] = SimpleNamespace(release=release)
        ctx.__dict__["run"] = self.run
        return conduct_stage(finalize.work, ctx)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_off_unless_the_site_asks_for_it(place: Place) -> None:
    outcome = place.attempt(wanted=False)
    assert (outcome.verdict, [step.name for step in outcome.steps]) == ("succeeded", ["confirm the release"])
    assert not place.wanted


def test_after_the_release_was_confirmed(place: Place) -> None:
    outcome = place.attempt()
    assert outcome.verdict == "succeeded" and not outcome.findings
    assert outcome.steps[-1].message == "1 images of 2024.2 are not used any more, 1 were removed"
    assert place.wanted == [(f"r/kolla/keystone:{OLD}",)]


def test_never_while_the_cloud_runs_another_release(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    other = NOW.model_copy(update={"reading": NOW.reading.model_copy(update={"kind": "mixed", "release": ""})})
    monkeypatch.setattr(finalize, "look", lambda *_, **__: other)
    assert place.attempt().verdict == "failed"
    assert not place.wanted


@pytest.mark.parametrize(
    "trouble",
    ["kept", StepFailed("ctl1: the engine does not answer"), StageCanceled("prune"), "no set"],
)
def test_nothing_that_goes_wrong_is_the_hops_trouble(place: Place, trouble: Any) -> None:
    if trouble == "kept":
        place.said = f"kept r/kolla/keystone:{OLD}: in use"
    elif trouble == "no set":
        (place.set / "manifest.json").unlink()
    else:
        place.trouble = trouble
    outcome = place.attempt()
    assert outcome.verdict == "succeeded"
    (finding,) = outcome.findings
    assert (finding.id, finding.code) == ("images-left", Code.WARNING)
    assert outcome.steps[-1].code is Code.WARNING
