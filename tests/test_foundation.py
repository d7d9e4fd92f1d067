from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.orm import Session

from portal import Portal, create_app, db, errors, schema
from portal.accounts.models import User
from portal.config import Settings
from portal.crypto import PREFIXES
from tests.conftest import SECRET_KEY
from tests.support.cast import SINCE
from tests.support.forms import submit
from tests.support.signin import Cast

Transaction = Callable[[], AbstractContextManager[Session]]


# is it up?


def test_healthz_answers_without_a_database(empty_database_url: str) -> None:
    app = create_app(Settings(mode="test", secret_key=SECRET_KEY, database_url=empty_database_url))
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_readyz_answers_when_there_are_tables_and_keys(browser: FlaskClient, cast: Cast) -> None:
    assert browser.get("/readyz").status_code == 200


def test_readyz_misses_the_signing_key(browser: FlaskClient) -> None:
    answer = browser.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "unavailable", "missing": "signing key"})


def test_readyz_misses_the_database(empty_database_url: str) -> None:
    app = create_app(Settings(mode="test", secret_key=SECRET_KEY, database_url=empty_database_url))
    answer = app.test_client().get("/readyz")
    app.extensions["portal-database"].dispose()
    assert (answer.status_code, answer.json) == (503, {"status": "unavailable", "missing": "database"})


def test_health_is_asked_for_by_any_host(browser: FlaskClient) -> None:
    assert browser.get("/healthz", headers={"Host": "10.1.2.3:9000"}).status_code == 200


# what every answer carries


def test_a_page_carries_the_security_headers(browser: FlaskClient) -> None:
    headers = browser.get("/nowhere").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_plain_http_promises_no_https(browser: FlaskClient) -> None:
    assert "Strict-Transport-Security" not in browser.get("/healthz").headers


@pytest.mark.settings(issuer="https://portal.example")
def test_https_is_promised_for_two_years(browser: FlaskClient) -> None:
    assert "max-age=63072000" in browser.get("/healthz").headers["Strict-Transport-Security"]


def cookies_of_a_sign_in(browser: FlaskClient, cast: Cast) -> list[str]:
    """A visitor's and then a signed-in person's, as they are set."""
    page = browser.get("/login")
    answer = submit(browser, page, {"email": cast.dana.email, "password": cast.dana.password})
    return [told for told in (*page.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")) if "=;" not in told]


def test_the_session_cookies_are_out_of_reach_of_scripts(browser: FlaskClient, cast: Cast) -> None:
    cookies = cookies_of_a_sign_in(browser, cast)
    assert [told.partition("=")[0] for told in cookies] == ["visit", "session"]
    for told in cookies:
        assert "HttpOnly" in told and "SameSite=Lax" in told and "Path=/" in told and "Domain" not in told


@pytest.mark.settings(issuer="https://portal.example")
def test_the_session_cookies_are_bound_to_the_host_under_https(browser: FlaskClient, cast: Cast) -> None:
    cookies = cookies_of_a_sign_in(browser, cast)
    assert [told.partition("=")[0] for told in cookies] == ["__Host-visit", "__Host-session"]
    for told in cookies:
        assert "Secure" in told and "HttpOnly" in told and "Path=/" in told and "Domain" not in told


def test_each_answer_has_a_reference_number_of_its_own(browser: FlaskClient) -> None:
    first, second = (browser.get("/healthz", headers={"X-Request-Id": "chosen-outside"}).headers["X-Request-Id"] for _ in "12")
    assert first != second and "chosen-outside" not in (first, second)


@pytest.mark.settings(trusted_proxies=1)
def test_a_trusted_proxy_may_choose_the_reference_number(browser: FlaskClient) -> None:
    answer = browser.get("/healthz", headers={"X-Request-Id": "chosen-by-proxy"})
    assert answer.headers["X-Request-Id"] == "chosen-by-proxy"


@pytest.mark.settings(trusted_proxies=1)
@pytest.mark.parametrize("secret", [*(f"a.{prefix}0123456789abcdef" for prefix in PREFIXES), "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"])
def test_what_looks_like_a_secret_is_no_reference_number(browser: FlaskClient, secret: str) -> None:
    """It would stand in the log and in the audit trail, where reference numbers go as they are."""
    assert browser.get("/healthz", headers={"X-Request-Id": secret}).headers["X-Request-Id"] != secret


def test_another_host_is_refused(browser: FlaskClient) -> None:
    answer = browser.get("/login", headers={"Host": "portal.evil.example"})
    assert answer.status_code == 400
    assert "evil.example" not in answer.text


# what an error looks like


def test_an_error_page_says_what_to_do_and_its_reference(browser: FlaskClient) -> None:
    answer = browser.get("/nowhere")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert errors.NotFound.title in answer.text
    assert answer.headers["X-Request-Id"] in answer.text


def test_an_error_in_a_fragment_goes_to_the_status_line(browser: FlaskClient) -> None:
    answer = browser.get("/nowhere", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (404, "#status")
    assert errors.NotFound.title in answer.text or errors.NotFound.message in answer.text
    assert "<html" not in answer.text


def test_an_error_of_the_api_is_a_problem_document(browser: FlaskClient) -> None:
    answer = browser.get("/api/v1/nowhere")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.json == {
        "type": "http://127.0.0.1:5000/developers/problems/not-found",
        "title": errors.NotFound.title,
        "status": 404,
        "detail": errors.NotFound.api_message,
        "instance": f"urn:portal:request:{answer.headers['X-Request-Id']}",
    }


def test_an_error_of_the_protocol_is_in_its_own_words(browser: FlaskClient) -> None:
    answer = browser.get("/oauth/nowhere")
    assert (answer.status_code, answer.mimetype) == (404, "application/json")
    assert answer.json is not None and answer.json["error"] == "invalid_request"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_wrong_method_names_the_right_one(browser: FlaskClient) -> None:
    answer = browser.delete("/healthz")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("path", "headers"), [("/boom", {}), ("/boom", {"HX-Request": "true"}), ("/api/boom", {}), ("/oauth/boom", {})]
)
def test_a_bug_tells_the_person_nothing_of_its_inside(app: Portal, path: str, headers: dict[str, str]) -> None:
    app.add_url_rule(path, "boom", _boom)
    answer = app.test_client().get(path, headers=headers)
    assert answer.status_code == 500
    assert "wires" not in answer.text and "RuntimeError" not in answer.text


def _boom() -> str:
    raise RuntimeError("the wires of the machine")


# one transaction for each request


@pytest.mark.parametrize(("ending", "stays"), [("return", True), ("refuse", False), ("raise", False)])
def test_return_keeps_and_raise_undoes(app: Portal, transaction: Transaction, ending: str, stays: bool) -> None:
    def write() -> str:
        db.session.add(User(id="new", email="new@acme.example", given_name="New", family_name="Person", created_at=SINCE))
        db.session.flush()
        if ending == "refuse":
            raise errors.Conflict
        if ending == "raise":
            raise RuntimeError("after the write")
        return "kept"

    app.add_url_rule("/write", "write", write)
    app.test_client().get("/write")
    with transaction() as session:
        assert (session.scalar(select(User.email)) is not None) is stays


# the schema


def test_migrations_go_up_and_down_again(empty_database_url: str) -> None:
    engine = db.Database(Settings(database_url=empty_database_url)).pages
    schema.upgrade(engine)
    assert schema.current(engine) == schema.head()
    assert {table.name for table in schema.METADATA.sorted_tables} <= set(inspect(engine).get_table_names())
    schema.downgrade(engine, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    schema.upgrade(engine)
    assert schema.current(engine) == schema.head()
    engine.dispose()


def test_models_and_migrations_agree(database_url: str) -> None:
    engine = db.Database(Settings(database_url=database_url)).pages
    assert schema.differences(engine) == []
    engine.dispose()


def test_a_failed_migration_leaves_the_schema_as_it_was(empty_database_url: str) -> None:
    engine = db.Database(Settings(database_url=empty_database_url)).pages
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE users (id integer)")
    with pytest.raises(Exception, match="already exists"):
        schema.upgrade(engine)
    assert inspect(engine).get_table_names() == ["users"]
    engine.dispose()


def test_flask_db_upgrade_says_what_it_did(empty_database_url: str) -> None:
    app = create_app(Settings(mode="test", secret_key=SECRET_KEY, database_url=empty_database_url))
    upgrade = app.test_cli_runner().invoke
    first = upgrade(args=["db", "upgrade"]).output.splitlines()
    assert first[0] == f"Upgraded the schema to {schema.head()}."
    assert first[1].startswith("Made the signing keys that were missing: ") and len(first) == 2
    assert upgrade(args=["db", "upgrade"]).output == "The schema is up to date.\n"
    assert app.test_client().get("/readyz").status_code == 200
    app.extensions["portal-database"].dispose()


def test_both_databases_are_what_they_say(database_url: str, database_kind: str) -> None:
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    assert engine.dialect.name == database_kind
    with engine.connect() as connection:
        question = "SELECT sqlite_version()" if database_kind == "sqlite" else "SHOW server_version"
        assert connection.exec_driver_sql(question).scalar_one()
    engine.dispose()
