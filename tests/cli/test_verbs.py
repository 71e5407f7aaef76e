"""The reading verbs as processes: what goes to stdout, to stderr and into the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.test_main import HEAVY, imported
from tests.cli.test_main import upgrader as process
from upgrader.cli.main import main
from upgrader.config import load_site
from upgrader.plan_file import read_plan


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


Upgrader = Callable[..., Done]


@pytest.fixture
def upgrader(capsys: pytest.CaptureFixture[str]) -> Upgrader:
    """The command inside this process: quick, and the same code but for the interpreter's start."""

    def call(*arguments: str) -> Done:
        code = main(arguments)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return call


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a site, also above it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UPGRADER_SITE", raising=False)


# ---------------------------------------------------------------- plan


def test_a_paper_plan_needs_no_site(upgrader: Upgrader) -> None:
    done = upgrader("plan", "--from", "2024.1", "--to", "2025.2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Paper plan · 2024.1 → 2025.2")
    assert done.stdout.rstrip().splitlines()[-2].startswith("Next:  upgrader init")
    assert "\x1b" not in done.stdout


def test_json_is_one_document_with_from_and_to_of_every_hop(upgrader: Upgrader) -> None:
    done = upgrader("plan", "--from", "2024.1", "--to", "2025.2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert (document["kind"], document["schema_version"]) == ("plan", 1)
    assert [(hop["from"], hop["to"]) for hop in document["hops"]] == [
        ("2024.1", "2024.2"),
        ("2024.2", "2025.1"),
        ("2025.1", "2025.2"),
    ]
    assert len(document["sha256"]) == 64


def test_a_written_plan_is_the_printed_one_and_an_edit_is_refused(upgrader: Upgrader, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    done = upgrader("plan", "--from", "2025.1", "--to", "2025.2", "--json", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert read_plan(out).sha256 == json.loads(done.stdout)["sha256"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("--from", "2024.1", "--to", "2025.1", "--hops", "1"), 3, "skips-a-release"),
        (("--from", "2024.1", "--to", "2027.1"), 3, "unknown-release"),
        (("--from", "2025.2", "--to", "2026.2"), 3, "provisional-release"),
        (("--to", "2025.2"), 2, "no-site"),
        (("--from", "2024.1", "--to", "2025.2", "--explain", "nothing"), 2, "unknown-point"),
        (("--from", "2024.1", "--to", "2025.2", "--site", "/nowhere"), 2, "no-site"),
        (("--from", "2024.1"), 2, "usage"),
    ],
)
def test_refusals_say_the_same_in_words_and_as_json(
    upgrader: Upgrader, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    words = upgrader("plan", *arguments)
    assert (words.returncode, words.stdout) == (code, "")
    assert "Traceback" not in words.stderr
    said = upgrader("plan", *arguments, "--json") if reason != "unknown-point" else None
    if said is not None:
        document = json.loads(said.stdout)
        assert (said.returncode, document["kind"], document["reason"]) == (code, "error", reason)
        assert document["next"]
        assert words.stderr.rstrip().endswith(document["next"]) or reason == "usage"


def test_a_plan_in_a_pipe_to_a_reader_that_leaves_is_quiet() -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m upgrader plan --from 2024.1 --to 2025.2 | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=600)
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_ascii_terminals_get_ascii() -> None:
    done = process("plan", "--from", "2025.1", "--to", "2025.2", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    done.stdout.encode("ascii")
    assert "2025.1 -> 2025.2" in done.stdout


def test_a_plan_in_a_pipe_imports_nothing_heavy() -> None:
    assert not imported("plan", "--from", "2024.1", "--to", "2025.2") & HEAVY


# ---------------------------------------------------------------- graph


def test_graph_in_all_its_forms(upgrader: Upgrader) -> None:
    document = json.loads(upgrader("graph", "--json").stdout)
    assert (len(document["releases"]), len(document["hops"])) == (8, 7)
    assert "2026.2" in upgrader("graph").stdout
    mermaid = upgrader("graph", "--mermaid").stdout
    assert mermaid.startswith("flowchart LR\n")
    assert mermaid.count(" --> ") == 7
    dot = upgrader("graph", "--dot").stdout
    assert dot.startswith("digraph releases {")
    assert dot.rstrip().endswith("}")
    assert upgrader("graph", "--dot", "--json").returncode == 2


# ---------------------------------------------------------------- init


@pytest.fixture
def kolla(tmp_path: Path) -> Path:
    folder = tmp_path / "kolla"
    folder.mkdir()
    (folder / "globals.yml").write_text('# kolla_container_engine: docker\nkolla_container_engine: "podman"\n')
    (folder / "passwords.yml").write_text("a: b\n")
    (folder / "multinode").write_text("[control]\nctl1\n")
    return folder


def test_init_writes_a_site_that_loads(upgrader: Upgrader, kolla: Path, tmp_path: Path) -> None:
    done = upgrader("init", "--config-dir", str(kolla), "--name", "prod")
    assert done.returncode == 0, done.stderr
    site = load_site(tmp_path / "upgrader.toml")
    assert (site.name, site.engine, site.config_dir) == ("prod", "podman", kolla)
    assert site.inventory == kolla / "multinode"
    assert str(kolla / "multinode") in done.stdout
    assert "Next:  upgrader plan" in done.stdout


def test_init_leaves_an_existing_file_alone(upgrader: Upgrader, kolla: Path, tmp_path: Path) -> None:
    (tmp_path / "upgrader.toml").write_text("mine")
    done = upgrader("init", "--config-dir", str(kolla))
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert (tmp_path / "upgrader.toml").read_text() == "mine"


def test_init_does_not_guess_between_inventories(upgrader: Upgrader, kolla: Path, tmp_path: Path) -> None:
    (kolla / "all-in-one").write_text("[control]\nlocalhost\n")
    done = upgrader("init", "--config-dir", str(kolla))
    assert done.returncode == 2
    assert str(kolla / "multinode") in done.stderr
    assert str(kolla / "all-in-one") in done.stderr
    assert not (tmp_path / "upgrader.toml").exists()
    assert upgrader("init", "--config-dir", str(kolla), "--inventory", str(kolla / "all-in-one")).returncode == 0


def test_init_says_what_it_could_not_use(upgrader: Upgrader, kolla: Path) -> None:
    (kolla / "passwords.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    done = upgrader("init", "--config-dir", str(kolla))
    assert "vault_password_file" in done.stdout
    assert '\nvault_password_file = "' in Path("upgrader.toml").read_text()


@pytest.mark.parametrize("what", ["no-globals", "no-inventory", "wrong-inventory"])
def test_init_names_what_is_missing(upgrader: Upgrader, kolla: Path, what: str) -> None:
    (kolla / {"no-globals": "globals.yml"}.get(what, "multinode")).unlink()
    more = ("--inventory", "/nowhere/hosts") if what == "wrong-inventory" else ()
    done = upgrader("init", "--config-dir", str(kolla), *more)
    assert done.returncode == 2
    assert not Path("upgrader.toml").exists()


def test_init_quotes_names_with_odd_characters(upgrader: Upgrader, tmp_path: Path) -> None:
    folder = tmp_path / 'k"o\\lla ü'
    folder.mkdir()
    (folder / "globals.yml").write_text("")
    (folder / "hosts").write_text("ctl1\n")
    assert upgrader("init", "--config-dir", str(folder)).returncode == 0
    assert load_site(tmp_path / "upgrader.toml").config_dir == folder


def test_every_key_of_a_site_is_explained_by_init(upgrader: Upgrader, kolla: Path) -> None:
    """Uncommented, the whole file still loads: no key is misspelt or left behind."""
    upgrader("init", "--config-dir", str(kolla))
    text = Path("upgrader.toml").read_text()
    lines = []
    for line in text.splitlines():
        key = line.removeprefix("# ").split(" = ")[0]
        lines.append(line.removeprefix("# ") if " = " in line and key.isidentifier() else line)
    Path("upgrader.toml").write_text("\n".join(lines))
    load_site(Path("upgrader.toml"))
    import inspect

    from upgrader import config

    source = inspect.getsource(config._build)
    for key in ("engine_command", "extra_vars", "wheelhouse", "soak", "min_free", "forks", "max_attempts"):
        assert f'"{key}"' in source
        assert f"{key} = " in text


# ---------------------------------------------------------------- toolchain


def test_toolchain_list_of_nothing_says_how_to_build(upgrader: Upgrader, tmp_path: Path) -> None:
    done = upgrader("toolchain", "list", "--dir", str(tmp_path))
    assert done.returncode == 0
    assert "upgrader toolchain build RELEASE" in done.stdout
    assert json.loads(upgrader("toolchain", "list", "--dir", str(tmp_path), "--json").stdout)["toolchains"] == []


def test_toolchain_verify_names_a_missing_one(upgrader: Upgrader, tmp_path: Path) -> None:
    done = upgrader("toolchain", "verify", "flamingo", "--dir", str(tmp_path))
    assert done.returncode == 3
    assert "Next:  upgrader toolchain build 2025.2" in done.stderr


def test_toolchain_lists_what_is_built(upgrader: Upgrader, tmp_path: Path) -> None:
    folder = tmp_path / "2025.2" / "bin"
    folder.mkdir(parents=True)
    (folder / "ansible-playbook").write_text("#!/bin/sh\nexit 1\n")
    (folder / "ansible-playbook").chmod(0o700)
    manifest = {"release": "2025.2", "kolla_ansible": "21.3.0", "ansible_core": "2.19.14", "python": "3.11"}
    (tmp_path / "2025.2" / "toolchain.json").write_text(json.dumps(manifest))
    done = upgrader("toolchain", "list", "--dir", str(tmp_path))
    assert "2025.2  kolla-ansible 21.3.0, ansible-core 2.19.14, Python 3.11" in done.stdout
    assert upgrader("toolchain", "verify", "2025.2", "--dir", str(tmp_path)).returncode == 3


def test_fetching_needs_a_folder(upgrader: Upgrader) -> None:
    done = upgrader("toolchain", "fetch", "2025.2")
    assert done.returncode == 2
    assert "--wheelhouse" in done.stderr
