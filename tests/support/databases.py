"""A database of its own for each test, on SQLite and PostgreSQL: a copy of a template that is made once per worker.

There are two templates of each kind: migrated and empty, and migrated with the cast in it. A database that a running
server holds on to cannot be thrown away; `restore` puts the template's rows back into it instead.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support import postgres

KINDS = ("sqlite", "postgresql")
Fill = Callable[[str], None]
"""Brings the empty database at a URL to where a template should be."""


class Sqlite:
    """Databases that are files, in memory where the system allows it."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sqlite-", dir=postgres.memory()))
        self._numbers = itertools.count()
        self._templates: dict[str, Path] = {}

    @contextmanager
    def copy(self, template: str, fill: Fill) -> Iterator[str]:
        """The URL of a new copy of `template`, which `fill` makes when it is first asked for."""
        if template not in self._templates:
            made = self._directory / f"{template}.sqlite3"
            fill(_url(made))
            self._templates[template] = made
        file = self._directory / f"{next(self._numbers)}.sqlite3"
        shutil.copy(self._templates[template], file)
        yield _url(file)
        for part in self._directory.glob(f"{file.name}*"):
            part.unlink(missing_ok=True)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database without a table."""
        file = self._directory / f"{next(self._numbers)}.sqlite3"
        yield _url(file)
        for part in self._directory.glob(f"{file.name}*"):
            part.unlink(missing_ok=True)

    def restore(self, url: str, template: str) -> None:
        """Make the rows of the database at `url` those of the template again."""
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
        connection.execute("ATTACH ? AS template", (str(self._templates[template]),))
        tables = [name for (name,) in connection.execute("SELECT name FROM template.sqlite_master WHERE type = 'table'")]
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        for table in tables:
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} SELECT * FROM template.{table}")
        connection.execute("COMMIT")
        connection.close()

    def close(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


class Postgresql:
    """Databases of one server that all workers of a run share."""

    def __init__(self, shared: Path, owner: int) -> None:
        self._directory = _server(shared, owner)
        self._prefix = f"t{os.getpid()}_"
        self._numbers = itertools.count()
        self._templates: set[str] = set()
        self._rows: dict[str, dict[str, bytes]] = {}
        self._admin = psycopg.connect(postgres.url(self._directory), autocommit=True)

    @contextmanager
    def copy(self, template: str, fill: Fill) -> Iterator[str]:
        """The URL of a new copy of `template`, which `fill` makes when it is first asked for."""
        source = f"{self._prefix}{template}"
        if template not in self._templates:
            self._create(source, "template0")
            fill(postgres.url(self._directory, source))
            self._templates.add(template)
        with self._new(source) as url:
            yield url

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database without a table."""
        with self._new("template0") as url:
            yield url

    def restore(self, url: str, template: str) -> None:
        """Make the rows of the database at `url` those of the template again."""
        if template not in self._rows:
            self._rows[template] = self._dump(f"{self._prefix}{template}")
        with psycopg.connect(url) as connection:
            connection.execute("SET session_replication_role = replica")  # no foreign key is checked
            for table, rows in self._rows[template].items():
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
                with connection.cursor().copy(
                    sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(sql.Identifier(table))
                ) as copy:
                    copy.write(rows)

    def _dump(self, database: str) -> dict[str, bytes]:
        """The rows of each table in PostgreSQL's own binary form."""
        with psycopg.connect(postgres.url(self._directory, database)) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            dump = {}
            for (table,) in tables:
                with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(table))) as copy:
                    dump[table] = b"".join(copy)
            return dump

    def close(self) -> None:
        self._admin.close()

    @contextmanager
    def _new(self, source: str) -> Iterator[str]:
        name = f"{self._prefix}{next(self._numbers)}"
        self._create(name, source)
        yield postgres.url(self._directory, name)
        self._admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _create(self, name: str, source: str) -> None:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._admin.execute(statement.format(sql.Identifier(name), sql.Identifier(source)))


def _server(shared: Path, owner: int) -> Path:
    """The directory of the run's server; the first worker that asks starts it."""
    known = shared / "postgresql"
    with (shared / "postgresql.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not known.exists():
            known.write_text(str(postgres.start(owner)))
    return Path(known.read_text())


def _url(file: Path) -> str:
    return f"sqlite:///{file}"
