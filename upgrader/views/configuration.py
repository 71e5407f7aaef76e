"""What a hop changes in the rendered configuration, and what an inventory lacks, as lines. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upgrader.views.page import Columns, Line, Page, Ruled, Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from upgrader.rendered import ConfigDifference, FileDifference

_SHOWN_FILES = 4


def configuration_blocks(hop: str, account: ConfigDifference, *, details: bool = False) -> list[Line | Ruled | Columns]:
    """One hop's account for a page: services with their files, what could not be rendered, where the texts lie."""
    files = sum(len(service.files) for service in account.services)
    added = sum(service.added for service in account.services)
    removed = sum(service.removed for service in account.services)
    head = f"Configuration {hop}: {files} files of {len(account.services)} services differ, +{added} -{removed} lines"
    blocks: list[Line | Ruled | Columns] = []
    if account.error and not account.services:
        return [Line((Span(f"Configuration {hop}: not rendered: {account.error}", "warn"),), hang=2)]
    blocks.append(Line((Span(head, "strong"),), hang=2))
    if account.error:
        blocks.append(Line((Span(f"not whole: {account.error}", "warn"),), indent=2, hang=4))
    rows = tuple(
        (Span(service.service), Span(f"+{service.added} -{service.removed}"), Span(_files(service.files), "dim"))
        for service in account.services
    )
    if rows:
        blocks.append(Columns(rows, indent=2))
    for words, lines in (("not rendered", account.failed), ("left out, it would act", account.left_out)):
        if lines and details:
            blocks += [Line((Span(f"{words}: {line}", "dim"),), indent=2, hang=4) for line in lines]
        elif lines:
            blocks.append(Line((Span(f"{words}: {len(lines)} tasks (--details)", "dim"),), indent=2, hang=4))
    stands = [f"{host} for {len(others)} hosts" for host, others in account.hosts if len(others) > 1]
    if stands:
        blocks.append(Line((Span(f"rendered once for hosts alike: {', '.join(stands)}", "dim"),), indent=2, hang=4))
    if account.folder:
        blocks.append(Line((Span(f"texts: {account.folder}"),), indent=2, hang=4))
    return blocks


def configuration_page(accounts: Sequence[tuple[str, ConfigDifference]], *, details: bool = False) -> Page:
    """All hops' accounts."""
    return Page([block for hop, account in accounts for block in configuration_blocks(hop, account, details=details)])


def _files(files: Sequence[FileDifference]) -> str:
    """`nova.conf, policy.yaml (new)`: a file that differs in two ways between hosts is named once."""
    words = {"changed": "", "added": " (new)", "removed": " (gone)"}
    names = list(dict.fromkeys(file.path.partition("/")[2] + words[file.kind] for file in files))
    return ", ".join(names[:_SHOWN_FILES]) + (
        f" and {len(names) - _SHOWN_FILES} more" if len(names) > _SHOWN_FILES else ""
    )


def patch_page(file: str, added: Mapping[str, Sequence[str]], folder: str) -> Page:
    """What a written patch adds, and how it is applied by the operator."""
    if not added:
        return Page([Line((Span("The inventory has every group that the way needs; no patch was written.", "good"),))])
    rows = tuple((Span(name), Span(" ".join(children) or "no hosts", "dim")) for name, children in added.items())
    return Page(
        [
            Line(
                (Span(f"{len(added)} groups are missing; the patch is in {file}. Nothing was changed.", "strong"),),
                hang=2,
            ),
            Columns(rows, indent=2),
            Line((Span("Look at it, then:  "), Span(f"patch -p1 -d {folder} < {file}", "command"))),
        ]
    )
