"""How Alembic reaches the database: on the connection that `portal.schema` hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from portal import db
from portal.schema import METADATA


def render_item(kind: str, item: Any, _autogenerate: AutogenContext) -> str | Literal[False]:
    """Write our own column types by their names."""
    if kind == "type":
        if item is db.Id:
            return "Id"
        if item is db.Digest:
            return "Digest"
        if isinstance(item, db.UtcDateTime):
            return "UtcDateTime()"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    transactional_ddl=True,
    compare_type=True,
    render_item=render_item,
    render_as_batch=False,
)
with context.begin_transaction():
    context.run_migrations()
