from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal import Portal
from tests import conftest as shared
from tests.api.world import World
from tests.conftest import Databases


@pytest.fixture(scope="session")
def portal(database_kind: str, _databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """One application for all tests of the API; each works in a business of its own."""
    with (
        _databases(database_kind).copy("migrated", shared._migrate) as url,
        shared._application(shared._settings(url, **shared._folders(tmp_path_factory.mktemp("portal")))) as app,
    ):
        yield app


@pytest.fixture
def world(portal: Portal) -> World:
    return World(portal)
