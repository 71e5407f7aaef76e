"""`upgrader staging`: what it says, its exit codes, and that nothing is shown that must not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upgrader.cli.main import main
from upgrader.kolla.toolchain import Toolchain
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.secrets import value
from upgrader.staging import apart
from upgrader.staging import prepare as module


@pytest.fixture
def production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site file of production that names staging hosts and an address. Ansible is not asked for hosts here."""
    file = create_sandbox(tmp_path / "prod", "2024.1", (1, 0, 0), (), name="prod")
    (tmp_path / "hosts").write_text((file.parent / "inventory").read_text().replace("ctl", "stg"))
    with file.open("a") as text:
        text.write('\n[staging]\nsite = "../../st/upgrader.toml"\ninventory = "../../hosts"\n')
        text.write('[staging.overrides]\nkolla_internal_vip_address = "10.30.0.250"\n')

    def hosts(_toolchain: Toolchain, inventory: Path, _vault: Path | None) -> dict[str, str]:
        return {line: line for line in inventory.read_text().splitlines() if line.startswith(("ctl", "stg"))}

    monkeypatch.setattr(module, "reached", hosts)
    monkeypatch.setattr(apart, "reached", hosts)
    return file


def upgrader(production: Path, *words: str) -> int:
    return main(["--site", str(production), "staging", *words])


def test_prepared_and_looked_at(production: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert upgrader(production, "prepare") == 0
    told = capsys.readouterr()
    config = tmp_path / "st/kolla"
    assert f"Wrote  {config}  (2 files and passwords.yml, pinned to 2024.1)" in told.out
    assert f"Next:  kolla-ansible -i {tmp_path}/hosts --configdir {config} deploy" in told.out
    assert "guard it as you guard production" in told.err
    secret = value(config / "passwords.yml", "rabbitmq_password")
    assert secret
    assert secret not in told.out + told.err
    assert upgrader(production, "check") == 0
    assert "prod-staging shares nothing with prod" in capsys.readouterr().out


def test_a_second_time_only_on_the_operator_s_word(production: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert upgrader(production, "prepare") == 0
    assert upgrader(production, "prepare") == 3
    assert f"upgrader --site {production} staging prepare --replace" in capsys.readouterr().err
    assert upgrader(production, "prepare", "--replace") == 0
    assert "what was there is in" in capsys.readouterr().out


def test_what_is_shared_has_an_exit_code(production: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert upgrader(production, "prepare") == 0
    settings = tmp_path / "st/kolla/globals.yml"
    settings.write_text(settings.read_text().replace("10.30.0.250", "10.20.0.250"))
    capsys.readouterr()
    assert upgrader(production, "check", "--json") == 3
    document = json.JSONDecoder().raw_decode(capsys.readouterr().out)[0]
    assert document["shared"] == ["kolla_internal_vip_address is 10.20.0.250 on both"]
    assert (document["kind"], document["staging"]) == ("staging", "prod-staging")


def test_a_site_without_staging(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = create_sandbox(tmp_path / "prod", "2024.1", (1, 0, 0), (), name="prod")
    for verb in ("prepare", "check"):
        assert upgrader(file, verb) == 2
        assert "names no staging site" in capsys.readouterr().err


def test_an_unknown_release_is_refused_before_anything(production: Path, tmp_path: Path) -> None:
    assert upgrader(production, "prepare", "--release", "1999.1") != 0
    assert not (tmp_path / "st").exists()
