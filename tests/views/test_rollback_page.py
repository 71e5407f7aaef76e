"""The way back as an operator reads it: what each service needs, what would be lost, what is not known."""

from __future__ import annotations

from upgrader.back_map import BackMap, ServiceWay
from upgrader.database.losses import Losses, Named, RowChange, Since
from upgrader.model import Way
from upgrader.views.page import plain_text
from upgrader.views.rollback import back_page

LOST = Losses(
    since="2026-02-01T00:00:00Z",
    rows=(
        RowChange(table="nova.instances", then=12, now=14),
        RowChange(table="cinder.volumes", then=7, now=None),
        RowChange(table="neutron.ports", then=21, now=1),
    ),
    created=(
        Since(
            kind="instances", schema_name="nova", fate="orphan", count=7, first=(Named(id="u1", name="web-1", at="t"),)
        ),
        Since(kind="images", schema_name="glance", fate="orphan", count=None, why="ERROR 1146"),
        Since(kind="instances-deleted", schema_name="nova", fate="ghost", count=1, first=(Named(id="u9"),)),
        Since(kind="passwords", schema_name="keystone", fate="undone", count=3),
    ),
    schemas_since=("magnum",),
)


def page(losses: Losses | None = LOST, **more: object) -> str:
    services = (
        ServiceWay(
            service="neutron", databases=("neutron",), way=Way.RESTORE, alone=False,
            why="neutron is at b2, which 2024.1 does not know", alone_why="neutron was written to",
        ),
        ServiceWay(
            service="keystone", databases=("keystone",), way=Way.REDEPLOY, why="its schema is the old release's"
        ),
    )  # fmt: skip
    body = {"source": "2024.1", "target": "2024.2", "best": Way.RESTORE, "reasons": ("neutron: changed",)}
    found = BackMap(services=services, backup_set="/b/set", backup_state="proved", losses=losses, **body, **more)  # type: ignore[arg-type]
    return plain_text(back_page(found, site="prod", age="2 h 05 min", next_commands=("upgrader rollback --restore",)))


def test_everything_that_would_be_lost_is_on_the_page() -> None:
    text = page()
    for line in (
        "prod · way back 2024.2 → 2024.1: restore the databases",
        "  neutron   restore   neutron is at b2, which 2024.1 does not know",
        "  keystone  redeploy  its schema is the old release's",
        "everything written since 2026-02-01T00:00:00Z (2 h 05 min ago)",
        "Backup /b/set, proved",
        "  neutron.ports   21  →  1        20 fewer",
        "  nova.instances  12  →  14       2 written since",
        "  7 instances:",
        "    u1 web-1 t",
        "    and 6 more",
        "  images: unknown (ERROR 1146)",
        "(ghosts):",
        "  3 passwords set (the ones before would be valid again)",
        "Schemas that are not in the backup: magnum",
        "  neutron  refused  neutron was written to",
    ):
        assert line in text, text
    assert text.index("cinder.volumes") < text.index("neutron.ports"), "what is not known comes first"
    assert "cinder.volumes  7   →  unknown  it could not be read" in text
    assert text.rstrip().endswith("Next:  upgrader rollback --restore")


def test_nobody_could_be_asked_is_not_nothing_was_written() -> None:
    text = page(
        Losses(since="2026-02-01T00:00:00Z", rows=(RowChange(table="a.b", then=1, now=None),), error="no server")
    )
    assert "Unknown: the databases could not be asked: no server" in text
    assert "Nothing" not in text


def test_nothing_written_is_said_with_its_limit() -> None:
    text = page(Losses(since="2026-02-01T00:00:00Z"))
    assert "Nothing that is counted or bears a time was written since." in text
    assert "are not seen by any of this" in text


def test_many_tables_are_cut_and_counted() -> None:
    rows = tuple(RowChange(table=f"nova.t{number:02}", then=0, now=number + 1) for number in range(40))
    assert "and 25 tables more (--json has all)" in page(Losses(since="2026-02-01T00:00:00Z", rows=rows))
