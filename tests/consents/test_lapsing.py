from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text, update

from portal import Portal, db
from portal.accounts import sessions
from portal.accounts.models import BrowserSession
from portal.audit.models import AuditEvent
from portal.consents import lapsing, usage
from portal.consents.models import Consent
from tests.consents.lapses import Transaction, events, for_session, record_all
from tests.support.cast import ACME, ALICE, BIRCH, BOB
from tests.support.clock import Clock
from tests.support.csrf import csrf
from tests.support.forms import submit
from tests.support.race import at_once
from tests.support.server import LiveServer
from tests.support.signin import Cast
from tests.support.tokens import ONLINE, Machine

HISTORY = "/business/business-acme/history"


# sessions that are ended

Act = Callable[[Portal, FlaskClient, str, str], Any]
ENDINGS: dict[str, Act] = {
    "signing out": lambda _app, here, *_ids: submit(here, here.get("/account"), action="/logout"),
    "ending another session": lambda app, here, own, other: here.post(f"/account/sessions/{other}/end", data=csrf(app, own)),
    "ending all other sessions": lambda app, here, own, _other: here.post("/account/sessions/end-others", data=csrf(app, own)),
    "being disabled": lambda app, *_rest: app.test_cli_runner().invoke(args=["users", "disable", ALICE.email]),
    "losing the second factor": lambda app, *_rest: app.test_cli_runner().invoke(args=["users", "reset-mfa", ALICE.email]),
}
ENDS = {"signing out": ["here"], "ending another session": ["there"], "ending all other sessions": ["there"]}


@pytest.mark.parametrize("how", ENDINGS)
def test_what_was_allowed_for_a_session_is_told_as_ended_when_the_session_is(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction, how: str
) -> None:
    own, (_, other) = cast.open_session(browser, ALICE), cast.new_session(ALICE)
    given = {
        "here": for_session(cast, own),
        "there": for_session(cast, other, partner=cast.pocketfolio, scope="openid funds.summary"),
        "nowhere": cast.add_consent(BOB),
        "elsewhere": for_session(cast, cast.new_session(BOB)[1], BOB, partner=cast.pocketfolio),
    }
    ENDINGS[how](app, browser, own, other)
    ended = ENDS.get(how, ["here", "there"])
    told = events(transaction)
    assert {event.consent_id for event in told} == {given[name].id for name in ended}
    with transaction() as session:
        for event in told:
            consent = session.get_one(Consent, event.consent_id)
            over = session.get_one(BrowserSession, consent.session_id)
            assert (event.kind, event.business_id, event.user_id) == ("consent.signed_out", "business-acme", None)
            assert event.at == consent.revoked_at == over.ended_at and consent.revoke_reason == "signed_out"
            assert event.detail["user_name"] == ALICE.name and event.detail["scopes"] == consent.scopes
        assert session.get_one(Consent, given["nowhere"].id).revoked_at is None


def test_the_session_and_its_consents_end_together_or_not_at_all(app: Portal, cast: Cast, transaction: Transaction) -> None:
    _, session_id = cast.new_session(ALICE)
    consent = for_session(cast, session_id)
    with suppress(ZeroDivisionError), transaction() as session:
        assert sessions.end(session, session_id, reason="signed_out", now=db.utcnow())
        raise ZeroDivisionError
    assert events(transaction) == []
    with transaction() as session:
        assert session.get_one(Consent, consent.id).revoked_at is None
        assert session.get_one(BrowserSession, session_id).ended_at is None


def test_who_signs_out_is_where_the_event_comes_from_and_who_looks_later_is_not(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock, transaction: Transaction
) -> None:
    for_session(cast, cast.open_session(browser, ALICE))
    cast.add_consent(BOB, expires_at=clock.now() + timedelta(minutes=1))
    submit(browser, browser.get("/account"), action="/logout")
    clock.advance(minutes=2)
    cast.open_session(browser, ALICE)
    browser.get(HISTORY)
    by_alice, by_the_clock = events(transaction)
    assert by_alice.address is not None and by_alice.request_id is not None
    assert (by_the_clock.kind, by_the_clock.address, by_the_clock.request_id) == ("consent.expired", None, None)


# what nobody ends


def look_at(path: str) -> Callable[[Portal, FlaskClient], object]:
    return lambda _app, browser: browser.get(path)


def prune(app: Portal, _browser: FlaskClient) -> None:
    answer = app.test_cli_runner().invoke(args=["tokens", "prune"])
    assert answer.exit_code == 0, answer.output
    assert "Recorded the ends of " in answer.output


def work(app: Portal, _browser: FlaskClient) -> None:
    counter: usage.Counter = app.extensions[usage.EXTENSION]
    counter.record_ends()


LOOKS: dict[str, Callable[[Portal, FlaskClient], object]] = {
    "the history": look_at(HISTORY),
    "pruning": prune,
    "a worker": work,
}


@pytest.mark.parametrize("look", LOOKS)
def test_what_ran_out_is_told_once_with_the_time_at_which_it_ended(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock, transaction: Transaction, look: str
) -> None:
    _, idle = cast.new_session(ALICE)
    expired = cast.add_consent(BOB, expires_at=clock.now() + timedelta(minutes=40))
    outlived = for_session(cast, idle, expires_at=clock.now() + timedelta(hours=12))
    standing = cast.add_consent(cast.dana)
    with transaction() as session:
        idle_end = session.get_one(BrowserSession, idle).idle_expires_at
    clock.advance(hours=2)
    cast.open_session(browser, cast.dana)
    assert events(transaction) == []
    for _ in range(2):
        LOOKS[look](app, browser)
    told = [(event.kind, event.consent_id, event.at) for event in events(transaction)]
    assert told == [
        ("consent.signed_out", outlived.id, idle_end), ("consent.expired", expired.id, expired.expires_at)
    ]  # fmt: skip
    assert all(event.at < datetime.fromisoformat(event.detail["recorded_at"]) for event in events(transaction))
    with transaction() as session:
        assert session.get_one(Consent, standing.id).revoked_at is None


@pytest.mark.parametrize("look", LOOKS)
def test_a_session_that_idled_just_now_may_still_be_put_off_by_a_page_that_was_asked_for_in_time(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock, transaction: Transaction, look: str
) -> None:
    _, session_id = cast.new_session(ALICE)
    consent, machine = for_session(cast, session_id, scope=ONLINE), Machine(app, cast)
    token = machine.tokens(machine.authorize(scope=ONLINE, consent_id=consent.id, session_id=session_id))["access_token"]
    machine.change(BrowserSession, BrowserSession.id == session_id, idle_expires_at=clock.now() - timedelta(seconds=30))
    assert not machine.is_live(token)
    cast.open_session(browser, BOB)
    LOOKS[look](app, browser)
    machine.change(BrowserSession, BrowserSession.id == session_id, idle_expires_at=clock.now() + timedelta(hours=1))
    assert machine.is_live(token) and events(transaction) == []
    machine.change(BrowserSession, BrowserSession.id == session_id, ended_at=clock.now())
    LOOKS[look](app, browser)
    assert [event.kind for event in events(transaction)] == ["consent.signed_out"]


def test_looking_at_one_business_records_nothing_of_another(
    browser: FlaskClient, cast: Cast, clock: Clock, transaction: Transaction
) -> None:
    cast.add_consent(cast.charlie, BIRCH, expires_at=clock.now() - timedelta(minutes=5))
    cast.open_session(browser, ALICE)
    for path in (HISTORY, "/business/business-birch/history"):
        browser.get(path)
    assert events(transaction) == []


def test_it_stands_in_the_history_where_it_happened(
    browser: FlaskClient, cast: Cast, clock: Clock, transaction: Transaction
) -> None:
    clock.advance(hours=1)
    cast.add_consent(ALICE, expires_at=clock.now() + timedelta(minutes=1))
    with transaction() as session:
        clock.advance(minutes=10)
        session.add(_denied(clock.now()))
    cast.open_session(browser, ALICE)
    page = browser.get(HISTORY).text
    expired = "The access of Ledgerly that Alice Hartigan had allowed expired."
    assert page.index("denied A partner application") < page.index(expired)


def _denied(at: datetime) -> AuditEvent:
    return AuditEvent(id=db.new_id(at), at=at, kind="consent.denied", business_id=ACME.id, detail={"user_name": "Bob"})


def test_the_history_says_what_ended_with_a_session(browser: FlaskClient, cast: Cast) -> None:
    for_session(cast, cast.open_session(browser, ALICE))
    submit(browser, browser.get("/account"), action="/logout")
    cast.open_session(browser, BOB)
    assert (
        "The access of Ledgerly that Alice Hartigan had allowed while signed in ended with that session."
        in browser.get(HISTORY).text
    )


def test_what_ended_by_itself_is_not_shown_among_what_somebody_just_ended(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    cast.add_consent(ALICE, expires_at=clock.now() + timedelta(seconds=5))
    cast.open_session(browser, ALICE)
    clock.advance(seconds=70)
    browser.get(HISTORY)
    assert "Ledgerly Pty Ltd" not in browser.get("/business/business-acme/access").text
    assert "Ledgerly Pty Ltd" in browser.get("/business/business-acme/access?status=ended").text


def test_undo_gives_back_what_then_runs_out_and_is_told_once(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock, transaction: Transaction
) -> None:
    consent = cast.add_consent(ALICE, expires_at=clock.now() + timedelta(seconds=10))
    cast.open_session(browser, ALICE)
    submit(browser, browser.get("/business/business-acme/access"), action="/ledgerly/revoke")
    shown = browser.get("/business/business-acme/access")
    clock.advance(seconds=20)
    assert record_all(app, clock.now()) == 0
    submit(browser, shown, action="/ledgerly/undo")
    assert record_all(app, clock.now()) == 1
    assert [event.at for event in events(transaction)] == [consent.expires_at]


def test_many_are_recorded_some_at_a_time(
    app: Portal, cast: Cast, clock: Clock, transaction: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lapsing, "AT_ONCE", 2)
    for _ in range(5):
        cast.add_consent(cast.add_user(), expires_at=clock.now())
    assert record_all(app, clock.now()) == 5
    assert len(events(transaction)) == 5 and record_all(app, clock.now()) == 0


def test_a_worker_that_cannot_reach_the_database_goes_on(app: Portal, cast: Cast, clock: Clock, transaction: Transaction) -> None:
    cast.add_consent(ALICE, expires_at=clock.now() - lapsing.WAIT)
    counter: usage.Counter = app.extensions[usage.EXTENSION]
    with transaction() as session:
        session.execute(text("ALTER TABLE audit_events RENAME TO away"))
    counter.record_ends()
    with transaction() as session:
        session.execute(text("ALTER TABLE away RENAME TO audit_events"))
    assert events(transaction) == []
    counter.record_ends()
    assert len(events(transaction)) == 1


def test_the_thread_that_stores_uses_records_ends_too(app: Portal, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = threading.Event()
    monkeypatch.setattr(usage, "RECORD_ENDS_SECONDS", usage.TICK_SECONDS)
    monkeypatch.setattr(lapsing, "record_all", lambda _engine, *, now: recorded.set())
    counter: usage.Counter = app.extensions[usage.EXTENSION]
    counter.count("consent-1", "funds.read", now=db.utcnow())
    assert recorded.wait(60)


# many at once


@pytest.mark.race
def test_workers_that_look_at_once_tell_each_end_once(app: Portal, cast: Cast, clock: Clock, transaction: Transaction) -> None:
    people = [cast.add_user() for _ in range(30)]
    given = {cast.add_consent(person, expires_at=clock.now()).id for person in people}
    now = clock.now()
    assert sum(at_once(4, lambda _number: record_all(app, now))) == len(given)
    told = [event.consent_id for event in events(transaction)]
    assert len(told) == len(given) and set(told) == given


@pytest.mark.race
def test_signing_out_while_others_look_tells_each_end_once(
    live_server: LiveServer, app: Portal, cast: Cast, transaction: Transaction
) -> None:
    secret, session_id = cast.new_session(ALICE)
    given = {for_session(cast, session_id, partner=partner).id for partner in (cast.ledgerly, cast.pocketfolio)}
    readers = [cast.new_session(BOB)[0] for _ in range(4)]

    def act(number: int) -> int:
        if number == 0:
            client = live_server.client(cookies={"session": secret})
            return client.post("/logout", data=csrf(app, session_id)).status_code
        return live_server.client(cookies={"session": readers[number - 1]}).get(HISTORY).status_code

    assert at_once(5, act) == [303, 200, 200, 200, 200]
    told = [event.consent_id for event in events(transaction)]
    assert len(told) == 2 and set(told) == given


@pytest.mark.race
def test_revoking_while_it_runs_out_leaves_one_end(app: Portal, cast: Cast, clock: Clock, transaction: Transaction) -> None:
    consent = cast.add_consent(ALICE, expires_at=clock.now() + timedelta(minutes=1))
    later = clock.now() + timedelta(minutes=2)

    def act(number: int) -> None:
        if number:
            record_all(app, later)
            return
        with app.app_context(), db.transaction() as session:
            session.execute(
                update(Consent)
                .where(Consent.id == consent.id, Consent.revoked_at.is_(None))
                .values(revoked_at=db.utcnow(), revoke_reason="user")
            )

    at_once(4, act)
    with transaction() as session:
        reason = session.get_one(Consent, consent.id).revoke_reason
    assert len(events(transaction)) == (1 if reason == "expired" else 0)
