"""Turns published kolla-ansible packages into drafts of data files; a person completes and checks them.

`python -m upgrader.graph.draft hop OLD NEW [--service NAME=OLD:NEW ...] [--out FOLDER]`
`python -m upgrader.graph.draft defaults PACKAGE [--out FOLDER]`

A package is a version on the package index, a wheel, or a folder with an unpacked package. Nothing of it is run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from upgrader.errors import DataError
from upgrader.graph import ReleaseGraph, load_graph
from upgrader.graph.extract import as_toml, defaults, facts
from upgrader.graph.extract.compare import compare
from upgrader.graph.extract.package import Package, download, open_package
from upgrader.graph.extract.schema_heads import heads, scripts


def main(arguments: list[str]) -> int:
    """Exit code 0, 2 for a wrong call, 3 when a package cannot be had or read."""
    asked = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="upgrader-draft-") as scratch:
            files = _files(asked, Path(scratch))
    except DataError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for name, text in files.items():
        if asked.out is None:
            sys.stdout.write(f"# ---- {name}\n{text}\n")
        else:
            path = Path(asked.out) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            sys.stdout.write(f"{path}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m upgrader.graph.draft", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    hop = commands.add_parser("hop", help="files of the hop between two packages")
    hop.add_argument("old")
    hop.add_argument("new")
    hop.add_argument("--service", action="append", default=[], metavar="NAME=OLD:NEW", help="keystone=28.1.0:29.0.0")
    one = commands.add_parser("defaults", help="raw defaults of the variables that conditions name")
    one.add_argument("package")
    for command in (hop, one):
        command.add_argument("--out", metavar="FOLDER", help="write files there instead of showing them")
    return parser


def _files(asked: argparse.Namespace, scratch: Path) -> dict[str, str]:
    if asked.command == "defaults":
        return _defaults(open_package(asked.package, scratch))
    return hop_files(open_package(asked.old, scratch), open_package(asked.new, scratch), asked.service, scratch)


def hop_files(old: Package, new: Package, services: list[str], scratch: Path) -> dict[str, str]:
    """Path below the data folder → text, for the hop between two packages. Raises DataError."""
    difference = compare(old, new)
    source, target = facts.openstack_release(old), facts.openstack_release(new)
    steps = [_step(service, scratch) for service in services]
    told = "".join(f"# {note}\n" for note in as_toml.notes(new))
    return {
        f"hops/{source}-{target}.toml": as_toml.hop_file(old, new, difference, steps),
        f"actions/{source}-{target}.toml": (
            f"# What an operator has to do or to know for the hop {source} → {target}. A draft: read the notes.\n"
            f"#\n{told}\n"
            f'from = "{source}"\nto = "{target}"\nactions = []\n'
        ),
        f"variables/{source}-{target}.toml": as_toml.variables_file(old, new, difference),
        f"service_order/{target}.toml": as_toml.order_file(new, facts.service_order(new)),
        **_defaults(new),
    }


def _defaults(package: Package) -> dict[str, str]:
    release = facts.openstack_release(package)
    names = condition_words(load_graph())
    found = defaults.wanted(defaults.raw_defaults(package), names)
    return {f"defaults/{release}.toml": defaults.as_toml(release, package, found)}


def condition_words(graph: ReleaseGraph) -> frozenset[str]:
    """Words of all conditions, and the variables that switch roles on."""
    actions = [action for edge in graph.edges for action in graph.actions(graph.hop(*edge))]
    words = defaults.named_in(text for action in actions for text in (action.applies_if, action.satisfied_if))
    roles = [role for release in graph.ids for role in graph.service_order(release).roles]
    return words | {role.enabled_by.split("_True")[0] for role in roles if role.enabled_by}


def _step(service: str, scratch: Path) -> as_toml.SchemaStep:
    """`keystone=28.1.0:29.0.0` → what its migration scripts say. Raises DataError."""
    name, _, versions = service.partition("=")
    before, _, after = versions.partition(":")
    known = next((one for one in load_graph().databases if one.database == name), None)
    if known is None or not before or not after:
        names = ", ".join(one.database for one in load_graph().databases)
        raise DataError(f"--service {service}: write NAME=OLD:NEW with a NAME of {names}", reason="package")
    old, new = (scripts(download(f"{known.package}=={one}", scratch), known.scripts) for one in (before, after))
    fresh = {script.revision for script in new} - {script.revision for script in old}
    return as_toml.SchemaStep(name, heads(old), heads(new), tuple(sorted(fresh)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
