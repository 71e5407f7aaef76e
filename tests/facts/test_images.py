"""What an attempt keeps of the images it saw, for the report on the run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.engine_kit.place import site_of
from upgrader.attempts import tree_hash
from upgrader.facts.images import SEEN, images_document
from upgrader.model import CloudFacts, ContainerFacts, HostFacts, ReleaseReading
from upgrader.stages.common import keep


def facts() -> CloudFacts:
    def host(name: str, image_id: str) -> HostFacts:
        image = "reg/kolla/keystone:2024.1-x"
        one = ContainerFacts(name="keystone", image=image, image_id=image_id, labels=(("kolla_version", "18.8.0"),))
        return HostFacts(name=name, containers=(one, ContainerFacts(name="cron", image="reg/kolla/cron:2024.1-x")))

    reading = ReleaseReading(kind="exact", release="2024.1")
    hosts = (host("ctl1", "sha256:1"), host("ctl2", "sha256:2"), host("ctl3", "sha256:1"))
    return CloudFacts(site="prod", observed_at="2026-11-22T14:00:00Z", hosts=hosts, reading=reading)


def test_each_image_once_with_the_hosts_that_have_it() -> None:
    document = images_document(facts())
    assert document["release"] == "2024.1"
    assert document["images"] == [
        ["reg/kolla/cron:2024.1-x", "", "", 3],
        ["reg/kolla/keystone:2024.1-x", "sha256:1", "18.8.0", 2],
        ["reg/kolla/keystone:2024.1-x", "sha256:2", "18.8.0", 1],
    ]


def test_it_stays_with_the_attempt_and_under_its_digest(tmp_path: Path) -> None:
    (tmp_path / "attempt").mkdir()
    (tmp_path / "state").mkdir()
    before = tree_hash(tmp_path / "attempt")
    ctx = SimpleNamespace(site=site_of(tmp_path), attempt=SimpleNamespace(folder=tmp_path / "attempt"))
    keep(cast(Any, ctx), facts())
    assert json.loads((tmp_path / "attempt" / SEEN).read_text()) == images_document(facts())
    assert tree_hash(tmp_path / "attempt") != before
