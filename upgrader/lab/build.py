"""Makes the images: a script runs in a container of the parent, the result is committed and pushed.

Not a Dockerfile build, on purpose: a container can have this machine's package indexes, certificates and settings
bound in without any of it ending up in a layer, and it works with every engine, with or without a build plugin.
The lab's registry doubles as the cache: an image whose recipe digest it already holds is not made again.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from upgrader.errors import UpgraderError
from upgrader.lab.engine import Docker, search_path
from upgrader.lab.folder import LabFolder, LabRecord
from upgrader.lab.machine import DEBIAN, SUITE, apt_sources, write_build_settings
from upgrader.lab.recipes import IMAGES, Image, Release, images, releases
from upgrader.lab.steps import Steps

PARALLEL = 2
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OPENER = build_opener(ProxyHandler({}))


def registry_labels(registry: str, reference: str) -> dict[str, str]:
    """Labels of an image in the registry; empty when it is not there."""
    name, tag = reference.rsplit(":", 1)
    try:
        asked = Request(f"http://{registry}/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST})
        with OPENER.open(asked, timeout=30) as answer:
            digest = json.load(answer)["config"]["digest"]
        with OPENER.open(f"http://{registry}/v2/{name}/blobs/{digest}", timeout=30) as answer:
            return dict(json.load(answer)["config"].get("Labels") or {})
    except (OSError, KeyError, ValueError):
        return {}


class Builder:
    """Makes what is missing of a list of images. One instance per `up`; its methods run in several threads."""

    def __init__(self, folder: LabFolder, record: LabRecord, docker: Docker, steps: Steps) -> None:
        self.folder = folder
        self.record = record
        self.docker = docker
        self.steps = steps
        self.settings = folder.cache / "build"
        self.binds: dict[Path, str] = {}
        self._failed = threading.Event()

    def build_all(self) -> int:
        """Makes and pushes every image this lab needs; returns how many had to be made."""
        wanted = images(self.record.releases, cluster=self.record.controllers > 1, computes=self.record.computes > 0)
        missing = [image for image in wanted if not self._in_registry(image)]
        if missing:
            self.remove_leftovers()
            self.binds = write_build_settings(self.settings)
            with self.steps.step("fetch kolla's scripts and collections"):
                self._fetch({releases()[name] for name in self.record.releases})
            if wanted[0] not in missing:
                self._ensure_local(wanted[0])
                self._refresh_package_lists(wanted[0])
            self._make_in_order(missing)
        # nodes are started from it by this engine; the others are pulled by the nodes
        self._ensure_local(next(image for image in wanted if image.name == "node"))
        return len(missing)

    def _in_registry(self, image: Image) -> bool:
        return registry_labels(self.record.registry, image.reference).get("upgrader.lab.recipe") == image.digest

    def _make_in_order(self, missing: list[Image]) -> None:
        by_key = {image.key: image for image in missing}
        order = TopologicalSorter(
            {i.key: {i.parent.key} if i.parent and i.parent.key in by_key else set() for i in missing}
        )
        order.prepare()
        futures: dict[Future[None], str] = {}
        trouble: BaseException | None = None
        with ThreadPoolExecutor(PARALLEL) as pool:
            while order.is_active() or futures:
                if trouble is None:
                    # those with the most to follow first, so that the long chain starts early
                    ready = sorted(order.get_ready(), key=lambda key: -_weight(by_key[key], missing))
                    futures |= {pool.submit(self._make, by_key[key]): key for key in ready}
                if not futures:
                    break
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    key = futures.pop(future)
                    if future.exception() is None:
                        order.done(key)
                    elif trouble is None:
                        trouble = future.exception()
                        self._failed.set()
        if trouble is not None:
            raise trouble

    def _make(self, image: Image) -> None:
        if self._failed.is_set():
            return
        with self.steps.step(f"image {image.key}"):
            if image.bootstrap:
                self._bootstrap(image)
            else:
                self._from_script(image)
            self._push(image)

    def _bootstrap(self, image: Image) -> None:
        """The base image: Debian's own bootstrap, then imported as one layer."""
        root = self.folder.cache / "rootfs"
        shutil.rmtree(root, ignore_errors=True)
        mirror = next((source.uri for source in apt_sources() if source.suite == SUITE), DEBIAN)
        environment = {**os.environ, "PATH": search_path()}
        command = ["debootstrap", "--variant=minbase", SUITE, str(root), mirror]
        self.steps.run("image-base", command, env=environment)
        (root / "etc/apt/sources.list").write_text(f"deb {DEBIAN} {SUITE} main\n")
        (root / "etc/dpkg/dpkg.cfg.d/lab").write_text(
            "path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/info/*\n"
            "path-exclude=/usr/share/locale/*\npath-include=/usr/share/locale/locale.alias\nforce-unsafe-io\n"
        )
        for leftover in ("var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/share/man"):
            shutil.rmtree(root / leftover, ignore_errors=True)
            (root / leftover).mkdir(parents=True)
        (root / "etc/resolv.conf").unlink(missing_ok=True)
        (root / "etc/hostname").unlink(missing_ok=True)
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as archive:
            changes = [word for change in self._changes(image) for word in ("--change", change)]
            command = self.docker.command("import", *changes, "-", image.reference)
            self.steps.run("image-base", command, env=self.docker.env, stdin=archive.stdout)
        shutil.rmtree(root, ignore_errors=True)
        self._refresh_package_lists(image)

    def _refresh_package_lists(self, image: Image) -> None:
        """Debian's lists, once for all scripts: a mirror drops the packages that older lists name."""
        command = ["run", "--rm", "--network", "host", *self._mounts(None), image.reference]
        command += ["/bin/bash", "-c", "set -a; . /lab/env; APT_CONFIG=/lab/apt.conf apt-get update"]
        self.steps.run("image-base", self.docker.command(*command), env=self.docker.env)

    def _from_script(self, image: Image) -> None:
        parent = image.parent
        if parent is None:
            raise UpgraderError(f"image {image.name} has neither a parent nor a bootstrap")
        self._ensure_local(parent)
        log = f"image-{image.key}"
        container = f"lab-build-{image.key}"
        self.docker.attempt("rm", "--force", container)
        release = image.release.name if image.release else ""
        start = f"export RELEASE={release} IMAGE={image.name}; exec bash /lab/images/scripts/{image.script}"
        command = ["run", "--name", container, "--network", "host", "--user", "root", "--workdir", "/"]
        command += [*self._mounts(image), "--entrypoint", "/bin/bash", parent.reference, "-c", start]
        self.steps.run(log, self.docker.command(*command), env=self.docker.env)
        changes = [word for change in self._changes(image) for word in ("--change", change)]
        self.steps.run(log, self.docker.command("commit", *changes, container, image.reference), env=self.docker.env)
        self.docker.attempt("rm", "--force", container)

    def _mounts(self, image: Image | None) -> list[str]:
        bound = {self.settings: "/lab:ro", IMAGES: "/lab/images:ro"}
        bound |= {self.settings / name: f"/lab/{name}" for name in ("apt-lists", "pip-cache")}
        bound |= {path: f"{place}:ro" for path, place in self.binds.items()}
        for place in self.binds.values():
            (self.settings / Path(place).relative_to("/lab")).mkdir(parents=True, exist_ok=True)
        for what in image.fetch if image else ():
            bound[self.folder.cache / "fetched" / what] = f"/lab/{what.split('/')[0]}:ro"
        return [word for path, place in bound.items() for word in ("--volume", f"{path}:{place}")]

    def _changes(self, image: Image) -> list[str]:
        labels = image.labels | {"build-date": datetime.now(UTC).strftime("%Y%m%d")}
        changes = [f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()]
        changes += [f"ENV {name}={value}" for name, value in image.env]
        changes += [f"ENTRYPOINT {json.dumps(image.entrypoint)}", f"CMD {json.dumps(image.command)}"]
        return [*changes, f"USER {image.user}"]

    def _ensure_local(self, image: Image) -> None:
        label = '{{index .Config.Labels "upgrader.lab.recipe"}}'
        if self.docker.attempt("image", "inspect", "--format", label, image.reference).stdout.strip() != image.digest:
            known = f"{self.record.registry}/{image.reference}"
            self.docker.ask("pull", "--quiet", known)
            self.docker.ask("tag", known, image.reference)

    def _push(self, image: Image) -> None:
        target = f"{self.record.registry}/{image.reference}"
        self.docker.ask("tag", image.reference, target)
        self.steps.run(f"image-{image.key}", self.docker.command("push", "--quiet", target), env=self.docker.env)

    def remove_leftovers(self) -> None:
        """Containers of builds that were killed."""
        for name in self.docker.ask("ps", "--all", "--filter", "name=^lab-build-", "--format", "{{.Names}}").split():
            self.docker.attempt("rm", "--force", name)

    def _fetch(self, wanted: set[Release]) -> None:
        fetched = self.folder.cache / "fetched"
        for one in sorted(wanted, key=lambda release: release.name):
            _unpack_kolla(download(self.folder, self.steps, f"kolla=={one.kolla}"), fetched / "kolla" / one.name)
            wheel = download(self.folder, self.steps, f"ansible=={one.ansible}")
            _unpack_collections(wheel, one.collections, fetched / "collections" / one.name)


def _weight(image: Image, among: list[Image]) -> int:
    return sum(1 for other in among if any(up is image for up in _ancestors(other)))


def _ancestors(image: Image) -> list[Image]:
    found = []
    while image.parent is not None:
        image = image.parent
        found.append(image)
    return found


def download(folder: LabFolder, steps: Steps, requirement: str) -> Path:
    """One wheel from PyPI, by the machine's own pip settings; kept in the cache."""
    name, version = requirement.replace("-", "_").split("==")
    wheels = folder.cache / "wheels"
    for known in wheels.glob(f"{name}-{version}-*.whl"):
        return known
    environment = folder.cache / "pip"
    if not (environment / "bin/pip").exists():
        steps.run("fetch", [sys.executable, "-m", "venv", "--clear", environment])
    pip: list[str | Path] = [
        environment / "bin/python",
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]
    steps.run("fetch", [*pip, "--python-version", "3.11", "--dest", wheels, requirement])
    found = next(wheels.glob(f"{name}-{version}-*.whl"), None)
    if found is None:
        raise steps.failure("fetch", f"{requirement} was not delivered as a wheel")
    return found


def _unpack(wheel: Path, target: Path, places: dict[str, str]) -> None:
    """Files of a wheel whose name holds one of the marks, below `target/<place>`; all or nothing."""
    if target.exists():
        return
    spare = target.with_name(target.name + ".new")
    shutil.rmtree(spare, ignore_errors=True)
    with zipfile.ZipFile(io.BytesIO(wheel.read_bytes())) as archive:
        for member in archive.infolist():
            for mark, place in places.items():
                _, found, after = member.filename.partition(mark)
                if found and not member.is_dir() and not f"/{after}".startswith("/tests/"):
                    path = spare / place / after if after else spare / place
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(archive.read(member))
    spare.rename(target)


def _unpack_kolla(wheel: Path, target: Path) -> None:
    _unpack(wheel, target, {"/share/kolla/docker/": "docker", "kolla/common/users.py": "users.py"})


def _unpack_collections(wheel: Path, names: tuple[str, ...], target: Path) -> None:
    marks = {}
    for name in names:
        path = f"ansible_collections/{name.replace('.', '/')}/"
        marks[path] = path
    _unpack(wheel, target, marks)


def build_images(folder: LabFolder, record: LabRecord, docker: Docker, steps: Steps) -> int:
    """Makes every image of the lab that its registry does not hold yet; returns how many were made."""
    builder = Builder(folder, record, docker, steps)
    try:
        return builder.build_all()
    except UpgraderError:
        with contextlib.suppress(UpgraderError):
            builder.remove_leftovers()
        raise
