"""Takes a lab down and leaves nothing of it: no process, mount, bridge, rule, control group or file."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from pathlib import Path

from upgrader.errors import EnvironmentMissingError, FailedCleanError
from upgrader.lab.engine import Docker, marked_processes, search_path, stop_everything
from upgrader.lab.folder import DEFAULT_DIR, LabFolder, LabRecord

KEPT = ("cache", "toolchains")


def lab_down(dir: Path = DEFAULT_DIR, *, keep_cache: bool = False) -> tuple[str, ...]:  # noqa: A002
    """Takes the lab of a folder down; returns the Debian packages that `up` had installed and that stay.

    With `keep_cache` the images and toolchains stay, so that the next `up` is quick. A half-made lab is taken
    down as well. EnvironmentMissingError where the folder holds no lab, FailedCleanError naming what is left.
    """
    folder = LabFolder(dir.resolve())
    signs = (folder.record_file, folder.root / ".lock", folder.cache / "registry")
    if not any(sign.exists() for sign in signs):
        raise EnvironmentMissingError(f"{folder.root} holds no lab", cloud="nothing was changed", reason="no-lab")
    with folder.lock():
        record = folder.read_record()
        _remove_containers(folder)
        stop_everything(folder, record)
        _unmount(folder)
        _remove_control_groups(folder)
        left = leftovers(folder, record)
        if left:
            raise FailedCleanError(
                "the lab is down, but not all of it could be removed",
                cloud="the lab's cloud is gone",
                next_command=f"upgrader lab down --dir {folder.root}",
                details=left,
            )
        _remove_files(folder, keep_cache=keep_cache)
    return record.packages if record else ()


def _remove_containers(folder: LabFolder) -> None:
    """Lets nodes stop by themselves for a moment, then removes them with their volumes, if the engine still answers."""
    docker = Docker(folder)
    if not docker.alive():
        return
    names = docker.attempt("ps", "--all", "--quiet").stdout.split()
    if names:
        docker.attempt("rm", "--force", "--volumes", *names)
    docker.attempt("volume", "prune", "--force")
    docker.attempt("network", "prune", "--force")


def mounts_below(*folders: Path) -> list[str]:
    """Mount points inside these folders, deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if any(Path(point).is_relative_to(folder) and Path(point) != folder for folder in folders):
            found.append(point)
    return sorted(found, key=len, reverse=True)


def _unmount(folder: LabFolder) -> None:
    for _ in range(3):
        points = mounts_below(folder.root, folder.run)
        if not points:
            return
        for point in points:
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
        time.sleep(0.2)


def control_groups(folder: LabFolder) -> list[Path]:
    """The lab's branches in the control group trees, whichever version this machine has."""
    top = Path("/sys/fs/cgroup")
    return [path for pattern in (folder.cgroup, f"*/{folder.cgroup}") for path in top.glob(pattern)]


def _remove_control_groups(folder: LabFolder) -> None:
    """Empty groups stay behind when an engine is stopped; a group goes once its processes have."""
    for _ in range(20):
        branches = control_groups(folder)
        if not branches:
            return
        for branch in branches:
            inside = sorted((path for path in branch.rglob("*") if path.is_dir()), key=lambda p: -len(p.parts))
            for path in (*inside, branch):
                with contextlib.suppress(OSError):
                    path.rmdir()
        time.sleep(0.1)


def leftovers(folder: LabFolder, record: LabRecord | None) -> list[str]:
    """What of the lab is still on this machine beside its files, one line each."""
    left = [f"process {pid}" for pid in marked_processes(f"{folder.run}/")]
    left += [f"mount {point}" for point in mounts_below(folder.root, folder.run)]
    left += [f"control group {path}" for path in control_groups(folder)]
    if record is not None:
        if Path(f"/sys/class/net/{record.bridge}").exists():
            left.append(f"network bridge {record.bridge}")
        if shutil.which("iptables-save", path=search_path()):
            rules = subprocess.run(
                ["iptables-save"], capture_output=True, text=True, check=False, env={"PATH": search_path()}
            )
            left += [f"packet filter rule {line}" for line in rules.stdout.splitlines() if record.bridge in line]
    return left


def _remove_files(folder: LabFolder, *, keep_cache: bool) -> None:
    if folder.run.parent != folder.root:
        shutil.rmtree(folder.run, ignore_errors=True)
    for path in folder.root.iterdir():
        if keep_cache and path.name in KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    with contextlib.suppress(OSError):
        folder.root.rmdir()
