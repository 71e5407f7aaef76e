"""The configuration of two releases rendered aside, and what differs between them. Nothing on a host is changed.

Hosts are asked for their facts once, read-only. The rendering itself is the release's own `genconfig` with every
connection turned to this machine, no raised rights, and files below one private folder (see `plugins`). No value of
passwords.yml takes part: each is replaced by its name before anything is rendered.
"""
