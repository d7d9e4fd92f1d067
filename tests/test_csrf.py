from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from flask.testing import FlaskClient

from portal import Portal
from portal.csrf import unmask
from tests.support.forms import forms_in
from tests.support.signin import Cast

PAGE = "/business/business-acme/access"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
NOWHERE = "/account/sessions/of-nobody/end"
TAKEN, REFUSED = 404, 400
"""What a form gets that is about nothing: when its token is taken, and when it is not."""


def token_of(browser: FlaskClient, path: str = PAGE) -> str:
    [token] = set(TOKEN.findall(browser.get(path).text))
    return str(token)


@pytest.fixture
def alice(browser: FlaskClient, cast: Cast) -> FlaskClient:
    cast.add_consent(cast.alice)
    cast.add_consent(cast.alice, partner=cast.pocketfolio)
    cast.open_session(browser, cast.alice)
    return browser


def test_no_two_answers_hold_the_same_token_and_all_are_taken(alice: FlaskClient) -> None:
    tokens = [token_of(alice) for _ in range(4)]
    assert len(set(tokens)) == len(tokens)
    assert [alice.post(NOWHERE, data={"csrf_token": token}).status_code for token in tokens] == [TAKEN] * 4


def test_all_forms_of_one_answer_hold_the_same_token_so_that_it_packs_well(alice: FlaskClient) -> None:
    page = alice.get(PAGE)
    assert sum("csrf_token" in form.names() for form in forms_in(page)) > 2
    assert len(set(TOKEN.findall(page.text))) == 1


def test_what_stays_the_same_of_a_token_is_on_no_page(alice: FlaskClient) -> None:
    page = alice.get(PAGE).text
    plain = unmask(TOKEN.findall(page)[0])
    stays, _, _ = plain.partition(".")
    assert len(stays) > 40 and stays not in page
    again = TOKEN.findall(alice.get(PAGE).text)[0]
    assert unmask(again).startswith(stays) and stays not in again


def test_a_script_may_send_it_in_a_header(alice: FlaskClient) -> None:
    assert alice.post(NOWHERE, headers={"X-CSRFToken": token_of(alice)}).status_code == TAKEN
    assert alice.post(NOWHERE, headers={"X-CSRFToken": unmask(token_of(alice))}).status_code == REFUSED


@pytest.mark.parametrize("place", [0, 45, 90, 91, 136, 181])
def test_an_altered_token_is_refused(alice: FlaskClient, place: int) -> None:
    both = bytearray(urlsafe_b64decode(token_of(alice)))
    assert len(both) == 182
    both[place] ^= 0x20  # no bit that the last character of a signature leaves unused
    assert alice.post(NOWHERE, data={"csrf_token": urlsafe_b64encode(both).decode()}).status_code == REFUSED


@pytest.mark.parametrize("text", ["", "x", "====", "%00", "é", "nonsense", "A" * 244, "A" * 100_000])
def test_what_was_never_a_token_is_refused(alice: FlaskClient, text: str) -> None:
    assert alice.post(NOWHERE, data={"csrf_token": text}).status_code == REFUSED
    assert alice.post(NOWHERE, data={"csrf_token": token_of(alice)[:-4] + text}).status_code == REFUSED


def test_a_token_that_was_never_masked_is_refused(alice: FlaskClient) -> None:
    assert alice.post(NOWHERE, data={"csrf_token": unmask(token_of(alice))}).status_code == REFUSED


def test_the_token_of_another_session_is_refused(app: Portal, alice: FlaskClient, cast: Cast) -> None:
    other = app.test_client()
    cast.open_session(other, cast.alice)
    assert alice.post(NOWHERE, data={"csrf_token": token_of(other, "/account/password")}).status_code == REFUSED
