"""OpenSearch's shard allocation: `python3 - opensearch ask|allocate`. Prints one JSON line.

Where the server listens is read from its own configuration, which Kolla writes (roles/opensearch/templates).
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from typing import Any

SETTING = "cluster.routing.allocation.enable"
CONFIGURATION = "/etc/opensearch/opensearch.yml"
SECONDS = 15


def place(text: str) -> str:
    """The address in `network.host` and `http.port`."""
    host = re.search(r'^network\.host:\s*"?([^"\s]+)"?', text, re.M)
    port = re.search(r"^http\.port:\s*(\d+)", text, re.M)
    return f"http://{host[1] if host else '127.0.0.1'}:{port[1] if port else 9200}"


def call(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Raises OSError and ValueError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - the address is one of ours
        url, data=data, headers={"Content-Type": "application/json"}, method="PUT" if data else "GET"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=SECONDS) as reply:
        found = json.loads(reply.read())
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def answer(base: str, verb: str) -> dict[str, Any]:
    """`allocation`: the transient setting, empty when it is not set; `error` when it could not be asked."""
    try:
        if verb == "allocate":
            call(f"{base}/_cluster/settings", {"transient": {SETTING: None}})
        settings = call(f"{base}/_cluster/settings?flat_settings=true")
    except (OSError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    return {"allocation": str((settings.get("transient") or {}).get(SETTING) or "")}


def main() -> None:
    try:
        with open(CONFIGURATION, encoding="utf-8") as stream:
            text = stream.read()
    except OSError as error:
        print(json.dumps({"error": f"{CONFIGURATION}: {error.strerror}"}))
        return
    print(json.dumps(answer(place(text), sys.argv[2])))


if __name__ == "__main__":
    main()
