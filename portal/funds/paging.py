"""Lists of a fund, which are whole, and of a business, in pages by keyset on (business_id, id)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, tuple_

from portal.crypto import Keyring
from portal.db import Id
from portal.funds import cursor as cursors


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row[Any]]
    next_cursor: str | None


def rows_of_fund(connection: Connection, query: Select[Any], values: Mapping[str, Any]) -> list[Row[Any]] | None:
    """The rows of a query that starts from one fund: a fund without any gives one without an `id`. None without the fund."""
    found = connection.execute(query, values).all()
    return [row for row in found if row.id is not None] if found else None


class Pages:
    """The two statements of one list, made once: its first page, and the page after a row.

    `query` selects the rows of `table` with an `id`; the table has a `business_id` and an index on both. The business is
    asked for as a range of one: told that it is one value, PostgreSQL may walk the primary key instead, past the rows of
    everyone else.
    """

    def __init__(self, query: Select[Any], table: Table) -> None:
        self._name = table.name
        owner, business_id = table.c.business_id, bindparam("business_id", type_=Id)
        upwards = query.where(owner <= business_id).order_by(owner, table.c.id).limit(bindparam("rows"))
        self.first = upwards.where(owner >= business_id)
        self.after = upwards.where(tuple_(owner, table.c.id) > tuple_(business_id, bindparam("after_id")))

    def find(self, connection: Connection, business_id: str, *, limit: int, cursor: str | None, keyring: Keyring) -> Page:
        """One page in one statement. Raises BadRequest for a cursor that is not of this list and business."""
        seal = (self._name, business_id)
        values: dict[str, Any] = {"business_id": business_id, "rows": limit + 1}
        if cursor:
            (values["after_id"],) = cursors.read(keyring, seal, cursor)
        rows = list(connection.execute(self.after if cursor else self.first, values))
        if len(rows) <= limit:
            return Page(rows, None)
        return Page(rows[:limit], cursors.make(keyring, seal, (rows[limit - 1].id,)))
