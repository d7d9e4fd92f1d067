from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import create_app
from portal.accounts import throttle
from portal.accounts.models import Throttle
from portal.config import Settings
from tests.accounts.conftest import Stage
from tests.support.cast import Person
from tests.support.forms import submit
from tests.support.signin import Cast

NOBODY = Person("user-nobody", "Nobody", "Here", "nobody@acme.example")


def is_refused(answer: TestResponse) -> bool:
    if answer.status_code != 429:
        return False
    assert 1 <= int(answer.headers["Retry-After"]) <= 900
    assert re.search(r"try again in \d+ minutes?", answer.text)
    return True


def test_ten_wrong_passwords_close_the_account_for_a_while(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    answers = [stage.password(browser, cast.dana, "wrong").status_code for _ in range(10)]
    assert answers == [400] * 10
    assert is_refused(stage.password(browser, cast.dana, "wrong"))
    refused = stage.password(browser, cast.dana)
    assert is_refused(refused) and cast.dana.email in refused.text
    stage.clock.advance(minutes=15, seconds=1)
    assert stage.password(browser, cast.dana).status_code == 303


def test_other_accounts_stay_open(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    for _ in range(11):
        stage.password(browser, cast.alice, "wrong")
    assert stage.password(browser, cast.dana).status_code == 303


def test_unknown_accounts_are_counted_alike(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    known = [stage.password(browser, cast.alice, "wrong").status_code for _ in range(12)]
    unknown = [stage.password(browser, NOBODY, "wrong").status_code for _ in range(12)]
    assert known == unknown == [400] * 10 + [429] * 2


def test_the_e_mail_in_another_case_is_the_same_account(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    for number in range(10):
        email = cast.dana.email.upper() if number % 2 else f" {cast.dana.email}"
        submit(browser, browser.get("/login"), {"email": email, "password": "wrong"})
    assert is_refused(stage.password(browser, cast.dana))


def test_a_success_starts_the_count_anew(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    for _ in range(9):
        stage.password(browser, cast.dana, "wrong")
    assert stage.password(browser, cast.dana).status_code == 303
    other = browser.application.test_client()
    assert [stage.password(other, cast.dana, "wrong").status_code for _ in range(10)] == [400] * 10


def test_a_restart_forgets_nothing(browser: FlaskClient, cast: Cast, stage: Stage, settings: Settings) -> None:
    for _ in range(10):
        stage.password(browser, cast.dana, "wrong")
    restarted = create_app(settings)
    assert is_refused(stage.password(restarted.test_client(), cast.dana))
    restarted.extensions["portal-database"].dispose()


def test_an_address_that_tries_many_accounts_is_stopped(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    for number in range(100):
        stage.password(browser, Person("", "", "", f"nobody{number}@acme.example"), "wrong")
    assert is_refused(stage.password(browser, cast.dana))
    elsewhere = browser.application.test_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "203.0.113.9"
    assert stage.password(elsewhere, cast.dana).status_code == 303, "the account itself was not counted down"


def test_successes_of_an_address_do_not_count(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    for _ in range(3):
        stage.password(browser.application.test_client(), cast.dana)
    stage.password(browser, cast.dana, "wrong")
    with stage.transaction() as session:
        assert sorted(session.scalars(select(Throttle.failures))) == [1, 1]


def test_the_table_tells_nothing_about_who_tried(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.alice, "wrong")
    with stage.transaction() as session:
        keys = session.scalars(select(Throttle.key)).all()
    assert len(keys) == 2 and all(len(key) == 32 and b"alice" not in key for key in keys)


def test_hitting_a_limit_is_one_audit_event(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    for _ in range(14):
        stage.password(browser, cast.alice, "wrong")
    reasons = [event.detail["reason"] for event in stage.events("user.sign_in_refused")]
    assert reasons == ["password"] * 10 + ["too_many_attempts"]


@pytest.mark.parametrize("kind", ["mfa", "recovery"])
def test_six_wrong_codes_close_that_way_in_and_leave_the_other(browser: FlaskClient, cast: Cast, stage: Stage, kind: str) -> None:
    codes = stage.recovery_codes(cast.alice)
    path, other = ("/login/mfa", "/login/recovery") if kind == "mfa" else ("/login/recovery", "/login/mfa")
    right, other_right = (cast.code(cast.alice), codes[0]) if kind == "mfa" else (codes[0], cast.code(cast.alice))
    stage.password(browser, cast.alice)
    wrong = [submit(browser, browser.get(path), {"code": "000000"}).status_code for _ in range(6)]
    assert wrong == [400] * 6
    assert is_refused(submit(browser, browser.get(path), {"code": right}))
    assert stage.row(browser).user_id is None
    assert submit(browser, browser.get(other), {"code": other_right}).status_code == 303


def test_signing_in_anew_gives_no_new_codes_to_try(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    for _ in range(6):
        another = browser.application.test_client()
        stage.password(another, cast.alice)
        submit(another, another.get("/login/mfa"), {"code": "000000"})
    stage.password(browser, cast.alice)
    assert is_refused(submit(browser, browser.get("/login/mfa"), {"code": cast.code(cast.alice)}))


def test_codes_cannot_be_guessed_day_after_day(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    for _ in range(10):
        stage.password(browser, cast.alice)
        for _ in range(6):
            assert submit(browser, browser.get("/login/mfa"), {"code": "000000"}).status_code == 400
        stage.clock.advance(minutes=16)
    stage.password(browser, cast.alice)
    refused = submit(browser, browser.get("/login/mfa"), {"code": cast.code(cast.alice)})
    assert refused.status_code == 429 and "try again in 22 hours" in refused.text
    stage.clock.advance(hours=22)
    stage.password(browser, cast.alice)
    assert submit(browser, browser.get("/login/mfa"), {"code": cast.code(cast.alice)}).status_code == 303


def test_the_current_password_is_counted_when_it_is_changed(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    fields = {"current": "wrong", "new": "a wombat in the pantry", "again": "a wombat in the pantry"}
    answers = [submit(browser, browser.get("/account/password"), fields).status_code for _ in range(11)]
    assert answers == [400] * 10 + [429]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        (None, "unknown"),
        ("unix:", "unix:"),
    ],
)
def test_an_ipv6_network_counts_as_one(address: str | None, network: str) -> None:
    assert throttle.network_of(address) == network


def test_windows_that_are_over_are_pruned(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.password(browser, cast.alice, "wrong")
    with stage.transaction() as session:
        assert throttle.prune(session, now=stage.clock.now()) == 0
        assert throttle.prune(session, now=stage.clock.advance(minutes=16)) == 2


@pytest.mark.settings(trusted_proxies=1)
def test_an_address_that_is_none_is_cut_and_not_stored_whole(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    long = {"X-Forwarded-For": "1" * 500}
    answer = submit(browser, browser.get("/login", headers=long), {"email": cast.alice.email, "password": "wrong"}, headers=long)
    assert answer.status_code == 400
    assert [event.address for event in stage.events("user.sign_in_refused")] == ["1" * 64]
