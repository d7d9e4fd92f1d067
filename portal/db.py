"""The database: engines, the unit of work of a request, column types, and the one way to claim things.

Pages and commands work in `session`, one ORM transaction per request that `Portal.dispatch_request` commits when
the view has returned and rolls back when anything was raised. Machine endpoints work on `reader()`, a connection
that commits each statement by itself, and so need no more than the statements they send.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from flask import current_app, g
from sqlalchemy import (
    Connection,
    DateTime,
    Dialect,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from werkzeug.local import LocalProxy

from portal.config import Settings

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
SQLITE_BUSY_SECONDS = 10
SQLITE_MOMENT_MILLISECONDS = 100
AT_HAND_SECONDS = 60


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on every database; SQLite keeps it as text without the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("datetimes are aware UTC here; got a naive one")
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Id = String(64).with_variant(String(64, collation="C"), "postgresql")
"""A text id compared byte by byte: PostgreSQL's "C" collation makes look-ups cheaper than a language's order."""

Digest = LargeBinary(32)
"""A SHA-256 digest; the only form in which a secret or token is stored."""


class Base(DeclarativeBase):
    """The parent of every table; constraints are named so that migrations can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime()}


def table_of(model: type[Base]) -> Table:
    """The Core table of a model, for the statements of the hot path."""
    return cast(Table, model.__table__)


def utcnow() -> datetime:
    return datetime.now(UTC)


def new_id(at: datetime | None = None) -> str:
    """A new primary key: 26 characters, sorted by time of making (or by `at`), 80 of its bits random."""
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp() * 1000)
    number = milliseconds << 80 | secrets.randbits(80)
    characters = []
    for _ in range(26):
        characters.append(ID_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(characters))


class Database:
    """The two engines of one application: `pages` in transactions, `machine` committing each statement."""

    def __init__(self, settings: Settings) -> None:
        self.url = make_url(settings.database_url)
        self.pages = _make_engine(settings, autocommit=False)
        self.machine = _make_engine(settings, autocommit=True)
        self._at_hand: deque[tuple[Connection, float]] = deque()
        self._most_at_hand = settings.database_pool_size if self.url.get_backend_name() == "postgresql" else 0

    @contextmanager
    def machine_connection(self) -> Iterator[Connection]:
        """A connection of `machine`, mostly one that is at hand: asking the pool for it costs as much as a statement.

        Each goes back to the pool once a minute, which replaces those that are too old, and whenever anything is raised.
        """
        connection, until = self._take()
        try:
            yield connection
        except BaseException:
            if connection.invalidated:  # the database went away, and so took them all
                self._let_go()
            connection.close()
            raise
        if len(self._at_hand) < self._most_at_hand and time.monotonic() < until and not connection.invalidated:
            self._at_hand.append((connection, until))
        else:
            connection.close()

    def _take(self) -> tuple[Connection, float]:
        try:
            return self._at_hand.pop()
        except IndexError:
            return self.machine.connect(), time.monotonic() + AT_HAND_SECONDS

    def _let_go(self) -> None:
        with suppress(IndexError):
            while True:
                self._at_hand.pop()[0].close()

    def dispose(self) -> None:
        self._let_go()
        self.pages.dispose()
        self.machine.dispose()


def _make_engine(settings: Settings, *, autocommit: bool) -> Engine:
    url = make_url(settings.database_url)
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True} if autocommit else {}
    if url.get_backend_name() == "sqlite":
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS}, hide_parameters=True, **options)
        _prepare_sqlite(engine, autocommit=autocommit)
        return engine
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_size,
        pool_pre_ping=False,
        pool_recycle=1800,
        hide_parameters=True,  # errors go to the log, and values are people's data
        connect_args={"prepare_threshold": 2, "connect_timeout": 10},
        **options,
    )
    _prepare_postgresql(engine, autocommit=autocommit)
    return engine


def _prepare_postgresql(engine: Engine, *, autocommit: bool) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        """The zone in which the driver reads times; with any other than UTC each one would have to be moved there.

        What machines ask is found by key, in the order of an index, so that one plan serves all values; PostgreSQL would
        plan a list anew for each call, since it cannot know how few rows a page has, and that took as long as to read them.
        """
        before, connection.autocommit = connection.autocommit, True
        connection.execute("SET TIME ZONE 'UTC'")
        if autocommit:
            connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.autocommit = before


def _lower(value: Any) -> str | None:
    """SQLite's own `lower` folds A to Z alone; PostgreSQL's folds É too, and so must every search."""
    return None if value is None else str(value).lower()


def _prepare_sqlite(engine: Engine, *, autocommit: bool) -> None:
    @event.listens_for(engine, "do_connect")
    def make_file(_dialect: Dialect, _record: Any, arguments: Sequence[Any], _options: Any) -> None:
        """A new file is for its owner alone; SQLite would leave that to the umask, and makes its other files like it."""
        if not arguments[0].startswith((":", "file:")):
            # One that is there is not even opened: closing it again would drop the locks of every other connection here.
            with suppress(FileExistsError):
                os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's BEGIN below, not the driver's guess
        connection.create_function("lower", 1, _lower, deterministic=True)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    if not autocommit:

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            # A transaction that reads first and writes later would fail as soon as another one wrote in between.
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def current_database() -> Database:
    return cast(Database, current_app.extensions["portal-database"])


def _current_session() -> Session:
    if "db_session" not in g:
        g.db_session = Session(current_database().pages, expire_on_commit=False)
    return cast(Session, g.db_session)


session = cast(Session, LocalProxy(_current_session))
"""The ORM session of this request or command."""


def reader() -> AbstractContextManager[Connection]:
    """A pooled connection that commits each statement by itself, for machine endpoints and reads before a transaction.

    To be used in a `with`, which gives it back.
    """
    return current_database().machine_connection()


def unless_busy(connection: Connection, write: Callable[[], int]) -> int | None:
    """What `write` returns; None when it would have to wait on SQLite, which has one lock for all that write.

    For what a call that reads writes by the way, and a later one can write as well.
    """
    if connection.dialect.name != "sqlite":
        return write()
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA busy_timeout = {SQLITE_MOMENT_MILLISECONDS}")
    try:
        return write()
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
            raise
        return None
    finally:
        driver.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")


@contextmanager
def transaction() -> Iterator[Session]:
    """Return keeps, raise undoes: the edge of a command's unit of work."""
    try:
        yield session
    except BaseException:
        rollback()
        raise
    commit()


def commit() -> None:
    """Commit what this request wrote: at the edge, and before slow work that must not keep others from writing."""
    if "db_session" in g:
        g.db_session.commit()


def rollback() -> None:
    """Undo what this request wrote."""
    g.was_undone = True
    if "db_session" in g:
        g.db_session.rollback()


def was_undone() -> bool:
    """Whether what this request wrote is not stored, and so must not be told in a cookie either."""
    return "was_undone" in g


def close(_error: BaseException | None = None) -> None:
    """Give the connection back when the application context ends."""
    open_session = g.pop("db_session", None)
    if open_session is not None:
        open_session.close()
