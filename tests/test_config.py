"""upgrader.toml: every fault named with section and key, all at once; nothing guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from upgrader.config import find_site, load_site
from upgrader.errors import ConfigError

GOOD = """
[site]
name = "prod-fra"
[kolla]
config_dir = "/etc/kolla"
inventory = "inventory"
"""
OFFBOX = '[backup.offbox]\nrepository = "r"\npassword_file = "p"\n'


def write(folder: Path, text: str) -> Path:
    file = folder / "upgrader.toml"
    file.write_text(text)
    return file


def test_defaults_and_relative_paths(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, GOOD + '[staging]\nsite = "../staging/upgrader.toml"\n'))
    assert site.name == "prod-fra"
    assert site.inventory == tmp_path / "inventory"
    assert site.passwords == Path("/etc/kolla/passwords.yml")
    assert site.staging == tmp_path.parent / "staging" / "upgrader.toml"
    assert site.engine == site.engine_command == "docker"
    assert site.sandbox is None
    assert site.backup_database == "logical"


def test_answers_keep_their_types(tmp_path: Path) -> None:
    text = GOOD + '[answers]\nmirrored = true\nclients = "none"\nnodes = 3\n'
    assert load_site(write(tmp_path, text)).answers == (("clients", '"none"'), ("mirrored", "true"), ("nodes", "3"))
    assert load_site(write(tmp_path, GOOD)).answers == ()


def test_what_makes_a_staging_cloud(tmp_path: Path) -> None:
    text = '[staging]\nsite = "s.toml"\nmax_age = "2d"\ndatabase = "own"\ninventory = "hosts"\n'
    text += '[staging.overrides]\nkolla_internal_vip_address = "10.9.0.250"\nkeepalived_virtual_router_id = 52\n'
    rules = load_site(write(tmp_path, GOOD + text)).staging_rules
    assert (rules.max_age_seconds, rules.database, rules.inventory) == (2 * 86400, "own", tmp_path / "hosts")
    assert dict(rules.overrides) == {
        "kolla_internal_vip_address": '"10.9.0.250"',
        "keepalived_virtual_router_id": "52",
    }
    assert load_site(write(tmp_path, GOOD)).staging_rules.max_age_seconds == 7 * 86400


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[kolla]\nconfig_dir="/k"\ninventory="i"\n', "[site] name: missing"),
        ('[site]\nname="a"\n[kolla]\nconfig_dir="/k"\n', "[kolla] inventory: missing"),
        (GOOD + '[backup]\ndatabase="magic"\n', "[backup] database: 'magic' is none of logical, "),
        (GOOD + "[run]\nforks=-1\n", "[run] forks: -1 is not a whole number"),
        (GOOD + '[run]\nsoak="soon"\n', "[run] soak: 'soon' is not a duration"),
        (GOOD + "[run]\nmin_free=1.5\n", "[run] min_free: 1.5 is not a size"),
        (GOOD + '[run]\ncolour="red"\n', "[run] colour: no such key"),
        (GOOD + "[extra]\nx=1\n", "[extra]: no such section"),
        (GOOD.replace('"prod-fra"', '"a b"'), "[site] name: 'a b' has characters"),
        (GOOD.replace('"prod-fra"', "5"), "[site] name: wants text, has 5"),
        (GOOD.replace('"inventory"', "true"), "[kolla] inventory"),
        (GOOD + '[answers]\n"a b" = true\n', "[answers] a b: 'a b' has characters"),
        (GOOD + "[staging]\nmax_age='soon'\n", "[staging] max_age: 'soon' is not a duration"),
        (GOOD + "[staging.overrides]\nx = [1]\n", "[staging.overrides] x: wants true, false, text or a number"),
        (GOOD + "[answers]\nx = [1]\n", "[answers] x: wants true, false, text or a number, has [1]"),
        (GOOD + "[answers]\nx = nan\n", "[answers] x: wants true"),
        (GOOD + "[backup]\noffbox = 5\n", "backup.offbox: wants a section"),
        (GOOD + OFFBOX + 'password = "x"\n', "[backup.offbox] password: no such key"),
        (GOOD + OFFBOX + 'required = "yes"\n', "[backup.offbox] required: wants true or false"),
        (GOOD + OFFBOX + 'options = "a=b"\n', "[backup.offbox] options: wants a list of texts"),
        (GOOD + OFFBOX + 'keep_within = "soon"\n', "[backup.offbox] keep_within: 'soon' is not a duration"),
        (GOOD + '[backup.offbox]\nrepository = "r"\n', "[backup.offbox] password_file: missing"),
        (GOOD + '[backup.offbox]\npassword_file = "p"\n', "[backup.offbox] repository: missing"),
        ("answers = 5\n" + GOOD, "answers: wants a section"),
        ("site = 5\n" + GOOD.replace("[site]", "[sight]"), "site: wants a section"),
    ],
)
def test_each_fault_names_section_and_key(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_site(write(tmp_path, text))
    assert any(line.startswith(fault) for line in caught.value.details), caught.value.details


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_site(write(tmp_path, '[site]\nengine="lxc"\n[run]\nforks="many"\n'))
    assert len(caught.value.details) == 5
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", [b"[site\n", b"\xff\xfe", b"[site]\nname='a'\nname='b'\n"])
def test_broken_files_are_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "upgrader.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=str(file)):
        load_site(file)


def test_a_missing_file_points_to_init(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_site(tmp_path / "upgrader.toml")
    assert caught.value.next_command == "upgrader init"


def test_units(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, GOOD + '[run]\nsoak="2h"\nmin_free="20G"\n'))
    assert site.soak_seconds == 7200
    assert site.min_free_bytes == 20 * 1024**3


def test_site_is_found_upwards_by_option_and_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPGRADER_SITE", raising=False)
    file = write(tmp_path, GOOD)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_site(None, deep) == file
    assert find_site(str(tmp_path)) == file
    monkeypatch.setenv("UPGRADER_SANDBOX", str(tmp_path / "sb"))
    assert find_site("sandbox") == tmp_path / "sb" / "site" / "upgrader.toml"
    monkeypatch.setenv("UPGRADER_SITE", str(file))
    assert find_site(None, Path("/")) == file


def test_where_copies_off_this_machine_go(tmp_path: Path) -> None:
    assert load_site(write(tmp_path, GOOD)).offbox is None
    text = GOOD + "[backup]\nkeep = 3\n" + OFFBOX + 'keep_last = 5\nkeep_within = "30d"\nverify = "none"\n'
    site = load_site(write(tmp_path, text))
    assert site.backup_keep == 3
    assert site.offbox is not None
    assert site.offbox.repository == str(tmp_path / "r")
    assert site.offbox.password_file == tmp_path / "p"
    assert (site.offbox.keep_last, site.offbox.keep_within_seconds) == (5, 30 * 86400)
    assert not site.offbox.reread and not site.offbox.required


@pytest.mark.parametrize("repository", ["sftp:back@host:/srv/restic", "s3:https://s3.example.org/bucket", "swift:c:/"])
def test_a_repository_elsewhere_is_left_as_restic_writes_it(tmp_path: Path, repository: str) -> None:
    site = load_site(write(tmp_path, GOOD + OFFBOX.replace('"r"', f'"{repository}"')))
    assert site.offbox is not None and site.offbox.repository == repository
