"""Changing what is stored of a fund, a member or a pension account, by a merge patch (RFC 7396) and never over another's change.

The patch has been checked as a whole before it comes here. The row that is written is the very one that was read: one
UPDATE asks for its version, and its row count decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Connection, Date, Numeric, Row, Select, Table, update
from sqlalchemy.orm import Session

from portal.errors import PreconditionFailed
from portal.funds import telling
from portal.funds.telling import Partner


@dataclass(frozen=True)
class Kind:
    """One kind of thing that can be changed.

    `find` reads one by `object_id` and `business_id`, its `version` included; `shown` makes of that row what is told.
    """

    table: Table
    find: Select[Any]
    shown: Callable[[Row[Any]], dict[str, Any]]
    fields: tuple[str, ...]
    """The names that a patch may hold."""
    event: str
    facts: Callable[[Row[Any]], dict[str, Any]]
    """Who or what it is, for the history."""
    moment: str | None = None
    """The column that keeps when it was changed last."""

    def read(self, connection: Connection, business_id: str, object_id: str) -> Row[Any] | None:
        """None when this business has no such thing."""
        return connection.execute(self.find, {"object_id": object_id, "business_id": business_id}).first()


def change(
    session: Session,
    kind: Kind,
    object_id: str,
    patch: Mapping[str, Any],
    versions: Collection[int],
    *,
    by: Partner,
    now: datetime,
) -> Row[Any] | None:
    """The row after the change, or None when the business has no such thing.

    Raises PreconditionFailed when it is in none of `versions`, or no longer. A patch that changes nothing writes nothing.
    """
    connection = session.connection()
    row = kind.read(connection, by.business_id, object_id)
    if row is None:
        return None
    if row.version not in versions:
        raise PreconditionFailed
    values = _changed(kind, row, patch)
    if not values:
        return row
    _write(connection, kind, row, values, now=now)
    telling.tell(session, by, kind.event, now=now, changed=list(values), **kind.facts(row))
    return kind.read(connection, by.business_id, object_id)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396 §2: null removes, objects are merged, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def _changed(kind: Kind, row: Row[Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that become something else, with what they become."""
    shown = kind.shown(row)
    before = {name: shown[name] for name in kind.fields}
    after = merge(before, patch)
    values = {name: stored(kind.table.c[name], after.get(name)) for name in kind.fields if name in patch}
    return {name: value for name, value in values.items() if value != before[name]}


def stored(column: Column[Any], value: Any) -> Any:
    """A value of JSON as the column takes it."""
    if isinstance(column.type, Date) and isinstance(value, str):
        return date.fromisoformat(value)
    if isinstance(column.type, Numeric) and isinstance(value, str):
        return Decimal(value)
    return value


def _write(connection: Connection, kind: Kind, row: Row[Any], values: dict[str, Any], *, now: datetime) -> None:
    table = kind.table
    moment = {kind.moment: now} if kind.moment else {}
    claim = (
        update(table)
        .where(table.c.id == row.id, table.c.version == row.version)
        .values(**values, **moment, version=row.version + 1)
    )
    if connection.execute(claim).rowcount != 1:
        raise PreconditionFailed
