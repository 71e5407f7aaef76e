"""The table of checks: sound, each rule reachable, three checks always, and only harmless commands."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.diagnose_kit import facts, failure, hosts, report, story
from upgrader.diagnose.cloud import cloud_of, states_of
from upgrader.diagnose.rules import SHOWN, Line, Seen, checks, holding, rules, signs
from upgrader.diagnose.summary import condition
from upgrader.facts.names import release_names
from upgrader.graph import load_graph

ABOUT = {
    "host": "ctl1", "engine": "docker", "volumes": "/var/lib/docker/volumes", "service": "keystone",
    "container": "keystone", "inventory": "/etc/upgrader/inventory", "config": "/etc/kolla",
    "passwords": "/etc/kolla/passwords.yml", "ansible": "/t/bin/ansible", "database": "keystone",
}  # fmt: skip
CHANGING = re.compile(
    r"\b(rm|restart|stop|kill|reboot|delete|drop|update|insert|set-policy|purge|prune|reset|deploy|reconfigure|resume|"
    r"rollback(?! --show)|systemctl (?!--failed)|forget|sync_queue|apt|dnf)\b",
    re.I,
)


def seen(*texts: str, states: tuple[str, ...] = (), roles: tuple[str, ...] = ()) -> Seen:
    return Seen({name: {} for name in states}, tuple(Line(text, "ctl2") for text in texts), frozenset(roles), ABOUT)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_is_whole_and_its_commands_only_look(rule):
    assert rule.source and rule.means and rule.checks
    for title, command, expect in rule.checks:
        filled = command.format_map(ABOUT)
        assert shlex.split(filled), "a command that a shell can read"
        # what is inside of quotes for a remote shell is read by that one
        assert not CHANGING.search(filled), filled
        assert "{" not in title.format_map(ABOUT) and expect


def test_ids_are_there_once():
    assert len({rule.id for rule in rules()}) == len(rules())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("ERROR 1047 (08S01): WSREP has not yet prepared node for application use", "database-refuses"),
        ("(1045, \"Access denied for user 'nova'@'10.0.0.1' (using password: YES)\")", "database-login"),
        ("(1060, \"Duplicate column name 'x'\")", "migration-repeats"),
        ("oslo_messaging.exceptions.MessagingTimeout: Timed out waiting for a reply to message ID 1", "messages-lost"),
        ("no space left on device: No space left on device", "no-room"),
        ("docker.errors.NotFound: manifest for registry/kolla/x:2025.1 not found", "image-missing"),
        ("Container exited with non-zero return code 1", "container-exits"),
        ("This is not a recognized Fernet token gAAA", "identity"),
        ("TooOldComputeService: Current Nova version does not support computes older than 2024.1", "old-computes"),
        ("Ansible inventory does not contain the expected group nova-metadata", "own-group"),
        ("sudo: Missing sudo password", "ansible-rights"),
        ("Error while fetching server API version: Not supported URL scheme http+docker", "docker-library"),
        ("bind(): Address already in use", "port-taken"),
        ("SSL: CERTIFICATE_VERIFY_FAILED", "certificate"),
        ("RabbitMQ must be at most one version behind the target release version (4.0)", "rabbitmq-version"),
        ("reply_x is a non-quorum queue.", "rabbitmq-queues"),
    ],
)
def test_a_line_makes_its_rule_hold(text, rule):
    held = holding(seen(text))
    assert rule in [one.rule.id for one in held]
    assert signs(held)[0].line == text


@pytest.mark.parametrize(
    ("state", "rule"),
    [
        ("host-unreachable", "host-unreachable"), ("galera-no-primary", "galera-lost-quorum"),
        ("rabbitmq-partition", "rabbitmq-split"), ("vip-two-owners", "vip-twice"), ("vip-no-owner", "vip-lost"),
        ("disk-full", "no-room"), ("oom", "memory-gone"), ("rebooted", "rebooted"),
        ("half-migrated", "migration-half-way"),
        ("rabbitmq-alarm", "rabbitmq-blocks"), ("clock-differs", "clock"), ("container-unhealthy", "container-dies"),
    ],
)  # fmt: skip
def test_a_state_makes_its_rule_hold(state, rule):
    assert rule in [one.rule.id for one in holding(seen(states=(state,)))]


def test_nothing_seen_still_gives_three_checks():
    assert len(checks(holding(seen()))) == SHOWN


def test_the_heaviest_comes_first_and_no_command_twice():
    held = holding(seen("Container exited with non-zero return code 1", "Access denied for user", states=("oom",)))
    found = checks(held)
    assert [one.rule for one in found] == ["memory-gone", "database-login", "container-exits"]
    assert len({one.command for one in found}) == SHOWN


def test_a_command_names_the_host_whose_line_spoke():
    assert "ctl2" in checks(holding(seen("bind(): Address already in use")))[0].command


def test_a_hostile_name_is_not_put_into_a_command():
    bad = Seen({"oom": {"host": "ctl1; rm -rf /"}}, (), frozenset(), ABOUT)
    command = checks(holding(bad))[0].command
    assert "rm -rf" not in command and "HOST" in command


def test_a_rule_of_a_role_wants_the_role():
    line = "Feature flags: `x` is required but not supported"
    assert "rabbitmq-flags" not in [one.rule.id for one in holding(seen(line))]
    assert "rabbitmq-flags" in [one.rule.id for one in holding(seen(line, roles=("rabbitmq",)))]


# ---------------------------------------------------------------- states


def _cloud(rows, answers=None):
    return cloud_of(facts(*rows), release_names(load_graph()), answers or {}, 1795317125.0, 0)


def test_states_come_from_figures_of_hosts():
    said = {
        "zone": "+0000",
        "host": {
            "memory": {"MemTotal": 1000, "MemAvailable": 10},
            "disks": [["/", 100 << 30, 1 << 20, 50], ["/var", 100, 90, 1]],
            "booted": 1795317000,
            "kernel": ["Out of memory: Killed process 1 (x)"],
        },
        "states": {"keystone": "Restarting (1) 3 seconds ago"},
    }
    found = states_of(story(failure()), _cloud(hosts("ctl1", "ctl2", "ctl3"), {"ctl2": said}))
    assert {"memory-low", "disk-nearly-full", "inodes-gone", "rebooted", "oom", "container-restarting"} <= set(found)
    assert all(found[name]["host"] == "ctl2" for name in ("memory-low", "oom", "rebooted"))
    assert found["task-failed"] == {"host": "ctl1"}


def test_a_machine_that_was_started_long_before_is_no_news():
    found = states_of(story(), _cloud(hosts("ctl1"), {"ctl1": {"host": {"booted": 1795317125 - 7200}}}))
    assert "rebooted" not in found


def test_no_primary_component_is_a_state_of_the_whole():
    rows = [
        row.model_copy(update={"galera": row.galera.model_copy(update={"status": "non-Primary"})})
        for row in hosts("ctl1", "ctl2")
    ]
    assert "galera-no-primary" in states_of(story(), _cloud(rows))
    assert "galera-no-primary" not in states_of(story(), _cloud([rows[0], *hosts("ctl3")]))


def test_the_host_that_failed_is_looked_at_first():
    said = {"host": {"kernel": ["Out of memory: Killed process 1 (x)"]}}
    found = states_of(story(failure("ctl3")), _cloud(hosts("ctl1", "ctl3"), {"ctl1": said, "ctl3": said}))
    assert found["oom"]["host"] == "ctl3"


def test_silence_of_a_look_that_was_cut_off_is_no_trouble():
    rows = [row.model_copy(update={"galera": None}) for row in hosts("ctl1", "ctl2")]
    seen = facts(*rows, rabbitmq=None, vip=None)
    names = release_names(load_graph())
    cut = cloud_of(seen, names, {}, 1795317125.0, 0, cut_off=True)
    assert cut.troubles == () and set(states_of(story(), cut)) == set()
    assert "2 not heard in time" in condition(cut, report(), offline=False)
    whole = states_of(story(), cloud_of(seen, names, {}, 1795317125.0, 0))
    assert {"galera-no-primary", "galera"} <= set(whole)
