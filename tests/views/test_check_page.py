"""The page of a check and the pages that explain, as people see them: 80 columns, pipe, terminal."""

from __future__ import annotations

import json

from tests.gates import golden
from tests.gates.small import graph
from tests.golden.compare import check
from upgrader.effective import Explained, Explanation
from upgrader.findings import Checked, Path, in_order, judge_checklist, judge_hops
from upgrader.model import Code, Finding
from upgrader.record import Definition
from upgrader.views.check import check_page
from upgrader.views.explain import finding_page, variable_page
from upgrader.views.page import plain_text
from upgrader.views.terminal import coloured

CASE = {
    "from": "2024.1",
    "to": "2025.2",
    "without_groups": ["nova-metadata"],
    "settings": {"enable_cinder": "yes", "enable_cinder_backend_nfs": "yes", "enable_proxysql": "no"},
    "groups": {"cinder-volume": ["sto1", "sto2"], "cinder-backup": ["sto1", "sto2"]},
    "hosts": {"sto2": {"kind": "storage"}},
    "answers": {"own_scripts": "?", "neutron_many_tags": "?"},
}
ACCEPTED = "2025.1-neutron-removed"
CLOUD = (
    Finding(id="disk-full", code=Code.FAILURE, message="cmp1: /var/lib/docker has 2.0 GiB free, 10.0 GiB are wanted",
            host="cmp1", next="make room, or lower [run] min_free in upgrader.toml"),
    *(Finding(id="container-unhealthy", code=Code.WARNING, message=f"ctl{n}: heat_api is unhealthy", host=f"ctl{n}")
      for n in range(1, 6)),
    Finding(id="galera", code=Code.SUCCESS, message="3 of 3 database servers are Synced (10.11)"),
)  # fmt: skip


def checked(*, checklist: bool = False, **changes: object) -> Checked:
    record = golden.record(CASE)
    path = Path("2024.1", "2025.2", graph().path("2024.1", "2025.2"))
    found = [*CLOUD, *judge_hops(graph(), path, record), *(judge_checklist(record, "2024.1") if checklist else ())]
    alive = [
        finding.model_copy(update={"accepted": ("anna", "nobody uses\x1b[2J tags")}) if finding.id == ACCEPTED
        else finding.model_copy(update={"regressed": True}) if finding.id == "2025.1-nova-metadata"
        else finding
        for finding in found
    ]  # fmt: skip
    return Checked(
        site="prod-fra",
        path=path,
        findings=in_order(alive, path),
        observed_at="2026-11-22T14:03:00Z",
        known_by="container images",
        hosts=record.hosts,
        graph_version="1.0.0",
        **changes,  # type: ignore[arg-type]
    )


NEXT = ["upgrader check --explain 2024.2-cinder-cluster"]


def test_the_page() -> None:
    page = check_page(checked(settled=("2024.2-proxysql",)), next_commands=NEXT)
    check("check/site.txt", plain_text(page))
    check("check/site.80.txt", plain_text(page, width=80))
    check("check/site.tty", coloured(page, 80))
    assert [line for line in plain_text(page, width=80).splitlines() if len(line) > 80] == []


def test_with_details_and_the_checklist() -> None:
    page = check_page(
        checked(checklist=True, unrecorded="another upgrader is at work."), next_commands=NEXT, details=True
    )
    check("check/details.80.txt", plain_text(page, width=80))


def test_blockers_first_and_the_command_last() -> None:
    text = plain_text(check_page(checked(), next_commands=NEXT))
    lines = text.splitlines()
    assert lines[3].startswith("BLOCKED  2 findings must be resolved before the first hop, 2 before a later one")
    assert lines[-1] == f"Next:  {NEXT[0]}"
    assert "… and 2 more of container-unhealthy" in text
    assert "\x1b" not in text
    assert "galera" not in text, "what is good needs no line"


def test_nothing_to_do() -> None:
    path = Path("2026.1", "2026.1", ())
    quiet = Checked("prod", path, CLOUD[-1:], "2026-11-22T14:03:00Z", "containers", (), "1.0.0")
    text = plain_text(check_page(quiet, next_commands=["upgrader status"]))
    assert "Nothing found is wrong with the cloud." in text
    assert "0 blockers" in text


def test_json_says_what_the_page_says() -> None:
    found = checked(settled=("x",))
    document = json.loads(json.dumps(found.document("upgrader plan")))
    assert document["kind"] == "check"
    assert document["blocked"] is True
    assert document["counts"]["blockers"] == len(found.blockers) == 4
    assert document["counts"]["accepted"] == document["counts"]["regressed"] == 1
    assert [row["name"] for row in document["questions"]] == ["own_scripts"], "what was accepted is not asked for"
    assert document["settled"] == ["x"]
    assert document["recorded"] is True
    assert {row["id"] for row in document["findings"] if row["blocks"]} == {finding.id for finding in found.blockers}
    assert document["next"] == "upgrader plan"


def test_explained() -> None:
    found = [finding for finding in checked().findings if finding.id in ("2025.2-proxysql-mandatory", ACCEPTED)]
    check("check/explain-finding.80.txt", plain_text(finding_page(found, ["upgrader check"]), width=80))


def test_a_variable_explained() -> None:
    definitions = (
        Definition(place="group_vars/all.yml:200 of kolla-ansible 19.8.0", kind="release default", text='"yes"'),
        Definition(place="inventory group control", kind="inventory", text="no", hosts=("ctl1", "ctl2")),
        Definition(place="globals.yml:12", kind="globals", text="{{ something\n  long }}"),
    )
    releases = (
        Explained(release="2024.1", by="shipped defaults", defined=False, error="toolchain of 2024.1 is not built"),
        Explained(release="2024.2", by="toolchain", defined=True, value="true", type="truth value", configured=True,
                  definitions=definitions),
        Explained(release="2025.1", by="toolchain", defined=True, type="text", definitions=definitions[:2],
                  per_host=(('"ovn"', ("ctl1", "ctl2")), ('"openvswitch"', ("cmp1",)))),
        Explained(release="2025.2", by="toolchain", defined=True, value="true", type="password", secret=True),
        Explained(release="2026.1", by="toolchain", defined=False),
    )  # fmt: skip
    page = variable_page(Explanation(name="neutron_plugin_agent", releases=releases), ["upgrader check"], ["2025.1-x"])
    check("check/explain-variable.80.txt", plain_text(page, width=80))
