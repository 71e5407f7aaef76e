"""What lies beside the journal and belongs to a run: backup sets, rehearsals, attempt folders. Read, compared with what
the journal recorded, never changed; whatever cannot be read is said, not raised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from upgrader.attempts import folder_of, tree_hash
from upgrader.durable import read_json
from upgrader.facts.images import SEEN
from upgrader.journal.rows import EventRow
from upgrader.report.told import AttemptTold, HopTold
from upgrader.report.values import Check, CheckState, Image, Images
from upgrader.status_read import DIAGNOSES

_MANIFEST, _PROOF, _IMAGES = "manifest.json", "proof.json", "images.json"
"""Files of a backup set, as `upgrader.database.manifest` names them."""
_MOST_DIAGNOSES = 3
_VERIFYING = ("verify", "finalize", "soak", "verify_old")


# ---------------------------------------------------------------- evidence


def evidence(state_dir: Path, hop: HopTold, digests: Mapping[str, str]) -> tuple[Check, ...]:
    """Everything that vouches for the hop. `digests`: folder of a set → digest of its manifest as recorded last."""
    return (
        *_backup_checks(hop, digests), *_rehearsal_checks(hop), *_attempt_checks(state_dir, hop),
        *_diagnoses(state_dir, hop),
    )  # fmt: skip


def recorded_digests(events: Iterable[EventRow]) -> dict[str, str]:
    """Folder of a backup set → digest of its manifest as the journal recorded it last (a later proof changes it)."""
    found: dict[str, str] = {}
    for event in events:
        told = event.data.get("facts", event.data)
        if isinstance(told, Mapping) and told.get("backup_set") and told.get("backup_manifest_sha256"):
            found[str(told["backup_set"])] = str(told["backup_manifest_sha256"])
    return found


def _backup_checks(hop: HopTold, digests: Mapping[str, str]) -> list[Check]:
    place = hop.facts.get("backup_set", "")
    if not place:
        return []
    folder = Path(place)
    recorded = digests.get(place, hop.facts.get("backup_manifest_sha256", ""))
    found = [_file("backup set, manifest", folder / _MANIFEST, recorded)]
    manifest = _json(folder / _MANIFEST)
    proof = manifest.get("proof") or {}
    if proof:
        found.append(_file("backup set, proof", folder / _PROOF, str(proof.get("file_sha256", ""))))
    wrong = _wrong_sizes(folder, manifest)
    if manifest:
        files = [entry for part in manifest.get("parts", ()) for entry in part.get("files", ())]
        state: CheckState = "damaged" if wrong else "as recorded"
        words = f"gone or of another size: {', '.join(wrong[:3])}" if wrong else "every file is there in its size"
        found.append(
            Check("backup set, files", place, f"{len(files)} files", f"{len(files) - len(wrong)} files", state, words)
        )
    if hop.facts.get("offbox_snapshot"):
        verified = hop.facts.get("offbox_verified", "no")
        words = "read back and compared" if verified == "yes" else "not read back: it does not count"
        place = hop.facts.get("offbox_repository", "")
        found.append(Check("copy off this machine", place, hop.facts["offbox_snapshot"], "", "not recorded",
                           f"{words}; not looked at now"))  # fmt: skip
    return found


def _wrong_sizes(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    wrong = []
    for part in manifest.get("parts", ()):
        for entry in part.get("files", ()):
            try:
                right = (folder / str(entry["path"])).stat().st_size == entry["bytes"]
            except (OSError, KeyError, ValueError):
                right = False
            if not right:
                wrong.append(str(entry.get("path", "?")))
    return wrong


def _rehearsal_checks(hop: HopTold) -> list[Check]:
    report = hop.facts.get("rehearsal_report", "")
    if report:
        return [_file("rehearsal on a copy, report", Path(report), hop.facts.get("rehearsal_report_sha256", ""))]
    if hop.facts.get("rehearsal_head"):
        place = f"{hop.facts.get('rehearsal_site', '')}, run {hop.facts.get('rehearsal', '')[:8]}"
        words = "head of the staging cloud's journal when its walk was accepted; not looked at now"
        return [Check("rehearsal on staging", place, hop.facts["rehearsal_head"], "", "not recorded", words)]
    return []


def _attempt_checks(state_dir: Path, hop: HopTold) -> list[Check]:
    """One line for all attempts of the hop: those whose folder is no longer what it was when they ended, by name."""
    ended = [one for one in hop.attempts if one.evidence.get("tree")]
    if not ended:
        return []
    states = [(one, _tree_state(state_dir, one)) for one in ended]
    wrong = [f"{one.stage} {one.number}: {state}" for one, state in states if state != "as recorded"]
    state: CheckState = "as recorded" if not wrong else "changed"
    words = "; ".join(wrong[:6]) if wrong else "request, events, output and exit record of each"
    good = len(ended) - len(wrong)
    return [
        Check(
            "folders of attempts",
            str(state_dir / "attempts"),
            f"{len(ended)} digests",
            f"{good} the same",
            state,
            words,
        )
    ]


def _diagnoses(state_dir: Path, hop: HopTold) -> list[Check]:
    """What was written down of attempts that failed; the journal does not know of it."""
    found = []
    for one in hop.attempts:
        try:
            paths = sorted((state_dir / DIAGNOSES / one.id).glob("*.md"))
        except OSError:
            continue
        found += [_file(f"diagnosis of {one.stage} {one.number}", path, "") for path in paths[-_MOST_DIAGNOSES:]]
    return found


def _tree_state(state_dir: Path, one: AttemptTold) -> CheckState:
    try:
        folder = folder_of(state_dir, one.id)
        if not folder.is_dir():
            return "gone"
        return "as recorded" if tree_hash(folder) == one.evidence["tree"] else "changed"
    except (OSError, ValueError):
        return "damaged"


def _file(what: str, path: Path, recorded: str) -> Check:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return Check(what, str(path), recorded, "", "gone", "the file is not there any more")
    except (OSError, ValueError) as error:
        return Check(what, str(path), recorded, "", "damaged", f"it cannot be read: {error}")
    state: CheckState = "not recorded" if not recorded else "as recorded" if found == recorded else "changed"
    return Check(what, str(path), recorded, found, state)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        return read_json(path).document or {}
    except (OSError, ValueError):
        return {}


# ---------------------------------------------------------------- in words


def backup_words(hop: HopTold) -> str:
    """What is to be said of the hop's backup set; empty when none was taken."""
    place = hop.facts.get("backup_set", "")
    if not place:
        return ""
    manifest = _json(Path(place) / _MANIFEST)
    proof = manifest.get("proof") or {}
    if not manifest:
        return f"set {Path(place).name}, recorded {hop.facts.get('backup_made_at', '')}; its folder cannot be read now"
    size = sum(entry.get("bytes", 0) for part in manifest.get("parts", ()) for entry in part.get("files", ()))
    tables = manifest.get("tables", ())
    rows = sum(int(table.get("rows", 0)) for table in tables)
    told = f"set {Path(place).name}, begun {manifest.get('made_at', '')}, {manifest.get('dump_format', '')}"
    told += f", {len(tables)} tables, {rows} rows, {size} bytes, state {manifest.get('state', '')}"
    if proof:
        told += f"; restored into {proof.get('server', '')} and compared at {proof.get('proved_at', '')}"
        return told + (f" ({proof.get('seconds')} s)" if proof.get("seconds") else "")
    return f"{told}; it was never restored anywhere"


def rehearsal_words(hop: HopTold) -> str:
    """What is to be said of the hop's rehearsal; empty when nothing was rehearsed."""
    report = hop.facts.get("rehearsal_report", "")
    if report:
        document = _json(Path(report))
        if not document:
            return f"on a copy, {hop.facts.get('rehearsal', '')}; its report cannot be read now"
        services = [row for one in document.get("hops", ()) for row in one.get("services", ())]
        failed = [str(row.get("service", "")) for row in services if row.get("verdict") == "failed"]
        back = [row for row in services if (row.get("way_back") or {}).get("good") is True]
        told = (
            f"on a copy, made {document.get('made_at', '')}: {len(services)} services, {document.get('rows', 0)} rows"
        )
        told += f", {document.get('seconds', 0):.0f} s; way back tried with success for {len(back)} of them"
        return told + (f"; FAILED for {', '.join(failed)}" if failed else "; none failed")
    if hop.facts.get("rehearsal_head"):
        return (
            f"on staging cloud {hop.facts.get('rehearsal_site', '')}, which was at "
            f"{hop.facts.get('rehearsal_state', '')} since {hop.facts.get('rehearsal_since', '')}"
        )
    return ""


# ---------------------------------------------------------------- images


def images(state_dir: Path, hop: HopTold, after: HopTold | None, last_look: Path | None) -> Images:
    """What ran before and after the hop. `after`: the hop that followed; `last_look`: an observation made since."""
    before, before_from = _of_attempts(state_dir, hop, ("preflight", "backup"), first=True)
    place = hop.facts.get("backup_set", "")
    if not before and place:
        before, before_from = _of_set(Path(place)), "backup set"
    then, then_from = _of_attempts(state_dir, hop, _VERIFYING, first=False)
    if not then and after is not None and after.facts.get("backup_set"):
        then, then_from = _of_set(Path(after.facts["backup_set"])), "backup set of the next hop"
    if not then and last_look is not None:
        then, then_from = _of_look(last_look, hop)
    return Images(before, then, before_from if before else "", then_from if then else "")


def _of_attempts(
    state_dir: Path, hop: HopTold, stages: tuple[str, ...], *, first: bool
) -> tuple[tuple[Image, ...], str]:
    fitting = [one for one in hop.attempts if one.stage in stages and one.result == "succeeded"]
    for one in fitting if first else reversed(fitting):
        try:
            document = _json(folder_of(state_dir, one.id) / SEEN)
        except ValueError:
            continue
        rows = document.get("images", ())
        if rows:
            found = tuple(Image(_short(row[0]), _told(row[0], row[2]), str(row[1]), int(row[3])) for row in rows)
            return found, f"look of stage {one.stage} at {document.get('observed_at', '')}"
    return (), ""


def _of_set(folder: Path) -> tuple[Image, ...]:
    kept = _json(folder / _IMAGES).get("images") or {}
    found = []
    for identity, row in sorted(kept.items()):
        tags = [str(tag) for tag in row.get("tags", ())]
        digests = [str(one).rpartition("@")[2] for one in row.get("digests", ())]
        reference = tags[0] if tags else identity
        found.append(Image(_short(reference), reference, str(identity), 0, digests[0] if digests else ""))
    return tuple(sorted(found, key=lambda one: (one.name, one.reference)))


def _of_look(path: Path, hop: HopTold) -> tuple[tuple[Image, ...], str]:
    """The last observation kept for `status`, when it was made after the hop ended."""
    document = _json(path)
    at = str(document.get("observed_at", ""))
    if not hop.ended or at[:19] < hop.ended[:19]:
        return (), ""
    hosts: dict[tuple[str, str], set[str]] = {}
    for host in document.get("hosts", ()):
        for one in host.get("containers", ()):
            hosts.setdefault((str(one["image"]), str(one["image_id"])), set()).add(str(host["name"]))
    found = tuple(Image(_short(ref), ref, identity, len(names)) for (ref, identity), names in sorted(hosts.items()))
    return found, f"last look at {at}"


def _short(reference: str) -> str:
    """`keystone` of `registry:4000/kolla/keystone:2025.1-debian`."""
    return reference.rpartition("/")[2].partition("@")[0].partition(":")[0] or reference


def _told(reference: str, version: str) -> str:
    return f"{reference} ({version})" if version else reference
