"""What the tool knows of Kolla-Ansible: its environments, commands, configuration files and image names.

Owns the per-release differences of the published packages. Nothing here talks to a host of the cloud; files of
the operator are only changed by functions that prove by diff what they changed.
"""
