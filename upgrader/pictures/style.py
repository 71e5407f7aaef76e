"""Colours and patterns: one table for light and dark, from which the style sheet is made."""

from __future__ import annotations

from collections.abc import Mapping

_ROLES: Mapping[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#12171d"),
    "panel": ("#eef2f6", "#1d2630"),
    "rule": ("#b4bdc7", "#4a5663"),
    "muted": ("#55606c", "#a7b2bd"),
    "ink": ("#18222c", "#e8edf2"),
    "plan": ("#2a66ad", "#7db5f2"),
    "good": ("#1d6f46", "#74c99c"),
    "bad": ("#a8201a", "#ff9a90"),
}
"""Role → (light, dark). Lightness differs between neighbours, so that grey paper still tells them apart."""

_HALO = ";paint-order:stroke;stroke:{paper};stroke-width:3px;stroke-linejoin:round"
"""Letters stay readable where a line or a pattern runs through them."""
_RULES: Mapping[str, str] = {
    "paper": "fill:{paper}",
    "panel": "fill:{panel}",
    "text": f"fill:{{ink}};font:13px system-ui,sans-serif{_HALO}",
    "small": f"fill:{{muted}};font:12px system-ui,sans-serif{_HALO}",
    "strong": "fill:{ink};font:600 13px system-ui,sans-serif",
    "inside": "fill:{muted};font:12px system-ui,sans-serif",
    "head": "fill:{ink};font:600 15px system-ui,sans-serif",
    "alarm": f"fill:{{bad}};font:600 13px system-ui,sans-serif{_HALO}",
    "grid": "stroke:{rule};stroke-width:1;fill:none",
    "edge": "stroke:{muted};stroke-width:1.5;fill:none",
    "dotted": "stroke:{muted};stroke-width:1.5;stroke-dasharray:2 4;fill:none",
    "walked": "stroke:{plan};stroke-width:4;fill:none",
    "shut": "stroke:{bad};stroke-width:4;stroke-dasharray:9 5;fill:none",
    "returned": "stroke:{bad};stroke-width:4;fill:none",
    "cross": "stroke:{bad};stroke-width:3;fill:none;stroke-linecap:round",
    "nogo": "stroke:{bad};stroke-width:3;stroke-dasharray:12 4 2 4;fill:none",
    "spread": "stroke:{ink};stroke-width:1.5;fill:none",
    "tip": "fill:{muted}",
    "tip-walked": "fill:{plan}",
    "tip-shut": "fill:{bad}",
    "box": "fill:{panel};stroke:{muted};stroke-width:1.5",
    "box-walked": "fill:{panel};stroke:{plan};stroke-width:3",
    "box-provisional": "fill:{paper};stroke:{muted};stroke-width:1.5;stroke-dasharray:4 3",
    "bar": "fill:{plan};stroke:{plan};stroke-width:1",
    "bar-done": "fill:{good};stroke:{good};stroke-width:1",
    "bar-failed": "stroke:{bad};stroke-width:2",
    "bar-planned": "stroke:{plan};stroke-width:1.5",
    "bar-unknown": "fill:none;stroke:{muted};stroke-width:1.5;stroke-dasharray:4 3",
    "frame": "fill:none;stroke:{ink};stroke-width:1.5",
    "kept": "stroke:{muted};stroke-width:1",
    "away": "fill:{bad}",
    "up": "stroke:{good};stroke-width:2;fill:none",
    "hatch": "stroke:{plan};stroke-width:2;fill:none",
    "mesh": "stroke:{bad};stroke-width:1.5;fill:none",
    "rain": "stroke:{muted};stroke-width:1;fill:none",
}


def _sheet(dark: bool) -> str:
    colours = {role: both[dark] for role, both in _ROLES.items()}
    return "".join(f".up-{name}{{{rule.format(**colours)}}}" for name, rule in _RULES.items())


def _changes() -> str:
    """What is different in the dark: the rules with their dark colours alone."""
    found = []
    dark = {role: both[1] for role, both in _ROLES.items()}
    for name, rule in _RULES.items():
        coloured = [part.format(**dark) for part in rule.split(";") if "{" in part]
        found.append(f".up-{name}{{{';'.join(coloured)}}}")
    return "".join(found)


STYLE = (
    ".up-picture{max-width:100%;height:auto;print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    f"{_sheet(dark=False)}@media screen and (prefers-color-scheme:dark){{{_changes()}}}"
)
"""The style sheet of all pictures. Dark is for screens alone: paper is white."""
