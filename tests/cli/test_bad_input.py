"""What an operator gets for bad input: the exit code of the README, the cloud's condition, the next command, no harm.

Every case here is refused before a host would be looked at, so none needs Ansible; those that do are in
`test_bad_input_of_a_cloud`. The command runs inside this process, except where a right or a disk is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_status import Run
from tests.planner.plans import a_plan
from upgrader.cli.main import main
from upgrader.config import Site, load_site
from upgrader.decisions import Ways
from upgrader.journal import acquire, open_journal, place
from upgrader.model import PLAN_SCHEMA, Plan
from upgrader.plan_file import render_plan, write_plan
from upgrader.session import Session
from upgrader.states import AttemptState, Event, State
from upgrader.status_read import keep_seen

SITE = '[site]\nname = "prod"\n[kolla]\nconfig_dir = "kolla"\ninventory = "inventory"\n'
ROOT = os.geteuid() == 0
NOBODY = 65534
READING = (("plan", "--to", "2024.2"), ("status",), ("history",))
NEEDS_A_RUN = (("resume",), ("rollback",), ("approve",), ("abort",))
EVIL = "quay.io/[/bold][red]keystone\x1b[31m\x1b]0;owned\x07\u202e:2024.1"


@dataclass
class Said:
    code: int
    out: str
    err: str

    def is_clear(self, code: int, *words: str) -> None:
        """An error as every one has to be: right code, its words, the cloud's condition, one command to type last."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err + self.out
        assert "defect" not in self.err
        for word in words:
            assert word in self.err, self.err
        lines = self.err.rstrip("\n").splitlines()
        assert lines[-1].startswith("Next:  "), self.err
        assert "upgrader" in lines[-1], lines[-1]
        condition = [line for line in lines if line.startswith("The cloud: ")]
        assert len(condition) == 1, self.err
        assert len(condition[0]) > len("The cloud: ")
        assert not self.out


Call = Callable[..., Said]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*words: object) -> Said:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UPGRADER_SITE", raising=False)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path / "site")


def made_site(folder: Path) -> Site:
    (folder / "kolla" / "globals.d").mkdir(parents=True)
    (folder / "upgrader.toml").write_text(SITE)
    (folder / "kolla" / "globals.yml").write_text("openstack_release: 2024.1\n")
    (folder / "kolla" / "passwords.yml").write_text("database_password: secret-of-the-database\n")
    (folder / "inventory").write_text("[control]\nctl1\n")
    return load_site(folder / "upgrader.toml")


@pytest.fixture
def run(site: Site) -> Iterator[Run]:
    made = Run(site)
    yield made
    made.close()


def tree(folder: Path) -> dict[str, str]:
    """Every file with the digest of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
        if path.suffix not in (".db-shm", ".db-wal")  # SQLite's own, made by reading
    }


def history(site: Site) -> list[str]:
    with open_journal(site.state_dir, readonly=True) as journal:
        return [event.kind for event in journal.events()]


# ---------------------------------------------------------------- upgrader.toml


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[site\nname = "x"', ("not valid TOML", "line 1")),
        (b"\xff\xfe[site]", ("not UTF-8",)),
        (b"", ("3 faults", "[site] name: missing", "[kolla] config_dir: missing", "[kolla] inventory: missing")),
        (SITE.encode() + b"[run]\nsoak = 2.5\n", ("1 fault.", "soak", "30min")),
        (SITE.encode() + b"[window]\nstart = true\n", ("[window] start",)),
        (SITE.replace("prod", "a b").encode(), ("'a b'",)),
        (SITE.encode() + b"[sate]\ndir = 'x'\n", ("[sate]: no such section",)),
        (SITE.replace("[kolla]", "engine = 'lxc'\n[kolla]").encode(), ("'lxc'", "docker, podman")),
        (b'name = "prod"\nkolla = 1\n', ("kolla: wants a section",)),
    ],
)
@pytest.mark.parametrize("verb", [("run", "--to", "2024.2"), ("status",)])
def test_a_broken_site_file(call: Call, site: Site, verb: tuple[str, ...], content: bytes, words: tuple[str]) -> None:
    site.file.write_bytes(content)
    before = tree(site.file.parent)
    said = call("--site", site.file, *verb)
    said.is_clear(2, str(site.file), *words)
    assert said.err.rstrip().endswith(f"upgrader --site {site.file} {' '.join(verb)}")
    assert tree(site.file.parent) == before


@pytest.mark.parametrize("verb", [*READING, *NEEDS_A_RUN, ("run", "--to", "2024.2"), ("run", "plan.json")])
def test_no_site_file(call: Call, tmp_path: Path, verb: tuple[str, ...]) -> None:
    call("--site", tmp_path / "gone", *verb).is_clear(2, "There is no site file", "upgrader init")
    call(*verb).is_clear(2, "No site", "upgrader init")
    assert tree(tmp_path) == {}


def test_a_folder_in_place_of_the_site_file(call: Call, site: Site) -> None:
    site.file.unlink()
    site.file.mkdir()
    call("--site", site.file.parent, "status").is_clear(2, "Is a directory")


# ---------------------------------------------------------------- globals, inventory


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("globals.yml", b"a: [1\n", ("line 2", "not valid YAML")),
        ("globals.yml", b"a: 1\n\tb: 2\n", ("line 2", "'\\t'")),
        ("globals.yml", b"a: 1\nb: 2\na: 3\n", ("line 3", "the key a is there twice (first in line 1)")),
        ("globals.yml", b"a: \xff\n", ("line 1", "not UTF-8")),
        ("globals.yml", b"- a\n", ("`key: value` lines are expected",)),
        (
            "globals.yml",
            b"$ANSIBLE_VAULT;1.1;AES256\n3636\n",
            ("encrypted with Ansible Vault", "secrets.vault_password_file"),
        ),
        ("globals.d/zz.yml", b"a: 'open\n", ("globals.d/zz.yml", "not valid YAML")),
    ],
)
@pytest.mark.parametrize("verb", [("run", "--to", "2024.2"), ("plan", "--to", "2024.2")])
def test_broken_globals(
    call: Call, site: Site, verb: tuple[str, ...], file: str, content: bytes, words: tuple[str]
) -> None:
    (site.config_dir / file).write_bytes(content)
    before = tree(site.file.parent)
    call("--site", site.file, *verb).is_clear(2, str(site.config_dir / file), *words)
    assert tree(site.file.parent) == before


def test_no_globals(call: Call, site: Site) -> None:
    site.globals_file.unlink()
    before = tree(site.file.parent)
    for verb in (("run", "--to", "2024.2"), ("plan", "--to", "2024.2"), ("status", "--observe")):
        call("--site", site.file, *verb).is_clear(2, f"{site.globals_file} does not exist")
    assert tree(site.file.parent) == before


def toolchain(site: Site, release: str) -> None:
    """Enough of one for the tool to believe it is there; its programs do not work."""
    folder = site.toolchains_dir / release
    (folder / "bin").mkdir(parents=True)
    for name in ("ansible-playbook", "ansible-inventory", "ansible-vault", "python"):
        (folder / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / "bin" / name).chmod(0o755)
    (folder / "share" / "kolla-ansible" / "ansible").mkdir(parents=True)
    (folder / "share" / "kolla-ansible" / "ansible" / "site.yml").touch()


def test_without_a_toolchain_the_release_that_globals_name_is_to_be_built(call: Call, site: Site) -> None:
    """Unquoted 2025.1 is the release 2025.1, and a later file of globals.d wins."""
    before = tree(site.file.parent)
    site.globals_file.write_text("openstack_release: 2025.1\n")
    call("--site", site.file, "plan", "--to", "2025.2").is_clear(3, "No toolchain", "toolchain build 2025.1")
    (site.config_dir / "globals.d" / "a.yml").write_text("openstack_release: 2024.2\n")
    (site.config_dir / "globals.d" / "b.yml").write_text("openstack_release: 2024.1\n")
    call("--site", site.file, "plan", "--to", "2025.2").is_clear(3, "No toolchain", "toolchain build 2024.1")
    assert not site.state_dir.exists()
    assert before.keys() <= tree(site.file.parent).keys()


def test_a_missing_inventory(call: Call, site: Site) -> None:
    toolchain(site, "2024.1")
    site.inventory.unlink()
    call("--site", site.file, "plan", "--to", "2024.2").is_clear(2, f"{site.inventory} does not exist")
    assert not site.state_dir.exists()


# ---------------------------------------------------------------- rights


@pytest.fixture
def open_site() -> Iterator[Site]:
    """A site where somebody without rights can come to it; skipped where nobody else can be had.

    Not in pytest's own folder: that one is closed again by whoever comes to its end first.
    """
    if not ROOT:
        pytest.skip("needs root, to become somebody without rights")
    with tempfile.TemporaryDirectory(prefix="upgrader-open-") as folder:
        Path(folder).chmod(0o755)
        yield made_site(Path(folder) / "site")


@pytest.fixture
def nobody(open_site: Site, call: Call) -> Call:
    """The command with the rights of nobody. Everything it imports is imported first: the interpreter may be root's."""
    toolchain(open_site, "2024.1")
    for verb in (("plan", "--to", "2024.2"), ("run", "--to", "x"), ("history",), ("status",), ("resume",)):
        call("--site", open_site.file, *verb)
    assert not open_site.state_dir.exists()

    def run(*words: object) -> Said:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            return call(*words)
        finally:
            os.seteuid(0)
            os.setegid(0)

    return run


def test_files_that_may_not_be_read(open_site: Site, nobody: Call) -> None:
    for path in (open_site.inventory, open_site.globals_file, open_site.file):
        path.chmod(0o600)
        said = nobody("--site", open_site.file, "plan", "--to", "2024.2")
        said.is_clear(2, str(path), "Permission denied")
    assert not open_site.state_dir.exists()


def test_a_state_folder_that_may_not_be_made_or_written(open_site: Site, nobody: Call) -> None:
    said = nobody("--site", open_site.file, "run", "--to", "2024.2")
    said.is_clear(3, str(open_site.state_dir), "Permission denied")
    with open_journal(open_site.state_dir):
        pass
    before = tree(open_site.file.parent)
    nobody("--site", open_site.file, "run", "--to", "2024.2").is_clear(3, str(open_site.state_dir))
    nobody("--site", open_site.file, "history").is_clear(3, str(open_site.state_dir))
    nobody("--site", open_site.file, "status").is_clear(3, str(open_site.state_dir))
    assert tree(open_site.file.parent) == before


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """The site's state folder on a file system of its own, of 1 MiB."""
    if not ROOT:
        pytest.skip("needs root, to mount a small disk")
    site.state_dir.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", site.state_dir], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode()}")
    yield site.state_dir
    subprocess.run(["umount", "-l", site.state_dir], check=True)


def fill(folder: Path) -> Path:
    file = folder / "filler"
    with file.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 4096)
        except OSError:
            return file


def test_a_full_disk(call: Call, site: Site, small_disk: Path) -> None:
    filler = fill(small_disk)
    call("--site", site.file, "run", "--to", "2024.2").is_clear(3, "No space left", str(small_disk))
    filler.unlink()
    run = Run(site)
    run.until(State.HOLD_UPGRADE)
    run.close()
    kinds = history(site)
    filler = fill(small_disk)
    for verb in (("approve",), ("resume",), ("abort",)):
        call("--site", site.file, *verb).is_clear(3, str(small_disk))
    said = call("--site", site.file, "status")
    assert (said.code, "approv" in said.out) == (0, True)
    filler.unlink()
    assert history(site)[: len(kinds)] == kinds
    said = call("--site", site.file, "approve")
    assert said.code == 0
    assert said.out.endswith(f"\nNext:  upgrader --site {site.file} resume\n"), said.out
    assert call("--site", site.file, "history", "--verify").code == 0


# ---------------------------------------------------------------- the journal


@pytest.fixture
def journal(run: Run) -> Path:
    run.until(State.HOLD_UPGRADE)
    run.close()
    return run.site.state_dir / "journal.db"


EVERY = (*NEEDS_A_RUN, ("run", "--to", "2024.2"), ("status",), ("history",), ("history", "--verify"))


@pytest.mark.parametrize("verb", EVERY)
def test_a_journal_of_a_newer_version(call: Call, site: Site, journal: Path, verb: tuple[str, ...]) -> None:
    connection = sqlite3.connect(journal)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = journal.read_bytes()
    call("--site", site.file, *verb).is_clear(3, "version 99", "newer upgrader")
    assert journal.read_bytes() == before


@pytest.mark.parametrize("damage", ["head", "middle", "cut", "empty", "gone"])
@pytest.mark.parametrize("verb", EVERY)
def test_a_damaged_journal(call: Call, site: Site, journal: Path, verb: tuple[str, ...], damage: str) -> None:
    whole = journal.read_bytes()
    broken = {
        "head": b"\0" * 100 + whole[100:],
        "middle": whole[:4096] + b"\xa5" * (len(whole) - 4096),
        "cut": whole[:5000],
        "empty": b"",
        "gone": b"",
    }[damage]
    journal.write_bytes(broken)
    if damage == "gone":
        journal.unlink()
    before = tree(site.state_dir)
    said = call("--site", site.file, *verb)
    said.is_clear(3, str(site.state_dir), "damaged" if broken else "gone or empty")
    after = tree(site.state_dir)
    assert after == {**before, **({"lock": after["lock"]} if "lock" in after else {})}


@pytest.mark.parametrize("verb", [("resume",), ("run", "--to", "2024.2"), ("history",)])
def test_a_journal_on_a_network_file_system(
    call: Call, site: Site, journal: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    monkeypatch.setattr(place, "filesystem_of", lambda _path, _mounts: "nfs4")
    before = tree(site.file.parent)
    call("--site", site.file, *verb).is_clear(3, "nfs4 is a network file system", "dir of [state]")
    assert tree(site.file.parent) == before


@pytest.mark.parametrize("verb", [("resume",), ("approve",), ("rollback",), ("run", "--to", "2024.2")])
def test_two_at_once(call: Call, site: Site, journal: Path, verb: tuple[str, ...]) -> None:
    kinds = history(site)
    with acquire(site.state_dir, "resume"):
        call("--site", site.file, *verb).is_clear(5, "resume by ", f"pid {os.getpid()}", "upgrader --site")
        assert call("--site", site.file, "status").code == 0, "reading takes no lock"
    assert history(site) == kinds


@pytest.mark.parametrize("verb", NEEDS_A_RUN)
def test_nothing_to_do_without_a_run(call: Call, site: Site, verb: tuple[str, ...]) -> None:
    before = tree(site.file.parent)
    call("--site", site.file, *verb).is_clear(3, "There is no run", "plan --to RELEASE")
    assert tree(site.file.parent) == before, "not even a state folder is made"
    with open_journal(site.state_dir):
        pass
    before = tree(site.file.parent)
    call("--site", site.file, *verb).is_clear(3, "There is no run", "plan --to RELEASE")
    assert tree(site.file.parent) == before


# ---------------------------------------------------------------- plans


def own(here: Site, changes: dict[str, Any] | None = None) -> Plan:
    """A plan of this site's journal."""
    with open_journal(here.state_dir) as journal:
        snapshot = journal.snapshot()
    fresh: dict[str, Any] = {"lineage": snapshot.lineage, "serial": snapshot.serial, "findings": ()}
    return a_plan().model_copy(update={**fresh, **(changes or {})})


def edited(data: bytes) -> bytes:
    return data.replace(b"the first schema change", b"no schema change")


def newer(_data: bytes) -> bytes:
    body = {**a_plan().document(), "schema_version": PLAN_SCHEMA + 1, "tool_version": "9.0"}
    return json.dumps({"plan": body, "sha256": "0" * 64}).encode()


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (edited, 4, ("was changed after it was made", "names itself")),
        (lambda data: data + b"\n", 4, ("was changed after it was made",)),
        (lambda data: data[: len(data) // 2], 4, ("cut or changed",)),
        (lambda data: b"", 4, ("cut or changed",)),
        (newer, 3, ("newer upgrader (9.0",)),
        (lambda data: b"[]", 2, ("is not a plan",)),
        (lambda data: b'{"plan": {}, "sha256": 1}', 4, ("was changed",)),
        (lambda data: b"\xff\xfe\0", 4, ("cut or changed",)),
    ],
)
def test_a_plan_that_is_not_as_it_was_made(
    call: Call, site: Site, tmp_path: Path, spoil: Callable[[bytes], bytes], code: int, words: tuple[str]
) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(spoil(render_plan(own(site))))
    before = tree(site.file.parent)
    call("--site", site.file, "run", path).is_clear(code, str(path), *words)
    assert tree(site.file.parent) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"site": "other"}, ("another cloud", "site: the plan has other, here it is prod")),
        ({"lineage": "strange"}, ("another journal", "lineage: the plan has strange")),
        ({"lineage": "", "site": ""}, ("site: the plan has none",)),
        ({"serial": 12}, ("stale", "the plan has 12, the journal is at 0")),
        ({}, ("other release data", "the plan has 000000000000")),
    ],
)
def test_a_plan_that_does_not_belong_here(
    call: Call, site: Site, tmp_path: Path, changes: dict[str, Any], words: tuple[str]
) -> None:
    path = tmp_path / "plan.json"
    write_plan(own(site, changes), path)
    call("--site", site.file, "run", path).is_clear(4, *words, "plan --to 2024.2")
    assert not {"run_begun", "hop_moved", "intent"} & set(history(site))


def test_no_plan_file_and_a_folder(call: Call, site: Site, tmp_path: Path) -> None:
    call("--site", site.file, "run", "gone.json").is_clear(2, "gone.json", "no such file")
    call("--site", site.file, "run", tmp_path).is_clear(2, "Is a directory")
    assert not site.state_dir.exists()


# ---------------------------------------------------------------- what is typed


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_an_unknown_release(call: Call, site: Site, verb: str) -> None:
    before = tree(site.file.parent)
    call("--site", site.file, verb, "--to", "2031.1").is_clear(3, "'2031.1' is not a release", "upgrader graph")
    assert tree(site.file.parent) == before


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",), ("status", "--frob"), ("run",), ("run", "a", "b"), ("run", "--to"), ("plan",),
        ("run", "p.json", "--to", "2024.2"), ("resume", "--accept", "nothing"), ("approve", "--accept", "x"),
        ("rollback", "--redeploy", "--restore"), ("rollback", "--show", "--restore"),
        ("history", "--last", "-1"), ("--site",), ("plan", "--to", "a", "b"),
    ],
)  # fmt: skip
def test_a_command_line_that_is_wrong(call: Call, site: Site, words: tuple[str, ...]) -> None:
    before = tree(site.file.parent)
    said = call(*(() if words == ("--site",) else ("--site", site.file)), *words)
    assert (said.code, said.out) == (2, "")
    assert "Error: " in said.err
    assert "Traceback" not in said.err
    assert tree(site.file.parent) == before


def test_a_restore_is_not_confirmed_where_nobody_can_type(
    call: Call, site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.until(State.UPGRADE)
    run.stage(State.UPGRADE, AttemptState.FAILED, Event.FAILED)
    run.close()
    found = Ways(redeploy=False, restore=True, redeploy_reasons=("neutron's schema changed",), restore_reasons=())
    monkeypatch.setattr(Session, "ways", lambda *_: found)
    kinds = history(site)
    said = call("--site", site.file, "rollback", "--restore")
    said.err = said.err[said.err.index("Refused") :]
    said.is_clear(3, "not confirmed", "Nothing was changed", f'--confirm "{site.name}"', "lost ")
    wrong = call("--site", site.file, "rollback", "--confirm", "yes")
    assert wrong.code == 3
    assert set(history(site)[len(kinds) :]) == {"entered"}


# ---------------------------------------------------------------- one JSON document, texts of hosts


@pytest.mark.parametrize(
    "words",
    [
        *((*verb, "--frob") for verb in READING), ("plan",), ("graph", "--frob"), ("plan", "--to", "2031.1"),
        ("plan", "--to", "2024.2"), ("status", "--observe"), ("history",), ("history", "--last", "x"),
        ("plan", "--from", "2023.1", "--to", "2023.1", "--paper"), ("graph", "--mermaid", "--dot"),
    ],
)  # fmt: skip
def test_json_is_one_document_also_for_errors(call: Call, site: Site, words: tuple[str, ...]) -> None:
    site.globals_file.write_text("a: [")
    said = call("--site", site.file, *words, "--json")
    document = json.loads(said.out)
    assert said.code in (2, 3)
    assert document["kind"] == "error"
    assert document["reason"]
    assert document["message"]
    assert document["next"]
    assert said.err == ""


def test_json_of_a_history_that_was_changed(call: Call, site: Site, journal: Path) -> None:
    connection = sqlite3.connect(journal)
    connection.executescript("DROP TRIGGER events_never_change; UPDATE events SET data='{}' WHERE seq=3;")
    connection.close()
    said = call("--site", site.file, "history", "--verify", "--json")
    assert said.code == 8
    assert json.loads(said.out)["chain"]["whole"] is False
    plain = call("--site", site.file, "history", "--verify")
    plain.out = ""
    plain.is_clear(8, "event 3: was changed")


def test_texts_of_hosts_are_shown_and_not_interpreted(call: Call, site: Site) -> None:
    site.state_dir.mkdir()
    keep_seen(
        site,
        {
            "observed_at": "2026-11-22T14:00:00Z",
            "reading": {
                "kind": "mixed", "release": "", "how": EVIL, "evidence": [f"ctl1: {EVIL}"],
                "by_service": [[EVIL, "2024.1", [EVIL]], ["mariadb", "2024.2", ["ctl1"]]],
            },
        },
    )  # fmt: skip
    said = call("--site", site.file, "status")
    assert said.code == 0
    assert "[/bold][red]keystone\\x1b[31m" in said.out
    assert not {"\x1b", "\x07", "\u202e"} & set(said.out)
    document = json.loads(call("--site", site.file, "status", "--json").out)
    assert document["cloud"]["evidence"] == [f"ctl1: {EVIL}"]
