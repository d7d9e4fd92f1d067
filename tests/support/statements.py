"""The statements that reach the database, whichever way they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import psycopg
from sqlalchemy import event

from portal import Portal


@contextmanager
def statements(app: Portal) -> Iterator[list[str]]:
    """What machine endpoints send meanwhile; on PostgreSQL what the driver is given, since the hot path goes to it directly."""
    sent: list[str] = []
    engine = app.extensions["portal-database"].machine
    if engine.dialect.name == "postgresql":
        execute = psycopg.Cursor.execute

        def note(cursor: Any, statement: Any, *values: Any, **options: Any) -> Any:
            sent.append(str(statement))
            return execute(cursor, statement, *values, **options)

        with mock.patch.object(psycopg.Cursor, "execute", note):
            yield sent
        return

    def hear(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", hear)
    yield sent
    event.remove(engine, "before_cursor_execute", hear)
