"""What a trial of the APIs comes to in a sandbox: the answer that smoke/inside/trial.py would give in a real cloud.

Follows from the sandbox's own state: a service answers when it runs and the load balancer does. `<root>/services.json`
may say otherwise below `smoke` (see faults.damage_answer): step → words of a refusal, or null for one that cannot be
tried. The project and user of the trial are rows of Keystone's tables while it runs, so that a planted leftover goes.
"""

from __future__ import annotations

from typing import Any

from upgrader.sandbox import identity, schemas, store, world

OVERRIDES = "services.json"
NAME, MARK = "upgrader-smoke", "Made by upgrader to verify this cloud after an upgrade, and removed after it."
_SERVICES = {
    # type in the catalogue → containers without which its API does not answer
    "identity": ("keystone",),
    "image": ("glance_api",),
    "compute": ("nova_api",),
    "placement": ("placement_api",),
    "network": ("neutron_server",),
    "volumev3": ("cinder_api",),
    "orchestration": ("heat_api",),
}
_NEEDS = {
    # step → containers that have to run for it, on any host
    "image": ("glance_api",),
    "image-download": ("glance_api",),
    "server": ("nova_api", "nova_scheduler", "nova_conductor", "nova_compute", "placement_api", "rabbitmq"),
    "server-delete": ("nova_api", "nova_conductor", "nova_compute"),
    "image-delete": ("glance_api",),
}


class _Trial:
    def __init__(self, root: str) -> None:
        self.steps: list[dict[str, Any]] = []
        self.planted = (store.read_if_there(f"{root}/{OVERRIDES}") or {}).get("smoke", {}).get("", {})
        hosts = [world.Host(root, name) for name in world.hosts(root)]
        self.there = {name for host in hosts for name in host.containers()}
        self.running = {name for host in hosts for name in self.there if host.running(name)}

    def step(self, name: str, who: str, needs: tuple[str, ...] = (), words: str = "done") -> bool:
        dead = [container for container in needs if container not in self.running]
        ok: bool | None = not dead
        if dead:
            words = f"status 503: No server is available to handle this request ({', '.join(dead)})"
        if name in self.planted:
            ok, words = (None, "planted") if self.planted[name] is None else (False, self.planted[name])
        self.steps.append({"step": name, "who": who, "ok": ok, "words": words, "seconds": 0})
        return ok is True

    def skip(self, name: str, words: str) -> None:
        self.steps.append({"step": name, "who": "", "ok": None, "words": words, "skipped": True, "seconds": 0})


def answer(host: world.Host, url: str, user: str, password: str, wish: dict[str, Any]) -> dict[str, Any]:
    """The printed line of the trial."""
    trial = _Trial(host.root)
    token = identity.issue(host, url, user, password)
    if not token["ok"]:
        trial.planted = {"token": f"status {token['status']}: {token['error']}"}
    if not trial.step("token", "admin"):
        return {"name": NAME, "steps": trial.steps}
    trial.step("catalogue", "admin")
    for kind, needs in _SERVICES.items():
        if set(needs) & trial.there:
            trial.step(f"answers-{kind}", "admin", needs)
    full = wish["mode"] == "full"
    who = "member" if full else "admin"
    if full:
        count = _forget(host.root)
        words = f"{count} things of an interrupted trial removed" if count else "none of an interrupted trial"
        if not trial.step("leftovers", "admin", words=words):
            return {"name": NAME, "steps": trial.steps}
        good = trial.step("member", "admin") and trial.step("token-member", "member")
    for kind, container in (("glance", "glance_api"), ("nova", "nova_api")):
        if kind in wish["runs"]:
            trial.step(f"list-{kind}", who, (container,))
    for kind, container in (("nova", "nova_api"), ("neutron", "neutron_server"), ("cinder", "cinder_api")):
        if kind in wish["runs"]:
            trial.step(f"quota-{kind}", who, (container,))
    if full and good:
        _things(trial, wish["runs"])
    if full:
        trial.step("removed", "admin", words="nothing was left to remove")
    return {"name": NAME, "steps": trial.steps}


def _things(trial: _Trial, runs: list[str]) -> None:
    if "glance" not in runs:
        trial.skip("image", "Glance does not run here")
        trial.skip("server", "Glance does not run here" if "nova" in runs else "Nova does not run here")
        return
    good = trial.step("image", "member", _NEEDS["image"])
    good = good and trial.step("image-download", "member", _NEEDS["image-download"])
    if not {"nova", "nova-compute"} <= set(runs):
        trial.skip("server", "Nova does not run here" if "nova" not in runs else "no host runs nova_compute")
    elif not good:
        trial.skip("server", "there is no image to make it from")
    elif trial.step("server", "member", _NEEDS["server"]):
        trial.step("server-delete", "member", _NEEDS["server-delete"])
    trial.step("image-delete", "member", _NEEDS["image-delete"])


def _forget(root: str) -> int:
    """Remove users whose names an interrupted trial left; columns of the table: id, name, hash."""
    keystone = schemas.load(root, "keystone")
    rows = (keystone or {"tables": {}})["tables"].get("user", {"rows": []})["rows"]
    left = [row for row in rows if str(row[1]).startswith(f"{NAME}-")]
    if left and keystone:
        keystone["tables"]["user"]["rows"] = [row for row in rows if row not in left]
        schemas.save(root, "keystone", keystone)
    return len(left)
