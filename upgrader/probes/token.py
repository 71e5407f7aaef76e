"""Fed to the Python inside a Keystone container: `- issue|validate URL USER PROJECT`; prints one JSON line.

The password comes as OS_PASSWORD and the token to validate as OS_TOKEN, in the environment, never in an argument.
Standard library only, because it runs in whatever the image holds. Exit code 0 also for a refusal: the answer is
in the line. It never prints a secret except the token it was asked to issue.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NoReturn

TIMEOUT = 30
PATIENCE = 90.0
"""Seconds to go on asking while Keystone, or the load balancer before it, says that it is not there yet: after a
restart that took up to 18 s in a measured upgrade, and longer on a busy machine."""
NOT_YET = {0, 500, 502, 503, 504}


def answer(**values: object) -> NoReturn:
    print(json.dumps(values))  # noqa: T201
    sys.exit(0)


def call(url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any, Any]:
    """Status, headers and decoded body. Raises what urllib raises."""
    if not url.startswith(("http:", "https:")):
        raise ValueError("no URL of Keystone is known")
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=data, headers=sent)  # noqa: S310 - checked above
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler({})
    ]  # the API is inside; a container's proxy settings are for outside
    if url.startswith("https:"):
        bundle = os.environ.get("OS_CACERT") or os.environ.get("REQUESTS_CA_BUNDLE")
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=bundle)))
    with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT) as reply:
        return reply.status, reply.headers, json.loads(reply.read() or b"{}")


def issue(base: str, user: str, project: str) -> tuple[int, str, Any]:
    scope = {"project": {"name": project, "domain": {"id": "default"}}}
    secret = os.environ.get("OS_PASSWORD", "")
    account = {"name": user, "domain": {"id": "default"}, "password": secret}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": account}}, "scope": scope}}
    status, headers, content = call(base + "/v3/auth/tokens", json.dumps(body).encode())
    return status, headers["X-Subject-Token"], content["token"]


def main() -> None:
    action, url, user, project = sys.argv[1:5]
    base = url.rstrip("/")
    if base.endswith("/v3"):
        base = base[:-3]
    patience = float(os.environ.get("UPGRADER_PATIENCE") or PATIENCE) if base else 0.0
    ends = time.monotonic() + patience
    while True:
        said = attempt(action, base, user, project)
        if said["status"] not in NOT_YET or time.monotonic() >= ends:
            answer(**said)
        time.sleep(2)


def attempt(action: str, base: str, user: str, project: str) -> dict[str, Any]:
    """One try, as the words to print; `step` says how far it came."""
    step = "issue"
    try:
        status, token, content = issue(base, user, project)
        if action == "issue":
            return {"ok": True, "status": status, "token": token, "expires_at": content["expires_at"], "url": base}
        step = "validate"
        asked = {"X-Auth-Token": token, "X-Subject-Token": os.environ.get("OS_TOKEN", "")}
        status, _, content = call(base + "/v3/auth/tokens", headers=asked)
        return {"ok": True, "status": status, "user": content["token"]["user"]["name"]}
    except urllib.error.HTTPError as error:
        try:
            words = json.loads(error.read())["error"]["message"]
        except (ValueError, KeyError, TypeError):
            words = error.reason
        return {"ok": False, "status": error.code, "error": str(words), "step": step}
    except (OSError, ValueError, KeyError) as error:
        return {"ok": False, "status": 0, "error": f"{type(error).__name__}: {error}", "step": step}


if __name__ == "__main__":
    main()
