"""Upgrade planner and rollback-aware state machine for Kolla-Ansible clouds."""

__version__ = "0.1.0"
