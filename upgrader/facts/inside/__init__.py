"""Scripts that are fed to the Python inside a service's container: `python3 - WORD …`, one JSON line back.

Each stands alone on the standard library of Python 3.9 (Kolla's base images hold a python3 for kolla_set_configs), is
read by nobody else at run time, changes nothing and prints no secret. `{"error": words}` is an answer too.
"""
