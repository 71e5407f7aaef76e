"""Backup sets: taken from the database servers and Keystone's hosts, checked, and put back. Import from the modules."""
