from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.computes_kit import Apis, serving
from upgrader.sandbox import computes, nova, world


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """As much of a sandbox as Nova needs: three computes and a controller, no instances."""
    place = tmp_path / "cloud"
    for name in ("cmp1", "cmp2", "cmp3", "ctl1"):
        (place / "hosts" / name / "containers").mkdir(parents=True)
        (place / "hosts" / name / "images").mkdir()
        container = "nova_compute" if name.startswith("cmp") else "neutron_dhcp_agent"
        release = "2024.1" if name == "cmp3" else "2025.1"
        image = f"sandbox/kolla/nova-compute:{release}-debian-bookworm"
        found = {"image": image, "status": "running", "started_at": world.now(), "health": "", "exit_code": 0}
        world.Host(str(place), name).put(container, found)
    computes.remove_instances(place)
    return place


@pytest.fixture
def apis(root: Path) -> Iterator[Apis]:
    with serving(root) as found:
        yield found


def effects(root: Path) -> list[str]:
    """What happened to this cloud, in order."""
    from upgrader.sandbox import store

    return list(store.effects(str(root)))


__all__ = ["effects", "nova"]
