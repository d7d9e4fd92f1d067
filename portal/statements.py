"""The statements of the hot path: written in SQLAlchemy Core, compiled once, and sent by the driver itself.

A statement of a machine endpoint is the same in every request but for its values. SQLAlchemy's own way of executing
costs more of the processor than the driver and PostgreSQL together, mostly for what such a statement does not need.
"""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.types.string import TextLoader
from sqlalchemy import (
    JSON,
    Connection,
    Dialect,
    Insert,
    LargeBinary,
    Select,
    Table,
    Update,
    bindparam,
    insert,
    literal,
    select,
    text,
)
from sqlalchemy import cast as sql_cast

from portal.db import UtcDateTime

Core = Select[Any] | Insert | Update

_numbers = count(1)
_read_json = json.JSONDecoder().decode


class Prepared:
    """One Core statement that is run over and over. On PostgreSQL each connection prepares it once, and sends values only.

    That is for connections that commit each statement by itself (`db.reader`). In a transaction SQLAlchemy executes it: the
    driver must know where one begins, and throws away what was prepared when one is rolled back. Rows have their columns
    as attributes.
    """

    def __init__(self, statement: Core) -> None:
        self.statement = statement
        self._compiled: _Compiled | None = None

    def first(self, connection: Connection, **values: Any) -> Any:
        """The first row, or None."""
        answer = self._send(connection, values)
        if answer is None:
            return connection.execute(self.statement, values).first()
        return answer.row(0) if answer.result.ntuples else None

    def rows(self, connection: Connection, **values: Any) -> list[Any]:
        """All rows."""
        answer = self._send(connection, values)
        if answer is None:
            return list(connection.execute(self.statement, values))
        return answer.rows()

    def run(self, connection: Connection, **values: Any) -> int:
        """How many rows were changed."""
        answer = self._send(connection, values)
        return connection.execute(self.statement, values).rowcount if answer is None else answer.result.command_tuples or 0

    def _send(self, connection: Connection, values: Mapping[str, Any]) -> _Answer | None:
        """What PostgreSQL answered; None when SQLAlchemy is to execute instead.

        That is on other databases, in a transaction, and for what PostgreSQL refuses: SQLAlchemy then tells it as its own error, and
        drops a connection that has died. A dead connection sends nothing, and a statement that failed changed nothing.
        """
        if connection.dialect.name != "postgresql":
            return None
        if self._compiled is None:
            self._compiled = _Compiled(self.statement, connection.dialect)
        here: _OnConnection | None = connection.info.get(self)
        try:
            if here is None:
                driver: Any = connection.connection.driver_connection
                if not driver.autocommit:
                    return None
                here = connection.info[self] = _OnConnection(self._compiled, driver)
            return here.send(values)
        except psycopg.Error:
            return None


class _Compiled:
    """The text of a statement, and what becomes of its values and of the columns of its rows."""

    def __init__(self, statement: Core, dialect: Dialect) -> None:
        numbering: Any = type(dialect)
        compiled: Any = statement.compile(dialect=numbering(paramstyle="numeric_dollar"))
        self.name = f"portal_{next(_numbers)}".encode()
        self.text = str(compiled).encode()
        self._values = [
            (name, compiled.params[name], _writing(compiled.binds[name].type, dialect)) for name in compiled.positiontup
        ]
        self.size = len(self._values)
        columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        self._columns = [
            (number, convert) for number, column in enumerate(columns) if (convert := _reading(column, dialect)) is not None
        ]
        row: Any = namedtuple("Row", [column.name for column in columns])  # type: ignore[misc]
        self._row = row._make
        self.read: Callable[[Sequence[Any]], Any] = self._converted if self._columns else self._row
        """Makes of what the driver read the row as the rest of the portal knows it."""

    def write(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in their places, as the driver takes them."""
        given = [(values.get(name, constant), convert) for name, constant, convert in self._values]
        return [value if convert is None else convert(value) for value, convert in given]

    def _converted(self, row: Sequence[Any]) -> Any:
        read = list(row)
        for number, convert in self._columns:
            if read[number] is not None:
                read[number] = convert(read[number])
        return self._row(read)


def _writing(kind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    """What makes of a value what the driver takes; None for what it takes as it is. SQLAlchemy would wrap bytes."""
    if isinstance(kind, LargeBinary):
        return None
    convert: Callable[[Any], Any] | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _reading(column: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    """What makes of a column's value what the rest of the portal knows; None for what comes that way already."""
    if isinstance(column.type, JSON):
        return _read_json
    if isinstance(column.type, UtcDateTime):
        return None  # every connection speaks of times in UTC (`db._prepare_postgresql`)
    convert: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).result_processor(dialect, None)
    return convert


class _AsText:
    """The driver's converters, but for JSON, which comes as text: the driver's own reading of it costs twice as much."""

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self.connection = driver
        self.adapters = AdaptersMap(driver.adapters)
        for kind in ("json", "jsonb"):
            self.adapters.register_loader(kind, TextLoader)


class _OnConnection:
    """A statement as one connection has prepared it, with the driver's converters of its types.

    It calls libpq through the driver: a cursor would cost more than both, for what is known of the statement already.
    """

    def __init__(self, compiled: _Compiled, driver: psycopg.Connection[Any]) -> None:
        self.compiled = compiled
        self.transformer = Transformer(_AsText(driver))
        self._pgconn = driver.pgconn
        self._formats = [PyFormat.TEXT] * compiled.size
        self._knows_columns = False
        if self._pgconn.prepare(compiled.name, compiled.text).status != ExecStatus.COMMAND_OK:
            raise psycopg.ProgrammingError("the statement could not be prepared")

    def send(self, values: Mapping[str, Any]) -> _Answer:
        """The answer to the statement with these values. Raises psycopg.Error when it was refused."""
        written: Any = self.transformer.dump_sequence(self.compiled.write(values), self._formats)
        result = self._pgconn.exec_prepared(self.compiled.name, written)
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            raise psycopg.DatabaseError("the statement was refused")
        self.transformer.set_pgresult(result, set_loaders=not self._knows_columns)
        self._knows_columns = True
        return _Answer(self, result)


class _Answer:
    """What came back, its rows not read yet."""

    def __init__(self, sent: _OnConnection, result: Any) -> None:
        self._sent = sent
        self.result = result

    def row(self, number: int) -> Any:
        return self._sent.transformer.load_row(number, self._sent.compiled.read)

    def rows(self) -> list[Any]:
        return self._sent.transformer.load_rows(0, self.result.ntuples, self._sent.compiled.read)


class ClaimAndInsert:
    """A conditional UPDATE and the rows it earns, stored together or not at all.

    PostgreSQL gets one statement with data-modifying CTEs; other databases get the same statements in one
    transaction. Each row of `earns` is a table with the names of its columns; the value of column `c` of the
    n-th row is the parameter `row{n}_{c}`.
    """

    def __init__(self, claim: Update, *earns: tuple[Table, Sequence[str]]) -> None:
        self._claim = claim
        self._inserts = [_insert_of(number, table, columns) for number, (table, columns) in enumerate(earns)]
        claimed = claim.returning(literal(1).label("one")).cte("claimed")
        as_one = select(claimed.c.one)
        for number, (table, columns) in enumerate(earns):
            values = select(*(sql_cast(_bind(number, table, c), table.c[c].type) for c in columns)).select_from(claimed)
            as_one = as_one.add_cte(
                insert(table).from_select(list(columns), values, include_defaults=False).cte(f"earned_{number}")
            )
        self._as_one = Prepared(as_one)

    def execute(self, connection: Connection, claim: Mapping[str, Any], *rows: Mapping[str, Any]) -> bool:
        """True when this call made the claim; False when it was already taken, and then nothing was stored."""
        if connection.dialect.name == "postgresql":
            merged = {f"row{n}_{name}": value for n, row in enumerate(rows) for name, value in row.items()}
            return self._as_one.first(connection, **claim, **merged) is not None
        return self._one_by_one(connection, claim, rows)

    def _one_by_one(self, connection: Connection, claim: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bool:
        connection.execute(text("BEGIN IMMEDIATE"))
        try:
            won = connection.execute(self._claim, claim).rowcount == 1
            if won:
                for number, (statement, row) in enumerate(zip(self._inserts, rows, strict=True)):
                    connection.execute(statement, {f"row{number}_{name}": value for name, value in row.items()})
        except BaseException:
            connection.execute(text("ROLLBACK"))
            raise
        connection.execute(text("COMMIT"))
        return won


def _bind(number: int, table: Table, column: str) -> Any:
    return bindparam(f"row{number}_{column}", type_=table.c[column].type)


def _insert_of(number: int, table: Table, columns: Sequence[str]) -> Insert:
    return insert(table).values({column: _bind(number, table, column) for column in columns})
