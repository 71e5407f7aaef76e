"""Builds the environment that drives one release: kolla-ansible, ansible-core and the collections they need.

An environment is built whole beside the others, below `<toolchains>/.builds/`, and becomes `<toolchains>/<release>`
by one rename of a symbolic link: a killed build is never mistaken for a finished one and is swept by the next. (Moving
a finished environment would break the paths inside its programs.) With a wheelhouse nothing is read from a network.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from upgrader.durable import sync_dir, write_atomic, write_json
from upgrader.errors import ConfigError, EnvironmentMissingError, LockedError
from upgrader.kolla.galaxy import ANSIBLE_PACKAGE, NOT_PROVIDED, required_collections, unpack
from upgrader.kolla.pins import Choice, Pins, choose, core_requirement, find_interpreters
from upgrader.kolla.toolchain import MANIFEST, Toolchain, verify

BUILDS = ".builds"
NEEDED_BYTES = 600 * 1024**2
"""Free space asked for: an environment takes about 150 MB, its downloads as much again."""

Progress = Callable[[str], None]


def build_toolchain(
    pins: Pins,
    target_dir: Path,
    *,
    wheelhouse: Path | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Toolchain:
    """Build `<target_dir>/<release>` and check it; an environment that is whole and fits the pins is kept as it is.

    Takes 20 to 60 s. `wheelhouse` is a folder made by `fetch_wheels`: then only it is read. Raises
    EnvironmentMissingError (no Python, no disk space, no right to write, packages not to be had) and LockedError
    (another build of the release is at work); what was there before is then still there, unchanged.
    """
    say = progress or (lambda _line: None)
    toolchain = Toolchain(pins.release, target_dir / pins.release)
    if toolchain.dir.exists() and not toolchain.dir.is_symlink():
        raise ConfigError(
            f"{toolchain.dir} is there but was not made by this command; move it away first.",
            reason="foreign-toolchain",
        )
    choice = choose(pins, find_interpreters())
    with only_builder(target_dir, pins.release) as builds:
        if not rebuild and _fits(toolchain, pins):
            say(f"toolchain {pins.release} is built already")
            return toolchain
        with built_beside(builds, toolchain.dir, f"The toolchain of {pins.release}") as folder:
            _fill(Toolchain(pins.release, folder), pins, choice, wheelhouse, say)
            problems = verify(Toolchain(pins.release, folder))
            if problems:
                raise EnvironmentMissingError(f"The new toolchain of {pins.release} does not work.", details=problems)
    return toolchain


def fetch_wheels(pins: Pins, wheelhouse: Path, *, progress: Progress | None = None) -> tuple[str, ...]:
    """Fill `wheelhouse` with all that `build_toolchain` of the release needs, as wheels; returns the new file names.

    They fit the Python chosen on this machine, so run it where the Python is the one of the machine that will build.
    """
    say = progress or (lambda _line: None)
    choice = choose(pins, find_interpreters())
    wheelhouse.mkdir(parents=True, exist_ok=True)
    before = {path.name for path in wheelhouse.iterdir()}
    scratch = wheelhouse / f".fetch-{secrets.token_hex(4)}"
    try:
        python = make_venv(choice.interpreter.path, scratch)
        say(
            f"fetching kolla-ansible {pins.kolla_ansible}, ansible-core {choice.core_series} for Python "
            f"{choice.interpreter.version}"
        )
        pip(python, ["wheel", "--wheel-dir", wheelhouse, *_requirements(pins, choice)], None)
        say(f"fetching collections out of ansible {ANSIBLE_PACKAGE[pins.release]}")
        _download_collections(python, pins, wheelhouse, None)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return tuple(sorted({path.name for path in wheelhouse.glob("*.whl")} - before))


def _fill(toolchain: Toolchain, pins: Pins, choice: Choice, wheelhouse: Path | None, say: Progress) -> None:
    check_space(toolchain.dir.parent, NEEDED_BYTES)
    say(f"Python {choice.interpreter.version} ({choice.interpreter.path})")
    if not choice.tested:
        say(f"note: kolla-ansible {pins.kolla_ansible} names only Python {', '.join(pins.python_tested)} as supported")
    python = make_venv(choice.interpreter.path, toolchain.dir)
    say(f"installing kolla-ansible {pins.kolla_ansible} and ansible-core {choice.core_series}")
    report = toolchain.dir / "report.json"
    pip(python, ["install", "--report", report, *_requirements(pins, choice)], wheelhouse)
    locked = lock_of(report)
    write_atomic(toolchain.lock, locked, mode=0o644)
    report.unlink()
    say(f"unpacking collections out of ansible {ANSIBLE_PACKAGE[pins.release]}")
    downloads = toolchain.dir / "downloads"
    wheel = _download_collections(python, pins, downloads, wheelhouse)
    required = required_collections(toolchain.share / "requirements-core.yml")
    collections = unpack(wheel, required, toolchain.collections)
    versions = dict(re.findall(r"^([\w.-]+)==(\S+)", locked, re.MULTILINE))
    manifest = {
        "schema_version": 1,
        "release": pins.release,
        "kolla_ansible": versions["kolla-ansible"],
        "ansible_core": versions["ansible-core"],
        "python": choice.interpreter.version,
        "python_supported_by_release": choice.tested,
        "collections": collections,
        "collections_from": {"ansible": ANSIBLE_PACKAGE[pins.release], "sha256": _sha256(wheel)},
        "collections_not_provided": NOT_PROVIDED,
        "lock_sha256": hashlib.sha256(locked.encode()).hexdigest(),
    }
    shutil.rmtree(downloads)
    write_json(toolchain.dir / MANIFEST, manifest, mode=0o644)


def _requirements(pins: Pins, choice: Choice) -> list[str]:
    # kolla_container and the engine's modules run on the deploy host too when it is a node of the cloud; they need
    # the engine's SDK. kolla-ansible 2024.1 and older leave ansible-core to the operator, so it is named always.
    sdk = ",".join(["docker" + pins.docker_sdk]) if pins.docker_sdk else "docker"
    return [f"kolla-ansible=={pins.kolla_ansible}", core_requirement(pins, choice.core_series), sdk, "requests"]


def make_venv(interpreter: Path, folder: Path, *, with_pip: bool = True) -> Path:
    """A virtual environment in `folder`; returns its Python."""
    command = [interpreter, "-I", "-m", "venv", *([] if with_pip else ["--without-pip"]), folder]
    run_builder([str(part) for part in command], "the virtual environment cannot be made", builder_environment(None))
    return folder / "bin" / "python"


def _download_collections(python: Path, pins: Pins, folder: Path, wheelhouse: Path | None) -> Path:
    version = ANSIBLE_PACKAGE[pins.release]
    # Its own Python and ansible-core ranges do not matter: it only serves as the parcel the collections come in.
    options: list[str | Path] = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--dest", folder]
    pip(python, ["download", *options, f"ansible=={version}"], wheelhouse)
    return next(folder.glob(f"ansible-{version}-*.whl"))


def pip(python: Path, arguments: Sequence[str | Path], wheelhouse: Path | None) -> None:
    """Run pip of an environment, from the wheelhouse alone if there is one.

    Raises EnvironmentMissingError with pip's last words, without credentials of an index.
    """
    offline = ["--no-index", "--find-links", str(wheelhouse)] if wheelhouse else []
    verb, *rest = arguments
    command: list[str | Path] = [
        python,
        "-I",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        verb,
        *offline,
        *rest,
    ]
    where = f"not everything is in the wheelhouse {wheelhouse}" if wheelhouse else "the package index did not deliver"
    run_builder(command, where, builder_environment(wheelhouse))


def builder_environment(wheelhouse: Path | None) -> dict[str, str]:
    """What the programs of a build see; with a wheelhouse no setting may name another place."""
    values = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    if wheelhouse:  # nothing may come from anywhere else
        values = {name: value for name, value in values.items() if not name.startswith("PIP_")}
        values["PIP_CONFIG_FILE"] = os.devnull
    return values


def run_builder(command: Sequence[str | Path], failure: str, environment: dict[str, str]) -> None:
    """Run one program of a build. Raises EnvironmentMissingError with its last words, without credentials."""
    run = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if run.returncode:
        lines = [line for line in run.stdout.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise EnvironmentMissingError(
            f"The environment cannot be built: {failure}.",
            cloud="Nothing in the cloud was touched.",
            details=[_without_credentials(line) for line in lines[-8:]],
            reason="toolchain-build",
        )


def _without_credentials(line: str) -> str:
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1", line)


def lock_of(report: Path) -> str:
    """Exact versions and digests of what pip's installation report names, one line for each package."""
    document = json.loads(report.read_text())
    lines = []
    for item in document["install"]:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        digests = item.get("download_info", {}).get("archive_info", {}).get("hashes", {})
        digest = f" --hash=sha256:{digests['sha256']}" if "sha256" in digests else ""
        lines.append(f"{name}=={item['metadata']['version']}{digest}")
    return "\n".join(sorted(lines)) + "\n"


def _fits(toolchain: Toolchain, pins: Pins) -> bool:
    manifest = toolchain.manifest
    fits = manifest.get("release") == pins.release and manifest.get("kolla_ansible") == pins.kolla_ansible
    return fits and not verify(toolchain)


def check_space(folder: Path, needed: int) -> None:
    """Raises EnvironmentMissingError when less than `needed` bytes are free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise EnvironmentMissingError(
            f"{folder} has {free // 1024**2} MB free; building an environment takes {needed // 1024**2} MB.",
            reason="disk-full",
        )


@contextmanager
def only_builder(target_dir: Path, release: str) -> Iterator[Path]:
    """The folder to build in, held by one builder of a release. Raises LockedError while another is at work."""
    builds = target_dir / BUILDS
    try:
        builds.mkdir(parents=True, exist_ok=True)
        lock = (builds / f"{release}.lock").open("w")
    except OSError as error:
        raise EnvironmentMissingError(
            f"Environments cannot be written to {target_dir}: {error.strerror}.", reason="toolchains-not-writable"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"Another process is building the environment of {release} in {target_dir}.", reason="toolchain-build"
            ) from None
        yield builds


@contextmanager
def built_beside(builds: Path, link: Path, what: str) -> Iterator[Path]:
    """The folder of a new build, not made yet; filled without an error, it becomes what `link` leads to.

    Anything else removes it and leaves `link` as it was. What the operating system refuses is raised as
    EnvironmentMissingError about `what`.
    """
    _sweep(builds, link)
    folder = builds / f"{link.name}-{secrets.token_hex(4)}"
    try:
        yield folder
        _publish(folder, link)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise EnvironmentMissingError(f"{what} cannot be built in {link.parent}: {error.strerror or error}.") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _sweep(builds: Path, link: Path) -> None:
    """Delete builds that were killed or replaced; the one in use stays, so that a play that runs is not cut off."""
    current = link.resolve()
    for folder in builds.glob(f"{link.name}-*"):
        if folder.resolve() != current:
            shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, link: Path) -> None:
    """Let `link` lead to the finished build in one step."""
    os.sync()  # thousands of small files: after a loss of power the link must not lead to empty ones
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(Path(BUILDS) / folder.name)
    temporary.replace(link)
    sync_dir(link.parent)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
