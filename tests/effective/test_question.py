from __future__ import annotations

from upgrader.effective.question import facts_for_ansible
from upgrader.model import HostFacts

SITE = 'network_interface: "eth0"\ntunnel_interface: br-tun.5\n'


def host(*addresses: tuple[str, str], os: str = "debian-12") -> HostFacts:
    return HostFacts(name="h", os=os, addresses=addresses)


def test_system_and_addresses_in_ansibles_words():
    seen = host(("br-tun.5", "10.9.0.1"), ("eth0", "10.0.0.1"), ("eth0", "fd00::1"), ("eth0", "fe80::1"))
    assert facts_for_ansible([seen], SITE) == {
        "h": {
            "ansible_os_family": "Debian",
            "ansible_distribution": "Debian",
            "ansible_br_tun.5": {"ipv4": {"address": "10.9.0.1"}},
            "ansible_eth0": {
                "ipv4": {"address": "10.0.0.1"},
                "ipv6": [{"address": "fd00::1", "scope": "global", "prefix": "64"}],
            },
        }
    }


def test_a_virtual_address_is_no_hosts_own():
    seen = host(("eth0", "10.0.0.1"), ("eth0", "10.0.0.250"))
    assert (
        facts_for_ansible([seen], SITE, frozenset({"10.0.0.250"}))["h"]["ansible_eth0"]["ipv4"]["address"] == "10.0.0.1"
    )
    assert "ansible_eth0" not in facts_for_ansible([seen], SITE)["h"]


def test_interfaces_that_nobody_names_do_not_count():
    assert facts_for_ansible([host(("tap1", "10.0.0.1"), os="")], SITE) == {}


def test_an_unknown_system_is_not_guessed():
    assert facts_for_ansible([host(os="plan9-4")], SITE) == {}
