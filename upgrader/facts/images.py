"""Which images ran, as one look at the cloud saw it: a small document that stays in an attempt's folder.

The folder's digest is recorded in the journal when the attempt ends, so what ran before and after a hop can be shown
later, whatever was looked at since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upgrader.model import CloudFacts

SEEN = "seen.json"
"""Name of the file in an attempt's folder; the last look of the attempt counts."""
_VERSION = "kolla_version"


def images_document(facts: CloudFacts) -> Mapping[str, Any]:
    """Every image that a container was made from: its reference, digest, version label, and on how many hosts."""
    hosts: dict[tuple[str, str, str], set[str]] = {}
    for host in facts.hosts:
        for one in host.containers:
            version = dict(one.labels).get(_VERSION, "")
            hosts.setdefault((one.image, one.image_id, version), set()).add(host.name)
    rows = [[*image, len(names)] for image, names in sorted(hosts.items())]
    return {"schema_version": 1, "observed_at": facts.observed_at, "release": facts.reading.release, "images": rows}
