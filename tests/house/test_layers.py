"""Imports point down only, and each foreign library has its one place. Imports inside functions count too."""

from __future__ import annotations

import sys

import pytest

from tests.house.tree import imports, modules, unit

LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Data, and the version: no logic at all.", ("release_graph", "runbooks", "upgrader")),
    ("The form of every value.", ("value",)),
    ("Values of what services said, and of what two renderings differ in.", ("observed", "rendered", "wave")),
    (
        "Words and tools that know nothing of upgrades: errors, values, the law, the disk, processes, drawings.",
        ("errors", "model", "states", "durable", "processes", "redact", "pictures"),
    ),
    ("A file's sections and keys, every fault collected.", ("config_table",)),
    ("How the public APIs are asked.", ("availability_rules",)),
    ("Whether the public APIs answered.", ("availability",)),
    ("What a site says of its change document; where its live page is; who else is told.",
     ("runbook_rules", "serve_rules", "secret_rules", "rolling_rules", "metric_rules", "notice_rules",
      "verify_rules", "hop_rules")),
    ("When the cloud may be changed: rules and arithmetic.", ("window",)),
    ("The site file; the law run; ways back; a plan on disk: each from values alone.",
     ("config", "machine", "decisions", "plan_file", "record")),
    ("How a site's secrets come to whoever needs them.", ("secret_sources",)),
    ("Which services are done on which hosts.", ("progress",)),
    ("What is known of releases; how plays are run; the log of what happened.", ("graph", "runner", "journal")),
    ("What the release data forbid; the folder of one attempt; kolla-ansible as a product; what this machine can try.",
     ("policy", "attempts", "kolla", "rehearsable", "rolling")),
    ("How long stages take, from what they took.", ("estimates",)),
    ("Whether a stage may begin now, by the change windows.", ("opening",)),
    ("What of the release graph's knowledge a site has to settle.", ("gates",)),
    ("Plans from graph, policies and facts; a stage's hands; looking at the cloud.", ("planner", "context", "facts")),
    ("Nova's computes: seen, taken out of scheduling, drained, tried.", ("computes",)),
    ("Questions of health; what is typed by hand; what a run's standing means; what Ansible computes for a site.",
     ("probes", "by_hand", "status", "effective")),
    ("What interrupted roles left behind.", ("leftovers",)),
    ("Dump and restore; reading what status stands on; the probe of the public APIs beside a run.",
     ("database", "status_read", "outside")),
    ("A run as people watch it.", ("watch",)),
    ("Messages to people about a run.", ("notices",)),
    ("A run as Prometheus reads it.", ("metrics",)),
    ("The process beside a run that tells the outside of it.", ("herald",)),
    ("Migrations tried on a copy; the way back service by service.", ("rehearsal", "back_map")),
    ("What is found of a site; what lies on this machine; a look on disk.", ("findings", "keeping", "record_file")),
    ("A site record put together.", ("recorded",)),
    ("Everything a plan needs to know of a site.", ("survey",)),
    ("A diagnosis of a failed attempt.", ("diagnose",)),
    ("A staging cloud: kept apart, made ready, filled, judged; a cloud tried as its users use it.",
     ("staging", "smoke")),
    ("Work on a hop, one module per stage; the process that owns an attempt.", ("stages", "supervisor")),
    ("One attempt from the engine's side.", ("conduct",)),
    ("The loop of a run.", ("engine",)),
    ("One command's hold on a run.", ("session",)),
    ("Models into documents and terminals; a small cloud to try it on.", ("runbook", "report", "views", "sandbox")),
    ("A run for browsers.", ("serve",)),
    ("Verbs: compose, say, exit.", ("cli",)),
    ("How the program is started; a real cloud in containers that brings its own verb.", ("__main__", "lab")),
)  # fmt: skip
"""From the bottom up. A module imports from its own unit and from layers below; units of one layer do not meet."""

ORDER = {name: number for number, (_, names) in enumerate(LAYERS) for name in names}

ONE_IMPORTER = {
    "networkx": ("upgrader.graph",),
    "transitions": ("upgrader.machine",),
    "sqlite3": ("upgrader.journal",),
    "ansible_runner": ("upgrader.runner",),
    "rich": ("upgrader.views",),
    "ruamel": ("upgrader.kolla", "upgrader.graph.extract"),
    "typer": ("upgrader.cli", "upgrader.lab.main"),
    "h11": ("upgrader.serve",),
    "apprise": ("upgrader.notices",),
    "jinja2": ("upgrader.gates", "upgrader.runbook"),
    "markdown_it": ("upgrader.runbook",),
}
"""Library → where alone it may be imported."""


def test_every_module_has_its_layer():
    assert {unit(module) for module in modules()} - set(ORDER) == set()
    assert set(ORDER) - {unit(module) for module in modules()} == set(), "layers of modules that are gone"


def test_imports_point_down():
    wrong = []
    for module in modules():
        own = unit(module)
        for target, line in imports(module):
            if target.split(".")[0] not in ("upgrader", "release_graph", "runbooks", "tests"):
                continue
            where = unit(target)
            if where != own and (where not in ORDER or ORDER[where] >= ORDER[own]):
                wrong.append(f"{module}:{line} imports {target}, which is not below it")
    assert wrong == []


@pytest.mark.parametrize("library", sorted(ONE_IMPORTER))
def test_one_importer(library):
    places = ONE_IMPORTER[library]
    importers = {module for module in modules() for target, _ in imports(module) if target.split(".")[0] == library}
    assert importers, f"nobody imports {library}"
    strangers = {m for m in importers if not any(m == place or m.startswith(f"{place}.") for place in places)}
    assert strangers == set()


def test_the_law_and_the_errors_import_nothing():
    for module in ("upgrader.states", "upgrader.errors"):
        outside = {target.split(".")[0] for target, _ in imports(module)} - sys.stdlib_module_names
        assert outside == set()


def test_every_library_is_declared():
    """What is imported is in pyproject.toml, and what is there is imported."""
    import re
    import tomllib

    from tests.house.tree import REPO

    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["serve"],
              *project["optional-dependencies"]["notices"]]  # fmt: skip
    declared = {re.split(r"[<>=\[ ]", line)[0].replace("-", "_").lower() for line in wanted}
    named = {"ruamel": "ruamel.yaml", "markdown_it": "markdown_it_py"}
    named |= {"pydantic_core": "pydantic", "markupsafe": "jinja2"}  # come with them, in the version they ask for
    ours = {"upgrader", "release_graph", "runbooks"}
    used = {
        named.get(top, top)
        for module in modules()
        for target, _ in imports(module)
        if (top := target.split(".")[0]) not in sys.stdlib_module_names | ours
    }
    ansible_side = {"ansible"}
    assert used - declared - ansible_side == set()
    assert declared - used - NOT_YET == set()


NOT_YET: set[str] = set()
"""Declared for rooms that are not furnished yet: runbooks, probes of the databases."""


def test_nothing_runs_at_once():
    """Flat and synchronous."""
    assert not {
        m for m in modules() for target, _ in imports(m) if target.split(".")[0] in ("asyncio", "trio", "anyio")
    }
