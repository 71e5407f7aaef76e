"""The real thing: published kolla-ansible takes a running MariaDB and Keystone over a hop, and back, and is killed.

One test with chapters, because each chapter's cloud is the one the chapter before left behind. What is asserted is
read from the cloud (images, heads, tokens, rows) beside what the tool says.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.availability_check import compare, measured
from upgrader import attempts, processes
from upgrader.config import load_site
from upgrader.journal import open_journal
from upgrader.lab import LabSite
from upgrader.states import State

pytestmark = [pytest.mark.lab, pytest.mark.timeout(4500)]

FROM, TO = "2025.1", "2025.2"
CONTROLLER = "control1"
ACCEPT = ["--accept", "not-rehearsed=this lab is its own staging cloud"]
_UPGRADE_LIMIT = 1800.0
LATER_HEAD = "742c857f1dfb"
"""Keystone's schema of 2026.1: neither release of the hop knows it."""


@dataclass
class Cloud:
    """The lab's site, the command line on it, and Keystone's API as a client sees it."""

    lab: LabSite

    @property
    def site_file(self) -> Path:
        return self.lab.site_dir / "upgrader.toml"

    @property
    def state_dir(self) -> Path:
        return load_site(self.site_file).state_dir

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "upgrader", "--site", str(self.site_file), *words]

    def upgrader(self, *words: str, expect: int = 0) -> str:
        print(f"$ upgrader {' '.join(words)}", flush=True)
        run = subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=_UPGRADE_LIMIT)
        print(run.stdout, run.stderr, sep="\n", flush=True)
        if run.returncode != expect and (told := sorted(self.state_dir.glob("diagnoses/*/*.md"), key=os.path.getmtime)):
            # the lab is gone when this is read
            print(told[-1].read_text(), flush=True)
        assert run.returncode == expect, f"{words} ended with {run.returncode}, not {expect}"
        return run.stdout

    def refused(self, *words: str) -> str:
        """The words of a refusal; nobody is at the terminal to confirm anything."""
        run = subprocess.run(
            self.command(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert run.returncode == 3, run.stdout + run.stderr
        return run.stderr

    def keep_services(self) -> None:
        """Environments of the services that other tests of this machine have built are used here as well."""
        kept = os.environ.get("UPGRADER_TEST_SERVICES")
        if kept:
            place = load_site(self.site_file).toolchains_dir / "services"
            place.parent.mkdir(parents=True, exist_ok=True)
            (Path(kept) / "services").mkdir(exist_ok=True)
            place.symlink_to(Path(kept) / "services")

    def document(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.upgrader(*words, "--json"))
        return found

    # ------------------------------------------------------------ what a client sees

    @property
    def password(self) -> str:
        text = (self.lab.site_dir / "kolla" / "passwords.yml").read_text()
        match = re.search(r"^keystone_admin_password:\s*(\S+)", text, re.MULTILINE)
        assert match
        return match[1].strip("'\"")

    def call(self, path: str, *, token: str = "", subject: str = "", body: Any = None, method: str = "") -> Any:
        headers = {"Content-Type": "application/json"}
        headers |= {"X-Auth-Token": token} if token else {}
        headers |= {"X-Subject-Token": subject} if subject else {}
        data = json.dumps(body).encode() if body is not None else None
        url = f"{self.lab.api.rstrip('/').removesuffix('/v3')}/v3{path}"
        request = urllib.request.Request(url, data=data, headers=headers, method=method or None)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as reply:
            return dict(reply.headers), json.loads(reply.read() or b"{}")

    def token(self) -> str:
        account = {"name": "admin", "domain": {"id": "default"}, "password": self.password}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        auth = {"identity": {"methods": ["password"], "password": {"user": account}}, "scope": scope}
        headers, _ = self.call("/auth/tokens", body={"auth": auth})
        return str(headers["X-Subject-Token"])

    def valid(self, token: str) -> bool:
        try:
            self.call("/auth/tokens", token=self.token(), subject=token)
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
            return False
        return True

    def add_user(self, name: str) -> None:
        self.call("/users", token=self.token(), body={"user": {"name": name, "password": f"{name}-Pa55word"}})

    def users(self) -> set[str]:
        _, answer = self.call("/users", token=self.token())
        return {user["name"] for user in answer["users"]}

    def rows(self) -> dict[str, int]:
        """Row counts of everything an operator could lose, as the API gives them out."""
        token = self.token()
        found = {}
        for kind in ("users", "projects", "roles", "services", "endpoints", "domains"):
            _, answer = self.call(f"/{kind}", token=token)
            found[kind] = len(answer[kind])
        return found

    # ------------------------------------------------------------ what the databases hold

    def sql(self, statements: str) -> list[list[str]]:
        """Rows of the answer, asked inside the running database's container on the first controller."""
        text = (self.lab.site_dir / "kolla" / "passwords.yml").read_text()
        match = re.search(r"^database_password:\s*(\S+)", text, re.MULTILINE)
        assert match
        docker = ["docker", "--host", self.lab.docker_host, "exec", "-i", CONTROLLER]
        inside = ["docker", "exec", "-i", "-e", "MYSQL_PWD", "mariadb", "mariadb", "-uroot", "-BN", "keystone"]
        script = f"MYSQL_PWD={match[1]} exec {' '.join(inside)}"
        run = subprocess.run(
            [*docker, "sh", "-c", script], input=statements, capture_output=True, text=True, check=False, timeout=60
        )
        assert run.returncode == 0, run.stderr
        return [line.split("\t") for line in run.stdout.splitlines()]

    def heads(self) -> list[list[str]]:
        return sorted(self.sql("SELECT version_num FROM alembic_version"))

    def schema_goes_ahead(self) -> None:
        """What the next release's first migration does to Keystone's schema: an index, and its head."""
        self.sql(
            "CREATE INDEX ix_planted_project_id ON project_endpoint_group (project_id);"
            f"UPDATE alembic_version SET version_num = '{LATER_HEAD}' WHERE version_num = '47147121';"
        )
        assert [LATER_HEAD] in self.heads()

    # ------------------------------------------------------------ what runs

    def release(self) -> str:
        """What every container runs, asked of the cloud now; `mixed` where they differ."""
        cloud = self.document("status", "--observe")["cloud"]
        return str(cloud["release"] if cloud["kind"] == "exact" else cloud["kind"])

    def state(self) -> State:
        with open_journal(self.state_dir, readonly=True) as journal:
            hop = journal.snapshot().hop
        assert hop is not None
        return hop.state


def kill_in_mid_upgrade(cloud: Cloud, words: list[str], after: str, *, step: str = "") -> None:
    """Start the command, and once a task of the upgrade named like `after` began (in the step named so), SIGKILL all
    that belongs to it."""
    controller = subprocess.Popen(cloud.command(*words))
    deadline = time.monotonic() + _UPGRADE_LIMIT
    attempt = ""
    while not attempt:
        assert time.monotonic() < deadline, "the upgrade never came to that task"
        assert controller.poll() is None, f"the run ended by itself with {controller.returncode}"
        time.sleep(0.2)
        with open_journal(cloud.state_dir, readonly=True) as journal:
            row = journal.snapshot().attempt
        if row is not None and row.stage is State.UPGRADE:
            lines, _ = attempts.read_progress(attempts.folder_of(cloud.state_dir, row.id))
            begun = [line.get("kind") == "step_start" and line.get("step") == step for line in lines]
            inside = lines[begun.index(True) :] if True in begun else [] if step else lines
            if any(line.get("kind") == "task_start" and after in str(line.get("task")) for line in inside):
                attempt = row.id
    controller.send_signal(signal.SIGKILL)
    while alive := processes.carrying(processes.ATTEMPT, attempt):
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    controller.wait()


def test_a_real_hop_killed_resumed_taken_back_and_restored(lab: LabSite, tmp_path: Path) -> None:
    cloud = Cloud(lab)
    plan = tmp_path / "plan.json"
    cloud.add_user("before")
    old_token, rows_before, heads_before = cloud.token(), cloud.rows(), cloud.heads()
    assert cloud.release() == FROM

    # a backup that was restored, before there is any run
    assert cloud.document("backup")["state"] == "proved"

    # the target's toolchain, plan; backup proved and the hop rehearsed on its copy; run to the approval
    cloud.upgrader("toolchain", "build", TO)
    cloud.keep_services()
    cloud.upgrader("plan", "--to", TO, "--out", str(plan))
    assert [(hop["from"], hop["to"]) for hop in cloud.document("plan", "--to", TO)["hops"]] == [(FROM, TO)]
    cloud.upgrader("run", str(plan), expect=9)
    assert cloud.state() is State.HOLD_UPGRADE
    (backed,) = (item for item in cloud.document("backup", "--list")["sets"] if item["hop"])
    assert backed["state"] == "proved"
    (rehearsed,) = cloud.document("rehearse", "--show", "last")["hops"]
    assert [(one["service"], one["verdict"]) for one in rehearsed["services"]] == [("keystone", "passed")]
    assert cloud.release() == FROM
    cloud.upgrader("approve", "--reason", "the window is open")

    with measured(lab.api, tmp_path) as opinion:
        # killed in the middle of the real upgrade
        kill_in_mid_upgrade(cloud, ["resume"], after="Creating mysql monitor user")
        report = cloud.document("status", "--observe")
        assert report["verdict"] == "interrupted"
        assert report["cloud"]["kind"] == "mixed", report["cloud"]
        cloud.upgrader("run", "--to", TO, expect=3)

        # resumed, verified
        cloud.upgrader("resume", expect=9)
    # how long Keystone was away: what the probe beside the run recorded across the kill, against somebody else's word
    told = compare(cloud.state_dir, report["run"], opinion)
    assert told, "Keystone's only container was exchanged, and nobody missed it"
    print(*told, sep="\n")
    assert cloud.state() is State.HOLD_FINALIZE
    assert cloud.release() == TO
    assert cloud.valid(old_token)
    assert cloud.rows() == rows_before

    # taken back by redeploying
    cloud.upgrader("rollback", "--redeploy", expect=7)
    assert cloud.release() == FROM
    assert cloud.valid(old_token)
    assert cloud.rows() == rows_before

    # upgraded again; it fails behind a schema change, with something written after the backup; restored
    cloud.upgrader("run", "--to", TO, *ACCEPT, expect=9)
    cloud.upgrader("approve")
    cloud.add_user("after-the-backup")
    token_after_backup = cloud.token()
    kill_in_mid_upgrade(cloud, ["resume"], after="Creating mysql monitor user")
    cloud.schema_goes_ahead()
    cloud.upgrader("resume", expect=8)
    assert cloud.state() is State.DECIDE
    report = cloud.document("status", "--observe")
    assert report["way_back"] == "restore", report
    diagnosis = Path(report["diagnosis"]).read_text()
    assert LATER_HEAD in diagnosis, "the evidence was written down when it failed, with its cause"
    refused = cloud.refused("rollback", "--redeploy")
    assert "keystone" in refused and LATER_HEAD in refused
    refused = cloud.refused("rollback", "--restore")
    assert "after-the-backup" in refused, "what a restore loses is shown before anything is lost"
    cloud.upgrader("rollback", "--restore", "--confirm", "lab", expect=7)
    assert cloud.release() == FROM
    assert cloud.heads() == heads_before
    assert "after-the-backup" not in cloud.users()
    assert cloud.rows() == rows_before
    assert cloud.valid(old_token)
    assert cloud.valid(token_after_backup)

    assert cloud.document("history", "--verify")["chain"]["whole"]
    account = cloud.document("report")
    assert account["audit"]["faults"] == [] and {one["api"] for one in account["apis"]} >= {"keystone"}
