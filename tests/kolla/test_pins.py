from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from upgrader.errors import EnvironmentMissingError, RefusedError
from upgrader.graph import load_graph
from upgrader.kolla.pins import (
    CONTROLLER_PYTHON,
    Interpreter,
    choose,
    core_requirement,
    find_interpreters,
    pins_of,
    suitable_versions,
)


def interpreters(*versions: str) -> list[Interpreter]:
    return [Interpreter(Path(f"/usr/bin/python{version}"), version) for version in versions]


@pytest.mark.parametrize(
    ("release", "have", "python", "series", "tested"),
    [
        ("2024.1", ["3.11"], "3.11", "2.16", True),
        ("2024.2", ["3.11"], "3.11", "2.17", True),
        ("2025.1", ["3.11"], "3.11", "2.18", True),
        ("2025.1", ["3.10"], "3.10", "2.17", True),
        ("2025.1", ["3.13", "3.10"], "3.10", "2.17", True),
        ("2025.1", ["3.13"], "3.13", "2.18", False),
        ("2025.2", ["3.13", "3.12", "3.11"], "3.12", "2.19", True),
        ("2026.1", ["3.11"], "3.11", "2.19", True),
        ("2026.1", ["3.12", "3.11"], "3.12", "2.20", True),
        ("2026.1", ["3.14"], "3.14", "2.20", False),
        ("2024.1", ["3.12"], "3.12", "2.16", False),
    ],
)
def test_the_best_pair_is_chosen(release: str, have: list[str], python: str, series: str, tested: bool) -> None:
    choice = choose(pins_of(release), interpreters(*have))
    assert (choice.interpreter.version, choice.core_series, choice.tested) == (python, series, tested)


def test_a_missing_python_is_named_with_what_was_found() -> None:
    have = [*interpreters("3.13", "3.9"), Interpreter(Path("/usr/bin/python3.11"), "3.11", "it has no venv module")]
    with pytest.raises(EnvironmentMissingError) as caught:
        choose(pins_of("2024.2"), have)
    assert "3.10, 3.11, 3.12" in caught.value.message
    assert "kolla-ansible 19.8.0 of 2024.2" in caught.value.message
    assert "Python 3.11 (/usr/bin/python3.11): it has no venv module" in caught.value.details
    assert caught.value.next_command == "upgrader toolchain build 2024.2"


def test_every_published_release_can_be_run_by_some_python() -> None:
    graph = load_graph()
    for identity in graph.ids:
        if not graph.release(identity).kolla_ansible.newest:
            continue
        pins = pins_of(identity)
        assert all(series in CONTROLLER_PYTHON for series in pins.core_series)
        assert suitable_versions(pins)


def test_a_release_that_is_not_published_has_no_pins() -> None:
    with pytest.raises(RefusedError, match="not published"):
        pins_of("2026.2")


def test_the_requirement_keeps_what_the_release_excludes() -> None:
    wanted = core_requirement(pins_of("2025.2"), "2.19")
    assert wanted == "ansible-core==2.19.*,!=2.19.0"
    spec = SpecifierSet(wanted.removeprefix("ansible-core"))
    assert spec.contains("2.19.4")
    assert not spec.contains("2.19.0")
    assert core_requirement(replace(pins_of("2024.1"), ansible_core=">=2.15,<=2.16"), "2.16") == "ansible-core==2.16.*"


def test_interpreters_are_started_to_be_believed(tmp_path: Path) -> None:
    def program(name: str, body: str) -> None:
        (tmp_path / name).write_text(body)
        (tmp_path / name).chmod(0o755)

    program("python3.9", "#!/bin/sh\necho 'not found' >&2; exit 127\n")
    program("python3.10", '#!/bin/sh\necho \'["/opt/py/bin/python3.10", "3.10", true, false]\'\n')
    program("python3.12", "#!/bin/sh\necho hello\n")
    program("python3.13", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    found = {item.version: item for item in find_interpreters(str(tmp_path))}
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert set(found) == {"3.10", running}, "by what they say when started, not by their file names"
    assert "python3.10-venv" in found["3.10"].trouble
    assert found[running].trouble == ""
