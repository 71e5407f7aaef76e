"""Services, instances and agents through the script, over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.availability_kit.certificate import certificate
from tests.computes_kit import TOKEN, Apis, NoSqlalchemy, Quick, serving
from upgrader.computes.inside import services as inside
from upgrader.computes.inside.cloud import Refused
from upgrader.computes.inside.main import answer
from upgrader.computes.inside.records import cell_url
from upgrader.sandbox import computes as sandbox
from upgrader.sandbox import store


def test_services_with_versions_and_hypervisors(apis: Apis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [("mysql://a:b@elsewhere/nova",), ("{scheme}://{username}:{password}@{hostname}:{port}/cell2",)]
    rows = {
        ("cell_mappings", "/nova_api"): cells,
        ("FROM services", "elsewhere/nova"): [("cmp1", 68), ("cmp2", None)],
        ("FROM services", "u:p@db:3306/cell2"): [("cmp3", 66)],
    }
    database = NoSqlalchemy(rows)
    database.install(monkeypatch)
    sandbox.plant_service(apis.root, "cmp2", zone="az2", disabled="its fan")
    sandbox.plant_service(apis.root, "cmp3", silent="")
    cloud = apis.cloud(tmp_path)
    cloud.settings.read_string(
        "[database]\nconnection=mysql://u:p@db:3306/nova_cell0\n[api_database]\nconnection=mysql://u:p@db/nova_api\n"
    )
    said = answer({"do": "services"}, cloud)
    assert said["trouble"] == ""
    found = {row.pop("name"): row for row in said["services"]}
    assert {row.pop("seen") for row in found.values()} == {""}, "a sandbox's services do not report by the clock"
    assert found == {
        "cmp1": {"zone": "nova", "enabled": True, "up": True, "reason": "", "version": 68, "hypervisor": "QEMU"},
        "cmp2": {"zone": "az2", "enabled": False, "up": True, "reason": "its fan", "version": 0, "hypervisor": "QEMU"},
        "cmp3": {"zone": "nova", "enabled": True, "up": False, "reason": "", "version": 66, "hypervisor": "QEMU"},
    }  # fmt: skip


def test_when_a_service_last_reported_is_passed_on() -> None:
    class Told:
        def listed(self, path: str, key: str, **_query: str) -> list[dict[str, object]]:
            return [{"host": "cmp1", "updated_at": "2026-11-23T04:00:10.000000"}] if key == "services" else []

        def versions(self) -> dict[str, int]:
            return {}

    (row,) = inside.services(Told())["services"]  # type: ignore[arg-type]
    assert row["seen"] == "2026-11-23T04:00:10.000000"


def test_without_records_the_rest_is_told(apis: Apis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sqlalchemy", None)
    said = answer({"do": "services"}, apis.cloud(tmp_path))
    assert said["trouble"] == "versions: ModuleNotFoundError"
    assert {row["version"] for row in said["services"]} == {0}


def test_a_cells_connection() -> None:
    own = "mysql+pymysql://nova:s%40cret@10.0.0.9:3306/nova_cell0?ssl_ca=/ca"
    assert cell_url("mysql://x/y", own) == "mysql://x/y"
    made = cell_url("{scheme}://{username}:{password}@{hostname}:{port}/nova?{query}", own)
    assert made == "mysql+pymysql://nova:s%40cret@10.0.0.9:3306/nova?ssl_ca=/ca"


def switched(apis: Apis, tmp_path: Path, do: str, *hosts: str, reason: str = "run 3") -> list[list[str]]:
    said = answer({"do": do, "hosts": list(hosts), "reason": reason}, apis.cloud(tmp_path))
    return said["switched"]


def test_disable_and_enable_only_what_is_ours(apis: Apis, tmp_path: Path) -> None:
    sandbox.plant_service(apis.root, "cmp2", disabled="upgrader-team: do not touch")
    first = switched(apis, tmp_path, "disable", "cmp1", "cmp2", "cmp9")
    assert first == [
        ["cmp1", "done", "upgrader: run 3"],
        ["cmp2", "theirs", "upgrader-team: do not touch"],
        ["cmp9", "absent", ""],
    ]
    # again, with other words: what is there already stays
    assert switched(apis, tmp_path, "disable", "cmp1", reason="run 4") == [["cmp1", "already", "upgrader: run 3"]]
    back = switched(apis, tmp_path, "enable", "cmp1", "cmp2", "cmp3")
    assert back == [["cmp1", "done", ""], ["cmp2", "theirs", "upgrader-team: do not touch"], ["cmp3", "already", ""]]
    assert store.effects(str(apis.root)) == {"compute-disable:cmp1": 1, "compute-enable:cmp1": 1}


def test_switching_is_patient(apis: Apis, tmp_path: Path) -> None:
    apis.fail[("PUT", "/compute")] = [503, 503]
    cloud = Quick(str(apis.conf(tmp_path)), 30.0)
    said = answer({"do": "disable", "hosts": ["cmp1"], "reason": "x"}, cloud)
    assert said["switched"] == [["cmp1", "done", "upgrader: x"]] and cloud.pauses == 2


def test_a_change_whose_answer_was_lost_is_looked_for(apis: Apis, tmp_path: Path) -> None:
    apis.fail[("PUT", "/compute")] = [504]
    assert switched(apis, tmp_path, "disable", "cmp1") == [["cmp1", "failed", "HTTP 504: Gateway Timeout"]]
    real = apis.exchange

    def lost(method: str, path: str, headers: object, body: bytes) -> tuple[int, object]:
        said = real(method, path, headers, body)
        return (504, "late") if method == "PUT" else said

    apis.exchange = lost  # type: ignore[method-assign]
    assert switched(apis, tmp_path, "disable", "cmp1") == [["cmp1", "done", "upgrader: run 3"]]


def test_instances_page_by_page(apis: Apis, tmp_path: Path) -> None:
    for number in range(7):
        sandbox.plant_instance(apis.root, "cmp1", f"web-{number}")
    sandbox.plant_instance(apis.root, "cmp2", "other")
    off = sandbox.plant_instance(apis.root, "cmp1", "off", status="SHUTOFF")
    said = answer({"do": "instances", "hosts": ["cmp1"]}, apis.cloud(tmp_path))["instances"]
    assert {row["name"] for row in said} == {f"web-{number}" for number in range(7)} | {"off"}
    assert {row["host"] for row in said} == {"cmp1"}
    assert {row["id"]: row["why_not"] for row in said if row["why_not"]} == {
        off: "is stopped: there is no running guest to move"
    }
    assert len([path for _, _, path in apis.asked if path == "/servers/detail"]) == 2


def test_agents_or_none_without_neutron(apis: Apis, tmp_path: Path) -> None:
    found = answer({"do": "agents"}, apis.cloud(tmp_path))["agents"]
    assert found == [{"name": "ctl1", "kind": "DHCP agent", "alive": True, "enabled": True}]
    apis.missing.add("network")
    assert answer({"do": "agents"}, apis.cloud(tmp_path)) == {"agents": []}


def test_an_api_that_is_not_there_yet(apis: Apis, tmp_path: Path) -> None:
    apis.fail[("POST", "/keystone")] = [503, 502]
    apis.fail[("GET", "/compute")] = [503]
    patient = Quick(str(apis.conf(tmp_path)), 30.0)
    assert len(inside.listed(patient)) == 3
    assert patient.pauses == 3


def test_refusals_in_the_apis_own_words_and_without_the_password(apis: Apis, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"HTTP 401: The request you have made requires authentication\."):
        apis.cloud(tmp_path, password="wrong-word")
    with pytest.raises(Refused) as refused:
        apis.cloud(tmp_path, auth_url="http://127.0.0.1:9/v3")
    assert refused.value.status == 0 and "127.0.0.1:9: " in refused.value.words
    apis.missing.add("compute")
    with pytest.raises(Refused, match="no internal endpoint of type compute"):
        inside.listed(apis.cloud(tmp_path))
    (tmp_path / "nova.conf").write_text("password = secret\n")
    with pytest.raises(Refused, match="cannot be read: ") as broken:
        Quick(str(tmp_path / "nova.conf"))
    assert "secret" not in broken.value.words and TOKEN not in broken.value.words


def test_the_region_of_this_nova_counts(apis: Apis, tmp_path: Path) -> None:
    apis.region = "RegionThree"
    # none is of the configured region: the first internal one is taken, which is not there
    with pytest.raises(Refused, match=r"192\.0\.2\.2:1"):
        answer({"do": "services"}, apis.cloud(tmp_path, region_name="RegionTwo"))


def test_a_filter_that_nova_drops_is_made_up_for(apis: Apis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does, without a word, for whom its policy does not take for an administrator."""
    sandbox.plant_instance(apis.root, "cmp1", "here")
    sandbox.plant_instance(apis.root, "cmp2", "there")
    real = sandbox.nova.Api._page
    monkeypatch.setattr(
        sandbox.nova.Api, "_page", lambda api, query: real(api, {key: query[key] for key in query if key != "host"})
    )
    found = answer({"do": "instances", "hosts": ["cmp1"]}, apis.cloud(tmp_path))["instances"]
    assert [row["name"] for row in found] == ["here"]


def test_the_container_s_own_authority_is_asked(root: Path, tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    with serving(root, (public, private)) as apis:
        assert len(inside.listed(apis.cloud(tmp_path, cafile=str(public)))) == 3
        assert len(inside.listed(apis.cloud(tmp_path, insecure="true"))) == 3
        for bad, words in (("", "self.signed"), (str(tmp_path / "nowhere"), "No such file")):
            with pytest.raises(Refused, match=words) as refused:
                apis.cloud(tmp_path, cafile=bad)
            assert refused.value.status == 0
