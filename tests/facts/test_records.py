"""What becomes of the parts of the records' answer: read, lacking, late, failed, hostile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.facts.parse import sections
from upgrader.facts.records import observed_records

NOVA = """@@records
@database\tnova
@database\tnova_api
@database\tnova_cell0
@database\tneutron
"""
FIELDS = (
    "services_down", "services_disabled", "computes", "hypervisors", "oldest_service_version", "unmigrated",
    "soft_deleted", "vif_types", "silence", "left_disabled", "versions",
)  # fmt: skip


def records(text: str) -> dict[str, Any]:
    return observed_records(sections(text))


def read(*parts: str) -> str:
    return "".join(f"@read\t{part}\n" for part in parts)


def nova(*lines: str, left_out: str = "") -> Any:
    whole = read(*(f"nova.{name}" for name in FIELDS if name != left_out))
    return records(NOVA + whole + "".join(f"{line}\n" for line in lines))["nova"]


def test_every_source_of_a_field_counts() -> None:
    seen = nova(
        "nova.services_down\tcmp1: nova-compute",
        "nova.services_down/cell0\tctl1: nova-scheduler",
        "@read\tnova.services_down/cell0",
        "nova.oldest_service_version\t66",
        "nova.soft_deleted\t0",
    )
    assert seen.services_down == ("cmp1: nova-compute", "ctl1: nova-scheduler")
    assert (seen.oldest_service_version, seen.soft_deleted, seen.unmigrated) == (66, 0, ())
    assert seen.error == ""


def test_no_compute_service_has_no_lowest_version() -> None:
    assert nova().oldest_service_version is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("@late\tnova.unmigrated/zone", "the database server took too long"),
        ("@@failed records/nova.unmigrated/zone ERROR 1969 (70100) at line 19: interrupted", "ERROR 1969"),
        ("@lacks\tnova.unmigrated/owner shard_api.instance_mappings.user_id", "there is no database shard_api"),
        ("nova.unmigrated/zone\tinstances.availability_zone: 7", "not answered"),
    ],
)
def test_one_source_that_fails_makes_the_field_unknown_and_no_other(line: str, why: str) -> None:
    seen = nova(line, "@read\tnova.unmigrated/quotas", left_out="unmigrated")
    assert seen.unmigrated is None
    assert why in seen.error
    assert seen.error.startswith("unmigrated: ")
    assert (seen.services_down, seen.computes) == ((), ())


def test_a_column_of_another_release_makes_one_source_moot() -> None:
    seen = nova("@lacks\tnova.unmigrated/compute_id nova.instances.compute_id", "@read\tnova.unmigrated/quotas")
    assert (seen.unmigrated, seen.error) == ((), "")
    none = nova("@lacks\tnova.vif_types neutron.ml2_port_bindings.vif_type", left_out="vif_types")
    assert none.vif_types is None
    assert none.error == "vif_types: not there: neutron.ml2_port_bindings.vif_type"


def test_a_service_without_a_database_is_left_out() -> None:
    assert set(records(NOVA)) == {"nova", "neutron"}
    assert records("@@galera\nx\ty\n") == {}


def test_a_question_that_failed_as_a_whole_says_so_everywhere() -> None:
    refused = records("@@records\n@@failed records ERROR 1045 (28000): Access denied\n")
    assert set(refused) == {"nova", "neutron", "cinder", "ironic", "heat", "octavia", "magnum"}
    assert {part.error for part in refused.values()} == {"ERROR 1045 (28000): Access denied"}
    assert refused["nova"].unmigrated is None


def test_an_answer_that_breaks_off_leaves_the_rest_unknown() -> None:
    cut = records(NOVA + read("nova.services_down") + "@@failed records ERROR 2013 (HY000): Lost connection\n")["nova"]
    assert cut.services_down == ()
    assert cut.computes is None
    assert "computes: ERROR 2013" in cut.error


@pytest.mark.parametrize(
    ("rows", "drivers"),
    [
        (["kubernetes/vm/fedora-coreos"], ("kubernetes/k8s_fedora_coreos_v1",)),
        (["swarm-mode/vm/fedora-atomic"], ("swarm-mode/swarm_fedora_atomic_v2",)),
        (["kubernetes/vm/ubuntu"], ("kubernetes/vm-ubuntu",)),
        (["kubernetes//"], ("kubernetes/",)),
        (
            ["kubernetes/vm/fedora-coreos", "=kubernetes/vm/fedora-coreos/k8s_capi_helm_v1"],
            ("kubernetes/k8s_capi_helm_v1",),
        ),
        (["=kubernetes/vm/fedora-coreos/"], ("kubernetes/k8s_fedora_coreos_v1",)),
    ],
)
def test_drivers_of_clusters(rows: list[str], drivers: tuple[str, ...]) -> None:
    text = (
        "@@records\n@database\tmagnum\n" + "".join(f"magnum.drivers\t{row}\n" for row in rows) + read("magnum.drivers")
    )
    assert records(text)["magnum"].drivers == drivers


def test_rows_cannot_pass_for_marks() -> None:
    # a client with --batch writes a tab or a line feed in a value as two characters
    seen = nova("nova.computes\tcmp\\t1\\n@read\\tnova.unmigrated", left_out="unmigrated")
    assert seen.computes == ("cmp\\t1\\n@read\\tnova.unmigrated",)
    assert seen.unmigrated is None
    coloured = nova("nova.computes\t\x1b[31mcmp1\x1b[0m\x07")
    assert coloured.computes == ("cmp1",)


@given(st.text(alphabet=st.sampled_from("@{}\t\n./:=_ abcnova0123\x1b\u2028"), max_size=200))
def test_no_answer_breaks_the_reading(text: str) -> None:
    records(NOVA + text)
    records("@@records\n" + text)
