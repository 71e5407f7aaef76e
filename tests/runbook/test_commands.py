"""Every command that a document quotes exists, with its options, in the release it is for."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import release_graph
from tests.runbook.made import SAMPLES, Sample, a_site, forward_only, graph, kind_of, paper, site_plan, two_hops
from tests.runbook.typed_lines import blocks, parse_upgrader, spans
from upgrader.errors import UsageError
from upgrader.kolla.commands import FIRST_PYTHON_CLI
from upgrader.rolling.waves import CLOSING_TAGS
from upgrader.runbook.commands import Typist

DATA = Path(release_graph.__file__).parent
WITH_VALUE = {"-i", "--configdir", "-e", "--vault-password-file", "--tags", "--limit", "--passwords"}
PLAIN = {"--yes-i-really-really-mean-it"}
ENTER = re.compile(r"^\. '?(?:\S*/)?(20\d\d\.[12])/bin/activate'?$")
ENGINE = {"exec", "logs", "ps", "cp", "image", "system", "inspect"}
OTHERS = {
    ".",
    "cp",
    "chmod",
    "df",
    "du",
    "ip",
    "zstd",
    "gunzip",
    "mariabackup",
    "systemctl",
    "openstack",
    "kolla-genpwd",
}
OTHERS |= {"kolla-mergepwd"}


@cache
def known() -> dict[str, dict[str, object]]:
    """Name as it is typed → the command's row, both spellings."""
    rows = tomllib.loads((DATA / "cli.toml").read_text())["commands"]
    found = {}
    for row in rows:
        for name in {row["id"], row.get("bash_name", row["id"]).split()[0], row.get("cliff_name", row["id"])}:
            found[name] = row
    return found


@cache
def tags(release: str) -> frozenset[str]:
    rows = tomllib.loads((DATA / "service_order" / f"{release}.toml").read_text())["roles"]
    # parts of Nova's own playbook have tags of their own (openstack/kolla-ansible: ansible/nova.yml)
    return frozenset({*(tag for row in rows for tag in row["tags"]), *CLOSING_TAGS})


def check_kolla(line: str, release: str) -> str:
    """The action of a kolla-ansible command, after every word of it was looked at."""
    words = shlex.split(line)[1:]
    actions, at = [], 0
    while at < len(words):
        if words[at] in WITH_VALUE:
            assert at + 1 < len(words), f"{line}: {words[at]} without a value"
            if words[at] == "--tags" and release and words[at + 1] != "SERVICES":
                assert set(words[at + 1].split(",")) <= tags(release), f"{line}: tags that {release} lacks"
            at += 2
            continue
        if words[at] not in PLAIN:
            actions.append((at, words[at]))
        at += 1
    place, action = actions[0]
    assert action in known(), f"{line}: no such action"
    row = known()[action]
    own = {str(option).split()[0] for option in row.get("options", ())}
    actions = [found for found in actions if found[1] not in own]
    takes = 1 + ("<" in str(row.get("bash_name", "")))
    assert len(actions) in (1, takes), f"{line}: which action? {actions}"
    releases = row.get("releases")
    if release:
        python = release >= FIRST_PYTHON_CLI
        assert not releases or release in releases, f"{line}: {release} has no {action}"
        assert action == str(row.get("cliff_name" if python else "bash_name", row["id"])).split()[0], line
        assert place == (0 if python else len(words) - 1), f"{line}: options are on the wrong side for {release}"
    mandatory = [option for option in row.get("options", ()) if "(mandatory)" in option]
    for option in mandatory:
        assert option.split()[0] in words, f"{line}: lacks {option}"
    return action


def check_line(line: str, release: str) -> str:
    program = shlex.split(line.partition("|")[0])[0]
    if program == "upgrader":
        parse_upgrader(line)
    elif program == "kolla-ansible":
        check_kolla(line, release)
    elif program in ("docker", "podman"):
        assert shlex.split(line)[1] in ENGINE, line
    else:
        assert program in OTHERS, f"{line}: a program nobody foresaw"
    return program


def lines_of(text: str) -> Iterator[tuple[str, str]]:
    """(line, release whose environment is entered above it in the block; empty: none is)."""
    for block in blocks(text):
        release = ""
        for line in block:
            entered = ENTER.match(line)
            release = entered[1] if entered else release
            yield line, release


DOCUMENTS: dict[str, Callable[[], Sample]] = {
    "paper of every hop": lambda: Sample(paper("2023.1", "2026.1")),
    "forward only": forward_only,
    "site": two_hops,
    "physical backups": lambda: replace(two_hops(), site=replace(a_site(), backup_database="mariabackup")),
    "podman": lambda: replace(two_hops(), site=replace(a_site(), engine="podman")),
    "paths with blanks": lambda: replace(
        two_hops(), site=replace(a_site(), inventory=Path("/etc/my kolla/it's $(here)"))
    ),
}


@cache
def rendered(which: str) -> str:
    return DOCUMENTS[which]().render("md")


FAST = ("forward only", "site")


@pytest.mark.parametrize(
    "which", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in DOCUMENTS]
)
def test_every_command_of_a_document_exists(which: str) -> None:
    text = rendered(which)
    programs = [check_line(line, release) for line, release in lines_of(text)]
    assert programs.count("upgrader") > 30
    assert programs.count("kolla-ansible") > 15
    for span in spans(text):
        if span.startswith("upgrader ") and "FILE" not in span:
            parse_upgrader(span)
        if span.startswith("kolla-ansible ") and "<" not in span:
            check_kolla(span.partition("  (")[0], "")


def test_a_command_that_does_not_exist_would_be_found() -> None:
    with pytest.raises(AssertionError):
        check_kolla("kolla-ansible rollback -i INVENTORY", "2025.1")
    with pytest.raises(AssertionError):
        check_kolla("kolla-ansible check -i INVENTORY", "2024.2")
    with pytest.raises(AssertionError):
        check_kolla("kolla-ansible -i INVENTORY upgrade", "2025.1")
    with pytest.raises(AssertionError):
        check_kolla("kolla-ansible mariadb-backup -i INVENTORY", "2024.1")
    with pytest.raises(AssertionError):
        check_kolla("kolla-ansible upgrade -i INVENTORY --tags nova-computer", "2025.1")
    with pytest.raises(Exception, match="No such option"):
        parse_upgrader("upgrader status --everything")
    with pytest.raises(Exception, match="No such command"):
        parse_upgrader("upgrader undo")


def test_commands_of_a_site_hold_its_paths() -> None:
    text = rendered("site")
    upgrades = [
        line for line, _ in lines_of(text) if line.startswith("kolla-ansible upgrade") and "STAGING" not in line
    ]
    assert upgrades
    for line in upgrades:
        assert "-i /etc/kolla/multinode --configdir /etc/kolla --vault-password-file '/root/vault password'" in line
    assert "INVENTORY " not in text.replace("STAGING_INVENTORY", "")
    tools = [line for line, _ in lines_of(text) if line.startswith("upgrader ")]
    assert all(line.startswith("upgrader --site /srv/upgrader/upgrader.toml ") for line in tools)


def test_every_stage_and_every_way_back_has_commands() -> None:
    for sample in (two_hops(), Sample(paper("2023.1", "2026.1"))):
        for hop in sample.document.hops:
            for stage in hop.stages:
                assert stage.tool.lines, stage.name
                assert stage.check.lines, stage.name
                assert stage.back_tool.lines, stage.name
                by_hand = stage.hand.lines or stage.name in ("verify", "soak", "finalize")
                assert by_hand, f"{hop.name} {stage.name}"
                if stage.way in ("redeploy", "restore"):
                    assert any(" deploy" in line for line in stage.back_hand.lines), f"{hop.name} {stage.name}"


def test_the_typist_knows_no_other_command() -> None:
    with pytest.raises(UsageError, match="rollback"):
        Typist().kolla("rollback", "2025.1")


def test_a_command_of_the_plan_is_typed_again_with_everything() -> None:
    typist = Typist(a_site())
    again = typist.again("kolla-ansible stop -i INVENTORY --tags nova,neutron --yes-i-really-really-mean-it", "2025.1")
    assert again == (
        "kolla-ansible stop -i /etc/kolla/multinode --configdir /etc/kolla "
        "--vault-password-file '/root/vault password' --tags nova,neutron --yes-i-really-really-mean-it"
    )
    assert typist.again("do something else", "2025.1") == "do something else"


def test_the_graph_of_the_samples_is_the_shipped_one() -> None:
    assert graph().ids[0] == "2023.1"
    assert {kind_of(name) for name in SAMPLES} == {"md", "html"}
    assert site_plan("2024.1", "2024.2").site == "prod-fra"
