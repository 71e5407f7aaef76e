"""What a trial of the APIs means. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from upgrader.model import Code, Finding
from upgrader.probes.base import failure, good, unread, warning
from upgrader.smoke.ask import Step, Tried

ID = "smoke"
_OF_ROLE = {
    # type in the catalogue → role whose containers serve it
    "identity": "keystone", "image": "glance", "compute": "nova", "placement": "placement", "network": "neutron",
    "volumev3": "cinder", "block-storage": "cinder", "orchestration": "heat", "cloudformation": "heat",
    "load-balancer": "octavia", "dns": "designate", "key-manager": "barbican", "container-infra": "magnum",
    "baremetal": "ironic", "baremetal-introspection": "ironic", "shared-file-system": "manila", "sharev2": "manila",
    "metric": "gnocchi", "alarming": "aodh", "rating": "cloudkitty", "workflowv2": "mistral",
    "instance-ha": "masakari", "reservation": "blazar", "infra-optim": "watcher", "application-container": "zun",
    "nfv-orchestration": "tacker", "database": "trove",
}  # fmt: skip
_ANSWERS = "answers-"
_LEFT = "removed"


def judge_trial(tried: Tried, roles: Collection[str]) -> tuple[Finding, ...]:
    """Findings by step. `roles`: Kolla's roles of which containers run here.

    A step that failed is a failure; one that could not be tried is a failure marked unknown. A service of the catalogue
    that this cloud does not run itself, and what the trial could not remove again, are warnings.
    """
    if tried.error:
        return (unread(Code.FAILURE, "smoke-unread", "the APIs could not be tried", tried.error),)
    found = tuple(finding for step in tried.steps for finding in _step(step, roles))
    if any(finding.code is Code.FAILURE for finding in found) or not tried.steps:
        return found
    users = ", ".join(sorted({step.who for step in tried.steps if step.who}))
    done = sum(1 for step in tried.steps if step.ok)
    return (*found, good(ID, f"{done} steps of a user's work went well (as {users})"))


def left_out(tried: Tried) -> tuple[str, ...]:
    """Steps that were not asked for, with the reason."""
    return tuple(f"{step.name}: not tried, {step.words}" for step in tried.steps if step.skipped)


def _step(step: Step, roles: Collection[str]) -> Iterable[Finding]:
    if step.ok or step.skipped:
        return
    who = f" as {step.who}" if step.who else ""
    identifier = f"{ID}-{step.name}"
    if step.ok is None:
        yield unread(Code.FAILURE, identifier, f"{step.name}{who}: could not be tried", step.words)
    elif step.name == _LEFT:
        yield warning(
            identifier,
            f"the trial could not remove all that it made: {step.words}",
            next="the next verification removes it; or delete it by hand, the name is nobody else's",
        )
    elif step.name.startswith(_ANSWERS) and _OF_ROLE.get(step.name.removeprefix(_ANSWERS)) not in roles:
        kind = step.name.removeprefix(_ANSWERS)
        yield warning(identifier, f"the {kind} service of the catalogue does not answer", evidence=step.words)
    else:
        yield failure(identifier, f"{step.name}{who}: {step.words}", why="users of the cloud meet the same")
