"""The embedded default: a small cloud of files that needs no root and no container engine.

Real ansible-core runs playbooks that play the part of kolla-ansible's; what they change are files per host. Nothing
outside this package knows that a cloud is one of these, except for the site file that `create_sandbox` writes.
"""
