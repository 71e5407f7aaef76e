"""What a record knows of the names in conditions, and in which words it says what it does not know."""

from __future__ import annotations

import pytest

from tests.gates.small import SOURCE, TARGET, answer, effective, judged, record, variable
from upgrader.model import ContainerFacts, HostFacts
from upgrader.observed import BrokerFacts, CacheFacts, ClockFacts, NovaFacts, Observed, UpgradeCheck
from upgrader.record import Definition, Effective

NOT_BUILT = f"toolchain of {SOURCE} is not built: upgrader toolchain build {SOURCE}"


# ---------------------------------------------------------------- variables


def test_evidence_is_the_value_and_where_it_comes_from() -> None:
    said = judged("enable_zun", record(variable("enable_zun", True, place="globals.yml:12")))
    assert said.evidence == ("enable_zun = true (globals.yml:12)",)
    assert said.hosts == said.missing == ()


def test_only_what_decided_is_evidence() -> None:
    site = record(variable("a", False), variable("b", True), variable("c", error="no"))
    assert judged("a and b and c", site).evidence == ("a = false",)
    assert judged("a or b or c", site).evidence == ("b = true",)
    said = judged("b and c", site)
    assert (said.answer, said.evidence, said.missing) == ("unknown", ("b = true",), ("c: no",))


def test_plain_names_are_of_the_source_and_after_of_the_target() -> None:
    site = record(effective=(effective(SOURCE, variable("x", "old")), effective(TARGET, variable("x", "new"))))
    assert answer("x == 'old' and after.x == 'new'", site) == "yes"


def test_a_name_only_the_target_has() -> None:
    site = record(effective=(effective(SOURCE), effective(TARGET, variable("x", "new"))))
    assert answer("x == 'new'", site) == "yes"
    assert answer("after.y == 'new'", site) == "unknown"
    assert answer("after.y | default('none') == 'none'", site) == "yes"


def test_a_name_nobody_has() -> None:
    said = judged("x == 'new'", record())
    assert said.missing == (f"x is set nowhere: neither {SOURCE} nor {TARGET} knows it",)


def test_missing_toolchain() -> None:
    """Nothing is said of a release whose own Ansible was not asked, and what to do is said."""
    said = judged("enable_zun", record(effective=(effective(TARGET, variable("enable_zun", False)),)))
    assert said.answer == "unknown"
    assert said.missing == (f"enable_zun: {NOT_BUILT}",)
    site = record(effective=())
    assert judged("enable_zun | default(false)", site).missing == (f"enable_zun: {NOT_BUILT}",)
    assert judged("'enable_zun' is configured", site).missing == (f"enable_zun: {NOT_BUILT}",)


@pytest.mark.parametrize(("text", "expected"), [("yes", "yes"), ("{{ enable_nova }}", "unknown")])
def test_what_the_operator_wrote_out_counts_without_the_toolchain(text: str, expected: str) -> None:
    """A literal is the same in every release, an expression is not."""
    found = variable("enable_zun", True, place="globals.yml:3", text=text)
    assert answer("enable_zun", record(effective=(effective(TARGET, found),))) == expected
    assert answer("after.enable_zun", record(effective=(effective(SOURCE, found),))) == expected


def test_the_strongest_definition_decides_whether_it_is_a_literal() -> None:
    weaker = Definition(place="inventory", kind="inventory", text="{{ other }}")
    stronger = Definition(place="globals.yml:3", kind="globals", text="yes")
    found = variable("x", True).model_copy(update={"configured": True, "definitions": (weaker, stronger)})
    assert answer("x", record(effective=(effective(TARGET, found),))) == "yes"
    found = found.model_copy(update={"definitions": (stronger, weaker)})
    assert answer("x", record(effective=(effective(TARGET, found),))) == "unknown"


def test_shipped_defaults_say_what_needs_no_template() -> None:
    shipped = effective(SOURCE, variable("x", "ovn"), variable("y"), by="shipped defaults")
    site = record(effective=(shipped, effective(TARGET, variable("y", "ovn"), variable("z", "new"))))
    assert answer("x == 'ovn'", site) == "yes"
    assert judged("y == 'ovn'", site).missing == (f"y: {NOT_BUILT}",)
    assert answer("z == 'new'", site) == "unknown", "the source may have another value"


def test_variables_that_could_not_be_computed() -> None:
    site = record(effective=(Effective(release=SOURCE, by="toolchain", error="globals.yml: vault is locked"),))
    assert judged("x", site).missing == (
        f"x: the variables of {SOURCE} could not be computed: globals.yml: vault is locked",
    )
    assert judged("x", record(variable("x", error="'y' is undefined"))).missing == ("x: 'y' is undefined",)


def test_configured_and_defined() -> None:
    default = Definition(place="role nova", kind="role default", text="no")
    shipped = variable("b", False).model_copy(update={"definitions": (default,)})
    site = record(variable("a", "x", place="globals.yml:7"), shipped)
    assert judged("'a' is configured", site).evidence == ("a is set (globals.yml:7)",)
    assert judged("'b' is configured", site).answer == "no"
    assert judged("'c' is configured", site).answer == "no"
    assert [answer(f"'{name}' is defined_in_release", site) for name in "abc"] == ["no", "yes", "no"]


def test_removed_variables_that_are_set() -> None:
    text = "hop.removed_variables | select('configured') | list | length > 0"
    found = judged(text, record(variable("enable_swift", "no", place="globals.yml:7")))
    assert found.answer == "yes"
    assert "enable_swift is set (globals.yml:7)" in found.evidence
    assert answer(text, record(variable("enable_nova", "yes", place="globals.yml:7"))) == "no"
    assert answer(text, record(effective=())) == "unknown"


def test_a_secret_is_never_shown() -> None:
    site = record(variable("redis_master_password", True, secret=True, place="passwords.yml"))
    assert judged("redis_master_password", site).evidence == ("redis_master_password is set",)


# ---------------------------------------------------------------- host by host


def test_a_value_that_differs_between_hosts() -> None:
    site = record(variable("x", hosts={"cmp1": "yes", "ctl1": "no", "ctl2": "yes"}))
    said = judged("x", site)
    assert (said.answer, said.hosts) == ("yes", ("cmp1", "ctl2"))
    said = judged("not x", site)
    assert (said.answer, said.hosts) == ("yes", ("ctl1",)), "not of a yes elsewhere hides no host"
    assert judged("x and not x", site).answer == "no"


def test_parts_of_a_condition_hold_on_the_same_host() -> None:
    site = record(
        variable("x", hosts={"cmp1": True, "ctl1": False}), variable("y", hosts={"cmp1": False, "ctl1": True})
    )
    assert answer("x and y", site) == "no"
    assert judged("x or y", site).hosts == ("cmp1", "ctl1")


def test_unknown_on_one_host() -> None:
    site = record(variable("x", hosts={"cmp1": "maybe", "ctl1": "no", "ctl2": "no"}))
    said = judged("x", site)
    assert (said.answer, said.hosts) == ("unknown", ("cmp1",))
    assert said.missing[0].startswith("cmp1: x = maybe")
    said = judged("x or z", record(variable("x", hosts={"cmp1": "maybe", "ctl1": "yes"}), variable("z", False)))
    assert (said.answer, said.hosts) == ("yes", ("ctl1",))
    assert said.missing[0].startswith("cmp1: "), "what is unknown elsewhere is told beside the yes"


def test_a_host_that_one_of_the_values_leaves_out() -> None:
    site = record(variable("x", hosts={"cmp1": True, "ctl1": True}), variable("y", hosts={"cmp1": False}))
    said = judged("x and y", site)
    assert (said.answer, said.hosts) == ("unknown", ("ctl1",))


def test_hosts_tell_of_themselves() -> None:
    hosts = (
        HostFacts(name="a", os="ubuntu-22.04", sdk_version="6.1.0", clock=ClockFacts(synchronised=True)),
        HostFacts(name="b", os="ubuntu-24.04", sdk_version="7.1.0", containers=(ContainerFacts(name="x", image="y"),)),
        HostFacts(name="c", reachable=False, error="no route to host"),
    )
    site = record(facts_hosts=hosts)
    said = judged("host.system == 'ubuntu-jammy' and host.sdk_version is version('7', '<')", site)
    assert (said.answer, said.hosts) == ("yes", ("a",))
    assert said.evidence == ("host.system = ubuntu-jammy", "host.sdk_version = 6.1.0")
    assert said.missing == (
        "c: host.system was not read: no route to host", "c: host.sdk_version was not read: no route to host",
    )  # fmt: skip
    said = judged("not host.clock.synchronised", site)
    assert (said.answer, said.hosts) == ("unknown", ("b", "c"))
    assert judged("'x' in host.containers", site).hosts == ("b",)
    assert judged("host.name == 'c'", site).answer == "yes"


def test_no_host_at_all() -> None:
    assert answer("host.system == 'x'", record(facts_hosts=())) == "unknown"


# ---------------------------------------------------------------- what services said


def test_observed_fields() -> None:
    seen = Observed(rabbitmq=BrokerFacts(version="3.11.28", classic_queues=4))
    site = record(observed=seen)
    assert judged("observed.rabbitmq.version is version('3.12', '<')", site).evidence == (
        "observed.rabbitmq.version = 3.11.28",
    )
    said = judged("observed.rabbitmq.quorum_queues == 0", site)
    assert said.missing == ("observed.rabbitmq.quorum_queues was not read",)


def test_why_something_was_not_read() -> None:
    site = record(observed=Observed(rabbitmq=BrokerFacts(error="rabbitmqctl: timeout")))
    assert judged("observed.rabbitmq.classic_queues > 0", site).missing == (
        "observed.rabbitmq.classic_queues was not read: rabbitmqctl: timeout",
    )
    silent = record(facts_hosts=(HostFacts(name="cmp1", reachable=False, error="timed out"),))
    assert judged("'x' in observed.containers", silent).missing == (
        "observed.containers was not read: cmp1 could not be read",
    )


@pytest.mark.parametrize("part", [None, CacheFacts(kind="redis", error="no such container")])
def test_a_service_that_is_not_there_answers_no(part: CacheFacts | None) -> None:
    site = record(observed=Observed(containers=("cron", "rabbitmq"), redis=part))
    said = judged("observed.redis.version is version('7', '<')", site)
    assert (said.answer, said.evidence) == ("no", ("redis does not run here",))
    assert answer("observed.redis.down | length == 0", site) == "no"


def test_a_service_that_runs_and_was_not_asked_is_unknown() -> None:
    site = record(observed=Observed(containers=("redis_sentinel", "nova_compute")))
    assert answer("observed.redis.version is version('7', '<')", site) == "unknown"
    assert answer("observed.nova.soft_deleted > 0", site) == "unknown"


def test_absence_needs_every_container_to_be_known() -> None:
    assert answer("observed.redis.version is version('7', '<')", record(observed=Observed())) == "unknown"
    beside = record(observed=Observed(containers=()))
    assert answer("observed.ceph.noout", beside) == "unknown", "Ceph runs beside kolla's containers"


def test_a_list_of_parts() -> None:
    checks = (
        UpgradeCheck(service="nova", release=TARGET, code=2),
        UpgradeCheck(service="cinder", release=TARGET, code=0),
    )
    site = record(observed=Observed(upgrade_checks=checks))
    assert answer("observed.upgrade_checks | selectattr('code', 'gt', 1) | list | length > 0", site) == "yes"
    assert answer("observed.upgrade_checks | selectattr('code', 'gt', 2) | list | length > 0", site) == "no"


def test_no_number_is_no_answer() -> None:
    site = record(facts_hosts=(HostFacts(name="a", clock=ClockFacts(offset_seconds=float("nan"))),))
    assert answer("host.clock.offset_seconds > 5", site) == "unknown"


def test_nova_computes() -> None:
    site = record(observed=Observed(nova=NovaFacts(hypervisors=("qemu", "ironic"), unmigrated=())))
    assert answer("'ironic' in observed.nova.hypervisors and observed.nova.unmigrated == []", site) == "yes"


# ---------------------------------------------------------------- inventory, files, answers


def test_groups() -> None:
    site = record()
    assert answer("groups['control'] | length == 2 and groups.compute == ['cmp1']", site) == "yes"
    assert answer("groups['nova-metadata'] | length == 0 and 'nova-metadata' not in groups", site) == "yes"
    assert answer("'storage' in groups and groups['storage'] | length == 0", site) == "yes"
    assert judged("groups['control'] | length > 1", site).evidence == ("groups['control'] = [ctl1, ctl2]",)
    assert answer("hosts | length == 3 and 'cmp1' in hosts", site) == "yes"
    assert answer("groups['control'] | length > 1", record(hosts=(), groups=())) == "unknown"


def test_files_and_passwords() -> None:
    site = record(
        config_files=("horizon/custom_local_settings", "nova.conf"),
        config_options=("nova.conf [DEFAULT] debug = True",), passwords=("database_password",),
    )  # fmt: skip
    assert answer("config_files | select('match', 'horizon/') | list | length > 0", site) == "yes"
    assert answer("config_options | select('search', '[]] debug = ') | list | length > 0", site) == "yes"
    assert answer("'valkey_master_password' in passwords", site) == "no"
    unread = record(config_files=None, config_options=None, passwords=None)
    for name in ("config_files", "config_options", "passwords"):
        assert answer(f"'x' in {name}", unread) == "unknown"
    assert judged("'x' in passwords", unread).missing == ("passwords.yml could not be read",)


def test_answers_of_the_operator() -> None:
    site = record(answers=(("own_images", "true"), ("max_routes", "30"), ("why", '"text"')))
    assert answer("answers.own_images and answers.max_routes > 20 and answers.why == 'text'", site) == "yes"
    assert judged("answers.custom", site).missing == ("answer custom in [answers] of upgrader.toml",)


def test_the_hop() -> None:
    site = record()
    assert answer("hop.passwords_added | difference(passwords) | length > 0", site) == "yes"
    assert answer("hop.groups_added | length >= 0", site) == "yes"


def test_long_values_are_cut() -> None:
    said = judged("x | length > 3", record(variable("x", [f"item{number}" for number in range(500)])))
    assert said.evidence == ("x = [item0, item1, item2 and 497 more]",)
    assert len(judged("x != 'y'", record(variable("x", "z" * 5000))).evidence[0]) < 80
