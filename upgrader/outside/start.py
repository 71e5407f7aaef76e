"""Starts the probe of a run, or finds that it works already. Never keeps a run from going on: it says why it cannot.

The order goes to the process over a pipe, password and all; argv has the folder alone, the environment nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from upgrader.availability import now
from upgrader.availability.keystone import Account
from upgrader.availability.present import STARTING
from upgrader.availability.probe import ENDPOINTS, Order
from upgrader.availability.records import folder_of, probe_works
from upgrader.config import Site
from upgrader.durable import make_dir, read_json
from upgrader.errors import UpgraderError
from upgrader.facts.plays import HasHosts
from upgrader.kolla.settings import site_settings
from upgrader.kolla.toolchain import Toolchain
from upgrader.outside.where import account, authorities, keystone_address
from upgrader.processes import ATTEMPT
from upgrader.runner import environment
from upgrader.runner.base import Runner

LOG = "probe.log"
_PATIENCE = 5.0
"""Seconds to wait for a new probe's first word."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the cloud is asked with."""

    toolchain: Toolchain
    runner: Runner
    folder: Path
    """Of the play; it must not exist yet."""
    inventory: HasHosts


@dataclass(frozen=True, slots=True)
class Started:
    """What became of it. `words`: for people; empty where nothing has to be said."""

    probing: bool
    words: str = ""


def why_not(site: Site) -> str:
    """Why no API of the site can be asked at all; empty when they can."""
    rules = site.availability
    if not rules.enabled:
        return "[availability] enabled is false"
    if site.sandbox is not None and not rules.keystone and not rules.endpoints:
        return "a sandbox has no public API to ask"
    return ""


def ensure(site: Site, run: str, equip: Callable[[], Equipment]) -> Started:
    """See to it that a probe works beside the run. `equip` is asked only where the cloud has to be."""
    if why_not(site):
        return Started(False)
    try:
        folder = folder_of(site.state_dir, run)
        if probe_works(folder):
            return Started(True)
        order, words = order_for(site, run, equip)
        if not order.keystone and not order.endpoints:
            return Started(False, f"The public APIs are not asked: {words.rstrip('.') or 'no address is known'}.")
        return _spawn(folder, order, words)
    except UpgraderError as error:
        return Started(False, f"The public APIs are not asked: {error.message.rstrip('.')}.")
    except Exception as error:  # whatever it is, the run goes on
        return Started(False, f"The public APIs are not asked ({type(error).__name__}: {error}).")


def order_for(site: Site, run: str, equip: Callable[[], Equipment]) -> tuple[Order, str]:
    """What the probe is to do, and what is missing for more. Raises UpgraderError where not even that can be told."""
    rules, missing = site.availability, []
    settings = site_settings(site).values
    region = rules.region or settings.get("openstack_region_name") or "RegionOne"
    kept = read_json(folder_of(site.state_dir, run).parent / ENDPOINTS).document or {}
    equipment: Equipment | None = None
    try:
        equipment = None if rules.keystone else equip()
    except UpgraderError as error:
        missing.append(error.message)
    keystone = rules.keystone or _address(site, equipment, region, str(kept.get("keystone", "")), missing)
    who = _account(site, settings, missing) if rules.token and keystone else None
    known = kept.get("catalogue") if kept.get("keystone") == keystone else None
    order = Order(
        interval=rules.interval,
        timeout=rules.timeout,
        token_interval=rules.token_interval,
        limit=rules.limit,
        keystone=keystone,
        endpoints=rules.endpoints,
        catalogue=rules.catalogue,
        region=region,
        authorities=authorities(site),
        insecure=rules.insecure,
        account=who,
        known=tuple(sorted(known.items())) if isinstance(known, dict) else (),
        state_dir=str(site.state_dir),
        run=run,
    )
    return order, "; ".join(missing)


def _address(site: Site, equipment: Equipment | None, region: str, kept: str, missing: list[str]) -> str:
    """As the database says it; as it said before where no database answers."""
    if equipment is None:
        return kept
    try:
        found = keystone_address(
            site, equipment.toolchain, equipment.runner, equipment.folder, equipment.inventory, region
        )  # fmt: skip
    except UpgraderError as error:
        missing.append(error.message)
        return kept
    if not found and not kept:
        missing.append("no database server says where Keystone is; name it: [availability] keystone")
    return found or kept


def _account(site: Site, settings: Mapping[str, str], missing: list[str]) -> Account | None:
    try:
        who = account(site, settings)
    except UpgraderError as error:
        missing.append(error.message)
        return None
    if who is None:
        missing.append(f"{site.passwords.name} has no keystone_admin_password, so no token is asked for")
    return who


def _spawn(folder: Path, order: Order, missing: str) -> Started:
    make_dir(folder, exist_ok=True)
    chosen = environment.minimal(os.environ)
    chosen.pop(ATTEMPT, None)  # it belongs to the run, not to the attempt of a process that happens to start it
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "upgrader.outside", str(folder)],
            env=chosen, cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(log)
    threading.Thread(target=process.wait, daemon=True).start()
    assert process.stdin is not None  # noqa: S101 - asked for
    with suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(json.dumps(asdict(order)).encode())
    return _first_word(folder, process, order, missing)


def _first_word(folder: Path, process: subprocess.Popen[bytes], order: Order, missing: str) -> Started:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        found = now(folder)
        if found.probing and found.apis and found.words != STARTING:
            more = f" ({missing})" if missing else ""
            count = len(found.apis)
            apis = "API is" if count == 1 else "APIs are"
            return Started(True, f"{count} public {apis} asked every {order.interval:g} s{more}.")
        time.sleep(0.05)
    if probe_works(folder):
        return Started(True, "The public APIs are asked.")
    ended = f"the probe ended with {process.returncode}, see {folder / LOG}"
    return Started(False, f"The public APIs are not asked: {ended}.")
