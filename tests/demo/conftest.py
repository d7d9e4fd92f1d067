from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal import Portal
from portal.demo import commands
from tests import conftest as shared
from tests.conftest import Databases


@pytest.fixture(scope="session")
def loaded(database_kind: str, _databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal with the demo data in it, shared by the tests that look at it."""
    with (
        _databases(database_kind).copy("migrated", shared._migrate) as url,
        shared._application(shared._settings(url, **shared._folders(tmp_path_factory.mktemp("demo")))) as app,
    ):
        with app.app_context():
            commands.load(app.settings, app.keyring, partner_origin=commands.partner_origin(None))
        yield app


@pytest.fixture
def bare(empty_database_url: str) -> Iterator[Portal]:
    """A portal on a database without a table."""
    with shared._application(shared._settings(empty_database_url)) as app:
        yield app
