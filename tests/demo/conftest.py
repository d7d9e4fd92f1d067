from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portal import Portal, db, schema
from portal.demo import commands
from tests.api.conftest import DATABASES, portal_on


@pytest.fixture(params=DATABASES)
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Portal]:
    """A portal on a database without tables."""
    with portal_on(request.param, tmp_path) as app:
        yield app


@pytest.fixture
def empty(bare: Portal) -> Portal:
    """A portal on a database with tables and nothing in them."""
    with bare.app_context():
        schema.upgrade(db.current_database().pages)
    return bare


@pytest.fixture(scope="session", params=DATABASES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal with the demo data in it, shared by the tests that look at it."""
    with portal_on(request.param, tmp_path_factory.mktemp("demo")) as app:
        with app.app_context():
            schema.upgrade(db.current_database().pages)
            commands.load(app.settings, app.keyring, partner_origin=commands.partner_origin(None))
        yield app
