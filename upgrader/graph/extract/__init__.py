"""Reads published kolla-ansible and service packages as facts, for drafts of new data and for tests of the old.

Nothing at run time needs this; `python -m upgrader.graph.draft` and the slow tests do.
"""
