"""Hosts made of folders, and a real MariaDB, for tests of facts, probes and database.

The engine of these hosts is `engine.py`: a small stand-in for a container engine's command line that keeps
containers in a JSON file, files in folders, and sends SQL to a real server.
"""
