from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.accounts.models import RecoveryCode
from tests.accounts.conftest import Stage
from tests.accounts.test_mfa import CODES, enter
from tests.support.forms import form_in, submit
from tests.support.signin import Cast


def set_up(browser: FlaskClient, stage: Stage, path: str = "/account/mfa") -> TestResponse:
    page = browser.get(path)
    return submit(browser, page, {"code": stage.code_of(page)}, action="/account/mfa", follow_redirects=True)


def test_dana_sets_up_a_second_factor_and_signs_in_with_it(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.dana)
    before = stage.row(browser)
    page = browser.get("/account/mfa")
    assert "<svg" in page.text and "otpauth" not in page.text
    key = re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', page.text)
    assert key is not None and all(len(group) == 4 for group in key[1].split())
    answer = submit(browser, page, {"code": stage.code_of(page)})
    assert (answer.status_code, answer.location) == (303, "/account/recovery-codes")
    shown = browser.get(answer.location).text
    codes = CODES.findall(shown)
    assert len(set(codes)) == 10 and "Earlier codes" not in shown
    row = stage.row(browser)
    assert (row.id, row.amr, row.auth_time) == (before.id, ["pwd", "otp", "mfa"], before.auth_time)
    assert row.digest != before.digest
    assert [event.kind for event in stage.events("user.mfa_enrolled")] == ["user.mfa_enrolled"]

    other = browser.application.test_client()
    assert stage.password(other, cast.dana).location == "/login/mfa"
    assert enter(other, codes[0], "/login/recovery").status_code == 303


def test_the_recovery_codes_are_shown_once(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.dana)
    page = browser.get("/account/mfa")
    answer = submit(browser, page, {"code": stage.code_of(page)})
    waiting = str(stage.row(browser).data)
    codes = CODES.findall(browser.get(answer.location).text)
    assert len(codes) == 10 and not any(code in waiting or code.replace("-", "") in waiting for code in codes)
    again = browser.get(answer.location)
    assert (again.status_code, CODES.findall(again.text)) == (200, []) and "make new ones" in again.text
    assert CODES.findall(browser.get("/account").text) == []
    assert stage.row(browser).data.keys() == {"csrf_token"}


def test_head_takes_no_recovery_codes_away(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.dana)
    page = browser.get("/account/mfa")
    answer = submit(browser, page, {"code": stage.code_of(page)})
    assert browser.head(answer.location).status_code == 405
    assert len(CODES.findall(browser.get(answer.location).text)) == 10


def test_recovery_codes_are_shown_to_nobody_else_in_the_same_browser(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.dana)
    page = browser.get("/account/mfa")
    submit(browser, page, {"code": stage.code_of(page)})
    enter_at(browser, stage.password(browser, cast.alice, path="/login?confirm=1"), cast.code(cast.alice))
    assert browser.get("/account/recovery-codes").status_code == 200
    assert CODES.findall(browser.get("/account/recovery-codes").text) == []


def _token(browser: FlaskClient) -> str:
    return form_in(browser.get("/account/password"), having=["new"]).data()["csrf_token"][0]


def test_the_code_that_confirmed_the_factor_is_spent(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.dana)
    page = browser.get("/account/mfa")
    code = stage.code_of(page)
    submit(browser, page, {"code": code})
    other = browser.application.test_client()
    stage.password(other, cast.dana)
    assert enter(other, code).status_code == 400


def test_the_key_stays_the_same_until_it_is_confirmed(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.dana)
    first, again = (browser.get("/account/mfa") for _ in "12")
    wrong = submit(browser, again, {"code": "000000"})
    assert wrong.status_code == 400 and "does not match" in wrong.text
    assert stage.code_of(first) == stage.code_of(again) == stage.code_of(wrong)
    assert stage.user(cast.dana).totp is None


def test_the_key_that_waits_is_encrypted(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.dana)
    page = browser.get("/account/mfa")
    key = re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', page.text)
    assert key is not None and key[1].replace(" ", "") not in str(stage.row(browser).data)
    submit(browser, page, {"code": stage.code_of(page)})
    factor = stage.user(cast.dana).totp
    assert factor is not None and key[1].replace(" ", "").encode() not in factor.secret


def test_a_set_up_that_took_too_long_begins_anew(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.dana)
    page = browser.get("/account/mfa")
    stage.clock.advance(minutes=29)
    browser.get("/account")
    stage.clock.advance(minutes=2)
    answer = submit(browser, page, {"code": stage.code_of(page)})
    assert (answer.status_code, answer.location) == (303, "/account/mfa")
    assert stage.user(cast.dana).totp is None


def test_a_factor_is_changed_only_soon_after_signing_in(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.sign_in(browser, cast.alice)
    codes = stage.recovery_codes(cast.alice)
    assert browser.get("/account/mfa").status_code == 200
    page = browser.get("/account")
    stage.clock.advance(minutes=11)
    answer = browser.get("/account/mfa")
    assert (answer.status_code, answer.location) == (303, "/login?confirm=1&next=/account/mfa")
    answer = submit(browser, page, action="/account/recovery-codes/new")
    assert answer.location == "/login?confirm=1&next=/account"
    assert "first confirm that it is you" in browser.get(answer.location).text
    assert CODES.findall(browser.get("/account").text) == []
    other = browser.application.test_client()
    stage.password(other, cast.alice)
    assert enter(other, codes[0], "/login/recovery").status_code == 303


@pytest.mark.parametrize("replacing", [False, True])
def test_a_page_that_stood_open_sets_up_nothing_before_it_is_confirmed_who_is_there(
    browser: FlaskClient, cast: Cast, stage: Stage, replacing: bool
) -> None:
    person = cast.alice if replacing else cast.dana
    cast.sign_in(browser, person)
    before, page = stage.user(person).totp, browser.get("/account/mfa")
    stage.clock.advance(minutes=11)
    answer = submit(browser, page, {"code": stage.code_of(page)})
    assert (answer.status_code, answer.location) == (303, "/login?confirm=1&next=/account/mfa")
    after = stage.user(person).totp
    assert (after and after.secret) == (before and before.secret) and len(stage.events("user.mfa_enrolled")) == 0
    answer = stage.password(browser, person, path=answer.location)
    if replacing:
        answer = enter_at(browser, answer, cast.code(person))
    again = browser.get(answer.location)
    assert stage.code_of(again) == stage.code_of(page)  # the app need not be set up anew
    assert submit(browser, again, {"code": stage.code_of(again)}).location == "/account/recovery-codes"


def test_in_the_corridor_a_page_that_stood_open_is_confirmed_too(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    answer = stage.password(browser, cast.dana, path=f"/login?interaction={parked}")
    page = browser.get(answer.location)
    stage.clock.advance(minutes=11)
    answer = submit(browser, page, {"code": stage.code_of(page)})
    assert (answer.status_code, answer.location) == (303, f"/login?interaction={parked}")
    assert stage.user(cast.dana).totp is None
    answer = stage.password(browser, cast.dana, path=answer.location)
    again = browser.get(answer.location)
    answer = submit(browser, again, {"code": stage.code_of(again)})
    assert answer.location == f"/account/recovery-codes?interaction={parked}"


def test_confirming_leads_back_to_where_it_was_asked_for(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.sign_in(browser, cast.alice)
    stage.clock.advance(minutes=11)
    answer = stage.password(browser, cast.alice, path=browser.get("/account/mfa").location)
    answer = enter_at(browser, answer, cast.code(cast.alice))
    assert answer.location == "/account/mfa"
    assert browser.get("/account/mfa").status_code == 200


def enter_at(browser: FlaskClient, answer: TestResponse, code: str) -> TestResponse:
    return submit(browser, browser.get(answer.location), {"code": code})


def test_replacing_the_app_ends_the_old_one_and_the_other_sessions(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.sign_in(browser, cast.alice)
    old_code = stage.recovery_codes(cast.alice)[0]
    elsewhere = cast.new_session(cast.alice)[1]
    shown = set_up(browser, stage).text
    assert len(CODES.findall(shown)) == 10 and "Earlier codes no longer work." in shown
    assert stage.session_row(elsewhere).end_reason == "mfa_changed"
    assert browser.get("/account").status_code == 200
    other = browser.application.test_client()
    stage.password(other, cast.alice)
    assert enter(other, cast.code(cast.alice)).status_code == 400
    assert enter(other, old_code, "/login/recovery").status_code == 400


def test_new_recovery_codes_replace_all(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.sign_in(browser, cast.alice)
    old = stage.recovery_codes(cast.alice)
    answer = submit(browser, browser.get("/account"), action="/account/recovery-codes/new", follow_redirects=True)
    new = CODES.findall(answer.text)
    assert len(set(new) - set(old)) == 10 and "Earlier codes no longer work." in answer.text
    other = browser.application.test_client()
    stage.password(other, cast.alice)
    assert enter(other, old[5], "/login/recovery").status_code == 400
    assert enter(other, new[5], "/login/recovery").status_code == 303


def test_a_required_factor_cannot_be_removed(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.sign_in(browser, cast.alice)
    assert "/account/mfa/remove" not in browser.get("/account").text
    answer = browser.post("/account/mfa/remove", data={"csrf_token": _token(browser)})
    assert answer.status_code == 403 and "required" in answer.text
    assert stage.user(cast.alice).totp is not None


@pytest.mark.settings(mfa="optional")
def test_an_optional_factor_can_be_removed_soon_after_signing_in(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.sign_in(browser, cast.alice)
    stage.recovery_codes(cast.alice)
    page = browser.get("/account")
    stage.clock.advance(minutes=11)
    assert submit(browser, page, action="/account/mfa/remove").location == "/login?confirm=1&next=/account"
    assert stage.user(cast.alice).totp is not None

    answer = stage.password(browser, cast.alice, path="/login?confirm=1&next=/account")
    enter_at(browser, answer, cast.code(cast.alice))
    elsewhere = cast.new_session(cast.alice)[1]
    answer = submit(browser, browser.get("/account"), action="/account/mfa/remove")
    assert (answer.status_code, answer.location) == (303, "/account")
    assert stage.user(cast.alice).totp is None
    assert stage.session_row(elsewhere).end_reason == "mfa_changed"
    assert [event.user_id for event in stage.events("user.mfa_removed")] == [cast.alice.id]
    with stage.transaction() as session:
        assert session.scalars(select(RecoveryCode)).all() == []
    assert stage.password(browser.application.test_client(), cast.alice).location == "/businesses"


@pytest.mark.parametrize("path", ["/account/mfa/remove", "/account/recovery-codes/new"])
def test_an_action_refuses_get(browser: FlaskClient, cast: Cast, path: str) -> None:
    cast.open_session(browser, cast.alice)
    assert browser.get(path).status_code == 405


@pytest.mark.parametrize("path", ["/account/mfa", "/account/mfa/remove", "/account/recovery-codes/new"])
def test_an_action_refuses_a_missing_or_foreign_token(browser: FlaskClient, cast: Cast, path: str) -> None:
    cast.open_session(browser, cast.alice)
    stranger = browser.application.test_client()
    foreign = form_in(stranger.get("/login"), having=["password"]).data()["csrf_token"]
    for token in ({}, {"csrf_token": foreign}):
        assert browser.post(path, data={"code": "123456", **token}).status_code == 400


@pytest.mark.parametrize("path", ["/account", "/account/mfa", "/account/password", "/account/recovery-codes"])
def test_a_page_of_the_account_refuses_nobody(browser: FlaskClient, cast: Cast, path: str) -> None:
    assert browser.get(path).location == f"/login?next={path}"
