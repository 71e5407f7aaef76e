"""What single tasks do to the cloud, without Ansible: schemas, containers, faults, counters."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox_kit import containers, password, step
from upgrader.errors import UsageError
from upgrader.sandbox import migrations, schemas, steps, store, world
from upgrader.sandbox.demo import describe, effects, fail_verification
from upgrader.sandbox.demo import migrations as migrations_of
from upgrader.sandbox.faults import add_fault, clear_faults, damage_container, damage_head
from upgrader.sandbox.step import Step, Unreachable

NEUTRON = {"do": "schema", "role": "neutron", "kind": "schema", "part": "", "databases": ["neutron"]}
EXPAND = {**NEUTRON, "part": "expand"}
NOVA_API = {"do": "restart", "role": "nova", "container": "nova_api"}


def heads(root: Path, database: str) -> list[str]:
    schema = schemas.load(str(root), database)
    assert schema is not None
    return sorted(schemas.heads_of(schema))


# ---------------------------------------------------------------- schemas


def test_a_migration_changes_the_heads_once_and_is_counted_every_time(cloud: Path) -> None:
    first = step(cloud, "2024.2", "ctl1", **EXPAND)
    again = step(cloud, "2024.2", "ctl1", **EXPAND)
    assert (first["changed"], again["changed"]) == (True, False)
    assert heads(cloud, "neutron") == ["5bcb7b31ec7d", "5c85685d616d"]
    assert effects(cloud)["schema:neutron:expand:2024.2"] == 2
    assert effects(cloud)["migrate:neutron:2024.2:expand"] == 1
    assert len(migrations_of(cloud, "neutron")) == 1


def test_old_code_refuses_rows_it_does_not_know(cloud: Path) -> None:
    step(cloud, "2024.2", "ctl1", **EXPAND)
    refused = step(cloud, "2024.1", "ctl1", **NEUTRON)
    assert refused["failed"]
    assert refused["msg"] == "Can't locate revision identified by '5bcb7b31ec7d'"
    assert heads(cloud, "neutron") == ["5bcb7b31ec7d", "5c85685d616d"]


def test_old_code_accepts_a_schema_that_did_not_change(cloud: Path) -> None:
    glance = {**NEUTRON, "role": "glance", "databases": ["glance"]}
    step(cloud, "2024.2", "ctl1", **glance)
    assert step(cloud, "2024.1", "ctl1", **glance) == {"changed": False}


def test_what_counts_is_the_release_of_the_images_not_of_the_toolchain(cloud: Path) -> None:
    step(cloud, "2024.2", "ctl1", release="2024.1", **EXPAND)
    assert heads(cloud, "neutron") == ["0e6eff810791", "5c85685d616d"]


def test_a_script_that_was_torn_cannot_be_run_again(cloud: Path) -> None:
    add_fault(cloud, "torn", database="neutron", times=1)
    assert step(cloud, "2024.2", "ctl1", **EXPAND)["failed"]
    assert "1050" in step(cloud, "2024.2", "ctl1", **EXPAND)["msg"]
    assert heads(cloud, "neutron") == []


def test_nothing_migrates_without_a_database_server(cloud: Path) -> None:
    damage_container(cloud, "ctl1", "mariadb", status="exited")
    assert step(cloud, "2024.2", "ctl1", **EXPAND)["failed"]
    assert heads(cloud, "neutron") == ["0e6eff810791", "5c85685d616d"]


def test_rows_move_once_for_each_release(cloud: Path) -> None:
    online = {**NEUTRON, "role": "nova-cell", "kind": "online", "databases": ["nova"]}
    changed = [step(cloud, "2024.2", "ctl1", **online)["changed"] for _ in range(3)]
    assert changed == [True, False, False]
    assert effects(cloud)["online:nova:2024.2"] == 1


def test_steps_of_a_change_lead_through_the_rows_real_services_show() -> None:
    glance = (["2023_1_contract01"], ["2024_1_contract01"])
    assert migrations.after("expand", *glance) == ["2023_1_contract01", "2024_1_expand01"]
    assert migrations.after("contract", *glance) == ["2024_1_contract01"]
    keystone = (["29e87d24a316", "e25ffa003242"], ["11c3b243b4cb", "c88cdce8f248"])
    between = migrations.after("expand", *keystone)
    assert sorted(between) == ["11c3b243b4cb", "e25ffa003242"]
    assert migrations.after("contract", between, keystone[1]) == keystone[1]


ROWS = st.lists(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=1, max_size=2, unique=True)


@given(found=ROWS, target=ROWS)
def test_expand_migrate_contract_end_where_the_whole_change_ends(found: list[str], target: list[str]) -> None:
    rows = found
    for part in ("expand", "migrate", "contract"):
        rows = migrations.after(part, rows, target)
    assert sorted(rows) == sorted(migrations.after("", found, target)) == sorted(target)


# ---------------------------------------------------------------- dumps

TEXTS = st.one_of(st.none(), st.integers(-(10**12), 10**12), st.text(st.characters(codec="utf-8")))
TABLES = st.lists(st.lists(TEXTS, min_size=3, max_size=3), max_size=4)


@settings(max_examples=60)
@given(rows=TABLES)
def test_any_rows_survive_a_dump_and_a_load(rows: list[list[object]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "database").mkdir()
    root = str(folder)
    schema = schemas.new_schema(["abc"], {"things": {"columns": ["a", "b", "c"], "rows": rows}})
    schemas.save(root, "one", schema)
    text = "".join(schemas.dump(root, "one", "10.11"))
    # lines as a text stream gives them: `\r` and friends would be changed on the way if the dump held them
    schemas.restore(root, "two", io.StringIO(text, newline=None))
    restored = schemas.load(root, "two")
    assert restored is not None
    assert restored["tables"] == schema["tables"]


def test_a_dump_that_was_cut_anywhere_is_refused_and_changes_nothing(cloud: Path) -> None:
    lines = "".join(schemas.dump(str(cloud), "keystone", "10.11")).splitlines(keepends=True)
    before = schemas.load(str(cloud), "keystone")
    for end in range(len(lines)):
        with pytest.raises(schemas.SqlError):
            schemas.restore(str(cloud), "keystone", iter(lines[:end]))
    assert schemas.load(str(cloud), "keystone") == before


# ---------------------------------------------------------------- containers


def test_a_container_is_recreated_once_from_the_new_image(cloud: Path) -> None:
    notify = step(cloud, "2024.2", "ctl1", do="compare", role="nova")["notify"]
    assert notify == ["Restart nova-scheduler container", "Restart nova-api container"]
    assert step(cloud, "2024.2", "ctl1", **NOVA_API)["changed"]
    assert not step(cloud, "2024.2", "ctl1", **NOVA_API)["changed"]
    assert containers(cloud)["ctl1", "nova_api"] == "2024.2"
    assert effects(cloud)["restart:ctl1:nova_api:2024.2"] == 1


def test_a_container_that_a_kill_left_missing_is_made_again(cloud: Path) -> None:
    damage_container(cloud, "ctl1", "nova_api")
    assert "Restart nova-api container" in step(cloud, "2024.1", "ctl1", do="compare", role="nova")["notify"]
    assert step(cloud, "2024.1", "ctl1", **NOVA_API)["changed"]
    assert containers(cloud)["ctl1", "nova_api"] == "2024.1"


def test_containers_stay_off_hosts_whose_groups_do_not_have_them(cloud: Path) -> None:
    assert not step(cloud, "2024.2", "cmp1", **NOVA_API)["changed"]
    assert ("cmp1", "nova_api") not in containers(cloud)


def test_a_missing_group_is_named_by_the_precheck(cloud: Path) -> None:
    groups = {"all": ["ctl1"], "nova-api": ["ctl1"], "nova-scheduler": ["ctl1"]}
    result = step(cloud, "2025.1", "ctl1", groups=groups, do="precheck", role="nova")
    assert "expected group nova-metadata for service nova-metadata" in result["msg"]


def test_a_stopped_cluster_is_found_by_the_precheck(cloud: Path) -> None:
    damage_container(cloud, "ctl1", "mariadb", status="exited", joined="")
    assert "mariadb-recovery" in step(cloud, "2024.2", "ctl1", do="precheck", role="mariadb")["msg"]


def test_check_mode_changes_nothing(cloud: Path) -> None:
    before = {path: path.read_bytes() for path in cloud.rglob("*.json")}
    data = store.read(f"{cloud}/toolchains/2024.2/share/kolla-ansible/ansible/sandbox.json")
    groups = {"nova-api": ["ctl1"], "nova-scheduler": ["ctl1"], "all": ["ctl1"]}
    images = {"release": "2024.2", "tag": "2024.2-debian-bookworm", "url": "sandbox/kolla/", "action": "upgrade"}
    for kind in (
        {"do": "pull", "role": "nova"},
        {"do": "config", "role": "nova"},
        NOVA_API,
        {"do": "stop", "role": "nova"},
    ):
        tried = Step(str(cloud), world.Host(str(cloud), "ctl1"), "", {**images, **kind}, data, groups, check=True)
        steps.run(tried)
    assert {path: path.read_bytes() for path in cloud.rglob("*.json")} == before


# ---------------------------------------------------------------- faults and counters


def test_a_failing_verification_heals_with_the_old_release(cloud: Path) -> None:
    assert fail_verification(cloud, "2024.2") == "nova_api on ctl1 comes up unhealthy at 2024.2"
    step(cloud, "2024.2", "ctl1", **NOVA_API)
    assert describe(cloud)[1].troubled == ("nova_api",)
    step(cloud, "2024.1", "ctl1", **NOVA_API)
    assert describe(cloud)[1].troubled == ()


def test_a_fault_is_played_as_often_as_it_says_and_only_where_it_fits(cloud: Path) -> None:
    add_fault(cloud, "fail", task="Restart", host="ctl1", times=2, message="boom")
    told = [step(cloud, "2024.2", "ctl1", "Restart nova-api container", **NOVA_API).get("msg") for _ in range(3)]
    assert told == ["boom", "boom", None]
    clear_faults(cloud)
    add_fault(cloud, "fail", task="Restart", host="ctl1", release="2025.1")
    assert "failed" not in step(cloud, "2024.2", "ctl1", "Restart nova-api container", **NOVA_API)


def test_a_host_can_be_out_of_reach(cloud: Path) -> None:
    add_fault(cloud, "unreachable", host="ctl1")
    with pytest.raises(Unreachable, match="ctl1"):
        step(cloud, "2024.2", "ctl1", **NOVA_API)


def test_a_wrong_image_is_used_where_it_was_asked_for(cloud: Path) -> None:
    add_fault(cloud, "wrong-image", container="nova_api", image="sandbox/kolla/nova-api:private")
    step(cloud, "2024.2", "ctl1", **NOVA_API)
    assert containers(cloud)["ctl1", "nova_api"] == "private"


def test_an_older_server_may_refuse_newer_files(cloud: Path) -> None:
    mariadb = {"do": "restart", "role": "mariadb", "container": "mariadb"}
    assert not step(cloud, "2025.2", "ctl1", **mariadb).get("failed")
    add_fault(cloud, "mariadb-refuses-downgrade")
    assert step(cloud, "2025.1", "ctl1", **mariadb)["failed"]
    assert world.galera_size(str(cloud)) == 0


def test_an_unknown_fault_is_refused(cloud: Path) -> None:
    with pytest.raises(UsageError, match="earthquake"):
        add_fault(cloud, "earthquake")


def test_a_damaged_head_stays_damaged_without_counting_as_a_migration(cloud: Path) -> None:
    damage_head(cloud, "neutron", "ffff")
    assert heads(cloud, "neutron") == ["ffff"]
    assert migrations_of(cloud, "neutron") == []


def test_a_second_play_beside_a_living_one_is_counted(cloud: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        store.write(f"{cloud}/play.json", {"pid": other.pid, "started": steps._started(other.pid), "action": "pull"})
        step(cloud, "2024.2", "cmp1", do="begin")
    finally:
        other.communicate(b"\n")
    assert effects(cloud)["overlap:pull+upgrade"] == 1
    store.write(f"{cloud}/play.json", {"pid": other.pid, "started": "1", "action": "pull"})
    step(cloud, "2024.2", "cmp1", do="begin")
    assert effects(cloud)["overlap:pull+upgrade"] == 1
    assert effects(cloud)["play:upgrade:2024.2"] == 2


def test_no_effect_is_lost_or_torn_when_many_write_at_once(tmp_path: Path) -> None:
    code = "import sys; from upgrader.sandbox import store\nfor _ in range(50): store.note(sys.argv[1], 'k' * 300)"
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    lines = (tmp_path / "effects.log").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["k" * 300] * 200


def test_a_counted_fault_is_shared_by_processes(tmp_path: Path) -> None:
    add_fault(tmp_path, "fail", times=5)
    code = (
        "import sys; from upgrader.sandbox import store\n"
        "print(sum(store.take_fault(sys.argv[1], 'fail') is not None for _ in range(5)))"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(process.communicate()[0]) for process in running) == 5


def test_the_leaked_secret_is_the_one_of_passwords_yml(cloud: Path) -> None:
    add_fault(cloud, "leak", task="Restart", secret="database_password")
    data = store.read(f"{cloud}/toolchains/2024.2/share/kolla-ansible/ansible/sandbox.json")
    args = {**NOVA_API, "action": "upgrade", "release": "2024.2", "tag": "2024.2-x", "url": "u/"}
    host = world.Host(str(cloud), "cmp1")
    secrets = {"database_password": password(cloud)}
    leaking = Step(str(cloud), host, "Restart nova-api container", args, data, {"nova-api": []}, secrets)
    assert password(cloud) in steps.run(leaking)["msg"]
