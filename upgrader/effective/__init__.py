"""Effective variables: what Ansible itself computes for a site in a release, and who set it where.

`compute` asks the release's own toolchain in one process; `from_defaults` stands in for a toolchain that is not
built; `explain` prepares one variable for people. Contacts no host and changes nothing but its own memory.
"""

from upgrader.effective.compute import compute
from upgrader.effective.explain import Explained, Explanation, explain
from upgrader.effective.shipped import from_defaults

__all__ = ["Explained", "Explanation", "compute", "explain", "from_defaults"]
