"""The lab: a real Kolla cloud on one machine, in containers, brought up and taken down by one command each.

Everything it makes lives below one folder and one private container engine; a container engine the machine
already runs is never touched. `lab_up` and `lab_down` are the Python doors, `upgrader lab` the command line's.
"""

from __future__ import annotations

from upgrader.lab.bringup import lab_up
from upgrader.lab.folder import LabSite
from upgrader.lab.takedown import lab_down

__all__ = ["LabSite", "lab_down", "lab_up"]
