"""The graph as a graph: no cycle, no unknown node, exactly one path. The only user of networkx in the tool.

For the check of the whole and the tests; a plan does not wait for networkx (see `graph.chain`).
"""

from __future__ import annotations

from typing import Any

Edge = tuple[str, str]


def structure_faults(ids: tuple[str, ...], edges: tuple[Edge, ...]) -> list[str]:
    """What makes the edges unfit as an upgrade graph: nodes nobody declared, cycles, two paths, releases cut off."""
    import networkx

    faults = [f"hops/{a}-{b}.toml: {end!r} is not a release" for a, b in edges for end in (a, b) if end not in ids]
    graph = _digraph(ids, edges)
    if not networkx.is_directed_acyclic_graph(graph):
        cycle = [edge[0] for edge in networkx.find_cycle(graph)]
        faults.append(f"hops: cycle: {' → '.join([*cycle, cycle[0]])}")
        return faults
    for node in graph.nodes:
        if graph.out_degree(node) > 1:
            ends = sorted(graph.successors(node))
            faults.append(f"hops: more than one hop leaves {node}: to {', '.join(ends)}")
        if graph.in_degree(node) > 1:
            faults.append(
                f"hops: more than one hop leads to {node}: from {', '.join(sorted(graph.predecessors(node)))}"
            )
    parts = sorted(sorted(part) for part in networkx.weakly_connected_components(graph))
    if len(parts) > 1:
        faults.append("hops: the graph falls apart: " + " | ".join(f"{part[0]} … {part[-1]}" for part in parts))
    return faults


def _digraph(ids: tuple[str, ...], edges: tuple[Edge, ...]) -> Any:
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(ids)
    graph.add_edges_from(edges)
    return graph
