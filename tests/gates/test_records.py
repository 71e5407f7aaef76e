"""What was recorded of a real cloud of three controllers, judged again: without the cloud, to the same findings."""

from __future__ import annotations

from pathlib import Path

from upgrader.gates import judge
from upgrader.graph import ReleaseGraph
from upgrader.graph.broker import judge_broker, plans_of
from upgrader.probes.services import judge_services
from upgrader.record import SiteRecord
from upgrader.record_file import read_record

RECORD = Path(__file__).with_name("records") / "lab-2025.1.json"
"""`upgrader check --record` of the lab with three controllers at 2025.1, its folder written as /srv/lab."""


def test_a_recorded_cloud_gets_the_findings_it_got_when_it_was_seen(graph: ReleaseGraph) -> None:
    record = read_record(RECORD)
    hop = graph.hop("2025.1", "2025.2")
    found = {(finding.id, finding.code.value) for finding in judge(graph, [hop], record)}
    assert found == {
        (name, "warning")
        for name in (
            "2025.2-keystone-uwsgi", "common-check", "common-post-deploy", "common-prune",
            "common-removed-variables", "common-validate-config",
        )
    }, found  # fmt: skip
    bad = [finding.id for finding in judge_services(record.facts) if finding.code.value == "failure"]
    assert bad == []
    assert judge_broker(graph, [hop], plans_of(graph, [hop], record)) == ()


def test_what_the_record_shows_of_the_broker_decides_the_version_gate(graph: ReleaseGraph) -> None:
    """Its operator says that the images hold RabbitMQ 3.10; without that word Kolla's own 4.1 may not follow."""
    record = read_record(RECORD)
    hop = graph.hop("2025.1", "2025.2")
    document = record.document()
    document["answers"] = [pair for pair in document["answers"] if not pair[0].startswith("rabbitmq_version")]
    silent = SiteRecord.model_validate(document, strict=False)
    found = judge_broker(graph, [hop], plans_of(graph, [hop], silent))
    assert [(finding.id, finding.blocks) for finding in found] == [("rabbitmq-version", True)]
    assert "3.10.8" in found[0].evidence
