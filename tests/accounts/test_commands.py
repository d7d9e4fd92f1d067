from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import Portal, create_app
from portal.accounts.models import BrowserSession, User
from portal.config import Settings
from portal.interaction import Interaction
from tests.accounts.conftest import Stage
from tests.conftest import SECRET_KEY
from tests.support.cast import Person
from tests.support.signin import Cast

GRACE = Person("", "Grace", "Okafor", "grace@acme.example", totp_secret=None, password="a wombat in the pantry")
NAMES = ["--given-name", "Grace", "--family-name", "Okafor"]


def run(app: Portal, *arguments: str, stdin: str | None = None) -> Result:
    return app.test_cli_runner().invoke(args=list(arguments), input=stdin)


def refused(done: Result) -> str:
    """The one line that says why not."""
    assert done.exit_code == 1, done.output
    lines = done.output.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    return lines[0]


def test_a_person_is_added_and_signs_in(app: Portal, browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    arguments = ["users", "add", "Grace@Acme.Example", *NAMES, "--middle-name", "Ada", "--zoneinfo", "Australia/Perth"]
    done = run(app, *arguments, "--password-stdin", stdin=GRACE.password + "\n")
    assert done.exit_code == 0, done.output
    assert "Added Grace Ada Okafor <grace@acme.example>" in done.output and GRACE.password not in done.output
    assert stage.password(browser, GRACE).location == "/businesses"
    with stage.transaction() as session:
        user = session.scalars(select(User).where(User.email == GRACE.email)).one()
    assert (user.zoneinfo, user.email_verified_at is not None, user.id in done.output) == ("Australia/Perth", True, True)
    assert [event.user_id for event in stage.events("user.added")] == [user.id]


@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        (["alice@acme.example", *NAMES], GRACE.password, "already a person with the e-mail alice@acme.example"),
        (["ALICE@acme.example", *NAMES], GRACE.password, "already a person"),
        (["nonsense", *NAMES], GRACE.password, "is not an e-mail address"),
        ([GRACE.email, *NAMES], "short", "at least 12"),
        ([GRACE.email, *NAMES], "", "at least 12"),
        ([GRACE.email, *NAMES, "--zoneinfo", "Mars/Olympus"], GRACE.password, "not a time zone"),
        ([GRACE.email, *NAMES, "--zoneinfo", "../../etc/passwd"], GRACE.password, "not a time zone"),
        ([GRACE.email, "--given-name", " ", "--family-name", "x"], GRACE.password, "--given-name must be a name"),
        ([GRACE.email, "--given-name", "x", "--family-name", "y" * 201], GRACE.password, "--family-name must be a name"),
    ],
)
def test_what_cannot_be_added_is_told_in_one_line(
    app: Portal, cast: Cast, stage: Stage, arguments: list[str], password: str, words: str
) -> None:
    assert words in refused(run(app, "users", "add", *arguments, "--password-stdin", stdin=password + "\n"))
    assert stage.events("user.added") == []


def test_without_anybody_to_ask_there_is_no_password(app: Portal, cast: Cast) -> None:
    assert "--password-stdin" in refused(run(app, "users", "add", GRACE.email, *NAMES))


def test_a_database_without_tables_is_told_of(empty_database_url: str) -> None:
    app = create_app(Settings(mode="test", secret_key=SECRET_KEY, database_url=empty_database_url))
    for arguments in (
        ["users", "disable", GRACE.email],
        ["users", "enable", GRACE.email],
        ["users", "reset-mfa", GRACE.email],
        ["sessions", "prune"],
    ):
        assert "flask db upgrade" in refused(run(app, *arguments))
    adding = run(app, "users", "add", GRACE.email, *NAMES, "--password-stdin", stdin=GRACE.password)
    assert "flask db upgrade" in refused(adding)
    app.extensions["portal-database"].dispose()


def test_a_person_is_disabled_and_enabled(app: Portal, browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.dana)
    done = run(app, "users", "disable", "Dana@acme.example")
    assert done.exit_code == 0 and "ended 1 session" in done.output
    assert browser.get("/account").status_code == 303
    assert stage.password(browser.application.test_client(), cast.dana).status_code == 400
    assert "disabled already" in refused(run(app, "users", "disable", cast.dana.email))
    assert run(app, "users", "enable", cast.dana.email).exit_code == 0
    assert stage.password(browser.application.test_client(), cast.dana).status_code == 303
    assert "is not disabled" in refused(run(app, "users", "enable", cast.dana.email))
    for kind in ("user.disabled", "user.enabled"):
        assert {event.business_id for event in stage.events(kind)} == {None, cast.acme.id}


def test_a_lost_second_factor_is_reset(app: Portal, browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    stage.recovery_codes(cast.alice)
    done = run(app, "users", "reset-mfa", cast.alice.email)
    assert done.exit_code == 0 and "Removed the second factor" in done.output
    assert browser.get("/account").status_code == 303
    assert stage.password(browser.application.test_client(), cast.alice).location == "/businesses"
    assert [event.detail["by"] for event in stage.events("user.mfa_removed")] == ["operator"]
    assert "has no second factor" in refused(run(app, "users", "reset-mfa", cast.alice.email))


@pytest.mark.parametrize("command", ["disable", "enable", "reset-mfa"])
def test_nobody_is_told(app: Portal, cast: Cast, command: str) -> None:
    assert "There is nobody with the e-mail" in refused(run(app, "users", command, GRACE.email))


def test_what_is_over_is_pruned_and_nothing_else(app: Portal, browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    signed_in = cast.open_session(browser, cast.alice)
    stranger = browser.application.test_client()
    parked = stage.park(stranger)
    unused = stage.row(stranger).id
    stage.password(stranger, cast.dana, "wrong")
    assert run(app, "sessions", "prune").output.startswith("Deleted 0 unused sessions, 0 parked requests and 0 counts")
    stage.clock.advance(days=2)
    assert run(app, "sessions", "prune").output.startswith("Deleted 1 unused sessions, 1 parked requests and 2 counts")
    with stage.transaction() as session:
        assert session.get(BrowserSession, unused) is None and session.get(Interaction, parked) is None
        kept = session.get(BrowserSession, signed_in)
    assert kept is not None and stage.clock.now() - kept.created_at > timedelta(days=1)
