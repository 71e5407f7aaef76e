"""What Nova's API does not tell and its records do: the version of each compute service."""

from __future__ import annotations

import importlib
import urllib.parse
from typing import Any

NO_CELL = "00000000-0000-0000-0000-000000000000"
"""UUID of cell 0, in which nothing runs (openstack/nova@33.0.2:nova/objects/cell_mapping.py)."""


def versions(api: str, own: str) -> dict[str, int]:
    """Host → SERVICE_VERSION, from every cell. `api` and `own` are the connections of nova.conf's two databases.

    Raises what SQLAlchemy raises, whose words may hold a connection.
    """
    cells = _rows(api, f"SELECT database_connection FROM cell_mappings WHERE uuid <> '{NO_CELL}'")  # noqa: S608
    found: dict[str, int] = {}
    for (template,) in cells:
        # `binary` is a word of SQL; a deleted row has its own id there
        question = "SELECT host, version FROM services WHERE deleted = 0 AND `binary` = 'nova-compute'"
        for host, version in _rows(cell_url(str(template), own), question):
            found[str(host)] = int(version or 0)
    return found


def _rows(url: str, question: str) -> list[Any]:
    sql = importlib.import_module("sqlalchemy")  # in every image of Nova's, and of no use here
    engine = sql.create_engine(url, poolclass=sql.pool.NullPool)
    with engine.connect() as connection:
        return list(connection.execute(sql.text(question)))


def cell_url(template: str, own: str) -> str:
    """A cell's connection, its placeholders filled from nova.conf's (openstack/nova@33.0.2:
    nova/objects/cell_mapping.py, _format_url)."""
    if "{" not in template:
        return template
    parts = urllib.parse.urlparse(own)
    return template.format(
        username=parts.username, password=parts.password, hostname=parts.hostname, port=parts.port,
        scheme=parts.scheme, query=parts.query, fragment=parts.fragment, path=parts.path.lstrip("/"),
    )  # fmt: skip
