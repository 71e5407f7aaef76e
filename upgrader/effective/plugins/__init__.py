"""What runs inside a release's own Ansible."""
