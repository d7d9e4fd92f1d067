"""A database of its own for each test, on SQLite and PostgreSQL: a copy of a template that is made once per worker.

There are two templates of each kind: migrated and empty, and migrated with the cast in it.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
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
            self._templates[template] = self._directory / f"{template}.sqlite3"
            fill(_url(self._templates[template]))
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

    def close(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


class Postgresql:
    """Databases of one server that all workers of a run share."""

    def __init__(self, shared: Path, owner: int) -> None:
        self._directory = _server(shared, owner)
        self._prefix = f"t{os.getpid()}_"
        self._numbers = itertools.count()
        self._templates: set[str] = set()
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
