from __future__ import annotations

import time
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal import Portal
from tests.accounts.conftest import DOMAIN, Stage
from tests.support.corridor import Corridor
from tests.support.forms import form_in, submit
from tests.support.signin import Cast


def resume(interaction_id: str) -> str:
    return f"/connect/continue?interaction={interaction_id}"


def pass_second_factor(browser: FlaskClient, answer: TestResponse, code: str) -> TestResponse:
    return submit(browser, browser.get(answer.location), {"code": code})


def test_the_sign_in_page_names_who_asks_and_keeps_the_password_ours(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    page = browser.get(f"/login?interaction={stage.park(browser)}")
    assert "Step 1 of 4" in page.text and "Sign in" in page.text
    assert "Ledgerly" in page.text and "Ledgerly Pty Ltd" in page.text
    assert "does not see it here" in page.text
    assert "form-action 'self' http://127.0.0.1:5001" in page.headers["Content-Security-Policy"]


def test_outside_the_corridor_no_partner_is_named(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.park(browser)
    page = browser.get("/login")
    assert "Ledgerly" not in page.text and "Step 1" not in page.text
    assert page.headers["Content-Security-Policy"].endswith("form-action 'self'")


def test_signing_in_goes_on_with_the_request(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    before = int(stage.clock.now().timestamp())
    answer = stage.password(browser, cast.alice, path=f"/login?interaction={parked}")
    assert answer.location == f"/login/mfa?interaction={parked}"
    assert stage.parked(parked).prompted == {}
    page = browser.get(answer.location)
    assert (
        "Step 2 of 4 · Confirm it is you" in page.text
        and "<h1>Enter your authentication code</h1>" in page.text
        and "Ledgerly" in page.text
    )
    assert "form-action 'self' http://127.0.0.1:5001" in page.headers["Content-Security-Policy"]
    answer = submit(browser, page, {"code": cast.code(cast.alice)})
    assert (answer.status_code, answer.location) == (303, resume(parked))
    prompted = stage.parked(parked).prompted
    assert prompted.keys() == {"login", "mfa"} and all(before <= at <= before + 60 for at in prompted.values())


def test_mistakes_stay_in_the_corridor(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    page = stage.password(browser, cast.alice, "wrong", path=f"/login?interaction={parked}")
    assert "Ledgerly" in page.text
    answer = submit(browser, page, {"email": cast.alice.email, "password": cast.alice.password})
    page = submit(browser, browser.get(answer.location), {"code": "000000"})
    assert "Ledgerly" in page.text and f"/login/recovery?interaction={parked}" in page.text
    assert submit(browser, page, {"code": cast.code(cast.alice)}).location == resume(parked)


def test_a_recovery_code_goes_on_too(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    code = stage.recovery_codes(cast.alice)[0]
    stage.password(browser, cast.alice, path=f"/login?interaction={parked}")
    answer = submit(browser, browser.get(f"/login/recovery?interaction={parked}"), {"code": code})
    assert answer.location == resume(parked)
    assert stage.parked(parked).prompted.keys() == {"login", "mfa"}


def test_who_has_no_second_factor_sets_one_up_on_the_way(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    answer = stage.password(browser, cast.dana, path=f"/login?interaction={parked}")
    assert answer.location == f"/account/mfa?interaction={parked}"
    page = browser.get(answer.location)
    assert "Step 2 of 4" in page.text and "Ledgerly" in page.text
    wrong = submit(browser, page, {"code": "000000"})
    assert wrong.status_code == 400 and "Ledgerly" in wrong.text
    answer = submit(browser, wrong, {"code": stage.code_of(wrong)})
    assert answer.location == f"/account/recovery-codes?interaction={parked}"
    shown = browser.get(answer.location)
    assert f'href="{resume(parked)}"' in shown.text
    assert f"signed in as {cast.dana.email}" in shown.text
    assert form_in(shown, action="/login/switch").data()["interaction"] == [parked]
    assert stage.parked(parked).prompted.keys() == {"login", "mfa"}
    assert browser.get(f"/account/mfa?interaction={parked}").location == resume(parked)


@pytest.mark.settings(mfa="optional")
def test_where_it_is_optional_the_password_is_enough(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    answer = stage.password(browser, cast.dana, path=f"/login?interaction={parked}")
    assert answer.location == resume(parked)
    assert stage.parked(parked).prompted.keys() == {"login"}


def test_setting_up_long_after_signing_in_asks_for_the_password_first(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.dana)
    parked = stage.park(browser)
    stage.clock.advance(minutes=11)
    answer = browser.get(f"/account/mfa?interaction={parked}")
    assert answer.location == f"/login?interaction={parked}"
    answer = stage.password(browser, cast.dana, path=answer.location)
    assert answer.location == f"/account/mfa?interaction={parked}"
    assert browser.get(answer.location).status_code == 200


def test_a_session_by_password_alone_is_raised_by_a_code(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    session_id = cast.open_session(browser, cast.alice)
    with stage.transaction() as session:
        row = session.get_one(type(stage.session_row(session_id)), session_id)
        row.amr, row.auth_time = ["pwd"], stage.clock.now() - timedelta(minutes=20)
    signed_in_at = stage.session_row(session_id).auth_time
    parked = stage.park(browser, session_id=session_id)
    answer = browser.get(f"/account/mfa?interaction={parked}")
    assert answer.location == f"/login/mfa?interaction={parked}"
    assert pass_second_factor(browser, answer, cast.code(cast.alice)).location == resume(parked)
    row = stage.session_row(session_id)
    assert (row.amr, row.auth_time) == (["pwd", "otp", "mfa"], signed_in_at)
    assert stage.parked(parked).prompted.keys() == {"mfa"}


def test_somebody_signed_in_may_be_asked_again(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    session_id = cast.open_session(browser, cast.alice)
    parked = stage.park(browser, session_id=session_id)
    page = browser.get(f"/login?interaction={parked}")
    assert page.status_code == 200 and "asked to sign in again" in page.text
    assert form_in(page, having=["email"]).data()["email"] == [cast.alice.email]
    answer = stage.password(browser, cast.alice, path=f"/login?interaction={parked}")
    assert stage.parked(parked).prompted == {}
    assert pass_second_factor(browser, answer, cast.code(cast.alice)).location == resume(parked)
    assert stage.row(browser).id == session_id
    assert stage.parked(parked).prompted.keys() == {"login", "mfa"}


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("bob%40acme.example", "bob@acme.example"),
        ("%3Cscript%3Ealert(1)%3C%2Fscript%3E", "<script>alert(1)</script>"),
        ("%FF%00x", "\ufffdx"),
        ("a" * 5000, "a" * 254),
    ],
    ids=["e-mail", "script", "bytes", "long"],
)
def test_the_partners_hint_only_fills_the_field(browser: FlaskClient, cast: Cast, stage: Stage, hint: str, shown: str) -> None:
    page = browser.get(f"/login?interaction={stage.park(browser, parameters={'login_hint': hint})}")
    assert page.status_code == 200 and "<script>alert" not in page.text
    assert form_in(page, having=["email"]).data()["email"] == [shown]


# whose it is, and how long


def test_a_request_of_another_browser_is_not_gone_on_with(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    other = browser.application.test_client()
    page = other.get(f"/login?interaction={parked}")
    assert page.status_code == 200
    assert "Ledgerly" not in page.text and "begun in another browser" in page.text
    answer = stage.password(other, cast.dana, path=f"/login?interaction={parked}")
    assert answer.location == "/businesses"
    assert stage.parked(parked).prompted == {}


@pytest.mark.parametrize("change", ["expired", "spent"])
def test_a_request_that_is_over_is_not_gone_on_with(browser: FlaskClient, cast: Cast, stage: Stage, change: str) -> None:
    now = stage.clock.now()
    changes = {"expires_at": now - timedelta(seconds=1)} if change == "expired" else {"spent_at": now}
    parked = stage.park(browser, **changes)
    page = browser.get(f"/login?interaction={parked}")
    assert page.status_code == 200 and "Nothing was shared" in page.text and "Ledgerly" not in page.text
    assert stage.password(browser, cast.dana, path=f"/login?interaction={parked}").location == "/businesses"


def test_a_request_that_ends_during_sign_in_is_told_of(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    page = browser.get(f"/login?interaction={parked}")
    with stage.transaction() as session:
        session.get_one(type(stage.parked(parked)), parked).spent_at = stage.clock.now()
    answer = submit(browser, page, {"email": cast.dana.email, "password": cast.dana.password})
    assert answer.location == "/businesses"
    assert "Nothing was shared" in browser.get("/account").text


@pytest.mark.parametrize("named", ["nonsense", "%00", "a%00b", "🦘", "%ff", "x" * 3000, "' OR 1=1", "01", "%0d%0aX:y"])
@pytest.mark.parametrize("path", ["/login", "/login/mfa", "/login/recovery", "/account/mfa"])
def test_an_invented_id_is_nobodys(browser: FlaskClient, cast: Cast, stage: Stage, path: str, named: str) -> None:
    stage.password(browser, cast.alice)
    answer = browser.get(f"{path}?interaction={named}")
    assert answer.status_code in (200, 303)
    assert "Ledgerly" not in answer.text


def test_somebody_signed_in_with_a_lost_request_is_told(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    assert browser.get("/login?interaction=lost").location == "/businesses"
    assert "Nothing was shared" in browser.get("/account").text


# switching


def test_switching_user_takes_the_request_along(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    old = cast.open_session(browser, cast.alice)
    parked = stage.park(browser, session_id=old, business_id=cast.acme.id, prompted={"login": int(time.time())})
    secret = stage.cookie(browser)
    answer = submit(browser, browser.get(f"/login?interaction={parked}"), action="/login/switch")
    assert (answer.status_code, answer.location) == (303, f"/login?interaction={parked}")
    assert stage.session_row(old).end_reason == "switched_user"
    moved = stage.parked(parked)
    assert (moved.session_id, moved.business_id, moved.prompted) == (stage.row(browser).id, None, {})
    assert stage.row(browser).id != old
    page = browser.get(answer.location)
    assert "Ledgerly" in page.text and "asked to sign in again" not in page.text
    thief = browser.application.test_client()
    thief.set_cookie("session", secret, domain=DOMAIN)
    assert "Ledgerly" not in thief.get(f"/login?interaction={parked}").text


def test_signing_in_as_somebody_else_takes_the_request_along(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    old = cast.open_session(browser, cast.alice)
    parked = stage.park(browser, session_id=old, business_id=cast.acme.id)
    answer = stage.password(browser, cast.bob, path=f"/login?interaction={parked}")
    assert pass_second_factor(browser, answer, cast.code(cast.bob)).location == resume(parked)
    assert stage.session_row(old).end_reason == "switched_user"
    moved = stage.parked(parked)
    assert (moved.session_id, moved.business_id) == (stage.row(browser).id, None)
    assert moved.prompted.keys() == {"login", "mfa"}


def test_a_strangers_request_is_not_taken_along(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    owner = stage.parked(parked).session_id
    other = browser.application.test_client()
    cast.open_session(other, cast.charlie)
    token = form_in(other.get("/account/password"), having=["new"]).data()["csrf_token"][0]
    answer = other.post("/login/switch", data={"csrf_token": token, "interaction": parked})
    assert answer.location == "/login"
    assert stage.parked(parked).session_id == owner


def test_going_on_without_a_person_is_not_possible(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    answer = browser.get(f"/account/mfa?interaction={parked}")
    assert answer.location == f"/login?next=/account/mfa?interaction%3D{parked}"


# turning back


@pytest.mark.parametrize("step", ["login", "mfa", "enrolment"])
def test_turning_back_before_the_choice_of_a_business_is_a_no(corridor: Corridor, cast: Cast, stage: Stage, step: str) -> None:
    corridor.person = cast.dana if step == "enrolment" else cast.alice
    page = corridor.page(step)
    assert "Return to Ledgerly without connecting" in page.text
    back = corridor.returned(corridor.walk(submit(corridor.browser, page, action="/login/leave")))
    assert (back["error"], back["state"]) == ("access_denied", "state-of-the-partner")
    assert submit(corridor.browser, page, action="/login/leave").status_code == 410
    assert stage.row(corridor.browser).user_id == (cast.dana.id if step == "enrolment" else None)


def test_who_turns_back_with_a_recovery_code_in_hand_says_no_too(corridor: Corridor) -> None:
    page = corridor.page("mfa")
    page = corridor.browser.get(page.request.full_path.replace("/login/mfa", "/login/recovery"))
    back = corridor.returned(corridor.walk(submit(corridor.browser, page, action="/login/leave")))
    assert back["error"] == "access_denied"


def test_nobody_turns_back_for_another_browser(app: Portal, corridor: Corridor, stage: Stage) -> None:
    form = form_in(corridor.page("login"), action="/login/leave")
    [parked] = form.data()["interaction"]
    stranger = app.test_client()
    token = form_in(stranger.get("/login"), action="/login").data()["csrf_token"]
    assert corridor.browser.get("/login/leave").status_code == 405
    assert corridor.browser.post("/login/leave", data={"interaction": parked}).status_code == 400
    assert stranger.post("/login/leave", data={"interaction": parked, "csrf_token": token}).status_code == 410
    assert stage.parked(parked).decision is None


def test_outside_the_corridor_there_is_nowhere_to_turn_back_to(browser: FlaskClient) -> None:
    assert "/login/leave" not in browser.get("/login").text
