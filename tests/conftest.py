"""What every test can ask for: an application on a database of its own, a cast, browsers, and a real server.

A test that asks for the database, directly or not, runs twice: on SQLite and on PostgreSQL. A test marked `looks` asks how
pages look in a browser, which no database changes, and runs once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy.orm import Session

from portal import Portal, create_app, db, schema
from portal.config import Settings
from tests.support import cast as the_cast
from tests.support import chromium as browsers
from tests.support import databases, network, s3, server
from tests.support.clock import Clock
from tests.support.corridor import Corridor
from tests.support.databases import Postgresql, Sqlite
from tests.support.s3 import S3
from tests.support.server import LiveServer, WarmServers
from tests.support.signin import Cast
from tests.support.templates import CompiledTemplates

SECRET_KEY = "only-tests-know-this-key-0123456789-abcdefghijklmnopqrstuvwxyz"
UNSTORED = 3600
"""In a test's own process uses are stored when the test says so, and never in between."""
COMPILED_TEMPLATES = CompiledTemplates()
Databases = Callable[[str], Sqlite | Postgresql]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=databases.KINDS, help="run on this database only; both when not given")


def pytest_configure(config: pytest.Config) -> None:
    network.forbid()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One for each processor, virtual ones too; two at least, since a browser test waits more than it works."""
    return max(2, os.cpu_count() or 1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        only = metafunc.config.getoption("--database")
        kinds = databases.KINDS[:1] if metafunc.definition.get_closest_marker("looks") else databases.KINDS
        metafunc.parametrize("database_kind", [only] if only else kinds, scope="session")


# the database


@pytest.fixture(scope="session")
def _databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """The databases of this worker by kind, started when first asked for."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    started: dict[str, Sqlite | Postgresql] = {}

    def of(kind: str) -> Sqlite | Postgresql:
        if kind not in started:
            postgresql = (base.parent, os.getppid()) if is_worker else (base, os.getpid())
            started[kind] = Sqlite() if kind == "sqlite" else Postgresql(*postgresql)
        return started[kind]

    yield of
    for one in started.values():
        one.close()


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, database_kind: str, _databases: Databases, _warm_server: LiveServer | None
) -> Iterator[str]:
    """A migrated database that only this test sees; the cast is in it when the test asks for `cast` or a server."""
    if _warm_server is not None:
        yield _warm_server.settings.database_url
        return
    with_cast = {"cast", "live_server", "own_server"} & set(request.fixturenames)
    with _databases(database_kind).copy(*(("cast", _fill_with_cast) if with_cast else ("migrated", _migrate))) as url:
        yield url


@pytest.fixture
def empty_database_url(database_kind: str, _databases: Databases) -> Iterator[str]:
    """A database without a table."""
    with _databases(database_kind).empty() as url:
        yield url


def _settings(url: str, **changes: Any) -> Settings:
    return replace(
        Settings(mode="test", database_url=url, secret_key=SECRET_KEY, database_pool_size=4, usage_seconds=UNSTORED), **changes
    )


def _folders(place: Path) -> dict[str, str]:
    """The settings that put what is written to folders into `place`."""
    return {"mail_url": f"file:{place / 'mail'}", "documents_url": f"file:{place / 'documents'}"}


@contextmanager
def _application(settings: Settings) -> Iterator[Portal]:
    app = create_app(settings)
    app.jinja_env.bytecode_cache = COMPILED_TEMPLATES
    yield app
    app.extensions["portal-usage"].close()
    app.extensions["portal-database"].dispose()


def _migrate(url: str) -> None:
    with _application(_settings(url)) as app:
        schema.upgrade(app.extensions["portal-database"].pages)


def _fill_with_cast(url: str) -> None:
    _migrate(url)
    with _application(_settings(url)) as app, app.app_context(), db.transaction() as session:
        the_cast.seed(session, app.keyring)


# the application


@pytest.fixture
def settings(request: pytest.FixtureRequest, database_url: str, tmp_path: Path, _warm_server: LiveServer | None) -> Settings:
    """The settings of `app` and of the server; `@pytest.mark.settings(mfa="optional")` changes some."""
    if _warm_server is not None:
        return _warm_server.settings
    marker = request.node.get_closest_marker("settings")
    return _settings(database_url, **_folders(tmp_path), **(marker.kwargs if marker else {}))


@pytest.fixture
def app(settings: Settings) -> Iterator[Portal]:
    with _application(settings) as app:
        yield app


@pytest.fixture
def browser(app: Portal) -> FlaskClient:
    """A browser that nobody has signed in to; `app.test_client()` is another."""
    return app.test_client()


@pytest.fixture
def transaction(app: Portal) -> Callable[[], AbstractContextManager[Session]]:
    """`with transaction() as session:` looks into the database or arranges it, and commits at the end."""

    @contextmanager
    def open_one() -> Iterator[Session]:
        with app.app_context(), db.transaction() as session:
            yield session

    return open_one


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that can be moved: `clock.advance(minutes=31)`."""
    return Clock(monkeypatch)


@pytest.fixture
def cast(app: Portal, clock: Clock) -> Cast:
    """Alice, Bob, Charlie, Priya, Dana, their businesses, Ledgerly and Pocketfolio, and what they do."""
    return Cast(app, clock)


@pytest.fixture
def corridor(cast: Cast, clock: Clock, browser: FlaskClient) -> Corridor:
    """Ledgerly asks and Alice decides, in `browser`; nobody is signed in yet."""
    return Corridor(cast, clock, browser)


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Not pytest-flask's: with a request context around the test, all its requests would share one `g`, session and user."""


# a real server and a real browser


@contextmanager
def _serve(settings: Settings, kind: str, log: Path) -> Iterator[LiveServer]:
    port = server.free_port()
    usage_seconds = 1 if settings.usage_seconds == UNSTORED else settings.usage_seconds
    own = replace(settings, issuer=f"http://{server.HOST}:{port}", usage_seconds=usage_seconds)
    with server.running(own, log, port=port, workers=1 if kind == "sqlite" else 2) as running:
        yield running


@pytest.fixture(scope="session")
def _warm_servers(_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmServers]:
    @contextmanager
    def start(kind: str) -> Iterator[LiveServer]:
        place = tmp_path_factory.mktemp("server")
        with (
            _databases(kind).copy("cast", _fill_with_cast) as url,
            _serve(_settings(url, **_folders(place)), kind, place / "log") as running,
        ):
            yield running

    servers = WarmServers(start)
    yield servers
    servers.close()


@pytest.fixture
def _warm_server(request: pytest.FixtureRequest) -> Iterator[LiveServer | None]:
    """The warm server with its database as new, when the test asks for `live_server` and no settings of its own."""
    if "live_server" not in request.fixturenames or request.node.get_closest_marker("settings"):
        yield None
        return
    kind = request.getfixturevalue("database_kind")
    warm: LiveServer = request.getfixturevalue("_warm_servers").of(kind)
    request.getfixturevalue("_databases")(kind).restore(warm.settings.database_url, "cast")
    for url in (warm.settings.mail_url, warm.settings.documents_url):
        shutil.rmtree(url.removeprefix("file:"), ignore_errors=True)
    with warm.clients:
        yield warm


@pytest.fixture
def live_server(settings: Settings, database_kind: str, tmp_path: Path, _warm_server: LiveServer | None) -> Iterator[LiveServer]:
    """The production server on the test's database: one worker on SQLite, two on PostgreSQL. It was up before the test."""
    if _warm_server is not None:
        yield _warm_server
        return
    with _serve(settings, database_kind, tmp_path / "server.log") as running:
        yield running


@pytest.fixture
def own_server(settings: Settings, database_kind: str, tmp_path: Path) -> Iterator[LiveServer]:
    """The same, started for this test, which may kill it."""
    with _serve(settings, database_kind, tmp_path / "server.log") as running:
        yield running


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3-compatible server; `make_bucket` gives the setting for a new bucket in it."""
    with s3.running(tmp_path_factory.mktemp("s3") / "log") as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One Chromium for each worker; each test gets a window with cookies of its own."""
    with sync_playwright() as playwright:
        found = browsers.launch(playwright)
        yield found
        found.close()


@pytest.fixture
def page(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A page on `live_server`. The test fails when the browser complains about a script or the security policy."""
    complaints = browsers.Complaints()
    with browsers.window(chromium, base_url=live_server.url) as window:
        window.on("page", complaints.listen)
        yield window.new_page()
    assert complaints == []


@pytest.fixture
def page_without_javascript(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    with browsers.window(chromium, base_url=live_server.url, java_script_enabled=False) as window:
        yield window.new_page()


@pytest.fixture
def axe() -> Callable[..., list[str]]:
    """`assert axe(page) == []`: the accessibility rules that the page breaks as it stands."""
    return browsers.axe
