"""Brings a lab up: every step can be done again, and what is there is not done twice."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from upgrader.errors import UsageError
from upgrader.kolla.toolchain import Toolchain
from upgrader.lab import recipes
from upgrader.lab.build import build_images
from upgrader.lab.deploy import run_playbook, toolchain_of, wait_for_token
from upgrader.lab.engine import ensure_network, search_path, start_engine, start_no_network, start_registry
from upgrader.lab.folder import DEFAULT_DIR, LabFolder, LabRecord, LabSite, free_port, free_subnet
from upgrader.lab.machine import UNITS, check_machine, missing_packages
from upgrader.lab.nodes import start_nodes
from upgrader.lab.sitefolder import write_site
from upgrader.lab.steps import Steps

SIZES = (1, 3, 5, 7, 9)
"""Numbers of controllers a database cluster of which can lose one and still have a majority; or just one."""
COMPUTES = 20
"""More would not fit a machine."""
POLICY = Path("/usr/sbin/policy-rc.d")


def lab_up(
    dir: Path = DEFAULT_DIR,  # noqa: A002 - the word of the command line
    *,
    controllers: int | None = None,
    computes: int | None = None,
    release: str | None = None,
    also: str | None = None,
    toolchains: Path | None = None,
    deploy: bool = True,
) -> LabSite:
    """A running cloud of `release` with the images of `also` at hand; takes minutes the first time.

    What is not said is as it was when the lab was first brought up; a new one has one controller at 2025.1, no
    hosts for instances, and 2025.2 to upgrade to. Raises EnvironmentMissingError before anything is changed,
    UsageError for another size or release than the lab in this folder has, FailedCleanError (with log and last
    lines) when a step fails; calling it again goes on there.
    """
    if controllers is not None and controllers not in SIZES:
        raise UsageError(f"a lab has 1, 3, 5, 7 or 9 controllers, not {controllers}", cloud="nothing was changed")
    if computes is not None and not 0 <= computes <= COMPUTES:
        raise UsageError(f"a lab has 0 to {COMPUTES} computes, not {computes}", cloud="nothing was changed")
    for name in filter(None, (release, also)):
        recipes.release(name)
    folder = LabFolder(dir.resolve())
    check_machine(folder.root, fresh=not (folder.cache / "registry").exists())
    with folder.lock():
        folder.log.mkdir(parents=True, exist_ok=True)
        steps = Steps(folder.log, folder.timings, again=f"upgrader lab up --dir {folder.root}")
        known = _known_record(folder, controllers=controllers, computes=computes, release=release, also=also)
        installed = _install_packages(steps)
        record = known or _new_record(folder, controllers or 1, computes or 0, release or "2025.1", also or "2025.2")
        if toolchains is not None:
            record = replace(record, toolchains=str(toolchains.resolve()))
        record = replace(record, packages=tuple(sorted({*record.packages, *installed})))
        folder.write_record(record)
        return _up(folder, record, steps, deploy=deploy)


def _up(folder: LabFolder, record: LabRecord, steps: Steps, *, deploy: bool) -> LabSite:
    with steps.step("engine, network and registry"):
        docker = start_engine(folder, record)
        ensure_network(docker, record)
        start_registry(folder, record)
        start_no_network(folder, record)
    with ThreadPoolExecutor(1) as aside:
        # the toolchain is downloads and small files: it fits beside the images
        toolchain_ready = aside.submit(_toolchain, record, steps)
        with steps.step("all images"):
            build_images(folder, record, docker, steps)
        with steps.step("nodes"):
            start_nodes(folder, record, docker)
        toolchain = toolchain_ready.result()
    with steps.step("site folder"):
        write_site(folder, record, docker, toolchain)
    deployed = folder.root / "deployed"
    if deploy and not deployed.exists():
        with steps.step(f"deploy {record.release}"):
            run_playbook(folder, toolchain, steps, "deploy", record.nodes)
        deployed.write_text(f"{record.release}\n")
    if deploy:
        with steps.step("token"):
            wait_for_token(folder, record, steps)
    return describe(folder, record, steps.timings)


def _toolchain(record: LabRecord, steps: Steps) -> Toolchain:
    with steps.step(f"toolchain {record.release}"):
        return toolchain_of(record, record.release, steps)


def describe(folder: LabFolder, record: LabRecord, timings: dict[str, float]) -> LabSite:
    return LabSite(
        dir=folder.root,
        site_dir=folder.site,
        release=record.release,
        also=record.also,
        controllers=record.controllers,
        api=f"http://{record.vip}:5000",
        docker_host=folder.docker_host,
        registry=record.registry,
        timings=timings,
        computes=record.computes,
    )


def _known_record(
    folder: LabFolder, *, controllers: int | None, computes: int | None, release: str | None, also: str | None
) -> LabRecord | None:
    """The record of this folder, if there is one; UsageError when another lab is asked for than the folder holds."""
    known = folder.read_record()
    if known is None:
        return None
    hosts = (controllers or known.controllers, known.computes if computes is None else computes)
    if (release or known.release, also or known.also, *hosts) != (
        known.release, known.also, known.controllers, known.computes,
    ):  # fmt: skip
        others = f" and {known.computes} compute(s)" if known.computes else ""
        raise UsageError(
            f"{folder.root} holds a lab of {known.controllers} controller(s){others} at {known.release} "
            f"with {known.also}",
            cloud="the lab is as it was",
            next_command=f"upgrader lab down --dir {folder.root}",
        )
    return known


def _new_record(folder: LabFolder, controllers: int, computes: int, release: str, also: str) -> LabRecord:
    return LabRecord(
        release=release,
        also=also,
        controllers=controllers,
        subnet=free_subnet(),
        port=free_port(),
        bridge=f"uplab-{folder.tag}",
        toolchains=str(folder.root / "toolchains"),
        computes=computes,
    )


def _install_packages(steps: Steps) -> tuple[str, ...]:
    """Installs what this machine lacks, without starting any service of it; returns what was installed."""
    wanted = missing_packages()
    if not wanted:
        return ()
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": search_path()}
    with steps.step(f"install {', '.join(wanted)}"), _no_service_starts():
        steps.run("packages", ["apt-get", "update"], env=env)
        steps.run("packages", ["apt-get", "install", "--yes", "--no-install-recommends", *wanted], env=env)
    if Path("/run/systemd/system").is_dir():
        # nor at the next boot: the lab starts its own
        units = [unit for unit in UNITS if unit.partition(".")[0] in {name.removesuffix(".io") for name in wanted}]
        subprocess.run(["systemctl", "disable", *units], capture_output=True, env=env, check=False)
    return wanted


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's way to say that packages may not start services while they are installed."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
