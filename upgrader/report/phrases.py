"""Times, states and long messages as the sections say them."""

from __future__ import annotations

from collections.abc import Mapping

from upgrader.pictures import spoken
from upgrader.report.blocks import Tone, Word

TONES: Mapping[str, Tone] = {
    "done": "good", "hop_done": "good", "succeeded": "good", "failed": "bad", "unknown": "bad",
    "needs_attention": "bad", "rolled_back": "warn", "aborted": "warn", "canceled": "warn",
}  # fmt: skip
BACK = ("rollback_redeploy", "rollback_restore", "verify_old")
"""Stages of the ways back: they are in no plan of the way forward."""
_LONGEST = 280


def moment(text: str) -> str:
    """A moment of the journal, to the second."""
    return f"{text[:10]} {text[11:19]}" if text else ""


def short(text: str) -> str:
    """Long messages are cut; the JSON form has them whole."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()}… (whole in the JSON form)"


def took(seconds: float | None) -> str:
    return "" if seconds is None else spoken(seconds)


def unbroken(seconds: float) -> str:
    """A length of time that stays on one line."""
    return spoken(seconds).replace(" ", "\u00a0")


def worded(text: str) -> Word:
    """A state or result in its own words."""
    return Word(text.replace("_", " "), TONES.get(text, ""))
