"""Pictures as tests, golden files and screenshots need them: the usual, the odd, the many."""

from __future__ import annotations

from itertools import pairwise

from upgrader.pictures import (
    Api,
    Duration,
    Edge,
    Mark,
    NoReturn,
    Outage,
    Release,
    StageBar,
    Window,
    availability_strip,
    durations,
    hop_timeline,
    release_graph,
)

HOUR = 3600
BEGAN = 1_795_363_200.0
"""2026-11-22 16:00 UTC."""
LONG = "a-service-whose-name-has-forty-characters"


def releases(width: int = 760) -> str:
    known = [
        Release("2023.1", "Antelope", "SLURP"), Release("2023.2", "Bobcat"), Release("2024.1", "Caracal", "runs now"),
        Release("2024.2", "Dalmatian"), Release("2025.1", "Epoxy", "SLURP"), Release("2025.2", "Flamingo", "goal"),
        Release("2026.1", "Gazpacho", provisional=True),
    ]  # fmt: skip
    edges = [
        Edge("2023.1", "2023.2"), Edge("2023.2", "2024.1", "back", "41 min"),
        Edge("2024.1", "2024.2", "done", "38 min"),
        Edge("2024.2", "2025.1", "blocked", "rabbitmq-classic-queues, host-os-jammy"),
        Edge("2025.1", "2025.2", "path", "58 min in the window"), Edge("2025.2", "2026.1"),
        Edge("2023.1", "2024.1", "skip"), Edge("2024.1", "2025.1", "skip"), Edge("2023.2", "2025.1", "skip"),
        Edge("nowhere", "2025.1", "path"),
    ]  # fmt: skip
    return release_graph(known, edges, width=width)


def hop(width: int = 760) -> str:
    stages = [
        StageBar("preflight", 240, 200, 300, "before"), StageBar("pull", 2 * HOUR, 5000, 9000, "before"),
        StageBar("rehearse", 1500, 1200, 1900, "before"), StageBar("backup", 360, 300, 420),
        StageBar("upgrade", 1680, 1500, 2100), StageBar("verify", 240, 200, 300), StageBar("soak", 600),
        StageBar("finalize", 0),
    ]  # fmt: skip
    line = NoReturn("upgrade", 660, "point of no return: neutron's first migration")
    window = Window(4 * HOUR, 1320, "2026-11-24 22:00 UTC")
    return hop_timeline("2024.1→2024.2", stages, no_return=line, window=window, width=width)


def odd_hop(width: int = 760) -> str:
    """Nothing, nine hours, every state, an unknown length, more than the window holds."""
    stages = [
        StageBar("preflight", 0, when="before", state="done"), StageBar("backup", 9 * HOUR, state="done"),
        StageBar("upgrade 1", 300, state="failed", note="ctl2 unreachable"),
        StageBar("upgrade 2", 1200, state="running"),
        StageBar("verify", None, state="waiting"), StageBar("soak", 20, state="skipped"), StageBar(LONG, 1),
    ]  # fmt: skip
    return hop_timeline(
        "2024.1→2024.2", stages, no_return=NoReturn("upgrade 2", 60), window=Window(3 * HOUR, HOUR), width=width
    )


def planned(width: int = 760) -> str:
    rows = [
        Duration("2024.1→2024.2 preflight", 240, 200, 300, 251),
        Duration("upgrade", 1680, 1500, 2100, 2900, "2 attempts"),
        Duration("verify", actual=200), Duration("soak", 600), Duration("finalize", 0, actual=0),
        Duration("pull", 10, actual=4000), Duration("backup", 9 * HOUR, actual=20),
    ]  # fmt: skip
    return durations(rows, width=width)


def strip(width: int = 760) -> str:
    apis = [
        Api("keystone", (Outage(BEGAN + 700, BEGAN + 703, "connection refused"),)),
        Api("nova", (Outage(BEGAN + 900, BEGAN + 960), Outage(BEGAN + 1200, BEGAN + 1201))),
        Api("neutron", (Outage(BEGAN + 1500, None, "503"),)),
        Api("glance", asked_from=BEGAN + 600, asked_to=BEGAN + 1800), Api(LONG),
    ]  # fmt: skip
    marks = [
        Mark(BEGAN + 100, "backup"), Mark(BEGAN + 500, "upgrade"), Mark(BEGAN + 1100, "point of no return", True),
        Mark(BEGAN + 2000, "verify"), Mark(BEGAN + 2050, "soak"), Mark(BEGAN + 9000, "never"),
    ]  # fmt: skip
    return availability_strip(apis, begins=BEGAN, ends=BEGAN + 2600, marks=marks, width=width)


def many_apis(width: int = 760) -> str:
    apis = [
        Api(f"service-{at:02}-internal-endpoint", (Outage(BEGAN + at * 40, BEGAN + at * 50),) if at % 3 else ())
        for at in range(60)
    ]
    return availability_strip(apis, begins=BEGAN, ends=BEGAN + 3 * HOUR, width=width)


def many_releases(width: int = 760) -> str:
    ids = [f"{2020 + at // 2}.{1 + at % 2}" for at in range(31)]
    edges = [Edge(one, two, "path" if at % 5 else "blocked") for at, (one, two) in enumerate(pairwise(ids))]
    return release_graph([Release(one) for one in ids], edges, width=width)


def many_stages(width: int = 760) -> str:
    return hop_timeline(
        "30 attempts", [StageBar(f"upgrade {at}", at * 7.5, note=LONG) for at in range(60)], width=width
    )


ALL = {
    "releases": releases, "hop": hop, "odd-hop": odd_hop, "durations": planned, "strip": strip, "many-apis": many_apis,
    "many-releases": many_releases, "many-stages": many_stages,
}  # fmt: skip
GOLDEN = ("releases", "hop", "odd-hop", "durations", "strip")
