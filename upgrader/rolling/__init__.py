"""Hosts in waves: the control plane first, then a canary, then batches of compute hosts.

Pure. Owns which host is in which wave (`waves_of`), the order in which waves are worked on and what stops them
(`walk`), and the small durable record of what is done. What a wave does to the cloud is the stages' business.
"""

from upgrader.rolling.record import RollRecord
from upgrader.rolling.walk import Ground, Halt, walk
from upgrader.rolling.waves import Waves, compute_hosts, waves_of

__all__ = ["Ground", "Halt", "RollRecord", "Waves", "compute_hosts", "walk", "waves_of"]
