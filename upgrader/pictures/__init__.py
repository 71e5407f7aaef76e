"""Pictures of a path, a hop and a run, as self-contained SVG text from plain values.

    release_graph(releases, edges)      the releases one below the other, the path, what blocks it, what is skipped
    hop_timeline(hop, stages, …)        stages on a time axis, point of no return, change window, reserved way back
    durations(rows)                     planned (with its spread) beside actual, row by row
    availability_strip(apis, …)         when which API was away, with the stages above

Each returns one `<svg>` element: `role="img"` with `<title>` and `<desc>` that say in words what is drawn, no script,
no font file, no address, no inline style. Light and dark follow the reader's preference, print is always light, and
nothing is told by colour alone, so that grey paper says the same. Same values → same bytes. Every text is escaped,
control and format characters are shown as `\\x1b`. `width` is the layout's own width in CSS pixels (at least 320): a
picture shrinks with its page, but letters stay readable only when it is drawn for about the width it is shown at.

A page that forbids inline `<style>` draws with `styled=False` and puts `STYLE` into its own style sheet.
Imports nothing of the project and nothing heavy.
"""

from upgrader.pictures.durations import durations
from upgrader.pictures.hop import hop_timeline
from upgrader.pictures.releases import release_graph
from upgrader.pictures.strip import availability_strip
from upgrader.pictures.style import STYLE
from upgrader.pictures.values import Api, Duration, Edge, Mark, NoReturn, Outage, Release, StageBar, Window
from upgrader.pictures.words import clock, spoken

__all__ = [
    "STYLE",
    "Api",
    "Duration",
    "Edge",
    "Mark",
    "NoReturn",
    "Outage",
    "Release",
    "StageBar",
    "Window",
    "availability_strip",
    "clock",
    "durations",
    "hop_timeline",
    "release_graph",
    "spoken",
]
