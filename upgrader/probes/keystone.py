"""Does Keystone issue tokens, and does a token from before still work?

The question is asked inside the Keystone container by token.py; the token itself never reaches this process.
"""

from __future__ import annotations

from pathlib import Path

from upgrader.facts.plays import shown
from upgrader.model import Finding
from upgrader.probes.base import failure, good
from upgrader.runner.base import PlayResult

ANSWER = "Answer of Keystone"
PROBES = Path(__file__).parent
ISSUE, OLD = "token-issue", "token-old"


def token_findings(result: PlayResult, action: str) -> tuple[Finding, ...]:
    """What the play's answer means. `action`: `issue` asked for a token, `validate` also about the one kept before."""
    answers = result.collected.get(ANSWER, {})
    if not answers:
        return (failure(ISSUE, "Keystone was not asked for a token", evidence=result.message),)
    host = min(answers)
    said = shown(result, ANSWER, host)
    ok = str(said.get("ok", "")).lower() == "true"
    words = f"status {said.get('status') or 'none'}: {said.get('error') or 'no words'}"
    if ok and action == "validate":
        return (good(ISSUE, f"{host}: a token was issued"), good(OLD, f"{host}: the token from before is valid"))
    if ok:
        return (good(ISSUE, f"{host}: a token was issued"),)
    if action == "validate" and said.get("step") == "validate":
        return (
            good(ISSUE, f"{host}: a token was issued"),
            failure(
                OLD,
                f"{host}: the token from before the upgrade is refused",
                host=host,
                evidence=words,
                next="were the Fernet keys lost or replaced? they are in the backup set",
            ),
        )
    return (failure(ISSUE, f"{host}: no token was issued", host=host, evidence=words),)
