from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from portal.accounts.browsers import name_browser
from tests.accounts.conftest import DOMAIN, Stage
from tests.support.cast import Person
from tests.support.forms import FormError, form_in, submit
from tests.support.same import shown
from tests.support.signin import Cast

HTMX = {"HX-Request": "true"}
NEW = "a wombat in the pantry"


def sessions_part(text: str) -> str:
    """The sessions as the page or the fragment shows them."""
    found = re.search(r'<section[^>]*id="sessions".*?</section>', text, re.DOTALL)
    assert found is not None
    return shown(found[0])


def elsewhere(browser: FlaskClient, cast: Cast, person: Person) -> tuple[FlaskClient, str]:
    other = browser.application.test_client()
    return other, cast.open_session(other, person)


# sessions


def test_the_account_lists_every_live_session(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    here = cast.open_session(browser, cast.alice)
    _, other = elsewhere(browser, cast, cast.alice)
    _, over = elsewhere(browser, cast, cast.alice)
    _, charlies = elsewhere(browser, cast, cast.charlie)
    with stage.transaction() as session:
        session.get_one(type(stage.session_row(over)), over).ended_at = stage.clock.now()
    text = browser.get("/account").text
    assert "This browser" in text and "127.0.0.1" in text
    assert f"/account/sessions/{other}/end" in text
    assert all(f"/account/sessions/{hidden}/end" not in text for hidden in (here, over, charlies))


def test_a_session_elsewhere_is_ended(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    other, session_id = elsewhere(browser, cast, cast.alice)
    page = browser.get("/account")
    answer = submit(browser, page, action=f"/{session_id}/end")
    assert (answer.status_code, answer.location) == (303, "/account#sessions")
    assert stage.session_row(session_id).end_reason == "ended_elsewhere"
    assert other.get("/account").status_code == 303
    assert "is signed out." in browser.get("/account").text
    assert [event.detail["count"] for event in stage.events("user.session_ended")] == [1]
    again = submit(browser, page, action=f"/{session_id}/end", follow_redirects=True)
    assert "was signed out already" in again.text


def test_the_fragment_and_the_page_agree(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    _, session_id = elsewhere(browser, cast, cast.alice)
    elsewhere(browser, cast, cast.alice)
    fragment = submit(browser, browser.get("/account"), action=f"/{session_id}/end", headers=HTMX)
    assert fragment.status_code == 200 and "<html" not in fragment.text
    assert "is signed out." in fragment.text and session_id not in fragment.text
    assert sessions_part(fragment.text) == sessions_part(browser.get("/account").text)


def test_all_other_sessions_are_ended_at_once(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    secret = stage.cookie(browser)
    others = [elsewhere(browser, cast, cast.alice)[1] for _ in range(3)]
    charlie, _ = elsewhere(browser, cast, cast.charlie)
    halfway = browser.application.test_client()
    stage.password(halfway, cast.alice)
    answer = submit(browser, browser.get("/account"), action="/end-others")
    assert (answer.status_code, answer.location) == (303, "/account#sessions")
    page = browser.get("/account")
    assert "4 other sessions have ended." in page.text and "end-others" not in page.text
    assert {stage.session_row(each).end_reason for each in others} == {"ended_elsewhere"}
    assert halfway.get("/login/mfa").status_code == 303, "a sign-in that was half done has ended too"
    assert charlie.get("/account").status_code == 200
    thief = browser.application.test_client()
    thief.set_cookie("session", secret, domain=DOMAIN)
    assert thief.get("/account").status_code == 303, "a stolen copy of this session's cookie opens nothing any more"


def test_all_others_as_a_fragment_agrees_with_the_page(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    elsewhere(browser, cast, cast.alice)
    fragment = submit(browser, browser.get("/account"), action="/end-others", headers=HTMX)
    assert "1 other session has ended." in fragment.text
    assert sessions_part(fragment.text) == sessions_part(browser.get("/account").text)


def test_a_token_of_the_fragment_is_good_for_the_next_click(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    elsewhere(browser, cast, cast.alice)
    page = browser.get("/account")
    submit(browser, page, action="/end-others", headers=HTMX)
    _, session_id = elsewhere(browser, cast, cast.alice)
    with pytest.raises(FormError):
        submit(browser, page, action=f"/{session_id}/end")
    fragment = submit(browser, browser.get("/account"), action="/end-others", headers=HTMX)
    assert fragment.status_code == 200


def test_charlie_cannot_end_a_session_of_alice(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.charlie)
    alice, session_id = elsewhere(browser, cast, cast.alice)
    token = form_in(browser.get("/account/password"), having=["new"]).data()["csrf_token"][0]
    for named in (session_id, "nonsense", "%00", "a%00b", "🦘", "x" * 2000):
        answer = browser.post(f"/account/sessions/{named}/end", data={"csrf_token": token})
        assert answer.status_code == 404
    assert alice.get("/account").status_code == 200


def test_ending_the_session_one_is_in_is_signing_out(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    session_id = cast.open_session(browser, cast.alice)
    token = form_in(browser.get("/account/password"), having=["new"]).data()["csrf_token"][0]
    answer = browser.post(f"/account/sessions/{session_id}/end", data={"csrf_token": token}, headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, "/login")
    assert stage.session_row(session_id).end_reason == "signed_out"


# the password


def change(browser: FlaskClient, current: str, new: str, again: str | None = None) -> tuple[int, str]:
    fields = {"current": current, "new": new, "again": new if again is None else again}
    answer = submit(browser, browser.get("/account/password"), fields)
    return answer.status_code, answer.text


def test_a_new_password_takes_the_place_of_the_old_and_ends_the_other_sessions(
    browser: FlaskClient, cast: Cast, stage: Stage
) -> None:
    cast.open_session(browser, cast.dana)
    secret = stage.cookie(browser)
    _, other = elsewhere(browser, cast, cast.dana)
    assert change(browser, cast.dana.password, NEW)[0] == 303
    assert "Your password is changed" in browser.get("/account").text
    assert stage.cookie(browser) != secret
    assert stage.session_row(other).end_reason == "password_changed"
    assert [event.detail["sessions_ended"] for event in stage.events("user.password_changed")] == [1]
    another = browser.application.test_client()
    assert stage.password(another, cast.dana).status_code == 400
    assert stage.password(another, cast.dana, NEW).status_code == 303


def test_a_wrong_current_password_changes_nothing(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.dana)
    status, text = change(browser, "wrong", NEW)
    assert status == 400 and "That is not your current password." in text and NEW not in text
    assert stage.password(browser.application.test_client(), cast.dana).status_code == 303


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("short", "at least 12"),
        ("x" * 201, "at most 200"),
        ("dana@acme.example", "cannot be your password"),
        ("DANA@acme.example", "cannot be your password"),
        ("password1234", "first passwords"),
        ("Password!!1234", "first passwords"),
        ("aaaaaaaaaaaaaa", "first passwords"),
        ("123456789012", "first passwords"),
        ("qwertyuiop12", "first passwords"),
        ("abcdefghijklmn", "first passwords"),
        ("ababababababab", "first passwords"),
        ("correct horse battery staple", "your current password"),
    ],
)
def test_a_poor_password_is_refused_with_the_reason(browser: FlaskClient, cast: Cast, stage: Stage, new: str, words: str) -> None:
    cast.open_session(browser, cast.dana)
    status, text = change(browser, cast.dana.password, new)
    assert status == 400 and words in text
    assert stage.password(browser.application.test_client(), cast.dana).status_code == 303


@pytest.mark.parametrize(
    "new", [NEW, "пароль который никто не знает", "🦘🐨🦜🐊🦈🐙🦑🦐🦞🦀🐡🐠", "ÅÄÖ ångström café", "x7\0 with a strange sign"]
)
def test_any_script_may_be_used(browser: FlaskClient, cast: Cast, stage: Stage, new: str) -> None:
    cast.open_session(browser, cast.dana)
    assert change(browser, cast.dana.password, new)[0] == 303
    assert stage.password(browser.application.test_client(), cast.dana, new).status_code == 303


def test_the_same_letters_composed_differently_are_the_same_password(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.dana)
    assert change(browser, cast.dana.password, "cafe\u0301 by the harbour")[0] == 303
    assert stage.password(browser.application.test_client(), cast.dana, "caf\u00e9 by the harbour").status_code == 303


def test_the_two_new_passwords_must_be_the_same(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.dana)
    status, text = change(browser, cast.dana.password, NEW, "a wombat in the kitchen")
    assert status == 400 and "not the same" in text


def test_an_empty_form_tells_what_is_missing(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.dana)
    status, text = change(browser, "", "", "")
    assert status == 400 and "Enter your current password." in text and "Choose a new password." in text


# all of them


@pytest.mark.parametrize("path", ["/account/sessions/some/end", "/account/sessions/end-others"])
def test_an_action_refuses_get(browser: FlaskClient, cast: Cast, path: str) -> None:
    cast.open_session(browser, cast.alice)
    assert browser.get(path).status_code in (404, 405)


@pytest.mark.parametrize("path", ["/account/sessions/{other}/end", "/account/sessions/end-others", "/account/password"])
def test_an_action_refuses_a_missing_or_foreign_token(browser: FlaskClient, cast: Cast, stage: Stage, path: str) -> None:
    cast.open_session(browser, cast.alice)
    other, session_id = elsewhere(browser, cast, cast.alice)
    stranger, _ = elsewhere(browser, cast, cast.charlie)
    foreign = form_in(stranger.get("/account/password"), having=["new"]).data()["csrf_token"]
    fields = {"current": cast.alice.password, "new": NEW, "again": NEW}
    for token in ({}, {"csrf_token": foreign}):
        assert browser.post(path.format(other=session_id), data={**fields, **token}).status_code == 400
    assert other.get("/account").status_code == 200
    assert stage.password(browser.application.test_client(), cast.alice).status_code == 303


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", "Chrome on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36 Edg/131.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox on Mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown browser"),
        (None, "Unknown browser"),
        ("<script>", "Unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_is_named_as_its_owner_would(agent: str | None, name: str) -> None:
    assert name_browser(agent) == name
