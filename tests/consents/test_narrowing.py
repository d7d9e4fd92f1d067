from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal import Portal
from portal.audit.models import AuditEvent
from portal.consents.models import Consent
from tests.api.world import World
from tests.support.cast import Person
from tests.support.clock import Clock
from tests.support.csrf import csrf
from tests.support.race import at_once
from tests.support.server import LiveServer
from tests.support.signin import Cast

Transaction = Callable[[], AbstractContextManager[Session]]
TABLE = "/business/business-acme/access"
NARROW = f"{TABLE}/ledgerly/narrow"
HTMX = {"HX-Request": "true"}
SCOPE = "openid funds.summary funds.read business.read offline_access"


def post(
    app: Portal, cast: Cast, consent: Consent, scope: str, *keep: str, by: Person | None = None, path: str = NARROW,
    headers: dict[str, str] | None = None, **changes: str,
) -> TestResponse:  # fmt: skip
    browser = app.test_client()
    token = csrf(app, cast.open_session(browser, by or cast.alice))
    data = {**token, "consent_id": consent.id, "scope": scope, "keep": list(keep), "back": TABLE, **changes}
    return browser.post(path, data=data, headers=headers)


def scope_of(transaction: Transaction, consent: Consent) -> str:
    with transaction() as session:
        return session.get_one(Consent, consent.id).scope


def events(transaction: Transaction) -> list[AuditEvent]:
    with transaction() as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.kind == "consent.narrowed").order_by(AuditEvent.id)))


def test_one_click_takes_a_scope_away_and_history_tells_it(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    answer = post(app, cast, consent, "business.read")
    assert answer.status_code == 303 and answer.location.endswith(TABLE)
    assert scope_of(transaction, consent) == "openid funds.summary funds.read offline_access"
    [event] = events(transaction)
    assert event.consent_id == consent.id and event.detail["scopes"] == [
        "openid",
        "funds.summary",
        "funds.read",
        "offline_access",
    ]
    cast.open_session(browser, cast.bob)
    text = browser.get("/business/business-acme/history").text
    assert f"{cast.alice.name} took “Read basic business information” away from Ledgerly." in text


def test_of_a_broad_scope_a_part_can_be_left(app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    consent = cast.add_consent(cast.bob, scope=SCOPE)
    answer = post(app, cast, consent, "funds.read", "members.read", headers=HTMX)
    assert answer.status_code == 200 and "keeps “Read member information”" in answer.text
    assert scope_of(transaction, consent) == "openid funds.summary members.read business.read offline_access"
    cast.open_session(browser, cast.alice)
    text = browser.get("/business/business-acme/history").text
    assert (
        f"{cast.alice.name} took “Read all fund information” away from Ledgerly and left it “Read member information”; "
        f"{cast.bob.name} had allowed it." in text
    )


def test_the_next_call_is_refused(app: Portal, cast: Cast, transaction: Transaction) -> None:
    world = World(app, business_id="business-own")
    grant = world.grant("openid funds.summary business.read offline_access", user_id=cast.alice.id, business_id="business-acme")
    with transaction() as session:
        consent = session.get_one(Consent, grant.consent_id)
    assert world.call("/business", grant.token).status_code == 200
    assert post(app, cast, consent, "business.read", path=f"{TABLE}/{grant.client_id}/narrow").status_code == 303
    assert world.call("/business", grant.token).status_code == 403
    assert world.call("/funds", grant.token).status_code == 200


def test_fragment_and_page_agree(app: Portal, browser: FlaskClient, cast: Cast) -> None:
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    answer = post(app, cast, consent, "business.read", headers=HTMX).text
    assert 'class="activity"' in answer and "is taken away from Ledgerly" in answer
    cast.open_session(browser, cast.alice)
    page = browser.get(TABLE).text
    row = answer[answer.index("<tr") : answer.index("</tr>")].partition("<form")[0]
    assert row in page


def test_a_get_narrows_nothing(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    cast.open_session(browser, cast.alice)
    assert browser.get(NARROW).status_code == 405
    assert scope_of(transaction, consent) == SCOPE


def test_a_stranger_finds_nothing_to_narrow(app: Portal, cast: Cast, transaction: Transaction) -> None:
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    elsewhere = cast.add_consent(cast.charlie, cast.birch, scope=SCOPE)
    assert post(app, cast, consent, "business.read", by=cast.charlie).status_code == 404
    own = "/business/business-birch/access/ledgerly/narrow"
    assert post(app, cast, consent, "business.read", by=cast.charlie, path=own).status_code == 404
    assert post(app, cast, elsewhere, "business.read").status_code == 404
    assert post(app, cast, consent, "business.read", path=f"{TABLE}/pocketfolio/narrow").status_code == 404
    for consent_id in ("", "nobody", "a\0b", "x" * 5000):
        assert post(app, cast, consent, "business.read", consent_id=consent_id).status_code == 404
    assert scope_of(transaction, consent) == scope_of(transaction, elsewhere) == SCOPE


def test_a_missing_or_foreign_csrf_token_narrows_nothing(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    foreign = csrf(app, cast.open_session(app.test_client(), cast.charlie))
    cast.open_session(browser, cast.alice)
    for token in ({}, foreign):
        answer = browser.post(NARROW, data={**token, "consent_id": consent.id, "scope": "business.read"})
        assert answer.status_code == 400
    assert browser.post(NARROW).status_code == 400
    assert scope_of(transaction, consent) == SCOPE


def test_who_may_revoke_may_narrow(app: Portal, cast: Cast, transaction: Transaction) -> None:
    alices, bobs = cast.add_consent(cast.alice, scope=SCOPE), cast.add_consent(cast.bob, scope=SCOPE)
    answer = post(app, cast, alices, "business.read", by=cast.bob)
    assert answer.status_code == 403 and cast.alice.name in answer.text
    assert scope_of(transaction, alices) == SCOPE
    assert post(app, cast, bobs, "business.read", by=cast.bob).status_code == 303
    assert post(app, cast, alices, "business.read", by=cast.dana).status_code == 303
    assert "business.read" not in scope_of(transaction, alices) + scope_of(transaction, bobs)


@pytest.mark.parametrize("scope", ["openid", "funds.summary", "offline_access"])
def test_what_the_connection_needs_is_not_taken_away_alone(app: Portal, cast: Cast, transaction: Transaction, scope: str) -> None:
    consent = cast.add_consent(cast.alice, scope="openid funds.summary business.read offline_access")
    answer = post(app, cast, consent, scope)
    assert answer.status_code == 409 and "does not work without" in answer.text and "revoke its access" in answer.text
    assert scope_of(transaction, consent) == "openid funds.summary business.read offline_access" and events(transaction) == []


@pytest.mark.settings(brand="Harbour")
def test_what_stays_is_named_by_the_portals_own_name(app: Portal, cast: Cast) -> None:
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    answer = post(app, cast, consent, "offline_access", headers=HTMX)
    assert answer.status_code == 409 and "while you are not logged into Harbour”" in answer.text


def test_a_broad_scope_that_alone_holds_what_is_required_stays_for_that_part(
    app: Portal, cast: Cast, transaction: Transaction
) -> None:
    consent = cast.add_consent(cast.alice, scope="openid funds.read offline_access")
    assert post(app, cast, consent, "funds.read").status_code == 409
    assert post(app, cast, consent, "funds.read", "members.read").status_code == 409
    assert post(app, cast, consent, "funds.read", "funds.summary").status_code == 303
    assert scope_of(transaction, consent) == "openid funds.summary offline_access"


def test_a_part_of_something_broader_is_not_taken_away_in_vain(app: Portal, cast: Cast, transaction: Transaction) -> None:
    consent = cast.add_consent(cast.alice, scope="openid funds.summary members.read funds.read offline_access")
    answer = post(app, cast, consent, "members.read")
    assert answer.status_code == 409 and "part of something broader" in answer.text
    assert events(transaction) == []


@pytest.mark.parametrize(
    ("scope", "keep"),
    [
        ("", ()), ("funds.everything", ()), ("business.read", ("funds.create",)), ("funds.read", ("funds.write",)),
        ("funds.read", ("funds.read",)), ("funds.read", ("members.read", "\0")), ("a\0b", ()),
    ],
)  # fmt: skip
def test_narrowing_never_widens(app: Portal, cast: Cast, transaction: Transaction, scope: str, keep: tuple[str, ...]) -> None:
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    assert post(app, cast, consent, scope, *keep).status_code == 400
    assert scope_of(transaction, consent) == SCOPE


def test_a_scope_that_was_never_allowed_leaves_no_part_behind(app: Portal, cast: Cast, transaction: Transaction) -> None:
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    answer = post(app, cast, consent, "funds.write", "members.read", headers=HTMX)
    assert answer.status_code == 200
    assert "Ledgerly is not allowed “Read and modify all fund information” now, so nothing was changed." in answer.text
    assert scope_of(transaction, consent) == SCOPE and events(transaction) == []


def test_a_second_click_changes_nothing_more(app: Portal, cast: Cast, transaction: Transaction) -> None:
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    post(app, cast, consent, "business.read")
    again = post(app, cast, consent, "business.read", headers=HTMX)
    assert again.status_code == 200 and "Ledgerly is not allowed “Read basic business information” now" in again.text
    assert len(events(transaction)) == 1


def test_what_has_ended_is_not_narrowed(app: Portal, cast: Cast, transaction: Transaction, clock: Clock) -> None:
    ended = cast.add_consent(cast.alice, scope=SCOPE, revoked_at=clock.now(), revoke_reason="user")
    expired = cast.add_consent(cast.bob, scope=SCOPE, expires_at=clock.now() - timedelta(seconds=1))
    for consent in (ended, expired):
        answer = post(app, cast, consent, "business.read")
        assert answer.status_code == 409 and "nothing was changed" in answer.text
        assert scope_of(transaction, consent) == SCOPE
    assert events(transaction) == []


@pytest.mark.race
def test_clicks_at_once_take_away_each_scope_once(
    live_server: LiveServer, app: Portal, cast: Cast, transaction: Transaction
) -> None:
    """Whoever was overtaken is told so, and nobody's click gives back what another took."""
    consent = cast.add_consent(cast.alice, scope=SCOPE)
    kept = [cast.new_session(cast.alice) for _ in range(8)]

    def click(number: int) -> int:
        secret, session_id = kept[number]
        client = live_server.client(cookies={"session": secret}, headers=HTMX)
        scope = ("business.read", "funds.read")[number % 2]
        data = {**csrf(app, session_id), "consent_id": consent.id, "scope": scope}
        return client.post(NARROW, data=data).status_code

    statuses = at_once(8, click)
    assert set(statuses) <= {200, 409} and 200 in statuses
    told = [event.detail["taken"] for event in events(transaction)]
    assert len(told) == len(set(told)) >= 1
    left = set(scope_of(transaction, consent).split())
    assert left == set(SCOPE.split()) - set(told)
