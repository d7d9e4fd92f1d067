from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from portal import Portal
from portal.funds.storage import Folder
from tests import conftest as shared
from tests.api.samples import form
from tests.api.world import Grant, World
from tests.conftest import Databases

Send = Callable[..., TestResponse]
SendRaw = Callable[..., TestResponse]


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


# uploads


@pytest.fixture
def store(world: World) -> Folder:
    found = world.app.extensions["portal-documents"]
    assert isinstance(found, Folder)
    return found


@pytest.fixture
def grant(world: World) -> Grant:
    return world.grant("funds.write")


@pytest.fixture
def fund_id(world: World) -> str:
    return world.add_funds("Ashby Super Fund")[0]


@pytest.fixture
def send(world: World, grant: Grant, fund_id: str) -> Send:
    """Upload to the fund; the names are those of `samples.form`."""

    def upload(*, headers: dict[str, str] | None = None, to: str = fund_id, **parts: Any) -> TestResponse:
        return world.call(f"/funds/{to}/documents", grant.token, method="POST", headers=headers, data=form(**parts))

    return upload


@pytest.fixture
def send_raw(world: World, grant: Grant, fund_id: str) -> SendRaw:
    """Send these very bytes as the body of an upload."""

    def upload(raw: bytes, content_type: str = "multipart/form-data; boundary=x") -> TestResponse:
        headers = Headers({"Content-Type": content_type})
        return world.call(f"/funds/{fund_id}/documents", grant.token, method="POST", data=raw, headers=headers)

    return upload
