"""`upgrader graph`: the releases and hops this tool knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from upgrader.cli.verb import invocation, verb_app

if TYPE_CHECKING:
    from upgrader.graph import ReleaseGraph

app = verb_app()


@app.command()
def graph(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid diagram.")] = False,
    dot: Annotated[bool, typer.Option("--dot", help="In the language of Graphviz.")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="As a picture.")] = False,
) -> None:
    """Show the releases and hops this tool knows, with what is known about them."""
    from upgrader.errors import UsageError
    from upgrader.graph import load_graph

    if as_json + mermaid + dot + svg > 1:
        raise UsageError(
            "Only one of --json, --mermaid, --dot and --svg.", next_command="upgrader graph", reason="usage"
        )
    document = graph_document(load_graph())
    if as_json:
        import json

        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    if svg:
        typer.echo(picture(document))
        return
    from upgrader.views.graph import dot_text, graph_page, mermaid_text
    from upgrader.views.terminal import show

    if mermaid or dot:
        typer.echo(mermaid_text(document) if mermaid else dot_text(document), nl=False)
        return
    show(graph_page(document), color=invocation(ctx).color)


def picture(document: Mapping[str, Any]) -> str:
    """The same releases, hops and skips as one SVG file."""
    from upgrader.pictures import Edge, Release, release_graph

    releases = [
        Release(one["id"], one["codename"], "SLURP" if one["slurp"] else "", provisional=one["provisional"])
        for one in document["releases"]
    ]
    edges = [Edge(hop["from"], hop["to"]) for hop in document["hops"]]
    edges += [Edge(skip["from"], skip["to"], "skip") for skip in document["upstream_skips"]]
    return release_graph(releases, edges, title=f"Release graph {document['graph_version']}")


def graph_document(known: ReleaseGraph) -> dict[str, Any]:
    """Releases, hops and upstream's skips, each with what an operator asks first."""
    hops = [known.hop(*edge) for edge in known.edges]
    return {
        "schema_version": 1,
        "kind": "graph",
        "graph_version": known.version,
        "graph_sha256": known.sha256,
        "releases": [
            {
                "id": release.id,
                "codename": release.codename,
                "released": release.released,
                "status": release.status,
                "slurp": release.slurp,
                "provisional": release.provisional,
                "kolla_ansible": release.kolla_ansible.newest,
                "ansible_core": release.kolla_ansible.ansible_core,
                "host_os": {name: list(versions) for name, versions in release.host_os.items()},
            }
            for release in known.releases
        ],
        "hops": [
            {"from": hop.source, "to": hop.target, "summary": hop.summary, "provisional": hop.provisional}
            for hop in hops
        ],
        "upstream_skips": [{"from": skip.origin, "to": skip.target} for skip in known.skips],
    }
