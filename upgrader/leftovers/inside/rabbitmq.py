"""What one RabbitMQ node says of itself: `python3 - rabbitmq-node`. Prints its name, whether it runs, who is drained.

Cheaper than facts/inside/rabbitmq.py, which also counts queues; the words of 3.10 to 4.2 (`cluster_status`, `eval`).
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

SECONDS = 40


def ctl(*words: str) -> tuple[int, str]:
    """Exit code and output of one call; 124 when there was none in time."""
    try:
        done = subprocess.run(
            ["rabbitmqctl", "--silent", "--timeout", str(SECONDS - 5), *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return 124, str(error)
    return done.returncode, done.stdout if done.returncode == 0 else (done.stderr or done.stdout)


def node() -> dict[str, Any]:
    """`node`, `app` (whether RabbitMQ runs in it), `nodes`, `maintenance`; `error` where it could not be asked."""
    code, said = ctl("eval", "{node(), rabbit:is_running()}.")
    if code != 0:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        return {"error": (lines or ["no words"])[0][:300]}
    name, _, runs = said.strip().strip("{}").partition(",")
    answer: dict[str, Any] = {"node": name.strip().strip("'"), "app": runs.strip() == "true"}
    if answer["app"]:
        code, said = ctl("cluster_status", "--formatter", "json")
        try:
            status = json.loads(said[max(said.find("{"), 0) :]) if code == 0 else {}
        except ValueError:
            status = {}
        if not status:
            return {**answer, "error": "cluster_status could not be read"}
        drained = status.get("maintenance_status") or {}
        answer["nodes"] = sorted({*(status.get("disk_nodes") or []), *(status.get("ram_nodes") or [])})
        answer["maintenance"] = sorted(
            name for name, state in drained.items() if "marked for maintenance" in str(state)
        )
    return answer


if __name__ == "__main__":
    print(json.dumps(node()))
