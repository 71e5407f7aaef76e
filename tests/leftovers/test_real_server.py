"""The scripts against a real MariaDB, and put right end to end on a sandbox whose play was killed in the middle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import container
from tests.cloud_kit.scripts import run_script
from tests.cloud_kit.server import Server, running_server
from tests.engine_kit.place import graph
from upgrader.facts.parse import sections
from upgrader.leftovers.judge import Answers, judge

pytestmark = pytest.mark.slow
KINDS = graph().leftovers.of(("2025.2",))
VARIABLES = ", ".join(f"'{kind.variable.upper()}'" for kind in KINDS if kind.variable)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server")) as made:
        yield made


@pytest.fixture
def host(tmp_path: Path, server: Server) -> Path:
    place = tmp_path / "ctl1"
    place.mkdir()
    (place / "socket").write_text(str(server.socket))
    (place / "containers.json").write_text(
        json.dumps([container("mariadb"), container("keepalived", status="exited"), container("bootstrap_glance")])
    )
    (tmp_path / "limited.sh").write_text('limited() { shift; engine "$@"; }\n')
    return place


def ask(host: Path) -> Answers:
    limited = str(host.parent / "limited.sh")
    done = run_script(
        host, limited, "facts/questions.sh", "leftovers/ask.sh",
        variables=VARIABLES, script_rabbitmq="", script_opensearch="",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Answers(sections={"ctl1": sections(done.stdout)})


def repair(host: Path, *jobs: str) -> dict[str, str]:
    """Job → what was refused; empty words: done."""
    limited = str(host.parent / "limited.sh")
    done = run_script(
        host, limited, "facts/questions.sh", "leftovers/repair.sh",
        jobs=";".join(jobs), patience="0", host_root="/nowhere", script_opensearch="",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = sections(done.stdout)
    return found.failed | {name.removeprefix("done "): "" for name in found.lines if name.startswith("done ")}


def test_variables_of_a_real_server_are_found_and_set_back(host: Path, server: Server) -> None:
    assert judge(KINDS, ask(host)).found == ()
    server.sql("SET GLOBAL wsrep_sst_method = 'rsync'; SET GLOBAL log_bin_trust_function_creators = 1;")
    look = judge(KINDS, ask(host))
    assert [one.id for one in look.found] == ["sst-method", "function-creators"], look
    done = repair(host, *(" ".join(one.job) for one in look.found))
    assert set(done.values()) == {""}, done
    assert server.sql("SELECT @@wsrep_sst_method, @@log_bin_trust_function_creators").split() == ["mariabackup", "0"]
    assert judge(KINDS, ask(host)).found == ()


def test_what_is_refused_is_said_in_the_servers_words(host: Path) -> None:
    done = repair(
        host, "set-back no_such_variable OFF", "start keepalived", "start nothing", "wait bootstrap_glance", "x"
    )
    assert done["start-keepalived"] == ""
    assert "1193" in done["set-back-no_such_variable"]
    assert "No such container" in done["start-nothing"]
    assert "still runs" in done["wait-bootstrap_glance"]
    assert done["x"] == "no such job"


def test_a_wrong_password_is_no_clean_answer(host: Path) -> None:
    done = run_script(
        host, str(host.parent / "limited.sh"), "facts/questions.sh", "leftovers/ask.sh", password="wrong",
        variables=VARIABLES, script_rabbitmq="", script_opensearch="",
    )  # fmt: skip
    (row,) = judge(KINDS, Answers(sections={"ctl1": sections(done.stdout)})).unread
    assert row[1] == "the database server" and "1045" in row[2]
