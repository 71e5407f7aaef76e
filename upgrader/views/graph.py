"""The release graph in words, as a Mermaid diagram and for Graphviz; all from the same document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upgrader.views.page import Page, Span

_NOTE = "Upstream's skips between SLURP releases are information: this tool takes every hop."


def graph_page(document: Mapping[str, Any]) -> Page:
    """Releases in order with the hops between them."""
    page = Page()
    page.line(f"Release graph {document['graph_version']} · sha256 {document['graph_sha256'][:12]}")
    page.blank()
    rows = [[Span(word, "dim") for word in ("release", "codename", "kolla-ansible", "ansible-core", "status")]]
    for release in document["releases"]:
        status = release["status"] + (" · SLURP" if release["slurp"] else "")
        rows.append(
            [
                Span(release["id"], "strong"),
                Span(release["codename"]),
                Span(release["kolla_ansible"] or "not published"),
                Span(release["ansible_core"]),
                Span("provisional, no plan leads there" if release["provisional"] else status),
            ]
        )
    page.columns(rows, indent=1)
    page.blank()
    for hop in document["hops"]:
        page.line(Span(f"{hop['from']} → {hop['to']}", "strong"), f"  {hop['summary']}", indent=1, hang=4)
    page.blank()
    page.line(f"{_NOTE} ({', '.join(_skips(document))})")
    known = [release["id"] for release in document["releases"] if not release["provisional"]]
    page.next(f"upgrader plan --from {known[0]} --to {known[-1]}")
    return page


def _skips(document: Mapping[str, Any]) -> list[str]:
    return [f"{skip['from']} → {skip['to']}" for skip in document["upstream_skips"]]


def mermaid_text(document: Mapping[str, Any]) -> str:
    """A Mermaid flowchart; dotted edges are upstream's skips."""
    lines = ["flowchart LR"]
    lines += [f'  r{_node(one["id"])}["{one["id"]} {one["codename"]}"]' for one in document["releases"]]
    lines += [f"  r{_node(hop['from'])} --> r{_node(hop['to'])}" for hop in document["hops"]]
    lines += [
        f'  r{_node(skip["from"])} -. "upstream skip, never taken" .-> r{_node(skip["to"])}'
        for skip in document["upstream_skips"]
    ]
    provisional = [f"r{_node(one['id'])}" for one in document["releases"] if one["provisional"]]
    if provisional:
        lines += ["  classDef provisional stroke-dasharray: 4", f"  class {','.join(provisional)} provisional"]
    return "\n".join(lines) + "\n"


def dot_text(document: Mapping[str, Any]) -> str:
    """A Graphviz digraph; dashed edges are upstream's skips, dashed nodes provisional releases."""
    lines = ["digraph releases {", "  rankdir=LR;", "  node [shape=box];"]
    for one in document["releases"]:
        style = ", style=dashed" if one["provisional"] else ""
        lines.append(f'  "{one["id"]}" [label="{one["id"]}\\n{one["codename"]}"{style}];')
    lines += [f'  "{hop["from"]}" -> "{hop["to"]}";' for hop in document["hops"]]
    lines += [
        f'  "{skip["from"]}" -> "{skip["to"]}" [style=dashed, constraint=false];' for skip in document["upstream_skips"]
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _node(release: str) -> str:
    return release.replace(".", "_")
