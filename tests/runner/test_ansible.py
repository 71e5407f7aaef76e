"""Real Ansible: what counts as done, what does not, and what comes back."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.process_kit import awaiting, blow, is_over, part_of, text_of, until, wait_until
from tests.runner_kit import HOSTS, inventory, play
from upgrader import durable, processes
from upgrader.errors import EnvironmentMissingError, UpgraderError
from upgrader.runner import Play, PlayResult, TaskEvent
from upgrader.runner.ansible import AnsibleRunner
from upgrader.runner.events import RESULT
from upgrader.runner.recording import done
from upgrader.secret_sources.delivery import Delivery


def run(folder: Path, tasks: str, **changes: object) -> PlayResult:
    return AnsibleRunner().run(play(folder, tasks, **changes), folder / "play")


def test_done_means_every_host_and_no_trouble_that_was_not_caught(tmp_path: Path) -> None:
    events: list[TaskEvent] = []
    made = play(
        tmp_path,
        """
- name: look
  debug: msg="{{ inventory_hostname }} {{ word }}"
  changed_when: true
- name: ignored
  command: "false"
  ignore_errors: true
- block:
    - name: rescued
      command: "false"
  rescue:
    - name: Running glance bootstrap container
      debug: msg=rescue
- name: not here
  debug: msg=x
  when: false
""",
        collect=("look",),
        watch=("bootstrap container",),
        extra_vars=(("word", 'it\'s "quoted"'),),
    )
    result = AnsibleRunner().run(made, tmp_path / "play", on_event=events.append)
    assert result.verdict, result
    assert result.hosts_seen == HOSTS
    assert result.collected["look"]["beta"]["msg"] == 'beta it\'s "quoted"'
    assert result.watched == ("Running glance bootstrap container",)
    assert [event.task for event in events if event.watched] == list(result.watched)
    kinds = {event.kind for event in events}
    assert {"play_start", "task_start", "host_changed", "host_ignored", "host_ok", "host_skipped", "stats"} <= kinds
    assert events == sorted(events, key=lambda event: event.counter)
    assert PlayResult.from_document(result.document()) == result
    assert not (tmp_path / "play" / "volatile").exists()


def test_a_failed_host_is_named_with_task_and_words(tmp_path: Path) -> None:
    tasks = """
- name: breaks
  shell: "echo deep trouble >&2; exit 3"
  when: inventory_hostname == 'beta'
- name: after
  debug: msg=fine
"""
    result = run(tmp_path, tasks)
    assert not result.verdict
    assert result.rc == 2
    assert [(trouble.host, trouble.task) for trouble in result.failed] == [("beta", "breaks")]
    assert "deep trouble" in result.message and "beta" in result.message and "breaks" in result.message


@pytest.mark.skipif(not shutil.which("ssh"), reason="needs an ssh client: without one a host is not even tried")
def test_one_dead_host_spoils_a_play_that_went_well_elsewhere(tmp_path: Path) -> None:
    hosts = (inventory(tmp_path, dead=("gamma",)),)
    result = run(tmp_path, "- name: ping\n  command: 'true'", inventory=hosts)
    assert not result.verdict
    assert [trouble.host for trouble in result.unreachable] == ["gamma"]
    assert result.failed == () and "gamma is unreachable" in result.message


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"limit": "alpha", "expected_hosts": ("alpha", "delta")}, "never worked on: delta"),
        pytest.param({"limit": "beta"}, "never worked on: alpha, gamma", marks=pytest.mark.slow),
        pytest.param({"tags": ("nothing",)}, "never worked on: alpha, beta, gamma", marks=pytest.mark.slow),
        ({"tags": ("nothing",), "expected_hosts": ()}, "no host was worked on"),
    ],
)
def test_exit_code_zero_without_the_hosts_is_no_success(tmp_path: Path, changes: dict[str, object], word: str) -> None:
    result = run(tmp_path, "- name: work\n  command: 'true'", **changes)
    assert result.rc == 0 and result.status == "successful"
    assert not result.verdict
    assert word in result.message


def test_a_playbook_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    result = run(tmp_path, "- name: x\n  no_such_module_at_all: {}")
    assert not result.verdict and result.stats is None
    assert "no_such_module_at_all" in result.message


def test_what_cannot_be_run_is_refused_before_anything_happens(tmp_path: Path) -> None:
    made = play(tmp_path, "- debug: msg=x", toolchain=tmp_path / "nowhere")
    with pytest.raises(EnvironmentMissingError):
        AnsibleRunner().run(made, tmp_path / "play")
    leaking = play(tmp_path, "- debug: msg=x", extra_vars=(("password", "canary-4711"),))
    with pytest.raises(UpgraderError, match="secret"):
        AnsibleRunner(secrets=["canary-4711"]).run(leaking, tmp_path / "play")
    assert not (tmp_path / "play").exists()


def test_a_folder_is_for_one_play(tmp_path: Path) -> None:
    made = play(tmp_path, "- debug: msg=x")
    (tmp_path / "play").mkdir()
    with pytest.raises(FileExistsError):
        AnsibleRunner().run(made, tmp_path / "play")


def test_the_environment_is_ours_and_host_keys_are_the_sites_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_PASSWORD", "from-the-shell")
    monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
    monkeypatch.setenv("http_proxy", "http://proxy.invalid")
    tasks = """
- name: env
  command: env
- name: settings
  debug: msg={{ lookup('config', 'HOST_KEY_CHECKING') }}|{{ lookup('config', 'DEFAULT_LOCAL_TMP') }}
"""
    result = run(tmp_path, tasks, collect=("env", "settings"), env=(("SITE_VALUE", "given"),), limit="alpha")
    seen = dict(line.split("=", 1) for line in result.collected["env"]["alpha"]["stdout_lines"] if "=" in line)
    assert seen["SITE_VALUE"] == "given"
    assert seen["PATH"].startswith(str(tmp_path / "toolchain" / "bin"))
    assert not {"OS_PASSWORD", "ANSIBLE_STRATEGY", "http_proxy"} & set(seen)
    checking, temporary = result.collected["settings"]["alpha"]["msg"].split("|")
    assert checking == "True"
    assert f"upgrader-{os.getuid()}-" in temporary


def test_canceling_lets_running_tasks_end_and_starts_no_new_ones(tmp_path: Path) -> None:
    mark, gate = tmp_path / "marks", tmp_path / "gate"
    say = f"echo {{{{{{{{ inventory_hostname }}}}}}}} {{0}} >> {mark}"
    tasks = f"""
- name: long
  shell: "{say.format("begins")}; {until(gate)}; {say.format("ends")}"
- name: never
  shell: "echo late >> {mark}"
"""
    stop = threading.Event()

    def watch() -> None:
        """Tasks may end only when no new ones can begin."""
        wait_until(lambda: text_of(mark).count("begins") == 3, "the task on every host")
        (playbook,) = (pid for pid in processes.descendants() if part_of(pid) == "playbook")
        stop.set()
        wait_until(lambda: is_over(playbook), "the end of ansible-playbook")
        gate.touch()

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        result = AnsibleRunner().run(play(tmp_path, tasks), tmp_path / "play", cancelled=stop.is_set)
        watching.result()
    assert result.status == "canceled" and not result.verdict
    assert "canceled" in result.message
    lines = sorted(mark.read_text().splitlines())
    assert lines == sorted(f"{host} {word}" for host in HOSTS for word in ("begins", "ends"))


def test_a_cancel_file_stops_a_play_without_its_caller(tmp_path: Path) -> None:
    marker = tmp_path / "cancel"
    marker.touch()
    tasks = "- name: sleep\n  command: sleep 15\n- name: never\n  file: path={{ playbook_dir }}/late state=touch"
    runner = AnsibleRunner(cancel_files=(marker,))
    result = runner.run(play(tmp_path, tasks), tmp_path / "play")
    assert result.status == "canceled"
    assert not (tmp_path / "late").exists()


def test_a_killed_play_process_is_lost_and_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, gate = tmp_path / "marks", tmp_path / "gate"
    made = play(tmp_path, f"- name: long\n  shell: 'echo a >> {mark}; {until(gate)}; echo b >> {mark}'", limit="alpha")

    def kill(event: TaskEvent) -> None:
        if event.kind != "task_start":
            return
        wait_until(lambda: text_of(mark), "the task")
        if not [pid for pid in processes.descendants() if part_of(pid) == "play" and blow(pid)]:
            gate.touch()  # or the play never ends

    monkeypatch.setattr(processes, "await_gone", awaiting(gate))
    result = AnsibleRunner().run(made, tmp_path / "play", on_event=kill)
    assert result.status == "lost" and not result.verdict
    assert result.survivors > 0
    assert "signal 9" in result.message
    assert mark.read_text() == "a\nb\n"
    assert not (tmp_path / "play" / "volatile").exists()


def test_a_listener_that_fails_does_not_end_the_play(tmp_path: Path) -> None:
    told: list[TaskEvent] = []

    def broken(event: TaskEvent) -> None:
        told.append(event)
        raise OSError("disk full")

    made = play(tmp_path, "- command: 'true'", limit="alpha", expected_hosts=("alpha",))
    result = AnsibleRunner().run(made, tmp_path / "play", on_event=broken)
    assert result.verdict and "disk full" in result.error
    assert len(told) == 1


def test_a_result_of_an_earlier_play_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reusing the name of a run makes a killed second one look like the first, which went well."""
    made = play(tmp_path, "- command: 'true'")

    def leaves_the_old_result(
        self: AnsibleRunner, made: Play, folder: Path, ident: str, given: Delivery
    ) -> subprocess.Popen[bytes]:
        durable.write_json(folder / RESULT, {**done(made).document(), "ident": ident if own else "an earlier one's"})
        return subprocess.Popen(["sh", "-c", "kill -9 $$"])

    monkeypatch.setattr(AnsibleRunner, "_start", leaves_the_old_result)
    own = True
    assert AnsibleRunner().run(made, tmp_path / "first").verdict
    own = False
    result = AnsibleRunner().run(made, tmp_path / "second")
    assert result.status == "lost" and not result.verdict
