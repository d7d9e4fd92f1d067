"""The statements that reach the database, whichever way they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import psycopg
from sqlalchemy import event

from portal import Portal
from portal import statements as prepared

OF_A_NEW_CONNECTION = ("SET TIME ZONE", "select pg_catalog.version()", "show standard_conforming_strings")


@contextmanager
def statements(app: Portal) -> Iterator[list[str]]:
    """What machine endpoints send meanwhile; on PostgreSQL what the driver is given, and what the hot path has prepared."""
    sent: list[str] = []
    engine = app.extensions["portal-database"].machine
    if engine.dialect.name == "postgresql":
        execute, executemany, send = psycopg.Cursor.execute, psycopg.Cursor.executemany, prepared._OnConnection.send

        def note(cursor: Any, statement: Any, *values: Any, **options: Any) -> Any:
            if not str(statement).startswith(OF_A_NEW_CONNECTION):
                sent.append(str(statement))
            return execute(cursor, statement, *values, **options)

        def note_many(cursor: Any, statement: Any, *values: Any, **options: Any) -> Any:
            sent.append(str(statement))
            return executemany(cursor, statement, *values, **options)

        def note_prepared(statement: prepared._OnConnection, values: Any) -> Any:
            sent.append(statement.compiled.text.decode())
            return send(statement, values)

        with (
            mock.patch.object(psycopg.Cursor, "execute", note),
            mock.patch.object(psycopg.Cursor, "executemany", note_many),
            mock.patch.object(prepared._OnConnection, "send", note_prepared),
        ):
            yield sent
        return

    def hear(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", hear)
    yield sent
    event.remove(engine, "before_cursor_execute", hear)


@contextmanager
def every_statement(app: Portal) -> Iterator[list[str]]:
    """The same with what pages send in their transactions."""
    pages = app.extensions["portal-database"].pages
    with statements(app) as sent:
        if pages.dialect.name == "postgresql":  # heard at the driver already
            yield sent
            return

        def hear(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
            sent.append(statement)

        event.listen(pages, "before_cursor_execute", hear)
        yield sent
        event.remove(pages, "before_cursor_execute", hear)
