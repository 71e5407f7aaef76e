"""What interrupted roles of kolla-ansible left behind: found, told, and put right where that is safe.

What there can be stands in `release_graph/leftovers.toml`. `judge.py` is pure, `work.py` runs the plays.
"""
