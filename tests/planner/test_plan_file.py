"""A plan on disk: what was made is what is run, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.planner.plans import a_plan
from upgrader.errors import RefusedError, StaleError, UpgraderError, UsageError
from upgrader.model import Plan, digest
from upgrader.plan_file import check_belongs, parse_plan, read_plan, render_plan, write_plan


def shuffled(value: Any, order: st.DataObject) -> Any:
    """The same document with the keys of every object in another order."""
    if isinstance(value, dict):
        keys = order.draw(st.permutations(list(value)))
        return {key: shuffled(value[key], order) for key in keys}
    if isinstance(value, list):
        return [shuffled(item, order) for item in value]
    return value


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    plan = a_plan()
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert read_plan(tmp_path / "plan.json").sha256 == plan.sha256


@settings(max_examples=30)
@given(st.data())
def test_the_digest_does_not_depend_on_the_order_of_fields(order: st.DataObject) -> None:
    plan = a_plan()
    document = shuffled(plan.document(), order)
    assert digest(document) == plan.sha256
    assert Plan.model_validate_json(json.dumps(document)).sha256 == plan.sha256


@settings(max_examples=300)
@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    content = bytearray(render_plan(a_plan()))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UpgraderError):
        parse_plan(bytes(content))


@given(st.data())
def test_any_byte_put_in_or_taken_out_is_refused(data: st.DataObject) -> None:
    content = render_plan(a_plan())
    at = data.draw(st.integers(0, len(content) - 1))
    added = content[:at] + bytes([data.draw(st.integers(0, 255))]) + content[at:]
    for changed in (added, content[:at] + content[at + 1 :], content[:at]):
        if changed != content:
            with pytest.raises(UpgraderError):
                parse_plan(changed)


def test_an_edit_by_hand_is_named_even_when_it_is_still_json() -> None:
    document = json.loads(render_plan(a_plan()))
    document["plan"]["hops"][0]["summary"] = "harmless"
    with pytest.raises(StaleError) as caught:
        parse_plan(json.dumps(document).encode())
    assert caught.value.reason == "plan-edited"
    assert caught.value.exit_code == 4


def test_an_edit_with_a_new_digest_in_another_layout_is_still_refused() -> None:
    document = json.loads(render_plan(a_plan()))
    with pytest.raises(StaleError):
        parse_plan(json.dumps(document).encode())


def test_a_plan_of_a_newer_version_is_refused_as_such() -> None:
    document = json.loads(render_plan(a_plan()))
    document["plan"] |= {"schema_version": 99, "tool_version": "9.0"}
    with pytest.raises(RefusedError) as caught:
        parse_plan(json.dumps(document).encode())
    assert caught.value.reason == "plan-from-newer-version"
    assert "9.0" in caught.value.message


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"plan": 1, "sha256": ""}', b"null", b'"x"'])
def test_other_json_is_not_a_plan(content: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        parse_plan(content)
    assert caught.value.reason == "not-a-plan"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'"\\ud800"', b"NaN"])
def test_what_is_no_json_is_refused_without_a_traceback(content: bytes) -> None:
    with pytest.raises(UpgraderError):
        parse_plan(content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_plan(tmp_path / "plan.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(tmp_path)


def test_a_plan_belongs_to_one_site_one_journal_and_one_moment() -> None:
    plan = a_plan()
    check_belongs(plan, site="prod", lineage="line-1", serial=7)
    with pytest.raises(StaleError) as foreign:
        check_belongs(plan, site="other", lineage="line-2", serial=7)
    assert foreign.value.reason == "plan-foreign"
    assert len(foreign.value.details) == 2
    with pytest.raises(StaleError) as stale:
        check_belongs(plan, site="prod", lineage="line-1", serial=8)
    assert stale.value.reason == "plan-stale"
    assert "7" in stale.value.details[0]
    assert "8" in stale.value.details[0]
