from __future__ import annotations

import re
from datetime import UTC, datetime

import pyotp
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.accounts import mfa
from portal.accounts.models import RecoveryCode, TotpFactor
from tests.accounts.conftest import Stage
from tests.support.cast import TOTP_SECRET
from tests.support.forms import form_in, submit
from tests.support.signin import Cast

CODES = re.compile(r"\b[0-9a-z]{5}(?:-[0-9a-z]{5}){3}\b")


def enter(browser: FlaskClient, code: str, path: str = "/login/mfa") -> TestResponse:
    return submit(browser, browser.get(path), {"code": code}, action=path)


def shown_at(stage: Stage, seconds: int) -> str:
    """The code of the cast's app this many seconds from now."""
    return pyotp.TOTP(TOTP_SECRET).at(int(stage.clock.now().timestamp()) + seconds)


# the code


@pytest.mark.parametrize("seconds", [-30, 0, 30])
def test_a_clock_may_be_off_by_one_step(browser: FlaskClient, cast: Cast, stage: Stage, seconds: int) -> None:
    stage.password(browser, cast.alice)
    assert enter(browser, shown_at(stage, seconds)).location == "/businesses"


@pytest.mark.parametrize("seconds", [-90, 90])
def test_a_clock_may_not_be_off_by_more(browser: FlaskClient, cast: Cast, stage: Stage, seconds: int) -> None:
    stage.password(browser, cast.alice)
    assert enter(browser, shown_at(stage, seconds)).status_code == 400


def test_a_code_is_spent_by_its_use(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.alice)
    code = shown_at(stage, 0)
    assert enter(browser, code).status_code == 303
    other = browser.application.test_client()
    stage.password(other, cast.alice)
    answer = enter(other, code)
    assert answer.status_code == 400 and "was used already" in answer.text
    assert stage.row(other).user_id is None


def test_a_code_of_an_earlier_step_than_the_last_is_spent_too(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.alice)
    earlier, now = shown_at(stage, -30), shown_at(stage, 0)
    assert enter(browser, now).status_code == 303
    other = browser.application.test_client()
    stage.password(other, cast.alice)
    assert enter(other, earlier).status_code == 400


def test_spaces_in_a_code_do_not_matter(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.alice)
    code = shown_at(stage, 0)
    assert enter(browser, f" {code[:3]} {code[3:]} ").status_code == 303


@pytest.mark.parametrize(
    "code", ["000000", "12345", "1234567", "🦘🦘🦘🦘🦘🦘", "１２３４５６", "١٢٣٤٥٦", "\0" * 6, "x" * 100_000, "-1", "1e5"]
)
def test_a_wrong_code_is_told_beside_the_field_and_not_shown_again(
    browser: FlaskClient, cast: Cast, stage: Stage, code: str
) -> None:
    stage.password(browser, cast.alice)
    answer = enter(browser, code)
    assert answer.status_code == 400 and "That code is not right" in answer.text
    assert form_in(answer, having=["code"]).data()["code"] == [""]
    assert stage.row(browser).user_id is None
    assert [event.detail["reason"] for event in stage.events("user.sign_in_refused")] == ["code"]


def test_no_code_at_all_is_told(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.alice)
    answer = enter(browser, "")
    assert answer.status_code == 400 and "Enter the code." in answer.text


@pytest.mark.parametrize("path", ["/login/mfa", "/login/recovery"])
def test_without_a_password_there_is_no_second_step(browser: FlaskClient, cast: Cast, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.location) == (303, "/login")
    token = form_in(browser.get("/login"), having=["password"]).data()["csrf_token"][0]
    answer = browser.post(path, data={"csrf_token": token, "code": "123456"})
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "sign in again" in browser.get("/login").text


def test_the_second_step_may_not_wait_for_long(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.alice)
    page = browser.get("/login/mfa")
    stage.clock.advance(minutes=11)
    answer = submit(browser, page, {"code": cast.code(cast.alice)})
    assert (answer.status_code, answer.location) == (303, "/login")
    assert stage.row(browser).user_id is None


def test_a_person_disabled_in_between_does_not_get_in(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.alice)
    page = browser.get("/login/mfa")
    stage.change_user(cast.alice, disabled_at=stage.clock.now())
    assert submit(browser, page, {"code": cast.code(cast.alice)}).location == "/login"
    assert stage.row(browser).user_id is None


def test_one_persons_code_does_not_sign_in_another(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.bob)
    with stage.transaction() as session:
        session.get_one(TotpFactor, cast.bob.id).secret = stage.app.keyring.encrypt("totp", pyotp.random_base32().encode())
    assert enter(browser, shown_at(stage, 0)).status_code == 400


# recovery codes


def test_a_recovery_code_signs_in_once(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    code = stage.recovery_codes(cast.alice)[3]
    stage.password(browser, cast.alice, path="/login?next=/account")
    assert "/login/recovery?next=/account" in browser.get("/login/mfa?next=/account").text
    answer = enter(browser, code, "/login/recovery")
    assert answer.status_code == 303
    assert stage.row(browser).amr == ["pwd", "mfa"]
    assert [event.detail["left"] for event in stage.events("user.recovery_code_used")] == [9]
    assert "9 of 10" in browser.get("/account").text
    other = browser.application.test_client()
    stage.password(other, cast.alice)
    refused = enter(other, code, "/login/recovery")
    assert refused.status_code == 400 and "was used already" in refused.text


def test_a_recovery_code_may_be_typed_sloppily(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    code = stage.recovery_codes(cast.alice)[0]
    sloppy = f" {code.upper().replace('-', ' ').replace('0', 'O').replace('1', 'l')} "
    stage.password(browser, cast.alice)
    assert enter(browser, sloppy, "/login/recovery").status_code == 303


def test_a_recovery_code_of_somebody_else_is_nothing(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    code = stage.recovery_codes(cast.bob)[0]
    stage.password(browser, cast.alice)
    assert enter(browser, code, "/login/recovery").status_code == 400


@pytest.mark.parametrize("code", ["🦘", "\0" * 20, "u" * 20, "0" * 20, "x" * 100_000])
def test_a_wrong_recovery_code_is_told(browser: FlaskClient, cast: Cast, stage: Stage, code: str) -> None:
    stage.recovery_codes(cast.alice)
    stage.password(browser, cast.alice)
    answer = enter(browser, code, "/login/recovery")
    assert answer.status_code == 400 and "That recovery code is not right" in answer.text


def test_recovery_codes_are_long_and_stored_as_keyed_digests(stage: Stage, cast: Cast) -> None:
    codes = stage.recovery_codes(cast.alice)
    assert len(set(codes)) == 10 and all(CODES.fullmatch(code) for code in codes)
    with stage.transaction() as session:
        stored = session.scalars(select(RecoveryCode.digest).where(RecoveryCode.user_id == cast.alice.id)).all()
    assert len(stored) == 10 and all(len(digest) == 32 for digest in stored)
    assert mfa.read_recovery_code(codes[0]) == codes[0].replace("-", "")


# the steps themselves


def test_the_code_of_the_specification_is_found_at_its_step() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238 appendix B
    assert mfa.matching_steps(secret, "005924", now=datetime.fromtimestamp(1234567890, UTC)) == [1234567890 // 30]
    assert mfa.matching_steps(secret, "005924", now=datetime.fromtimestamp(1234567890 + 60, UTC)) == []
