from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from portal import Portal, create_app, db, schema
from portal.config import Settings
from tests.api.world import World

DATABASES = ("sqlite", "postgresql")


@contextmanager
def portal_on(kind: str, directory: Path) -> Iterator[Portal]:
    if kind == "sqlite":
        url = f"sqlite:///{directory / 'portal.sqlite3'}"
    else:
        if "TEST_PG" not in os.environ:
            pytest.skip("no PostgreSQL")
        admin = make_url(os.environ["TEST_PG"])
        name = f"t{uuid4().hex}"
        engine = create_engine(admin, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"create database {name}"))
        engine.dispose()
        url = admin.set(database=name).render_as_string(hide_password=False)
    app = create_app(
        Settings(mode="test", secret_key="k" * 16 + "test-secret-key-0123456789", database_url=url, log_level="ERROR")
    )
    yield app
    with app.app_context():
        db.current_database().dispose()


@pytest.fixture(scope="session", params=DATABASES)
def portal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with portal_on(request.param, tmp_path_factory.mktemp("api")) as app:
        with app.app_context():
            schema.upgrade(db.current_database().pages)
        yield app


@pytest.fixture
def world(portal: Portal) -> World:
    return World(portal)
