"""A release's programs out of its container images, each command in a container of its own that has no network.

The container sees two folders of this machine: the workplace, and the one with the copy's socket. It runs as root
inside, because both are closed to everybody else; nothing of it is left, also when it is ended at its time limit.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from upgrader.config import Site
from upgrader.durable import make_dir
from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.graph import load_graph
from upgrader.graph.migrations import ServiceMigrations
from upgrader.rehearsal.programs import By, Cancelled, Ran, RehearsalCanceled, Settings

LABEL = "upgrader.rehearsal"
ENGINES = ("docker", "podman")
_WAIT = 0.05
_KEYS = "__KEY_REPOSITORY"
_ENGINE_FAILED = 125
"""What docker and podman end with when the container itself could not be run."""

Reference = Callable[[str], str]
"""Name of an image (`nova-api`) → its whole reference at the release."""


class ImagePrograms:
    """One release's programs out of images that this machine's engine has, or can pull."""

    by: By = "images"

    def __init__(
        self, engine: str, release: str, reference: Reference, folder: Path, cancelled: Cancelled = lambda: False
    ) -> None:
        self.engine, self.release, self.reference = engine, release, reference
        self.folder, self.cancelled = folder, cancelled
        self._there: set[str] = set()

    def __enter__(self) -> Self:
        make_dir(self.folder, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to end: every container ended with its command."""

    def desk(self, service: ServiceMigrations, folder: Path, socket: Path, settings: Settings) -> ImageDesk:
        """Raises EnvironmentMissingError when the image is not here and cannot be pulled."""
        image = self.reference(service.container.replace("_", "-"))
        self._must_be_here(image)
        return ImageDesk(self, image, folder, socket, settings, f"/etc/{service.name}")

    def _must_be_here(self, image: str) -> None:
        if image in self._there:
            return
        asked = subprocess.run([self.engine, "image", "inspect", image], capture_output=True, check=False)
        if asked.returncode:
            pulled = subprocess.run(
                [self.engine, "pull", image], capture_output=True, text=True, errors="replace", check=False
            )
            if pulled.returncode:
                lines = [line for line in pulled.stderr.splitlines() if line.strip()]
                raise EnvironmentMissingError(
                    f"The image {image} is not on this machine and could not be pulled.",
                    cloud="Only the copy was touched.",
                    details=[line[:400] for line in lines[-2:]],
                    next_command=f"{Path(self.engine).name} pull {image}",
                    reason="image-missing",
                )
        self._there.add(image)


class ImageDesk:
    """Runs one service's commands, a container for each."""

    def __init__(
        self, programs: ImagePrograms, image: str, folder: Path, socket: Path, settings: Settings, usual: str
    ) -> None:
        self.programs, self.image, self.folder, self.socket = programs, image, folder, socket
        self.settings, self.usual = settings, usual

    def run(self, argv: Sequence[str], log: Path, limit: float) -> Ran:
        """As `Desk.run`. Raises EnvironmentMissingError when the engine cannot run the container."""
        program, *words = argv
        name = f"upgrader-rehearsal-{secrets.token_hex(6)}"
        began = time.monotonic()
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [self.programs.engine, *self._run_words(name, program), *words],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = self._await(process, limit)
            finally:
                if process.poll() is None:
                    self._remove(name)
                    process.kill()
                    process.wait()
        if code == _ENGINE_FAILED:
            said = log.read_text(errors="replace").strip().splitlines()
            raise EnvironmentMissingError(
                f"A container of {self.image} could not be run.",
                cloud="Only the copy was touched.",
                details=[line[:400] for line in said[-2:]],
                reason="container-not-run",
            )
        return Ran(code, round(time.monotonic() - began, 3))

    def close(self) -> None:
        """Every container ended with its command."""

    def _run_words(self, name: str, program: str) -> list[str]:
        mounts = {str(folder): folder for folder in (self.folder, self.socket.parent)}
        # a program that asks for keys before it reads its configuration finds them in the usual place
        keys = (Path(value) for name, value in self.settings.items() if name.endswith(_KEYS))
        mounts |= {f"{self.usual}/{folder.name}": folder for folder in keys}
        return [
            "run", "--rm", "--name", name, "--label", LABEL, "--network", "none", "--user", "0",
            # SELinux hosts would keep the container out of both folders, which are not the engine's own
            "--security-opt", "label=disable",
            *(word for place, folder in mounts.items() for word in ("--volume", f"{folder}:{place}")),
            *(word for setting in self._settings() for word in ("--env", setting)),
            "--workdir", str(self.folder), "--entrypoint", program, self.image,
        ]  # fmt: skip

    def _settings(self) -> tuple[str, ...]:
        usual = {"HOME": self.folder, "TMPDIR": self.folder, "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore"}
        return tuple(f"{name}={value}" for name, value in {**usual, "COLUMNS": "200", **self.settings}.items())

    def _await(self, process: subprocess.Popen[bytes], limit: float) -> int | None:
        ends = time.monotonic() + limit
        while time.monotonic() < ends:
            if self.programs.cancelled():
                raise RehearsalCanceled
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_WAIT)
        return None

    def _remove(self, name: str) -> None:
        subprocess.run([self.programs.engine, "rm", "--force", name], capture_output=True, check=False)


def image_programs(site: Site, release: str, folder: Path, cancelled: Cancelled) -> ImagePrograms:
    """A release's programs as the site's images hold them. Raises EnvironmentMissingError without an engine."""
    return ImagePrograms(_engine(site), release, _reference_of(site, release), folder, cancelled)


def _engine(site: Site) -> str:
    wanted = (site.rehearsal_rules.engine,) if site.rehearsal_rules.engine else (site.engine, *ENGINES)
    for name in wanted:
        path = shutil.which(name)
        if path:
            return path
    raise EnvironmentMissingError(
        f"No container engine on this machine: {' or '.join(dict.fromkeys(wanted))} was not found.",
        cloud="Nothing was looked at or changed.",
        next_command="upgrader rehearse --by environment",
        reason="no-engine",
    )


def _reference_of(site: Site, release: str) -> Reference:
    """How the site names an image at a release: its own pattern, or as the release's playbooks do for globals.yml."""
    if site.rehearsal_rules.images:
        return lambda image: site.rehearsal_rules.images.replace("{image}", image).replace("{release}", release)
    from upgrader.kolla.globals_yml import globals_files, read_globals
    from upgrader.kolla.images import expected_reference

    settings = read_globals(globals_files(site.config_dir, release, site.extra_vars))
    versions = load_graph().release(release).base_images

    def named(image: str) -> str:
        found = expected_reference(image, release, settings, {key: str(value) for key, value in versions.items()})
        if found is None:
            raise ConfigError(
                f"The image {image} of {release} cannot be named: globals.yml says it with an expression.",
                next_command='[rehearsal] images = "REGISTRY/NAMESPACE/{image}:TAG" in upgrader.toml',
                reason="image-unnamed",
            )
        return str(found)

    return named
