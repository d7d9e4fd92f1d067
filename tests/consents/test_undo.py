from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from portal import Portal
from portal.accounts.models import User
from portal.businesses.models import Membership
from portal.clients.models import Client
from tests.consents.access import HTMX, PAGE, UNDO, Transaction, events, standing
from tests.support.clock import Clock
from tests.support.csrf import csrf
from tests.support.forms import form_in, forms_in, submit
from tests.support.signin import Cast


def test_undo_restores_exactly_what_that_click_ended(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    alices, bobs, danas = (cast.add_consent(person) for person in (cast.alice, cast.bob, cast.dana))
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get(PAGE), action=f"/people/{danas.id}/revoke")
    clock.advance(seconds=2)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    assert standing(transaction) == set()
    answer = submit(browser, browser.get(PAGE), action="/ledgerly/undo", headers=HTMX)
    assert answer.status_code == 200 and "Revoke access" in answer.text
    assert standing(transaction) == {alices.id, bobs.id}
    assert len(events(transaction, "consent.undone")) == 2


@pytest.mark.parametrize("status", ["active", "paused"])
def test_a_view_of_one_status_keeps_what_can_be_undone_for_as_long_as_it_can(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, status: str
) -> None:
    consent = cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    if status == "paused":
        with transaction() as session:
            session.get_one(Client, "ledgerly").disabled_at = clock.now()
    view = f"{PAGE}?status={status}"
    answer = submit(browser, browser.get(view), action="/ledgerly/revoke")
    assert answer.status_code == 303 and answer.location.endswith(view) and standing(transaction) == set()
    answer = submit(browser, browser.get(answer.location), action="/ledgerly/undo")
    assert answer.location.endswith(view) and standing(transaction) == {consent.id}
    submit(browser, browser.get(view), action="/ledgerly/revoke")
    clock.advance(seconds=31)
    assert "application-name" not in browser.get(view).text


def test_one_persons_part_can_be_undone_in_a_view_that_the_rest_no_longer_belongs_to(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    bobs, danas = cast.add_consent(cast.bob), cast.add_consent(cast.dana)
    with transaction() as session:
        session.get_one(User, cast.dana.id).disabled_at = clock.now()
    cast.open_session(browser, cast.alice)
    view = f"{PAGE}?status=active"
    submit(browser, browser.get(view), action=f"/people/{bobs.id}/revoke")
    submit(browser, browser.get(view), action="/ledgerly/undo")
    assert standing(transaction) == {bobs.id, danas.id}


def test_undo_is_over_after_its_time(browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock) -> None:
    cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    page = browser.get(PAGE)
    clock.advance(seconds=31)
    answer = submit(browser, page, action="/ledgerly/undo")
    assert answer.status_code == 409 and "time to undo is over" in answer.text
    assert standing(transaction) == set() and events(transaction, "consent.undone") == []


def test_only_the_same_person_undoes(app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    other = app.test_client()
    token = csrf(app, cast.open_session(other, cast.dana))
    assert "Access ended" in other.get(PAGE).text
    assert not [form for form in forms_in(other.get(PAGE)) if form.action.endswith("undo")]
    assert other.post(UNDO, data=token).status_code == 409
    assert "time to undo is over" in other.post(UNDO, data=token).text


def test_undo_is_refused_when_a_new_consent_stands(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    page = form_in(browser.get(PAGE), action="/undo").data()
    new = cast.add_consent(cast.alice, scope="openid")
    answer = browser.post(UNDO, data=page)
    assert answer.status_code == 409 and "connected again" in answer.text
    assert standing(transaction) == {new.id}


def test_undo_gives_back_what_it_can_when_one_of_two_connected_again(
    browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    alices = cast.add_consent(cast.alice)
    cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    page = browser.get(PAGE)
    bobs_new = cast.add_consent(cast.bob)
    answer = submit(browser, page, action="/ledgerly/undo", headers=HTMX)
    assert answer.status_code == 200 and standing(transaction) == {alices.id, bobs_new.id}
    assert len(events(transaction, "consent.undone")) == 1


def test_a_second_undo_changes_nothing(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    page = browser.get(PAGE)
    for _ in range(2):
        assert submit(browser, page, action="/ledgerly/undo", headers=HTMX).status_code == 200
    assert len(events(transaction, "consent.undone")) == 1


def test_what_the_client_ended_cannot_be_undone(browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock) -> None:
    cast.add_consent(cast.alice, revoked_at=clock.now(), revoke_reason="client")
    standing_one = cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    token = form_in(browser.get(PAGE), action="/revoke").data()
    browser.post(UNDO, data=token)
    assert standing(transaction) == {standing_one.id}


def test_what_a_second_person_ends_too_no_undo_gives_back(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    bobs = app.test_client()
    cast.open_session(bobs, cast.bob)
    page = bobs.get(PAGE)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    shown = browser.get(PAGE)
    assert "had ended already" in submit(bobs, page, action="/ledgerly/revoke", follow_redirects=True).text
    refused = submit(browser, shown, action="/ledgerly/undo")
    assert refused.status_code == 409 and "somebody else has ended it too" in refused.text
    assert standing(transaction) == set()
    assert len(events(transaction, "consent.revoked")) == 1
    assert not [form for form in forms_in(bobs.get(PAGE)) if form.action.endswith("undo")]
    assert bobs.post(UNDO, data=form_in(bobs.get("/account"), action="/logout").data()).status_code == 409
    assert standing(transaction) == set()


def test_who_ends_the_rest_makes_final_what_another_ended_before(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    bobs, alices = cast.add_consent(cast.bob), cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get(PAGE), action=f"/people/{bobs.id}/revoke")
    shown = browser.get(PAGE)
    danas = app.test_client()
    cast.open_session(danas, cast.dana)
    submit(danas, danas.get(PAGE), action="/ledgerly/revoke")
    assert submit(browser, shown, action="/ledgerly/undo").status_code == 409
    submit(danas, danas.get(PAGE), action="/ledgerly/undo")
    assert standing(transaction) == {alices.id}


def test_undo_reaches_no_further_than_the_role_of_today(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    alices, bobs = cast.add_consent(cast.alice), cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get(PAGE), action="/ledgerly/revoke")
    with transaction() as session:
        session.execute(update(Membership).where(Membership.user_id == cast.alice.id).values(role="fund_adviser"))
    submit(browser, browser.get(PAGE), action="/ledgerly/undo")
    assert standing(transaction) == {alices.id} and bobs.id != alices.id
