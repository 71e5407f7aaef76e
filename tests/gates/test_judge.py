"""What becomes of an action: nothing, a warning, a blocker, or a finding that says what nobody knows."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.gates.small import SOURCE, TARGET, effective, record, variable
from upgrader.gates import World, compile_condition, condition_faults, judge, judge_action, variables_needed
from upgrader.gates.__main__ import main
from upgrader.graph import ReleaseGraph
from upgrader.graph.load import data_folder, read_files
from upgrader.model import Code, Finding
from upgrader.record import SiteRecord

NEXT = "2025.2"
_FILES: dict[str, bytes] = {}


def action(name: str, applies_if: str, **fields: object) -> str:
    given = {"title": f"do {name}", "when": "before", "severity": "blocker", **fields}
    lines = [f"{field} = {_toml(value)}" for field, value in given.items() if not isinstance(value, Mapping)]
    tables = [
        f"[actions.{field}]\n" + "\n".join(f"{key} = {_toml(one)}" for key, one in value.items())
        for field, value in given.items()
        if isinstance(value, Mapping)
    ]
    head = f'[[actions]]\nid = "{name}"\napplies_if = {_toml(applies_if)}\nsource = ["a note"]\n'
    return head + "\n".join([*lines, *tables, ""])


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(list(value)) if isinstance(value, tuple) else f'"{value}"'


def graph_with(*own: str, common: str = "", later: str = "") -> ReleaseGraph:
    """The shipped graph with these actions on the first hop, on every hop, and on the hop after."""
    if not _FILES:
        _FILES.update(read_files(data_folder()))
    files = {name: raw for name, raw in _FILES.items() if not name.startswith("actions/")}
    files["actions/common.toml"] = (common or "actions = []").encode()
    for name in [name for name in _FILES if name.startswith("actions/20")]:
        source, target = name.removeprefix("actions/").removesuffix(".toml").split("-")
        text = "\n".join(own) if source == SOURCE else later if source == TARGET else ""
        files[name] = f'from = "{source}"\nto = "{target}"\n{text or "actions = []"}'.encode()
    return ReleaseGraph(files)


def found(graph: ReleaseGraph, of: SiteRecord, end: str = TARGET) -> tuple[Finding, ...]:
    return judge(graph, graph.path(SOURCE, end), of)


def one(text: str, of: SiteRecord | None = None, **fields: object) -> Finding | None:
    told = found(graph_with(action("act", text, **fields)), of or record())
    assert len(told) <= 1
    return told[0] if told else None


# ---------------------------------------------------------------- the verdict of one action


@pytest.mark.parametrize(
    ("severity", "when", "code"),
    [
        ("blocker", "before", Code.FAILURE),
        ("blocker", "during", Code.WARNING),
        ("blocker", "after", Code.WARNING),
        ("required", "before", Code.WARNING),
        ("required", "after", Code.WARNING),
        ("advised", "before", Code.WARNING),
    ],
)
@pytest.mark.parametrize("text", ["always", "answers.nobody"])
def test_severity_and_time_make_the_code_whether_sure_or_not(severity: str, when: str, code: Code, text: str) -> None:
    finding = one(text, severity=severity, when=when)
    assert finding is not None
    assert (finding.code, finding.severity, finding.when) == (code, severity, when)
    assert finding.unknown == (text != "always")


def test_everything_an_operator_needs() -> None:
    finding = one(
        "enable_zun", record(variable("enable_zun", True, place="globals.yml:12")), detail="Zun is gone.",
        commands=("kolla-ansible destroy --tags zun",), settings={"enable_zun": "remove"}, overridable=True,
    )  # fmt: skip
    assert finding == Finding(
        id="act", code=Code.FAILURE, message="do act", evidence="enable_zun = true (globals.yml:12)",
        next="enable_zun: remove", source="a note", severity="blocker", hop=f"{SOURCE}→{TARGET}", variable="enable_zun",
        why="Zun is gone.", fix=("enable_zun: remove", "kolla-ansible destroy --tags zun"), overridable=True,
    )  # fmt: skip


def test_what_does_not_apply_is_not_told() -> None:
    assert one("enable_zun", record(variable("enable_zun", False))) is None


def test_what_is_settled_is_not_told() -> None:
    site = record(variable("enable_zun", True), answers=(("moved", "true"),))
    assert one("enable_zun", site, satisfied_if="answers.moved", evidence="?") is None
    assert one("enable_zun", record(variable("enable_zun", True), answers=(("moved", "false"),)),
               satisfied_if="answers.moved", evidence="?") is not None  # fmt: skip


def test_whether_it_is_settled_is_unknown() -> None:
    finding = one(
        "enable_zun", record(variable("enable_zun", True)), satisfied_if="answers.moved", evidence="were they?"
    )
    assert finding is not None
    assert finding.unknown
    assert finding.code is Code.FAILURE
    assert finding.evidence == "answer moved in [answers] of upgrader.toml; were they?"


def test_an_open_question_of_something_that_does_not_apply_is_not_asked() -> None:
    assert one("enable_zun", record(variable("enable_zun", False)), satisfied_if="answers.moved", evidence="?") is None


def test_what_this_tool_does_itself_is_not_told() -> None:
    assert one("always", done_by="backup") is None


def test_settled_on_some_hosts() -> None:
    """What holds on one host settles nothing on another."""
    site = record(
        variable("old", hosts={"cmp1": True, "ctl1": True}), variable("new", hosts={"cmp1": True, "ctl1": False})
    )
    finding = one("old", site, satisfied_if="new")
    assert finding is not None
    assert finding.host == "ctl1"


def test_a_condition_that_is_none_is_unknown_and_blocks() -> None:
    finding = one("custom playbooks")
    assert finding is not None
    assert (finding.code, finding.unknown) == (Code.FAILURE, True)
    assert "cannot be read" in finding.evidence


def test_unknown_on_one_host_does_not_hide_the_other() -> None:
    finding = one("x", record(variable("x", hosts={"cmp1": "maybe", "ctl1": True})))
    assert finding is not None
    assert (finding.host, finding.unknown) == ("ctl1", False)
    assert "cmp1: x = maybe" in finding.evidence


# ---------------------------------------------------------------- several hops


def three(source: object, target: object, last: object) -> SiteRecord:
    values = ((SOURCE, source), (TARGET, target), (NEXT, last))
    return record(effective=tuple(effective(release, variable("x", value)) for release, value in values))


def test_a_common_action_is_told_once_on_the_first_hop_where_it_applies() -> None:
    graph = graph_with(common=action("act", "x"))
    told = found(graph, three(True, True, True), NEXT)
    assert [finding.hop for finding in told] == [f"{SOURCE}→{TARGET}"]
    assert f"{SOURCE} → {TARGET}, {TARGET} → {NEXT}" in told[0].evidence
    assert [finding.hop for finding in found(graph, three(False, True, True), NEXT)] == [f"{TARGET}→{NEXT}"]
    assert found(graph, three(False, False, True), NEXT) == ()


@pytest.mark.parametrize(
    "text", ["after.x", "release is version('2025.1', '>=')", "source_release != ''", "hop.passwords_added is defined"]
)
def test_a_common_action_that_depends_on_the_hop_is_told_for_every_hop(text: str) -> None:
    told = found(graph_with(common=action("act", text)), three(True, True, True), NEXT)
    assert [finding.hop for finding in told] == [f"{SOURCE}→{TARGET}", f"{TARGET}→{NEXT}"]


def test_a_common_action_that_is_sure_on_a_later_hop_is_sure() -> None:
    site = record(effective=(effective(TARGET, variable("x", True)), effective(NEXT, variable("x", True))))
    told = found(graph_with(common=action("act", "x")), site, NEXT)
    assert [(finding.hop, finding.unknown) for finding in told] == [(f"{SOURCE}→{TARGET}", False)]


def test_all_blockers_of_all_hops_in_one_run() -> None:
    graph = graph_with(action("first", "always"), action("second", "x"), later=action("third", "always"))
    told = found(graph, three(True, False, False), NEXT)
    assert [(finding.id, finding.hop) for finding in told] == [
        ("first", f"{SOURCE}→{TARGET}"), ("second", f"{SOURCE}→{TARGET}"), ("third", f"{TARGET}→{NEXT}"),
    ]  # fmt: skip


def test_judging_changes_nothing_and_says_the_same_twice() -> None:
    graph, site = graph_with(action("act", "x")), three(True, True, True)
    assert found(graph, site) == found(graph, site)


def test_one_action_alone() -> None:
    graph = graph_with(action("act", "x"))
    hop = graph.hop(SOURCE, TARGET)
    said = judge_action(World(three(True, True, True), graph, hop), graph.actions(hop)[0])
    assert (said.answer, said.evidence) == ("yes", ("x = true",))


# ---------------------------------------------------------------- what the data have to keep


def test_faults_name_file_action_field_and_place() -> None:
    graph = graph_with(
        action("prose", "custom playbooks"), action("asks", "answers.x"), action("late", "always", satisfied_if="a b"),
        action("typo", "enable_zum and after.enable_nova"),
        action("light", "always", severity="advised", overridable=True), action("who", "always", done_by="nobody"),
        common=action("shared", "enable_zun == 'yes'"),
    )  # fmt: skip
    own = f"actions/{SOURCE}-{TARGET}.toml"
    faults = condition_faults(graph)
    assert faults[0] == (
        "actions/common.toml: shared: applies_if: character 12: yes and true differ for ==; "
        "write the name alone, or not and the name"
    )
    assert faults[1:4] == (
        f"{own}: prose: applies_if: character 8: unexpected 'playbooks'",
        f"{own}: asks: evidence: required, applies_if asks for answers.x",
        f"{own}: late: satisfied_if: character 3: unexpected 'b'",
    )
    assert faults[4] == f"{own}: typo: applies_if: no release has a variable enable_zum; nearest: enable_zun"
    assert faults[5].startswith(f"{own}: light: overridable: says true, severity says advised")
    assert faults[6].startswith(f"{own}: who: done_by: nobody is not one of toolchain, ")
    assert len(faults) == 7


def test_the_shipped_conditions_are_sound(graph: ReleaseGraph) -> None:
    assert condition_faults(graph) == ()


def test_the_conditions_that_the_readme_shows_are_conditions() -> None:
    section = (data_folder() / "README.md").read_text().partition("## Conditions")[2]
    rows = [line.replace("\\|", "¦").split("|") for line in section.splitlines() if line.startswith("| `")]
    shown = [code.replace("¦", "|") for row in rows for code in row[3].split("`")[1::2]]
    assert len(shown) > 10
    for text in shown:
        compile_condition(text)


def test_variables_a_site_has_to_know() -> None:
    graph = graph_with(action("act", "x and after.y or 'z' is configured"))
    names = variables_needed(graph)
    assert {"x", "y", "z", "enable_nova", "enable_rabbitmq", "openstack_release"} <= names
    assert "enable_swift_recon" not in names
    graph = graph_with(action("act", "hop.removed_variables | select('configured') | list | length > 0"))
    assert "enable_swift_recon" in variables_needed(graph), (
        "removed variables are asked for where a condition looks at them"
    )


def test_jinja_is_loaded_for_expressions_only() -> None:
    import subprocess
    import sys

    ask = "print('jinja2' in sys.modules)"
    code = f"import sys, upgrader.gates as gates; {ask}; gates.compile_condition('x'); {ask}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_the_check_of_the_data_says_every_fault(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil
    from pathlib import Path

    folder = Path(str(tmp_path)) / "data"
    shutil.copytree(data_folder(), folder)
    file = folder / f"actions/{SOURCE}-{TARGET}.toml"
    text = file.read_text()
    file.write_text(text.replace('applies_if = "enable_prometheus | bool"', 'applies_if = "prometheus there"', 1))
    assert text != file.read_text()
    assert main([str(folder)]) == 3
    assert "applies_if: character 12: unexpected 'there'" in capsys.readouterr().out
    assert main(["a", "b"]) == 2
