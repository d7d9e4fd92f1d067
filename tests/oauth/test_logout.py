from __future__ import annotations

from urllib.parse import parse_qsl, unquote_to_bytes, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.accounts.models import BrowserSession
from portal.audit.models import AuditEvent
from portal.clients.models import Client
from tests.support.cast import ALICE, BOB, LEDGERLY, POCKETFOLIO
from tests.support.clock import Clock
from tests.support.forms import submit
from tests.support.signin import Cast
from tests.support.tokens import ONLINE, Machine

BACK = "https://ledgerly.example/signed-out"
ASKS = "Sign out of Class?"


@pytest.fixture
def machine(machine: Machine) -> Machine:
    uris = [BACK, BACK + "?from=portal"]
    machine.change(Client, Client.client_id == LEDGERLY.client_id, post_logout_redirect_uris=uris)
    return machine


def leave(browser: FlaskClient, **parameters: str) -> TestResponse:
    return browser.get("/oauth/logout?" + urlencode(parameters))


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get("/account").status_code == 200


def hint(machine: Machine, session_id: str, person: object = ALICE, scope: str = ONLINE) -> tuple[str, str]:
    """An ID token of this session, and the online access token that came with it."""
    tokens = machine.tokens(machine.authorize(person, scope=scope, session_id=session_id))  # type: ignore[arg-type]
    return tokens["id_token"], tokens["access_token"]


def test_the_hint_of_this_very_session_ends_it_without_a_question(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    token, access = hint(machine, cast.open_session(browser, ALICE))
    assert is_signed_in(browser) and machine.is_live(access)
    answer = leave(browser, id_token_hint=token, post_logout_redirect_uri=BACK, state="kept")
    assert answer.status_code == 303
    assert answer.headers["Location"] == BACK + "?state=kept"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not is_signed_in(browser)
    assert 'error_description="signed_out"' in machine.call(access).headers["WWW-Authenticate"]
    [event] = machine.rows(select(AuditEvent).where(AuditEvent.kind == "user.signed_out"))
    assert event.user_id == ALICE.id


def test_a_hint_that_has_expired_still_names_the_session(
    machine: Machine, browser: FlaskClient, cast: Cast, clock: Clock
) -> None:
    token, _ = hint(machine, cast.open_session(browser, ALICE))
    clock.advance(seconds=machine.app.settings.id_token_seconds + 60)
    assert leave(browser, id_token_hint=token).status_code == 303
    assert not is_signed_in(browser)


@pytest.mark.settings(session_idle_seconds=43200)
def test_a_hint_is_read_for_as_long_as_its_session_lives_though_its_key_was_rotated_and_pruned(
    machine: Machine, browser: FlaskClient, cast: Cast, clock: Clock
) -> None:
    token, _ = hint(machine, cast.open_session(browser, ALICE))
    keys = machine.app.test_cli_runner()
    keys.invoke(args=["keys", "rotate"])
    clock.advance(seconds=machine.app.settings.session_absolute_seconds - 60)
    assert "Deleted 0" in keys.invoke(args=["keys", "prune"]).output
    assert leave(browser, id_token_hint=token, post_logout_redirect_uri=BACK).headers["Location"] == BACK
    assert not is_signed_in(browser)


@pytest.mark.parametrize("unreadable", ["", "not.a.token", "é"])
def test_a_hint_that_cannot_be_read_asks_and_leads_nowhere(
    machine: Machine, browser: FlaskClient, cast: Cast, unreadable: str
) -> None:
    asked = {"id_token_hint": unreadable, "post_logout_redirect_uri": BACK}
    assert leave(browser, **asked).location == "/login"
    cast.open_session(browser, ALICE)
    page = leave(browser, **asked)
    assert ASKS in page.text and "After that you go to" not in page.text and is_signed_in(browser)
    assert submit(browser, page, button="decision=sign_out").location == "/login"
    assert not is_signed_in(browser)


def test_beside_a_hint_that_cannot_be_read_the_client_may_name_itself(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, ALICE)
    page = leave(browser, id_token_hint="not.a.token", post_logout_redirect_uri=BACK, client_id=LEDGERLY.client_id)
    assert ASKS in page.text and is_signed_in(browser)
    assert submit(browser, page, button="decision=sign_out").location == BACK


def test_head_signs_nobody_out(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    token, _ = hint(machine, cast.open_session(browser, ALICE))
    assert browser.head("/oauth/logout", query_string={"id_token_hint": token}).status_code == 405
    assert is_signed_in(browser)


def test_a_hint_of_another_session_of_the_same_person_asks(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, ALICE)
    token, access = hint(machine, cast.new_session(ALICE)[1])
    assert ASKS in leave(browser, id_token_hint=token, post_logout_redirect_uri=BACK).text
    assert is_signed_in(browser) and machine.is_live(access)


def test_a_hint_for_somebody_else_asks(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, ALICE)
    token, _ = hint(machine, cast.new_session(BOB)[1], BOB)
    page = leave(browser, id_token_hint=token)
    assert ASKS in page.text and ALICE.name in page.text and BOB.email not in page.text
    assert is_signed_in(browser)


def test_without_a_hint_it_asks_and_signs_out_on_yes(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, ALICE)
    page = leave(browser, client_id=LEDGERLY.client_id, post_logout_redirect_uri=BACK, state="k é&=")
    assert page.status_code == 200 and ASKS in page.text and LEDGERLY.client_name in page.text
    assert "form-action 'self' https://ledgerly.example" in page.headers["Content-Security-Policy"]
    assert is_signed_in(browser)
    answer = submit(browser, page, button="decision=sign_out")
    assert answer.status_code == 303
    assert dict(parse_qsl(urlsplit(answer.headers["Location"]).query)) == {"state": "k é&="}
    assert not is_signed_in(browser)


def test_on_no_everything_stays(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, ALICE)
    page = leave(browser, client_id=LEDGERLY.client_id, post_logout_redirect_uri=BACK)
    answer = submit(browser, page, button="decision=stay")
    assert (answer.status_code, answer.location) == (303, "/businesses")
    assert is_signed_in(browser)


def test_with_nothing_at_all_it_asks_and_leads_to_the_sign_in_page(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, ALICE)
    page = leave(browser)
    assert ASKS in page.text
    answer = submit(browser, page, button="decision=sign_out")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "You are signed out." in browser.get("/login").text


def state_of(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " "))


@pytest.mark.parametrize("state", ["%E9%FF", "a%2Bb+c", "%00", ""], ids=["bytes", "plus", "nul", "empty"])
def test_state_returns_byte_for_byte_also_through_the_page_that_asks(
    machine: Machine, browser: FlaskClient, cast: Cast, state: str
) -> None:
    def came_back(answer: TestResponse) -> bytes:
        return state_of(answer.headers["Location"].partition("?state=")[2])

    expected = state_of(state)
    asked = "/oauth/logout?" + urlencode({"client_id": LEDGERLY.client_id, "post_logout_redirect_uri": BACK}) + "&state=" + state
    assert came_back(browser.get(asked)) == expected
    cast.open_session(browser, ALICE)
    assert came_back(submit(browser, browser.get(asked), button="decision=sign_out")) == expected


def test_without_a_session_it_still_leads_back(machine: Machine, browser: FlaskClient) -> None:
    answer = leave(browser, client_id=LEDGERLY.client_id, post_logout_redirect_uri=BACK + "?from=portal", state="s")
    assert answer.headers["Location"] == BACK + "?from=portal&state=s"


NEVER = [
    {"post_logout_redirect_uri": BACK},
    {"post_logout_redirect_uri": "https://evil.example/", "client_id": LEDGERLY.client_id},
    {"post_logout_redirect_uri": BACK + "/", "client_id": LEDGERLY.client_id},
    {"post_logout_redirect_uri": BACK + "?", "client_id": LEDGERLY.client_id},
    {"post_logout_redirect_uri": BACK.upper(), "client_id": LEDGERLY.client_id},
    {"post_logout_redirect_uri": "//ledgerly.example", "client_id": LEDGERLY.client_id},
    {"post_logout_redirect_uri": BACK, "client_id": POCKETFOLIO.client_id},
    {"post_logout_redirect_uri": BACK, "client_id": "nobody"},
    {"post_logout_redirect_uri": BACK, "client_id": "led\x00gerly"},
    {"post_logout_redirect_uri": BACK, "client_id": "é"},
    {"post_logout_redirect_uri": "", "client_id": LEDGERLY.client_id},
    {"post_logout_redirect_uri": LEDGERLY.redirect_uri, "client_id": LEDGERLY.client_id},
    {"id_token_hint": "not.a.token", "post_logout_redirect_uri": BACK, "client_id": "nobody"},
    {"id_token_hint": "not.a.token", "post_logout_redirect_uri": "https://evil.example/", "client_id": LEDGERLY.client_id},
    {"state": "x" * 9000, "client_id": LEDGERLY.client_id, "post_logout_redirect_uri": BACK},
]


@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "nobody"])
@pytest.mark.parametrize("parameters", NEVER, ids=range(len(NEVER)))
def test_nobody_is_sent_where_the_client_has_not_registered(
    machine: Machine, browser: FlaskClient, cast: Cast, parameters: dict[str, str], signed_in: bool
) -> None:
    if signed_in:
        cast.open_session(browser, ALICE)
    answer = leave(browser, **parameters)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert "cannot be trusted" in answer.text
    assert is_signed_in(browser) is signed_in


def test_a_hint_for_another_client_than_the_one_named_is_refused(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    token, _ = hint(machine, cast.open_session(browser, ALICE))
    assert leave(browser, id_token_hint=token, client_id=POCKETFOLIO.client_id).status_code == 400
    assert is_signed_in(browser)


def test_a_repeated_parameter_is_refused(machine: Machine, browser: FlaskClient) -> None:
    asked = urlencode([("client_id", LEDGERLY.client_id), ("post_logout_redirect_uri", BACK), ("state", "a"), ("state", "b")])
    assert browser.get("/oauth/logout?" + asked).status_code == 400


def test_a_form_of_the_partner_goes_on_as_a_link_so_that_the_cookie_comes_along(
    machine: Machine, browser: FlaskClient, cast: Cast
) -> None:
    token, _ = hint(machine, cast.open_session(browser, ALICE))
    sent = {"id_token_hint": token, "post_logout_redirect_uri": BACK, "state": "s"}
    answer = machine.send("POST", "/oauth/logout", data=sent)  # from another site: without the cookie
    assert answer.status_code == 303
    assert is_signed_in(browser)
    assert browser.get(answer.location).headers["Location"] == BACK + "?state=s"
    assert not is_signed_in(browser)


def test_a_forged_form_ends_nothing(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, ALICE)
    for forged in ({"decision": "sign_out"}, {"decision": "sign_out", "csrf_token": "x"}, {"csrf_token": ""}):
        assert browser.post("/oauth/logout", data=forged).status_code in (303, 400)
        assert is_signed_in(browser)


def test_our_own_form_is_checked_again(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, ALICE)
    page = leave(browser)
    evil = urlencode({"client_id": LEDGERLY.client_id, "post_logout_redirect_uri": "https://evil.example/"})
    answer = submit(browser, page, {"request": evil}, button="decision=sign_out")
    assert answer.status_code == 400
    assert is_signed_in(browser)


def test_the_session_is_ended_once(machine: Machine, browser: FlaskClient, cast: Cast) -> None:
    session_id = cast.open_session(browser, ALICE)
    token, _ = hint(machine, session_id)
    for _ in range(2):
        assert leave(browser, id_token_hint=token, post_logout_redirect_uri=BACK).headers["Location"] == BACK
    [row] = machine.rows(select(BrowserSession).where(BrowserSession.id == session_id))
    assert row.end_reason == "signed_out"
    assert len(machine.rows(select(AuditEvent).where(AuditEvent.kind == "user.signed_out"))) == 1
