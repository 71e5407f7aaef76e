"""Commands in containers: what the engine is asked, what becomes of its answer. The engine here is a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from upgrader.config import RehearsalRules, load_site
from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.graph import load_graph
from upgrader.rehearsal.images import ImagePrograms, image_programs
from upgrader.rehearsal.programs import RehearsalCanceled

ENGINE = """#!/bin/bash
# keeps what it was asked, and runs the command as it stands
echo "$@" >> {log}
case "$1" in
  image) [ "$3" = have ]; exit ;;
  pull) echo "manifest unknown" >&2; exit 1 ;;
  rm) exit 0 ;;
esac
shift
while [ $# -gt 0 ]; do
  case "$1" in
    --rm) shift ;;
    --entrypoint) program=$2; shift 2 ;;
    --env) export "$2"; shift 2 ;;
    --*) shift 2 ;;
    *) break ;;
  esac
done
shift
[ "$program" = gone ] && {{ echo "no such program" >&2; exit 125; }}
exec "$program" "$@"
"""


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    path = tmp_path / "engine"
    path.write_text(ENGINE.format(log=tmp_path / "asked"))
    path.chmod(0o755)
    return path


@pytest.fixture
def programs(engine: Path, tmp_path: Path) -> ImagePrograms:
    return ImagePrograms(str(engine), "2025.2", lambda _image: "have", tmp_path / "log")


def service():
    return next(one for one in load_graph().migrations if one.name == "glance")


def test_a_command_gets_a_container_without_network(programs: ImagePrograms, tmp_path: Path) -> None:
    log = tmp_path / "1.log"
    with programs:
        desk = programs.desk(
            service(), tmp_path / "place", tmp_path / "s" / "socket", {"KEY": "k", "OS_X__KEY_REPOSITORY": "/p/keys"}
        )
        assert desk.run(["printenv", "KEY"], log, 60).code == 0
        assert desk.run(["sh", "-c", "exit 3"], log, 60).code == 3
    assert log.read_text() == "k\n"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == "image inspect have"
    for words in ("--rm", "--network none", "--user 0", f"--volume {tmp_path}/place:{tmp_path}/place"):
        assert words in asked[1]
    assert f"--volume {tmp_path}/s:{tmp_path}/s" in asked[1], "the folder of the copy's socket"
    assert "--volume /p/keys:/etc/glance/keys" in asked[1]
    assert asked[1].endswith("--entrypoint printenv have KEY")


def test_at_its_limit_the_container_is_removed(programs: ImagePrograms, tmp_path: Path) -> None:
    with programs:
        desk = programs.desk(service(), tmp_path, tmp_path / "socket", {})
        assert desk.run(["sleep", "600"], tmp_path / "1.log", 0.3).code is None
    run, removed = (tmp_path / "asked").read_text().splitlines()[-2:]
    assert removed == f"rm --force {run.split('--name ')[1].split()[0]}"


def test_what_the_engine_refuses_is_no_answer_of_the_service(programs: ImagePrograms, tmp_path: Path) -> None:
    with programs:
        desk = programs.desk(service(), tmp_path, tmp_path / "socket", {})
        with pytest.raises(EnvironmentMissingError, match="could not be run") as refused:
            desk.run(["gone"], tmp_path / "1.log", 60)
        assert refused.value.details == ("no such program",)
        programs.cancelled = lambda: True
        with pytest.raises(RehearsalCanceled):
            desk.run(["sleep", "600"], tmp_path / "1.log", 60)


def test_an_image_that_cannot_be_had_is_named(engine: Path, tmp_path: Path) -> None:
    programs = ImagePrograms(str(engine), "2025.2", lambda image: f"reg/{image}", tmp_path / "log")
    with programs, pytest.raises(EnvironmentMissingError, match="reg/glance-api") as missing:
        programs.desk(service(), tmp_path, tmp_path / "socket", {})
    assert missing.value.details == ("manifest unknown",)


def test_images_are_named_as_the_playbooks_name_them(tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / "kolla").mkdir()
    settings = tmp_path / "kolla" / "globals.yml"
    settings.write_text('kolla_base_distro: "debian"\ndocker_registry: "registry:4000"\n')
    (tmp_path / "upgrader.toml").write_text(
        '[site]\nname = "prod"\n[kolla]\nconfig_dir = "kolla"\ninventory = "i"\n[rehearsal]\nengine = "sh"\n'
    )
    site = load_site(tmp_path / "upgrader.toml")
    made = image_programs(site, "2025.2", tmp_path, lambda: False)
    assert made.reference("nova-api") == "registry:4000/openstack.kolla/nova-api:2025.2-debian-bookworm"
    own = replace(site, rehearsal_rules=RehearsalRules(engine="sh", images="mine/{image}:{release}-x"))
    assert image_programs(own, "2025.1", tmp_path, lambda: False).reference("heat-api") == "mine/heat-api:2025.1-x"
    settings.write_text('openstack_tag: "{{ mine }}"\n')
    with pytest.raises(ConfigError, match="cannot be named"):
        image_programs(site, "2025.2", tmp_path, lambda: False).reference("nova-api")
    with pytest.raises(EnvironmentMissingError, match="was not found"):
        image_programs(replace(site, rehearsal_rules=RehearsalRules(engine="no-such-engine")), "2025.2", tmp_path,
                       lambda: False)  # fmt: skip
