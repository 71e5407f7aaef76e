"""The site's own files during a hop: edited for the target release, or put back as the backup set has them.

Only what this tool edits is ever written: globals, passwords, inventory. A copy of what stood there goes into the
backup set first, which is the one place for secrets.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

from upgrader.database.manifest import CONFIGURATION, INVENTORY, PASSWORDS, read_manifest
from upgrader.durable import make_dir, write_atomic
from upgrader.kolla.globals_yml import apply_edit, globals_files, plan_edit
from upgrader.kolla.inventory import Inventory, apply_groups, plan_groups
from upgrader.kolla.passwords import apply_merge, plan_merge
from upgrader.kolla.settings import site_key
from upgrader.model import CloudFacts
from upgrader.stages.base import StageContext, StepFailed

BEFORE_EDIT, BEFORE_ROLLBACK = "before-edit", "before-rollback"
VALKEY_ARRIVES = "2025.2"
"""Release whose upgrade moves Redis's data to Valkey and needs both passwords equal."""


def edit(ctx: StageContext, inventory: Inventory, facts: CloudFacts) -> list[str]:
    """Bring globals, passwords and inventory to the target release; says what was changed. May be done again."""
    keep = _set_of(ctx) / BEFORE_EDIT
    done = []
    files = globals_files(ctx.site.config_dir, ctx.hop.target, ctx.site.extra_vars)
    for change in plan_edit(files, dict(ctx.hop.settings), site_key(ctx.site)):
        apply_edit(change, keep)
        done.append(f"{change.path.name}: {', '.join(change.keys)}")
    merge = plan_merge(
        ctx.site.passwords,
        ctx.target_toolchain,
        ctx.site.vault_password_file,
        align_valkey=ctx.hop.target == VALKEY_ARRIVES and _before_valkey(facts),
    )
    apply_merge(merge, keep)
    if merge.added:
        done.append(f"{merge.path.name}: {len(merge.added)} new passwords")
    groups = plan_groups(
        ctx.site.inventory, inventory, ctx.graph.hop(ctx.hop.source, ctx.hop.target), ctx.target_toolchain
    )
    if groups is not None:
        apply_groups(groups, keep)
        done.append(f"{groups.path.name}: groups {', '.join(groups.added)}")
    return done or ["everything already says so"]


def set_switches(ctx: StageContext, settings: Sequence[tuple[str, str]]) -> list[str]:
    """Set single settings where the source release reads them; says what was changed. May be done again."""
    files = globals_files(ctx.site.config_dir, ctx.hop.source, ctx.site.extra_vars)
    done = []
    for change in plan_edit(files, dict(settings), site_key(ctx.site)):
        apply_edit(change, _set_of(ctx) / BEFORE_EDIT)
        done.append(f"{change.path.name}: {', '.join(change.keys)}")
    return done or ["everything already says so"]


def _before_valkey(facts: CloudFacts) -> bool:
    """Redis runs and Valkey does not: only then may Valkey's password be made the same; later it guards data."""
    names = {container.name for host in facts.hosts for container in host.containers}
    return "redis" in names and not names & {"valkey", "valkey_server"}


def put_back(ctx: StageContext) -> list[str]:
    """Write globals, passwords and inventory as the backup set has them; says which files differed."""
    folder = _set_of(ctx)
    manifest = read_manifest(folder)
    inside = [ctx.site.config_dir / "globals.yml", ctx.site.config_dir / "globals.d", ctx.site.passwords]
    inside += [ctx.site.inventory, *ctx.site.extra_vars]
    done = []
    for name in (CONFIGURATION, INVENTORY, PASSWORDS):
        part = manifest.part(name)
        if part is None:
            raise StepFailed(f"backup part {name!r} is missing from {folder}")
        for entry in part.files:
            done += _put_back_tar(folder / entry.path, inside, folder / BEFORE_ROLLBACK / ctx.request.attempt)
    return done or ["the files are as they were before the hop"]


def _put_back_tar(packed: Path, inside: list[Path], keep: Path) -> list[str]:
    done = []
    with tarfile.open(packed) as tar:
        for member in tar:
            path = Path("/", member.name)
            ours = any(path == place or place in path.parents for place in inside)
            stream = tar.extractfile(member) if ours and member.isfile() else None
            if stream is None:
                continue
            before = stream.read()
            now = path.read_bytes() if path.is_file() else None
            if now == before:
                continue
            if now is not None:
                make_dir(keep, exist_ok=True)
                write_atomic(keep / path.name, now, mode=0o600)
            write_atomic(path, before, mode=member.mode & 0o777)
            done.append(str(path))
    return done


def _set_of(ctx: StageContext) -> Path:
    if ctx.backup_set is None:
        raise StepFailed("this hop has no backup set")
    return ctx.backup_set
