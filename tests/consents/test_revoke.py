from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from portal import Portal
from portal.accounts.models import User
from portal.consents.models import Consent
from tests.consents.access import HTMX, PAGE, UNDO, Transaction, events, standing
from tests.support.clock import Clock
from tests.support.csrf import csrf
from tests.support.forms import form_in, forms_in, submit
from tests.support.same import partial_of, row_of, shown
from tests.support.signin import Cast

REVOKE = f"{PAGE}/ledgerly/revoke"
SAID = re.compile(r'<p class="notice notice--success">.*?</p>', re.DOTALL)


def line_of(text: str) -> str:
    """What the status line says, in the page or in a fragment."""
    return " ".join(re.sub(r"<[^>]*>", "", SAID.findall(text)[0]).split())


def test_one_click_ends_the_whole_application(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.add_consent(cast.alice)
    cast.add_consent(cast.bob)
    elsewhere = cast.add_consent(cast.alice, partner=cast.pocketfolio)
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    assert answer.status_code == 303 and answer.location.endswith(PAGE)
    assert standing(transaction) == {elsewhere.id}
    shown = browser.get(answer.location).text
    assert "Access ended" in shown and "Undo" in shown and "its own policy" in shown
    told = events(transaction, "consent.revoked")
    assert {event.detail["granted_by_name"] for event in told} == {cast.alice.name, cast.bob.name}
    assert all(event.detail["user_name"] == cast.alice.name and event.detail["client_name"] == "Ledgerly" for event in told)


def test_with_htmx_the_row_comes_back_as_the_page_shows_it(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), action="/ledgerly/revoke", headers=HTMX)
    assert answer.status_code == 200
    row = row_of(answer)
    assert "Access ended" in row and "Undo" in row
    assert row in shown(browser.get(PAGE).text)
    answer = submit(browser, browser.get(PAGE), action="/ledgerly/undo", headers=HTMX)
    row = row_of(answer)
    assert "Revoke access" in row and "Undo" not in row
    assert row in shown(browser.get(PAGE).text)


def test_with_htmx_one_persons_part_comes_back_as_the_page_shows_it(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.alice, scope="openid profile funds.summary")
    bobs = cast.add_consent(cast.bob, scope="openid funds.summary business.read")
    cast.open_session(browser, cast.alice)
    for action in (f"/people/{bobs.id}/revoke", "/ledgerly/undo"):
        answer, page = submit(browser, browser.get(PAGE), action=action, headers=HTMX), browser.get(PAGE).text
        people = partial_of(answer, "people-ledgerly")
        assert ("Access ended" in people) is action.endswith("revoke") and '<details class="fold" open>' in people
        assert people.replace('" open>', '">') in shown(page)
        assert row_of(answer) in shown(page)


def test_a_get_ends_nothing(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    consent = cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    for path in (REVOKE, UNDO, f"{PAGE}/ledgerly/people/{consent.id}/revoke"):
        assert browser.get(path).status_code == 405
    assert standing(transaction) == {consent.id}


def test_a_stranger_finds_nothing_to_end(app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    consent = cast.add_consent(cast.alice)
    token = csrf(app, cast.open_session(browser, cast.charlie))
    for path in (REVOKE, UNDO, f"{PAGE}/ledgerly/people/{consent.id}/revoke", "/business/business-birch/access/ledgerly/revoke"):
        assert browser.post(path, data=token).status_code == 404
    crossed = f"/business/business-birch/access/ledgerly/people/{consent.id}/revoke"
    assert browser.post(crossed, data=token).status_code == 404
    assert standing(transaction) == {consent.id}


@pytest.mark.parametrize("person", ["none", "charlie"])
def test_a_missing_or_foreign_csrf_token_ends_nothing(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction, person: str
) -> None:
    consent = cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    data = {}
    if person == "charlie":
        data = csrf(app, cast.open_session(app.test_client(), cast.charlie))
    for path in (REVOKE, UNDO, f"{PAGE}/ledgerly/people/{consent.id}/revoke"):
        assert browser.post(path, data=data).status_code == 400
    assert standing(transaction) == {consent.id}


def test_who_is_signed_out_ends_nothing(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    consent = cast.add_consent(cast.alice)
    assert browser.post(REVOKE).status_code in (302, 303, 400)
    assert standing(transaction) == {consent.id}


def test_an_application_that_was_never_connected_is_not_found(app: Portal, browser: FlaskClient, cast: Cast) -> None:
    token = csrf(app, cast.open_session(browser, cast.alice))
    for client in ("ledgerly", "nobody", "a%00b"):
        assert browser.post(f"{PAGE}/{client}/revoke", data=token).status_code == 404


@pytest.mark.parametrize(
    "role", ["access_controller", "fund_administrator", "feeds_administrator", "fund_tax_agent", "fund_auditor", "fund_adviser"]
)
def test_what_each_role_ends(browser: FlaskClient, cast: Cast, transaction: Transaction, role: str) -> None:
    erin = cast.add_user()
    cast.add_member(erin, cast.acme, role)
    others, own = cast.add_consent(cast.alice), cast.add_consent(erin, role=role, scope="openid")
    cast.open_session(browser, erin)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    everything = role in ("access_controller", "fund_administrator")
    assert standing(transaction) == (set() if everything else {others.id})
    assert own.id not in standing(transaction)


def test_the_button_says_that_it_ends_only_what_one_granted(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.alice)
    cast.add_consent(cast.bob)
    cast.open_session(browser, cast.bob)
    assert "(what you granted)" in browser.get(PAGE).text
    cast.open_session(browser, cast.alice)
    page = browser.get(PAGE).text
    assert "Revoke access" in page and "(what you granted)" not in page


def test_who_granted_nothing_has_no_button_and_is_refused(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    consent = cast.add_consent(cast.alice)
    token = csrf(app, cast.open_session(browser, cast.bob))
    page = browser.get(PAGE)
    assert "Ledgerly" in page.text and not [form for form in forms_in(page) if form.action.endswith("revoke")]
    for path in (REVOKE, f"{PAGE}/ledgerly/people/{consent.id}/revoke"):
        assert browser.post(path, data=token).status_code == 403
    assert standing(transaction) == {consent.id}


def test_one_persons_part_ends_alone(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    alices, bobs = cast.add_consent(cast.alice), cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), action=f"/people/{bobs.id}/revoke", headers=HTMX)
    assert answer.status_code == 200 and "Access ended" in answer.text and "Revoke access" in answer.text
    assert standing(transaction) == {alices.id}
    answer = submit(browser, browser.get(PAGE), action="/ledgerly/undo")
    assert answer.status_code == 303
    assert standing(transaction) == {alices.id, bobs.id}


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_end_of_a_part_is_told_with_what_goes_on(browser: FlaskClient, cast: Cast, headers: dict[str, str]) -> None:
    parts = {person.id: cast.add_consent(person) for person in (cast.alice, cast.bob, cast.dana)}
    cast.open_session(browser, cast.alice)

    def said(action: str) -> str:
        answer = submit(browser, browser.get(PAGE), action=action, headers=headers)
        return line_of(browser.get(PAGE).text if answer.status_code == 303 else answer.text)

    alice, bob, dana = cast.alice.name, cast.bob.name, cast.dana.name
    undo = "You can undo this for 30 seconds."
    first, second, third = (f"/people/{parts[person.id].id}/revoke" for person in (cast.bob, cast.dana, cast.alice))
    assert said(first) == f"What {bob} allowed Ledgerly has ended. It still has access through {dana} and 1 other. {undo}"
    assert said("/ledgerly/undo") == f"What {bob} allowed Ledgerly stands again, exactly as it was."
    said(first)
    assert said(second) == f"What {dana} allowed Ledgerly has ended. It still has access through {alice}. {undo}"
    assert said(third) == f"Ledgerly is blocked from now on, from all that {alice} allowed. {undo}"
    assert said("/ledgerly/undo") == f"Ledgerly has access again, exactly as {alice} allowed it."


def test_what_is_left_but_paused_is_not_said_to_have_access(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    bobs = cast.add_consent(cast.bob)
    cast.add_consent(cast.dana)
    with transaction() as session:
        session.get_one(User, cast.dana.id).disabled_at = clock.now()
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), action=f"/people/{bobs.id}/revoke", headers=HTMX)
    assert f"has ended. What {cast.dana.name} allowed is paused. You can undo" in line_of(answer.text)


def test_who_ends_only_their_own_is_told_what_goes_on(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.alice)
    cast.add_consent(cast.bob)
    cast.open_session(browser, cast.bob)
    answer = submit(browser, browser.get(PAGE), action="/ledgerly/revoke", headers=HTMX)
    assert f"It still has access through {cast.alice.name}. " in line_of(answer.text)
    again = browser.post(REVOKE, data=form_in(answer, action="/undo").data(), headers=HTMX)
    assert "That part had ended already." in line_of(again.text)


def test_a_part_that_ended_is_not_counted_in_a_row_that_stands(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    cast.add_consent(cast.alice)
    bobs = cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    together = ("and 1 other", "Taken together", "2 people")
    assert all(words in browser.get(PAGE).text for words in together)
    answer = submit(browser, browser.get(PAGE), action=f"/people/{bobs.id}/revoke", headers=HTMX)
    for text in (answer.text, browser.get(PAGE).text):
        assert not any(words in text for words in together)
        assert "<summary>1 person, 1 ended just now<" in text and "/ledgerly/undo" in text
    clock.advance(seconds=31)
    assert "<summary>1 person" not in browser.get(PAGE).text
    clock.advance(seconds=-31)
    submit(browser, browser.get(PAGE), action="/ledgerly/undo")
    assert all(words in browser.get(PAGE).text for words in together)


def test_of_many_people_the_one_whose_part_just_ended_is_still_listed(browser: FlaskClient, cast: Cast) -> None:
    people = [cast.add_user() for _ in range(12)]
    for person in people:
        cast.add_member(person, cast.acme, "fund_auditor")
    parts = [cast.add_consent(person) for person in people]
    cast.open_session(browser, cast.alice)
    answer = submit(browser, browser.get(PAGE), action=f"/people/{parts[-1].id}/revoke", headers=HTMX)
    for told in (answer, browser.get(PAGE)):
        assert form_in(told, action="/ledgerly/undo").data()["consent_id"] == [parts[-1].id]
        assert "Show all 11 people" in told.text


def test_whoever_is_active_stands_first_in_a_row(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    cast.add_consent(cast.bob)
    cast.add_consent(cast.dana)
    with transaction() as session:
        session.get_one(User, cast.dana.id).disabled_at = clock.now()
    cast.open_session(browser, cast.alice)
    assert re.findall(r'class="person">([^<]+)<', browser.get(PAGE).text)[0] == cast.bob.name


def test_a_click_on_a_page_left_open_too_long_shows_the_ended_row(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    page = browser.get(PAGE)
    submit(browser, page, action="/ledgerly/revoke")
    clock.advance(minutes=5)
    again = submit(browser, page, action="/ledgerly/revoke", headers=HTMX)
    assert again.status_code == 200 and "Access ended" in again.text and "Undo" not in again.text
    assert len(events(transaction, "consent.revoked")) == 1


def test_an_expired_consent_is_not_said_to_be_revoked(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    cast.add_consent(cast.alice, expires_at=clock.now() + timedelta(minutes=1))
    cast.open_session(browser, cast.alice)
    page = browser.get(PAGE)
    clock.advance(minutes=2)
    assert submit(browser, page, action="/ledgerly/revoke", headers=HTMX).status_code == 200
    assert events(transaction, "consent.revoked") == []


def test_ending_again_after_the_window_changes_no_record(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock, transaction: Transaction
) -> None:
    consent = cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    bobs = app.test_client()
    cast.open_session(bobs, cast.bob)
    page = bobs.get(PAGE)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    clock.advance(seconds=31)
    submit(bobs, page, action="/ledgerly/revoke")
    with transaction() as session:
        assert session.get_one(Consent, consent.id).revoked_by_user_id == cast.alice.id
