"""How a site's passwords and its vault password come to Ansible and to this program, without ever lying on a disk.

A site whose `[secrets]` says more than a password file is named to everybody who needs its key by the path of its
site file (`Site.vault_password_file`): the secrets themselves are fetched anew by each process that needs them, from
the operator's own programs and variables, and given on in memory.
"""
