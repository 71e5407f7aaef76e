"""The script that runs on a host: which logs it reads, its limits, and that it never fails for what it finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.diagnose_kit import local
from upgrader.diagnose import log_lines, on_host

ENGINE = """#!/bin/sh
case "$1" in
ps) printf 'keystone\\tUp 3 hours (healthy)\\nbootstrap_keystone\\tExited (1) 2 seconds ago\\nnova_api\\tUp\\n' ;;
volume) echo "@LOGS@" ;;
logs) for last; do :; done; [ -f "@DIR@/$last.out" ] || { echo "no such container"; exit 1; }; cat "@DIR@/$last.out" ;;
esac
"""


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A host whose engine is a script; its logs are below `logs`."""
    (tmp_path / "logs" / "keystone").mkdir(parents=True)
    program = tmp_path / "engine"
    program.write_text(ENGINE.replace("@LOGS@", str(tmp_path / "logs")).replace("@DIR@", str(tmp_path)))
    program.chmod(0o755)
    return tmp_path


def ask(node: Path, **changes):
    now = time.time()
    question = {
        "engine": str(node / "engine"), "host_root": str(node), "begin": now - 300, "end": now + 60, "moment": now,
        "containers": ["keystone", "absent"], "folders": ["keystone"], "ids": [], "lines": 50, "bytes": 20_000,
        "total": 50_000, "seconds": 20,
    }  # fmt: skip
    return on_host.answer({**question, **changes})


def test_files_and_output_are_read_and_states_told(node):
    (node / "logs/keystone/keystone.log").write_text(f"{local(time.time())} 7 ERROR keystone it broke\n")
    engine = time.strftime("%Y-%m-%dT%H:%M:%S.000000001Z", time.gmtime())
    (node / "keystone.out").write_text(f"{engine} + exec httpd\n")
    (node / "bootstrap_keystone.out").write_text(f"{engine} it ended\n")
    said = ask(node)
    told = {(source["container"], source["path"]): source["lines"][0][1] for source in said["sources"]}
    assert told["", "/var/log/kolla/keystone/keystone.log"].endswith("it broke")
    # the engine's time is not part of the line, and one-shot containers are read without being named
    assert told["keystone", ""] == "+ exec httpd"
    assert told["bootstrap_keystone", ""] == "it ended"
    assert said["states"]["nova_api"] == "Up"
    assert said["unread"] == []


def test_what_cannot_be_read_is_said(node):
    said = ask(node, containers=["keystone"])
    assert ["keystone", "the engine ended with code 1"] in said["unread"]
    assert said["sources"] == []


def test_an_engine_that_refuses_is_said_and_files_are_read_all_the_same(node):
    (node / "engine").write_text("#!/bin/sh\necho no rights >&2; exit 1\n")
    (node / "var/log").mkdir(parents=True)
    (node / "logs").rename(node / "var/log/kolla")
    (node / "var/log/kolla/keystone/a.log").write_text(f"{local(time.time())} ERROR x\n")
    said = ask(node)
    assert said["unread"][0] == ["containers", "no rights"]
    assert [source["path"] for source in said["sources"]] == ["/var/log/kolla/keystone/a.log"]


def test_a_hanging_engine_costs_its_time_only(node, monkeypatch):
    (node / "engine").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(on_host, "asked", lambda question, _seconds, *words: ASKED(question, 0.2, *words))
    said = ask(node, seconds=0)
    assert "no answer within" in said["unread"][0][1]


ASKED = on_host.asked


def test_links_pipes_old_and_foreign_files_are_left_alone(node):
    place = node / "logs/keystone"
    old = place / "old.log"
    old.write_text(f"{local(time.time())} ERROR x\n")
    os.utime(old, (1, 1))
    (node / "elsewhere.log").write_text(f"{local(time.time())} ERROR of somebody else\n")
    (place / "link.log").symlink_to(node / "elsewhere.log")
    os.mkfifo(place / "pipe.log")
    (place / "secret.key").write_text(f"{local(time.time())} ERROR x\n")
    assert ask(node)["sources"] == []


def test_a_large_file_is_read_from_its_window_on(node, monkeypatch):
    now = time.time()
    path = node / "logs/keystone/keystone.log"
    with path.open("w") as stream:
        for second in range(40_000, 0, -1):
            stream.write(f"{local(now - second)} 7 INFO keystone {'x' * 60} {second}\n")
        stream.write(f"{local(now)} 7 ERROR keystone the end\n")
    assert path.stat().st_size > 3_000_000
    read = []
    real = log_lines.lines_of

    def counted(*given):
        for line in real(*given):
            read.append(line)
            yield line

    monkeypatch.setattr(on_host, "lines_of", counted)
    said = ask(node)
    assert said["sources"][0]["lines"][-1][1].endswith("the end")
    assert len(read) < 10_000, "it was not read from its beginning"


def test_hostile_files_do_not_stop_it(node):
    now = time.time()
    place = node / "logs/keystone"
    (place / "long.log").write_bytes(f"{local(now)} ERROR ".encode() + b"A" * 10_000_000 + b"\n")
    (place / "binary.log").write_bytes(bytes(range(256)) * 4000)
    (place / "escapes.log").write_text(f"{local(now)} ERROR \x1b]0;pwned\x07\x1b[2Jx\n")
    said = ask(node)
    assert len(json.dumps(said)) < 100_000
    assert any("bytes of this line left out" in source["lines"][0][1] for source in said["sources"])


def test_a_host_gives_no_more_than_its_share(node):
    now = time.time()
    for number in range(20):
        lines = "".join(f"{local(now)} ERROR {number} {at} {'y' * 150}\n" for at in range(200))
        (node / f"logs/keystone/{number}.log").write_text(lines)
    said = ask(node, total=40_000)
    assert len(json.dumps(said)) < 90_000
    assert len(said["sources"]) == 20


def test_following_reads_all_folders_for_the_ids_alone(node):
    now = time.time()
    one = "req-11111111-2222-4333-8444-555555555555"
    for name in ("keystone", "nova"):
        (node / "logs" / name).mkdir(exist_ok=True)
        (node / f"logs/{name}/{name}.log").write_text(f"{local(now)} INFO [{one}] in {name}\n{local(now)} INFO other\n")
    said = ask(node, containers=[], folders=[], ids=[one])
    assert sorted(source["folder"] for source in said["sources"]) == ["keystone", "nova"]
    assert all(len(source["lines"]) == 1 for source in said["sources"])
    assert "host" not in said


def test_the_hosts_figures(node):
    (node / "proc").mkdir()
    (node / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 10 kB\n")
    (node / "proc/stat").write_text("cpu 1\nbtime 1795317000\n")
    (node / "kernel.log").write_text("quiet\n[1.0] Out of memory: Killed process 12 (mariadbd)\n")
    said = ask(node)["host"]
    assert said["memory"] == {"MemTotal": 1024000, "MemAvailable": 10240}
    assert said["booted"] == 1795317000
    assert len(said["kernel"]) == 1


def test_both_texts_together_are_one_script_as_the_playbook_gives_it(node):
    """On a host there is no package: the second text uses what the first one defined."""
    folder = Path(on_host.__file__).parent
    text = (folder / "log_lines.py").read_text() + (folder / "on_host.py").read_text().replace(
        "from __future__ import annotations", ""
    )
    (node / "logs/keystone/keystone.log").write_text(f"{local(time.time())} 7 ERROR keystone it broke\n")
    question = {
        "engine": str(node / "engine"), "host_root": "", "begin": time.time() - 60, "end": time.time() + 60,
        "moment": time.time(), "containers": [], "folders": ["keystone"], "ids": [], "lines": 5, "bytes": 2000,
        "total": 9000, "seconds": 20,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", "-", json.dumps(question)], input=text.encode(), capture_output=True, check=True
    )
    line = done.stdout.decode()
    assert line.startswith(on_host.MARK) and line.count("\n") == 1
    said = json.loads(line.removeprefix(on_host.MARK))
    assert said["sources"][0]["lines"][0][1].endswith("it broke")
    assert said["host"]["disks"] and said["host"]["booted"]
