"""Random kills on real Ansible: the verdict is always right, and nothing is ever run twice (T6).

The play leaves marks that are not idempotent: every mark is to be found at most once, whatever was killed when, and
whatever is tried afterwards. `success` may only be said when every mark is there. More rounds: UPGRADER_KILLS=20; all
but two are slow.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from tests.process_kit import playing
from tests.runner_kit import HOSTS, REPO, play
from tests.test_attempts import request
from upgrader import attempts, durable, processes
from upgrader.attempts import Evidence, Judgement, judge
from upgrader.model import AttemptRequest

TASKS = 3
VICTIMS = ("controller", "supervisor", "play", "playbook", "worker")
ALWAYS = (("supervisor", 0), ("playbook", 0))
ROUNDS = int(os.environ.get("UPGRADER_KILLS", "3"))

CONTROLLER = """
import sys
from pathlib import Path
from tests.crash.test_kills import asked
from upgrader import attempts
state, attempt, repo = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
folder = attempts.create(state, asked(state, attempt))
attempts.spawn(folder, run="tests.attempt_stages:plays", env={"PYTHONPATH": repo})
attempts.follow(folder)
"""


def asked(state: Path, attempt: str) -> AttemptRequest:
    return AttemptRequest.model_validate({**request(attempt).model_dump(), "state_dir": str(state)})


def marks(state: Path) -> Counter[str]:
    file = state / "marks"
    return Counter(file.read_text().splitlines()) if file.exists() else Counter()


def prepare(state: Path) -> None:
    """A play of TASKS steps on each host, each leaving a mark at its beginning and another at its end."""
    line = "echo {{{{ inventory_hostname }}}} {0} {1} >> {2}"
    tasks = "".join(
        f"- name: step {number}\n  shell: '"
        + "; sleep 0.2; ".join(line.format(number, word, state / "marks") for word in ("begins", "ends"))
        + "'\n"
        for number in range(TASKS)
    )
    durable.write_json(state / "play.json", play(state, tasks, closing=True).document())


COMPLETE = Counter(f"{host} {n} {word}" for host in HOSTS for n in range(TASKS) for word in ("begins", "ends"))


def find(victim: str, attempt: str, controller: int) -> list[int]:
    """Processes that play the part, oldest first."""
    if victim == "controller":
        return [controller]
    return playing(victim, processes.ATTEMPT, attempt)


def success(evidence: Evidence) -> bool:
    """What a resume would take for done."""
    said = judge(evidence)
    if said is Judgement.FINISHED:
        assert evidence.exit_document is not None
        return bool(evidence.exit_document["outcome"]["verdict"] == "succeeded")
    if said is Judgement.ARTIFACT:
        result = evidence.plays[-1].result
        return result is not None and result.verdict
    if said is Judgement.INFER:
        seen = evidence.plays[-1].seen
        return not (seen.failed or seen.unreachable or seen.missing)
    return False


def strike(rng: random.Random, state: Path, attempt: str, victim: str, controller: subprocess.Popen[bytes]) -> bool:
    """Kill the victim at a random moment; sometimes it is halted for a while before. False: it was gone by then."""
    moment = rng.randrange(0, 2 * len(HOSTS) * TASKS)
    early = time.monotonic() + rng.uniform(0, 3)
    while (marks(state).total() < moment) if moment else (time.monotonic() < early):
        if controller.poll() is not None:
            return False
        time.sleep(0.02)
    while not (pids := find(victim, attempt, controller.pid)):
        if controller.poll() is not None:
            return False
        time.sleep(0.01)
    pid = rng.choice(pids)
    try:
        if rng.random() < 0.3:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(rng.uniform(0, 1))
            if rng.random() < 0.3:
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("victim", "number"),
    [
        pytest.param(victim, number, marks=() if (victim, number) in ALWAYS else pytest.mark.slow)
        for victim in VICTIMS
        for number in range(ROUNDS)
    ],
)
def test_a_kill_at_a_random_moment(tmp_path: Path, victim: str, number: int) -> None:
    rng = random.Random(f"{victim}-{number}")  # noqa: S311
    prepare(tmp_path)
    attempt = str(uuid.uuid4())
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-c", CONTROLLER, str(tmp_path), attempt, str(REPO)]
    controller = subprocess.Popen(command, env=env)
    struck = strike(rng, tmp_path, attempt, victim, controller)
    if victim != "controller":
        controller.wait()  # it ends by itself, and only then nothing new begins
    folder = attempts.folder_of(tmp_path, attempt)

    evidence = attempts.follow(folder)
    said = judge(evidence)
    if victim == "controller" and said is not Judgement.NEVER_STARTED:
        controller.wait()
    done = marks(tmp_path)
    story = f"{victim} {number}: struck={struck} {said} {evidence.contradictions} {sorted(done.items())}"
    assert not done - COMPLETE, f"twice: {story}"
    assert done == COMPLETE or not success(evidence), story
    print(story)
    assert said is not Judgement.CONTRADICTION, story
    if victim == "controller" or not struck:
        assert said is Judgement.NEVER_STARTED or success(evidence), story
    if victim == "playbook" and struck:
        assert said is Judgement.FINISHED, story
    assert processes.carrying(processes.ATTEMPT, attempt) == set(), story

    # whatever tries it again on the same folder changes nothing
    if folder.exists():
        assert attempts.void(folder) == (said is Judgement.NEVER_STARTED), story
        attempts.spawn(folder, run="tests.attempt_stages:plays", env={"PYTHONPATH": str(REPO)})
        attempts.follow(folder)
        assert marks(tmp_path) == done, story
        attempts.sweep(folder)
        assert not list(folder.rglob("volatile")), story
    if said is Judgement.NEVER_STARTED:
        assert not done, story
    controller.kill()
    controller.wait()


@pytest.mark.slow
def test_an_attempt_that_never_started_is_made_void_and_done_anew(tmp_path: Path) -> None:
    prepare(tmp_path)
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    env = {**os.environ, "PYTHONPATH": str(REPO), durable.FAILPOINT: "attempt.requested"}
    command = [sys.executable, "-c", CONTROLLER, str(tmp_path), first, str(REPO)]
    assert subprocess.run(command, env=env, check=False).returncode == -signal.SIGKILL
    folder = attempts.folder_of(tmp_path, first)
    assert judge(attempts.follow(folder)) is Judgement.NEVER_STARTED
    assert attempts.void(folder)
    env.pop(durable.FAILPOINT)
    subprocess.run([*command[:-2], second, str(REPO)], env=env, check=True)
    assert success(attempts.evidence(attempts.folder_of(tmp_path, second)))
    attempts.spawn(folder, run="tests.attempt_stages:plays", env={"PYTHONPATH": str(REPO)})
    attempts.follow(folder)
    assert marks(tmp_path) == COMPLETE
