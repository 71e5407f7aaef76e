"""The engine says what a container engine would say, and refuses what it does not know."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.golden.compare import check
from tests.sandbox_kit import PYTHON, ask, dump, engine, password, sql
from upgrader.sandbox import store, world
from upgrader.sandbox.faults import damage_container

INSPECT = (
    '{"name":{{json .Name}},"image":{{json .Config.Image}},"image_id":{{json .Image}},'
    '"labels":{{json .Config.Labels}},"state":{{json .State}}}'
)
IMAGE = '{"id":{{json .Id}},"tags":{{json .RepoTags}},"digests":{{json .RepoDigests}},"labels":{{json .Config.Labels}}}'
URL = "http://10.20.0.250:5000"


def transcript(root: Path, *calls: tuple[str, ...]) -> str:
    """What each call printed, with everything that differs from run to run taken out."""
    parts = []
    for host, *words in calls:
        done = engine(root, host, *words)
        parts.append(f"$ engine {' '.join(words)}\n[{done.returncode}]\n{done.stdout.decode()}{done.stderr.decode()}\n")
    text = "".join(parts).replace(str(root), "ROOT")
    return re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)


def test_containers_and_images_are_shown_as_an_engine_shows_them(cloud: Path) -> None:
    image = json.loads(engine(cloud, "ctl1", "inspect", "--type", "container", "--format", INSPECT, "keystone").stdout)
    check(
        "sandbox/engine.txt",
        transcript(
            cloud,
            ("ctl1", "info", "--format", "{{json .}}"),
            ("cmp1", "ps", "-a", "--no-trunc", "--format", "{{.Names}}"),
            ("ctl1", "inspect", "--type", "container", "--format", INSPECT, "keystone", "nothing", "mariadb"),
            ("ctl1", "image", "inspect", "--format", IMAGE, image["image_id"], "sha256:0000"),
            ("ctl1", "stop", "keystone"),
            ("ctl1", "inspect", "--type", "container", "--format", INSPECT, "keystone"),
            ("ctl1", "stop", "keystone"),
            ("ctl1", "start", "keystone"),
            ("ctl1", "start", "nothing"),
            ("ctl1", "exec", "-i", "nothing", "mariadb"),
            ("ctl1", "exec", "-i", "keystone", "sh", "-c", "true"),
            ("ctl1", "ps"),
            ("ctl1", "rmi", "all"),
        ),
    )


def test_the_database_answers_as_the_client_prints(cloud: Path) -> None:
    words = ("galera", "heads", "schemas", "rows", "grant-statements", "keystone-endpoint")
    text = "".join(f"-- {word}\n{sql(cloud, 'ctl1', word)}" for word in words)
    grants = re.sub(r"\*[0-9A-F]{40}", "*HASH", sql(cloud, "ctl1", "grants"))
    check("sandbox/database.txt", f"{text}-- grants\n{grants}")


def test_an_unknown_call_ends_as_a_usage_error_and_changes_nothing(cloud: Path) -> None:
    before = store.effects(str(cloud))
    done = engine(cloud, "ctl1", "system", "prune", "--all")
    assert done.returncode == 125
    assert b"system prune --all" in done.stderr
    assert store.effects(str(cloud)) == before


def test_a_host_that_is_none_is_no_engine(cloud: Path) -> None:
    assert engine(cloud, "ctl9", "info", "--format", "{{json .}}").returncode == 1


@pytest.mark.parametrize("secret", ["", "wrong", "geheim'--"])
def test_a_wrong_password_is_refused_by_database_and_dump(cloud: Path, secret: str) -> None:
    refused = ask(cloud, "ctl1", "heads", "", secret)
    assert refused.returncode == 1
    assert refused.stderr.startswith(b"ERROR 1045 (28000): Access denied for user 'root'@'localhost'")
    words = ("exec", "-i", "-e", "MYSQL_PWD", "mariadb", "mariadb-dump", "--databases", "keystone")
    assert engine(cloud, "ctl1", *words, MYSQL_PWD=secret).returncode == 2


def test_a_password_that_is_not_passed_into_the_container_does_not_count(cloud: Path) -> None:
    words = ("exec", "-i", "mariadb", "mariadb", "--user=root")
    done = engine(cloud, "ctl1", *words, stdin="-- upgrader: heads\n", MYSQL_PWD=password(cloud))
    assert done.returncode == 1


def test_the_server_does_not_run_what_is_no_tagged_question(cloud: Path) -> None:
    words = ("exec", "-i", "-e", "MYSQL_PWD", "mariadb", "mariadb", "--user=root")
    done = engine(cloud, "ctl1", *words, stdin="DROP DATABASE keystone;\n", MYSQL_PWD=password(cloud))
    assert done.returncode == 1
    assert "keystone" in sql(cloud, "ctl1", "schemas").split()


def test_a_dump_ends_with_its_trailer_and_reads_back(cloud: Path) -> None:
    rows, heads = sql(cloud, "ctl1", "rows"), sql(cloud, "ctl1", "heads")
    text = dump(cloud, "ctl1", "keystone").stdout.decode()
    assert text.splitlines()[-1].startswith("-- Dump completed")
    assert "INSERT INTO `alembic_version` VALUES ('47147121');" in text
    schema = store.read(f"{cloud}/database/keystone.json")
    store.write(f"{cloud}/database/keystone.json", {"tables": {}, "history": []})
    assert sql(cloud, "ctl1", "rows") != rows
    sql(cloud, "ctl1", "restore-schema keystone", f"DROP DATABASE IF EXISTS `keystone`;\n{text}")
    assert (sql(cloud, "ctl1", "rows"), sql(cloud, "ctl1", "heads")) == (rows, heads)
    assert store.read(f"{cloud}/database/keystone.json")["tables"] == schema["tables"]


def test_an_unknown_schema_cannot_be_dumped(cloud: Path) -> None:
    done = dump(cloud, "ctl1", "nothing")
    assert done.returncode == 2
    assert b"Unknown database 'nothing'" in done.stderr


def test_accounts_are_put_back_with_the_passwords_they_had(cloud: Path) -> None:
    wanted = sql(cloud, "ctl1", "grants")
    accounts = store.read(f"{cloud}/database/accounts.json")
    damaged = {
        name: {**entry, "hash": "*0"} if "@%" in name and "root" not in name else entry
        for name, entry in accounts.items()
    }
    store.write(f"{cloud}/database/accounts.json", damaged)
    assert sql(cloud, "ctl1", "grants") != wanted
    statements = "".join(f"{line};\n" for line in wanted.replace("CREATE USER", "CREATE OR REPLACE USER").splitlines())
    sql(cloud, "ctl1", "restore-grants", statements)
    assert store.read(f"{cloud}/database/accounts.json") == accounts


# ---------------------------------------------------------------- tokens and keys


def token(root: Path, host: str, verb: str, secret: str = "", old: str = "") -> dict[str, object]:
    words = ("exec", "-i", "-e", "OS_PASSWORD", "-e", "OS_TOKEN", "keystone", PYTHON, "-", verb, URL, "admin", "admin")
    secret = secret or password(root, "keystone_admin_password")
    done = engine(root, host, *words, stdin="import sys\n", OS_PASSWORD=secret, OS_TOKEN=old)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_a_token_of_one_host_is_good_on_every_host(ha_cloud: Path) -> None:
    old = str(token(ha_cloud, "ctl1", "issue")["token"])
    assert token(ha_cloud, "ctl3", "validate", old=old) == {"ok": True, "status": 200, "user": "admin"}


def test_a_wrong_admin_password_gets_no_token(cloud: Path) -> None:
    assert token(cloud, "ctl1", "issue", secret="wrong")["status"] == 401


def test_lost_keys_make_old_tokens_invalid_and_restored_keys_make_them_good(cloud: Path) -> None:
    old = str(token(cloud, "ctl1", "issue")["token"])
    kept = engine(cloud, "ctl1", "cp", "keystone:/etc/keystone/fernet-keys", "-").stdout
    with tarfile.open(fileobj=io.BytesIO(kept)) as tar:
        found = {member.name: (member.uid, member.gid, member.mode) for member in tar}
    assert found == {
        "fernet-keys": (42425, 42425, 0o770),
        "fernet-keys/0": (42425, 42425, 0o600),
        "fernet-keys/1": (42425, 42425, 0o600),
    }
    for key in (cloud / "hosts/ctl1/volumes/keystone_fernet_tokens").iterdir():
        key.write_bytes(b"another")
    lost = token(cloud, "ctl1", "validate", old=old)
    assert (lost["ok"], lost["status"]) == (False, 404)
    damage_container(cloud, "ctl1", "keystone", status="exited")
    assert engine(cloud, "ctl1", "cp", "-", "keystone:/etc/keystone", stdin=kept).returncode == 0
    engine(cloud, "ctl1", "start", "keystone")
    assert token(cloud, "ctl1", "validate", old=old)["ok"] is True


def test_credential_keys_that_kolla_never_made_are_a_missing_file(cloud: Path) -> None:
    done = engine(cloud, "ctl1", "cp", "keystone:/etc/keystone/credential-keys", "-")
    assert done.returncode == 1
    assert b"Could not find the file" in done.stderr


@pytest.mark.parametrize(
    "name", ["../../etc/keystone/x", "fernet-keys/../../../../site/kolla/globals.yml", "fernet-keys/../x"]
)
def test_a_tar_cannot_write_outside_the_volume(cloud: Path, name: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 3
        tar.addfile(member, io.BytesIO(b"bad"))
    before = (cloud / "site/kolla/globals.yml").read_bytes()
    assert engine(cloud, "ctl1", "cp", "-", "keystone:/etc/keystone", stdin=packed.getvalue()).returncode == 1
    assert (cloud / "site/kolla/globals.yml").read_bytes() == before
    assert not list(cloud.rglob("x"))


def test_keystone_says_no_while_what_it_needs_is_down(ha_cloud: Path) -> None:
    for host in ("ctl1", "ctl2", "ctl3"):
        engine(ha_cloud, host, "stop", "haproxy")
    assert token(ha_cloud, "ctl1", "issue")["status"] == 0
    engine(ha_cloud, "ctl2", "start", "haproxy")
    assert token(ha_cloud, "ctl1", "issue")["status"] == 201
    for host in ("ctl1", "ctl2", "ctl3"):
        engine(ha_cloud, host, "stop", "mariadb")
    assert token(ha_cloud, "ctl1", "issue")["status"] == 500


# ---------------------------------------------------------------- the cluster


def galera(root: Path, host: str) -> dict[str, str]:
    lines = (line.split("\t") for line in sql(root, host, "galera").splitlines())
    return {line[0]: line[1] for line in lines if len(line) == 2}


def test_a_server_that_comes_back_joins_the_others(ha_cloud: Path) -> None:
    engine(ha_cloud, "ctl2", "stop", "mariadb")
    assert galera(ha_cloud, "ctl1")["wsrep_cluster_size"] == "2"
    engine(ha_cloud, "ctl2", "start", "mariadb")
    assert galera(ha_cloud, "ctl2") == galera(ha_cloud, "ctl1") | {"wsrep_local_index": "1"}
    assert galera(ha_cloud, "ctl2")["wsrep_cluster_size"] == "3"


def test_a_cluster_that_was_down_as_a_whole_does_not_form_by_itself(ha_cloud: Path) -> None:
    for verb in ("stop", "start"):
        for host in ("ctl1", "ctl2", "ctl3"):
            engine(ha_cloud, host, verb, "mariadb")
    assert galera(ha_cloud, "ctl1")["wsrep_cluster_status"] == "non-Primary"
    assert ask(ha_cloud, "ctl1", "heads", "", password(ha_cloud)).returncode == 1
    world.galera_recover(str(ha_cloud), "ctl2")
    assert galera(ha_cloud, "ctl1")["wsrep_cluster_status"] == "Primary"
