from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from portal import Portal
from portal.config import Settings
from portal.db import Database
from tests.support.forms import form_in, submit
from tests.support.signin import Cast

AWAY = (OperationalError("…", {}, Exception("gone")), InterfaceError("…", {}, Exception("closed")), NoConnectionLeft("full"))


def database_at(url: str) -> Database:
    return Database(Settings(mode="test", database_url=url))


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    database = database_at(f"sqlite:///{tmp_path}/portal.sqlite3")
    for engine in (database.pages, database.machine):
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS something (value)"))
            files = list(tmp_path.iterdir())
            assert len(files) >= 2  # the write-ahead log holds data too
            assert [file.name for file in files if file.stat().st_mode & 0o077] == []
            connection.commit()
    database.dispose()


def test_an_error_does_not_repeat_the_values_of_its_statement(database_url: str) -> None:
    database = database_at(database_url)
    for engine in (database.pages, database.machine):
        with engine.connect() as connection, pytest.raises(DBAPIError) as failed:
            connection.execute(text("SELECT nothing FROM nowhere WHERE name = :name"), {"name": "Alice Hartigan"})
        assert "Hartigan" not in str(failed.value) and "nowhere" in str(failed.value)
    database.dispose()


def test_letters_beyond_ascii_fold_alike_on_every_database(database_url: str) -> None:
    database = database_at(database_url)
    for engine in (database.pages, database.machine):
        with engine.connect() as connection:
            folded = connection.execute(text("SELECT lower('ÉÄØŁД Zebra'), lower(NULL)")).one()
            assert tuple(folded) == ("éäøłд zebra", None)
    database.dispose()


@contextmanager
def failing(app: Portal, moment: str, error: Exception) -> Iterator[None]:
    """Every statement (`before_cursor_execute`) or `commit` fails meanwhile, as when the database goes away."""

    def fail(*_what: object, **_how: object) -> None:
        raise error

    database = app.extensions["portal-database"]
    for engine in (database.pages, database.machine):
        event.listen(engine, moment, fail)
    yield
    for engine in (database.pages, database.machine):
        event.remove(engine, moment, fail)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/businesses", 503),
        ("/oauth/authorize?client_id=ledgerly", 503),
        ("/oauth/jwks", 503),
        ("/nowhere", 404),
        ("/healthz", 200),
    ],
)
def test_without_the_database_each_answer_is_the_one_that_is_meant(
    app: Portal, cast: Cast, browser: FlaskClient, path: str, status: int, error: Exception
) -> None:
    cast.open_session(browser, cast.alice)
    with failing(app, "before_cursor_execute", error):
        answer = browser.get(path)
    assert answer.status_code == status
    if status == 503:
        assert "busy" in answer.text and "gone" not in answer.text
    assert browser.get("/businesses").status_code == 200


def test_a_sign_in_that_could_not_be_stored_can_be_done_again(app: Portal, cast: Cast, browser: FlaskClient) -> None:
    page = submit(browser, browser.get("/login"), {"email": cast.alice.email, "password": cast.alice.password}, action="/login")
    asks, code = browser.get(page.location), {"code": cast.code(cast.alice)}
    with failing(app, "commit", AWAY[0]):
        assert submit(browser, asks, code).status_code == 503
    assert submit(browser, asks, code).status_code == 303
    assert browser.get("/account").status_code == 200


def test_somebody_who_could_not_leave_is_still_shown_as_signed_in(app: Portal, cast: Cast, browser: FlaskClient) -> None:
    cast.open_session(browser, cast.alice)
    page = browser.get("/businesses")
    switch = {"csrf_token": form_in(page, action="/logout").data()["csrf_token"]}
    with failing(app, "commit", IntegrityError("COMMIT", {}, Exception("a constraint"))):
        answer = browser.post("/login/switch", data=switch)
    assert answer.status_code == 409 and f"</span>{cast.alice.name}</a>" in answer.text
    assert submit(browser, answer, action="/logout").status_code == 303
