"""The statements of the hot path: written in SQLAlchemy Core, compiled once, and sent by the driver itself.

A statement of a machine endpoint is the same in every request but for its values. SQLAlchemy's own way of executing
costs more of the processor than the driver and PostgreSQL together, mostly for what such a statement does not need.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Select, Table, Update, bindparam, insert, literal, select, text
from sqlalchemy import cast as sql_cast

Core = Select[Any] | Insert | Update


class Prepared:
    """One Core statement that is run over and over. On PostgreSQL the driver gets it directly, and prepares it.

    Only for connections that commit each statement by itself (`db.reader`). Rows have their columns as attributes.
    """

    def __init__(self, statement: Core) -> None:
        self.statement = statement
        self._compiled: _Compiled | None = None

    def first(self, connection: Connection, **values: Any) -> Any:
        """The first row, or None."""
        cursor = self._send(connection, values)
        if cursor is None:
            return connection.execute(self.statement, values).first()
        row = cursor.fetchone()
        return None if row is None else self._for(connection).read(row)

    def rows(self, connection: Connection, **values: Any) -> list[Any]:
        """All rows."""
        cursor = self._send(connection, values)
        if cursor is None:
            return list(connection.execute(self.statement, values))
        return [self._for(connection).read(row) for row in cursor.fetchall()]

    def run(self, connection: Connection, **values: Any) -> int:
        """How many rows were changed."""
        cursor = self._send(connection, values)
        return connection.execute(self.statement, values).rowcount if cursor is None else cursor.rowcount

    def _send(self, connection: Connection, values: dict[str, Any]) -> Any:
        """The driver's cursor after execution; None when SQLAlchemy is to execute instead.

        That is on other databases, and for what the driver refuses: SQLAlchemy then tells it as its own error, and
        drops a connection that has died. A dead connection sends nothing, and a statement that failed changed nothing.
        """
        dialect = connection.dialect
        if dialect.name != "postgresql":
            return None
        driver: Any = connection.connection.driver_connection
        compiled = self._for(connection)
        try:
            return driver.execute(compiled.text, compiled.write(values))
        except dialect.loaded_dbapi.Error:
            return None

    def _for(self, connection: Connection) -> _Compiled:
        if self._compiled is None:
            self._compiled = _Compiled(self.statement, connection.dialect)
        return self._compiled


class _Compiled:
    """The text of a statement, and what becomes of its values and of the columns of its rows."""

    def __init__(self, statement: Core, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}
        self._into = _converters(
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect)) for name, bind in compiled.binds.items()
        )
        columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        self._out_of = _converters(
            (number, column.type.dialect_impl(dialect).result_processor(dialect, None)) for number, column in enumerate(columns)
        )
        self._row: Any = namedtuple("Row", [column.name for column in columns])  # type: ignore[misc]

    def write(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as the driver takes them."""
        written = {**self._constants, **values}
        for name, convert in self._into:
            written[name] = convert(written[name])
        return written

    def read(self, row: Sequence[Any]) -> Any:
        """The row as the rest of the portal knows it."""
        read = list(row)
        for number, convert in self._out_of:
            if read[number] is not None:
                read[number] = convert(read[number])
        return self._row._make(read)


def _converters(pairs: Iterable[tuple[Any, Callable[[Any], Any] | None]]) -> list[tuple[Any, Callable[[Any], Any]]]:
    return [(place, convert) for place, convert in pairs if convert is not None]


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
