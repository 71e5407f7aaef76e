"""A plan of a small sandbox cloud, looked at with real Ansible: bound, without secrets, refused when it is mixed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from upgrader.cli.main import main
from upgrader.config import Site, load_site
from upgrader.kolla.passwords import secret_values
from upgrader.plan_file import read_plan
from upgrader.sandbox.create import create_sandbox
from upgrader.status_read import last_seen


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("clouds") / "one"
    yield load_site(create_sandbox(root, hosts=(1, 1, 1)))


def test_the_plan_is_bound_to_what_was_seen_and_holds_no_secret(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.json"
    assert main(["plan", "--site", str(site.file), "--to", "2024.2", "--out", str(out)]) == 0
    said = capsys.readouterr()
    plan = read_plan(out)
    assert (plan.site, plan.source, plan.target) == (site.name, "2024.1", "2024.2")
    assert len(plan.lineage) > 8
    assert plan.binding.running == "2024.1"
    assert plan.binding.images
    assert plan.binding.heads
    assert plan.binding.config_sha256
    assert plan.binding.inventory_sha256
    assert plan.binding.passwords_hmac
    assert [host for host, _ in plan.hosts]
    assert not plan.blockers
    assert said.out.rstrip().endswith(f"upgrader --site {site.file} run {out}")
    assert "Looking at" in said.err
    secrets = secret_values(site.passwords)
    assert len(secrets) > 10
    written = [path for path in site.state_dir.rglob("*") if path.is_file()]
    assert site.state_dir / "observed.json" in written
    for text in (said.out, said.err, out.read_text(), *(path.read_text(errors="replace") for path in written)):
        assert not [secret for secret in secrets if secret in text]
    assert (site.state_dir / "binding.key").stat().st_mode & 0o777 == 0o600
    assert not list((site.state_dir / "looks").iterdir())


def test_a_mixed_cloud_is_refused_host_by_host_and_status_shows_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = next((site.file.parents[1] / "hosts").glob("*/containers/keystone.json"))
    before = file.read_text()
    file.write_text(before.replace("2024.1", "2024.2"))
    try:
        assert main(["plan", "--site", str(site.file), "--to", "2025.1"]) == 3
        refused = capsys.readouterr().err
        assert main(["status", "--site", str(site.file), "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
    finally:
        file.write_text(before)
    assert "mixed: 2024.1, 2024.2" in refused
    assert file.parents[1].name in refused
    assert "keystone" in refused
    assert status["cloud"]["kind"] == "mixed"
    assert {row[0] for row in status["cloud"]["releases"]} == {"2024.1", "2024.2"}


@pytest.mark.slow
def test_status_observes_on_request(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--site", str(site.file), "--observe"]) == 0
    seen = last_seen(site)
    assert seen is not None
    assert (seen.kind, seen.release) == ("exact", "2024.1")
    assert "2024.1 everywhere" in capsys.readouterr().out
