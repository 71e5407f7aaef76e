"""The release graph: data files turned into validated releases, hops and what is known about them."""

from upgrader.graph.graph import ReleaseGraph, load_graph
from upgrader.graph.heads import HeadsReading, release_of_heads
from upgrader.graph.images import image_tag_release, services_of
from upgrader.graph.schema import DatabaseHeads, Hop, Irreversible, Release, SchemaTask, Skip
from upgrader.graph.wayback import way_back

__all__ = [
    "DatabaseHeads",
    "HeadsReading",
    "Hop",
    "Irreversible",
    "Release",
    "ReleaseGraph",
    "SchemaTask",
    "Skip",
    "image_tag_release",
    "load_graph",
    "release_of_heads",
    "services_of",
    "way_back",
]
