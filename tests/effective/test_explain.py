from __future__ import annotations

import pytest

from upgrader.effective import explain
from upgrader.model import CloudFacts, ReleaseReading
from upgrader.record import Definition, Effective, SiteRecord, Variable

DEFAULT = Definition(place="group_vars/all.yml:12 of kolla-ansible 20.6.0", kind="release default", text='"no"')
OWN = Definition(place="globals.yml:3", kind="globals", text="yes")
RACK = Definition(place="inventory host (hosts:4)", kind="inventory", text="7", hosts=("cmp1",))


def record(*effective: Effective) -> SiteRecord:
    facts = CloudFacts(site="x", observed_at="2026-11-22T10:00:00Z", hosts=(), reading=ReleaseReading(kind="unknown"))
    return SiteRecord(facts=facts, effective=effective)


def of(*variables: Variable, release: str = "2025.1") -> Effective:
    return Effective(release=release, by="toolchain", variables=variables)


def test_value_type_origin_and_chain_in_every_release():
    old = of(Variable(name="a", value='"no"', definitions=(DEFAULT,)), release="2024.2")
    new = of(Variable(name="a", value="true", configured=True, definitions=(DEFAULT, OWN)))
    found = explain(record(old, new), "a")
    assert [(item.release, item.value, item.type, item.origin, item.configured) for item in found.releases] == [
        ("2024.2", '"no"', "text", DEFAULT.place, False), ("2025.1", "true", "truth value", "globals.yml:3", True),
    ]  # fmt: skip
    assert found.releases[1].definitions == (DEFAULT, OWN)
    assert (found.known, found.similar) == (True, ())


@pytest.mark.parametrize(
    ("text", "kind"), [("1", "number"), ("[1]", "list"), ('{"a": 1}', "mapping"), ("null", "nothing"), ('"x"', "text")]
)
def test_types(text: str, kind: str):
    assert explain(record(of(Variable(name="a", value=text))), "a").releases[0].type == kind


def test_hosts_that_differ_are_grouped_by_value():
    per_host = (("cmp1", "7"), ("ctl1", "5"), ("ctl2", "5"))
    found = explain(record(of(Variable(name="a", per_host=per_host, definitions=(DEFAULT, RACK)))), "a").releases[0]
    assert found.per_host == (("5", ("ctl1", "ctl2")), ("7", ("cmp1",)))
    assert (found.origin, found.type) == ("differs", "number")


def test_a_password_shows_nothing():
    found = explain(record(of(Variable(name="p", value="true", secret=True))), "p").releases[0]
    assert (found.type, found.value, found.secret) == ("password", "true", True)


def test_a_misspelt_name_gets_what_was_meant():
    found = explain(record(of(Variable(name="enable_proxysql", value="1"))), "enable_proxsql")
    assert (found.known, found.similar) == (False, ("enable_proxysql",))


def test_a_release_without_answer_says_why():
    broken = Effective(release="2025.1", by="toolchain", error="globals.yml, line 3: not valid YAML")
    found = explain(record(broken), "a").releases[0]
    assert (found.defined, found.error) == (False, "globals.yml, line 3: not valid YAML")
