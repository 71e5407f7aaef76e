from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upgrader.effective.inventory_text import names_host, settings_of

INI = """
# a comment
ungrouped1 region=one
[control]
ctl[01:03] network_interface=eth0 note="two words"  # after hosts
; another
[compute:children]
rack1
[rack1:vars]
nova_compute_virt_type = qemu # no comment here
no value
[rack1]
"broken
cmp1:2222 api_interface=br0
"""


def test_every_setting_with_its_line():
    assert [(s.kind, s.entity, s.name, s.text, s.line) for s in settings_of(INI)] == [
        ("host", "ungrouped1", "region", "one", 3),
        ("host", "ctl[01:03]", "network_interface", "eth0", 5),
        ("host", "ctl[01:03]", "note", "two words", 5),
        ("group", "rack1", "nova_compute_virt_type", "qemu # no comment here", 10),
        ("host", "cmp1:2222", "api_interface", "br0", 14),
    ]


@pytest.mark.parametrize(
    ("entity", "host", "answer"),
    [
        ("ctl1", "ctl1", True),
        ("ctl1", "ctl10", False),
        ("cmp1:2222", "cmp1", True),
        ("ctl[01:03]", "ctl02", True),
        ("ctl[01:03]", "ctl2", False),
        ("ctl[1:10:2]", "ctl3", True),
        ("ctl[1:10:2]", "ctl4", False),
        ("n[a:c]-[1:2]", "nb-2", True),
        ("n[a:c]-[1:2]", "nd-2", False),
        ("a.b", "axb", False),
    ],
)
def test_ranges(entity: str, host: str, answer: bool):
    assert names_host(entity, host) is answer


@settings(max_examples=15)
@given(st.from_regex(r"n\[[0-9]{1,2}:[0-9]{1,2}\]x?", fullmatch=True))
def test_a_range_means_the_hosts_that_ansible_makes_of_it(entity: str):
    from ansible.errors import AnsibleError
    from ansible.plugins.inventory import expand_hostname_range

    try:
        theirs = set(expand_hostname_range(entity))
    except AnsibleError:
        return
    assert all(names_host(entity, host) for host in theirs)
    every = {f"n{text}{end}" for number in range(100) for text in (str(number), f"{number:02}") for end in ("", "x")}
    assert {host for host in every if names_host(entity, host)} == theirs
