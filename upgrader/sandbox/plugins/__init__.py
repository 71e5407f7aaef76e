"""Ansible plugins that a sandbox toolchain carries; copied there as files, never imported from here."""
