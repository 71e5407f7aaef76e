"""upgrade_checks.sh on an engine that is ours: which image, what of the running container, every way to fail."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import upgrader
from upgrader.facts.upgrade_checks import RUN, read_checks
from upgrader.observed import UpgradeCheck
from upgrader.runner.base import PlayResult

SCRIPT = (Path(upgrader.__file__).parent / "facts" / "upgrade_checks.sh").read_text()
CONFIG, KEYS = "/etc/kolla/keystone:/var/lib/kolla/config_files", "/vol/fernet/_data:/etc/keystone/fernet-keys"
TABLE = (Path(__file__).parent / "samples" / "services" / "upgrade-check.txt").read_text()
OTHERS = "/vol/logs/_data:/var/log/kolla|/dev/shm:/dev/shm"


def asked(
    folder: Path,
    *,
    own: str = "r:5000/kolla/keystone:2025.1-debian",
    images: str = "r:5000/kolla/keystone-fernet:2025.2-debian r:5000/kolla/keystone:2025.2-debian",
    mounts: str = f"{CONFIG}|{OTHERS}|{KEYS}",
    code: int = 0,
    out: str = TABLE,
    err: str = "",
) -> tuple[UpgradeCheck, str]:
    """(what was understood, the words of the engine's `run`)."""
    (folder / "out").write_text(out)
    engine = f"""
engine() {{
  case "$*" in
    inspect*) echo '{own}|{mounts}' ;;
    "image ls"*) [ -n '{images}' ] && printf '%s\\n' {images} || {{ echo 'cannot list' >&2; return 1; }} ;;
    run*) printf '%s\\n' "$*" > {folder}/run; cat {folder}/out; echo '{err}' >&2; return {code} ;;
    rm*) printf '%s\\n' "$*" > {folder}/removed ;;
  esac
}}
limited() {{ shift; engine "$@"; }}
release=2025.2
wanted=('keystone keystone')
"""
    done = subprocess.run(["bash"], input=engine + SCRIPT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    result = PlayResult("x", "successful", 0, collected={RUN: {"ctl1": {"stdout": done.stdout}}})
    (check,) = read_checks(result, {"keystone": "ctl1"}, "2025.2")
    run = folder / "run"
    return check, run.read_text() if run.exists() else ""


def test_it_runs_in_the_targets_image_with_configuration_and_keys_read_only(tmp_path: Path) -> None:
    check, run = asked(tmp_path, code=2)
    assert (check.code, len(check.checks), check.error) == (2, 3, "")
    assert " r:5000/kolla/keystone:2025.2-debian bash -c " in run
    assert f"-v {CONFIG}:ro -v {KEYS}:ro r:5000" in run, "nothing else of the running container"
    assert "run --rm --name upgrader_check_keystone_" in run


@pytest.mark.parametrize(
    "own", ["r:5000/kolla/keystone@sha256:abc", "r:5000/kolla/keystone:mine@sha256:abc", "r:5000/kolla/keystone"]
)
def test_a_pinned_image_has_the_same_repository(tmp_path: Path, own: str) -> None:
    assert asked(tmp_path, own=own)[0].code == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"images": "x/keystone:2025.2 r:5000/kolla/keystone:2025.1"}, "no image of 2025.2 was pulled from r:5000"),
        ({"images": ""}, "its images cannot be listed: cannot list"),
        ({"mounts": OTHERS}, "its configuration folder is not known"),
        ({"code": 1, "out": "", "err": "/etc/keystone is not there"}, "exit code 1 without a result: /etc/keystone"),
        ({"code": 1, "out": "Traceback\nImportError: oslo"}, "exit code 1 without a result: ImportError: oslo"),
        ({"code": 0, "out": ""}, "exit code 0 without a result"),
        ({"code": 253, "out": "", "err": "the image has no keystone-status"}, "exit code 253: the image has no"),
        ({"code": 124, "out": ""}, "it did not end within 150 s"),
    ],
)  # fmt: skip
def test_what_was_not_run_says_why(tmp_path: Path, given: dict[str, str], words: str) -> None:
    check, _ = asked(tmp_path, **given)  # type: ignore[arg-type]
    assert check.code is None
    assert check.error.startswith(f"ctl1: {words}")
    assert (tmp_path / "removed").exists() == (given.get("code") == 124)
