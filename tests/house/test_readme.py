"""The README says all that there is, and nothing that there is not: verbs, options, exit codes, the law's diagram."""

from __future__ import annotations

import re

import pytest

from tests.house.tree import REPO, modules
from upgrader import errors
from upgrader.cli.main import UpgraderGroup
from upgrader.machine import diagram

README = (REPO / "README.md").read_text()
COMMANDS = README.partition("\n## Commands\n")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| `upgrader ([\w-]+)[^|]*\|[^|]*\|$", COMMANDS, re.MULTILINE)
CODES = {int(code) for code in re.findall(r"^\| (\d+) \| \S", COMMANDS, re.MULTILINE)}
_NO_VERB = {"--help", "--site", "--install-completion", "--version"}


def test_every_verb_is_documented_and_no_other():
    assert set(ROWS) == set(UpgraderGroup.verbs)


def test_every_exit_code_is_documented_and_no_other():
    classes = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert {0, *(item.exit_code for item in classes)} == CODES


def test_no_command_is_invented():
    """Wherever a command line stands, its verb exists."""
    quoted = re.findall(r"`(?:[A-Z_]+=\S+ )?upgrader ([^`\n]+)`", README)
    typed = re.findall(r"^\s*(?:\$ )?upgrader ([^\n#]+)", README, re.MULTILINE)
    words = [re.sub(r"^--site \S+ ", "", line).split()[0] for line in [*quoted, *typed] if line.strip()]
    assert words
    assert {word.strip("`,.") for word in words} - set(UpgraderGroup.verbs) - _NO_VERB == set()


@pytest.mark.parametrize("verb", sorted(UpgraderGroup.verbs))
def test_options_exist(verb: str):
    """An option that the table names for a verb is one of that verb's."""
    row = next(line for line in COMMANDS.splitlines() if re.match(rf"\| `upgrader {verb}\b", line))
    source = modules()[UpgraderGroup.verbs[verb][0]].read_text()
    for option in set(re.findall(r"--[a-z][a-z-]+", row)):
        parameter = option[2:].replace("-", "_")
        assert f'"{option}"' in source or re.search(rf"\b{parameter}: Annotated", source), f"{verb} has no {option}"


def test_the_diagram_is_the_law():
    drawn = re.findall(r"```mermaid\n(stateDiagram-v2\n.*?)```", README, re.DOTALL)
    assert drawn == [diagram()], "print it anew: python -m upgrader.machine"


def test_make_targets_exist():
    targets = set(re.findall(r"^([\w-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][\w-]+)[`\s#]", README)) <= targets
