"""The next release's real migrations, tried on a copy that can reach nothing."""
