"""What a request asks for, done; one line of JSON is the answer, whatever became of it."""

from __future__ import annotations

import json
from typing import Any

from upgrader.computes.inside.cloud import CONF, Cloud, Refused
from upgrader.computes.inside.drain import drain
from upgrader.computes.inside.services import agents, instances, services, switch
from upgrader.computes.inside.trial import trial


def answer(request: dict[str, Any], cloud: Cloud) -> dict[str, Any]:
    """Raises Refused."""
    do = request.get("do")
    names = request.get("hosts", [])
    if do == "services":
        return services(cloud)
    if do == "instances":
        return instances(cloud, names)
    if do in ("disable", "enable"):
        return switch(cloud, names, do == "enable", str(request.get("reason", "")))
    if do == "agents":
        return agents(cloud)
    if do == "drain":
        return drain(cloud, request)
    if do == "trial":
        return trial(cloud, request)
    raise Refused(0, f"nobody knows how to {do}")


def main(request: dict[str, Any]) -> None:
    try:
        said = answer(request, Cloud(CONF))
    except Refused as refused:
        said = {"error": refused.words, "status": refused.status}
    print("\n" + json.dumps(said))
