# Everything sets itself up: a virtual environment in .venv, from pyproject.toml.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: demo test test-slow test-published test-browser test-databases lint lab-test lab-test-wide bench bench-databases clean
demo: $(READY)
	$(VENV)/bin/upgrader demo

test: $(READY)
	$(VENV)/bin/python -m pytest -n 2

# Minutes: every crash point, the published packages, whole hops on the sandbox.
test-slow: $(READY)
	$(VENV)/bin/python -m pytest -n 2 -m slow

# Slow tests that every change has to pass: the graph against PyPI, the fifteen random kills, a kill at every step, files
# that Ansible's own vault and inventory programs read.
test-published: $(READY)
	$(VENV)/bin/python -m pytest -n 2 -m slow tests/release_graph tests/crash/test_kills.py \
		tests/crash/test_sigkill.py::test_kills_along_a_way tests/crash/test_sigkill.py::test_points_are_where_they_should_be \
		tests/kolla/test_passwords.py tests/kolla/test_passwords_check.py tests/kolla/test_settings.py \
		tests/kolla/test_inventory.py tests/kolla/test_inventory_patch.py \
		tests/sandbox/test_sandbox_upgrade.py::test_killed_in_the_middle_the_cloud_is_mixed_and_a_second_run_converges

# Pages, documents and pictures in a real Chromium (with chromedriver, npm, pdftotext), the watching terminal in tmux.
test-browser: $(READY)
	$(VENV)/bin/python -m pytest -m slow tests/serve tests/runbook tests/pictures tests/cli/test_serve.py tests/cli/test_status_watch.py

# Real MariaDB, mydumper, restic and its servers; the real migrations of five services over two hops.
test-databases: $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[objectstore]'
	$(VENV)/bin/python -m pytest -n 2 -m slow tests/database tests/cli/test_backup.py tests/rehearsal/test_two_hops.py

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Needs root and about 10 GB: brings up a real cloud in containers and upgrades it.
lab-test: $(READY)
	$(VENV)/bin/python -m pytest -m lab tests/lab

# Three controllers (root, about 12 GB): every gate is made to go red and green again.
lab-test-wide: $(READY)
	$(VENV)/bin/python -m pytest -m lab_wide tests/lab

bench: $(READY)
	$(VENV)/bin/python benchmarks/run.py
	$(VENV)/bin/python benchmarks/gates.py

# Real MariaDB, up to 3.3 million rows: about ten minutes, to be judged on an idle machine.
bench-databases: $(READY)
	$(VENV)/bin/python benchmarks/backup.py
	$(VENV)/bin/python benchmarks/restore.py
	$(VENV)/bin/python benchmarks/rehearsal.py

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "upgrader needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(VENV)/bin/python -m compileall -q upgrader release_graph
	@touch $@

clean:
	rm -rf $(VENV)
