from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from portal import Portal
from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents.models import Consent
from portal.db import new_id
from tests.consents.access import PAGE, Transaction, names
from tests.support import cast as the_cast
from tests.support.clock import Clock
from tests.support.signin import Cast


def test_a_row_says_who_allowed_what_until_when_and_when_it_was_used(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    cast.add_consent(
        cast.alice,
        scope="openid funds.read funds.write offline_access",
        last_accessed_at=clock.now() - timedelta(hours=3, minutes=1),
    )
    cast.open_session(browser, cast.bob)
    text = browser.get(PAGE).text
    for words in (
        "Ledgerly Pty Ltd",
        "Read and modify all fund information",
        "Know your identity",
        cast.alice.name,
        "Access Controller",
        "3 hours ago",
        "Active",
    ):
        assert words in text
    assert "Only while signed in" not in text
    outside = re.sub(r'<details class="fold technical">.*?</details>', "", text, flags=re.DOTALL)
    assert "funds.write" not in outside and "offline_access" not in outside


def test_what_a_broader_scope_contains_is_no_chip_of_its_own(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.alice, scope="openid funds.summary funds.read")
    cast.open_session(browser, cast.alice)
    chips = re.findall(r'<span class="chip[^"]*">([^<]+)<', browser.get(PAGE).text)
    assert chips == ["Read all fund information", "Know your identity"]


def test_what_the_role_no_longer_allows_is_not_listed(browser: FlaskClient, cast: Cast, transaction: Transaction) -> None:
    cast.add_consent(cast.bob, scope="openid funds.read")
    cast.open_session(browser, cast.alice)
    assert "Read all fund information" in browser.get(PAGE).text
    with transaction() as session:
        session.execute(update(Membership).where(Membership.user_id == cast.bob.id).values(role="fund_adviser"))
    assert "Read all fund information" not in browser.get(PAGE).text


def test_never_used_says_never_and_online_says_so(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.alice, scope="openid funds.summary")
    cast.open_session(browser, cast.alice)
    text = browser.get(PAGE).text
    assert "never" in text and "Only while signed in" in text


def test_what_was_given_for_a_session_reaches_no_further_whatever_was_ticked(
    browser: FlaskClient, cast: Cast, transaction: Transaction
) -> None:
    cast.open_session(browser, cast.alice)
    with transaction() as session:
        opened = session.scalars(select(BrowserSession.id).where(BrowserSession.user_id == cast.alice.id)).one()
    cast.add_consent(cast.alice, scope="openid funds.summary offline_access", duration="session", session_id=opened)
    assert browser.get(PAGE).text.count("Only while signed in") == 1


OFFLINE = "Access your data while you are not logged into Class"


def test_offline_access_stands_wherever_access_is_listed(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    cast.add_consent(cast.alice, scope="openid offline_access")
    cast.add_consent(cast.bob, scope="openid")
    cast.add_consent(cast.dana, scope="openid offline_access", expires_at=clock.now())
    cast.open_session(browser, cast.alice)
    mark = f'<p class="mark">{OFFLINE}</p>'
    row, people = browser.get(PAGE).text.split('class="activity-row"')
    assert mark in row and "Only while signed in" not in row
    for parts in (people, browser.get(f"{PAGE}/ledgerly").text):
        assert parts.count(mark) == parts.count("Only while signed in") == 1
    ended = browser.get(f"{PAGE}?status=ended").text
    assert mark in ended and "Only while signed in" not in ended


def test_an_early_end_is_counted_in_days(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    cast.add_consent(cast.alice, expires_at=clock.now() + timedelta(days=14, minutes=1))
    cast.open_session(browser, cast.alice)
    assert re.search(r'class="soon"><time datetime="[^"]+" title="[^"]+">in 14 days</time>', browser.get(PAGE).text)


def test_one_application_of_several_people_is_one_row(browser: FlaskClient, cast: Cast) -> None:
    for person in (cast.alice, cast.bob, cast.dana):
        cast.add_consent(person)
    cast.open_session(browser, cast.bob)
    text = browser.get(PAGE).text
    assert names(text) == ["Ledgerly"] and "and 2 others" in text


def test_nobody_elses_business_shows(app: Portal, browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.charlie, cast.birch)
    cast.open_session(browser, cast.alice)
    assert names(browser.get(PAGE).text) == []
    strange, absent = browser.get("/business/business-birch/access"), browser.get("/business/nowhere/access")
    assert strange.status_code == absent.status_code == 404
    of_the_answer = re.compile(r'<code>\w+</code>|name="csrf_token" value="[^"]*"')
    assert of_the_answer.sub("", strange.text) == of_the_answer.sub("", absent.text)
    assert browser.get("/business/a%00b/access").status_code == 404


@pytest.mark.parametrize("path", ["", "/access", "/users", "/history", "/access/ledgerly"])
def test_who_was_only_invited_sees_nothing(app: Portal, browser: FlaskClient, cast: Cast, path: str) -> None:
    cast.open_session(browser, cast.priya)
    assert browser.get(f"/business/business-fernhill{path}").status_code == 404
    assert app.test_client().get(f"/business/business-acme{path}").status_code in (302, 303)


def test_an_empty_table_says_what_will_appear(browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, cast.alice)
    text = browser.get(PAGE).text
    assert "No partner application can reach the data" in text and "start in the partner application" in text


# what is true of it today


def end_session(session: Session, session_id: str, clock: Clock) -> None:
    session.execute(update(BrowserSession).where(BrowserSession.id == session_id).values(ended_at=clock.now()))


def disable(session: Session, model: type[Client] | type[User], key: str, clock: Clock) -> None:
    row = session.get_one(model, key)
    row.disabled_at = clock.now()


def test_a_consent_for_a_session_ends_with_it(browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock) -> None:
    _, session_id = cast.new_session(cast.bob)
    cast.add_consent(cast.bob, scope="openid", duration="session", session_id=session_id)
    cast.open_session(browser, cast.alice)
    assert names(browser.get(PAGE).text) == ["Ledgerly"]
    with transaction() as session:
        end_session(session, session_id, clock)
    assert names(browser.get(PAGE).text) == []
    assert "Ended with the session" in browser.get(f"{PAGE}?status=ended").text


def test_a_session_that_idled_out_ends_it_too(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    _, session_id = cast.new_session(cast.bob)
    cast.add_consent(cast.bob, scope="openid", duration="session", session_id=session_id)
    clock.advance(seconds=1801)
    cast.open_session(browser, cast.alice)
    assert names(browser.get(PAGE).text) == []


@pytest.mark.parametrize("status", ["", "ended"])
@pytest.mark.parametrize("q", ["élan", "ÉLAN", "o’b"])
def test_the_filter_folds_every_letter(browser: FlaskClient, cast: Cast, clock: Clock, status: str, q: str) -> None:
    partner = cast.add_client("elan", client_name="Élan Books", publisher="O’Brien Ltd")
    cast.add_consent(cast.alice, partner=partner, **({"expires_at": clock.now()} if status else {}))
    cast.add_consent(cast.bob, **({"expires_at": clock.now()} if status else {}))
    cast.open_session(browser, cast.alice)
    assert names(browser.get(f"{PAGE}?status={status}&q={q}").text) == ["Élan Books"]


def test_an_expired_consent_is_listed_as_ended(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    cast.add_consent(cast.alice, expires_at=clock.now() - timedelta(minutes=1))
    cast.open_session(browser, cast.alice)
    assert names(browser.get(PAGE).text) == []
    ended = browser.get(f"{PAGE}?status=ended").text
    assert names(ended) == ["Ledgerly"] and "Expired" in ended


@pytest.mark.parametrize("who", ["client", "user", "membership"])
def test_what_cannot_be_used_now_is_paused_and_can_be_ended_for_good(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, who: str
) -> None:
    cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    with transaction() as session:
        if who == "client":
            disable(session, Client, "ledgerly", clock)
        elif who == "user":
            disable(session, User, cast.bob.id, clock)
        else:
            session.execute(update(Membership).where(Membership.user_id == cast.bob.id).values(ended_at=clock.now()))
    text = browser.get(PAGE).text
    assert "Paused" in text and 'status--ok">Active' not in text and "Revoke access" in text
    assert names(browser.get(f"{PAGE}?status=active").text) == []
    assert names(browser.get(f"{PAGE}?status=paused").text) == ["Ledgerly"]


# many of everything


def crowd(session: Session, people: int, applications: int, clock: Clock) -> None:
    now = clock.now()
    users = [
        {"id": new_id(), "email": f"p{n}@x.example", "given_name": "P", "family_name": str(n), "created_at": now}
        for n in range(people)
    ]
    partners = [
        the_cast.client_row(the_cast.LEDGERLY, client_id=f"app-{n:02}", client_name=f"App {n:02}") for n in range(applications)
    ]
    session.execute(User.__table__.insert(), users)  # type: ignore[attr-defined]
    session.add_all(partners)
    session.execute(
        Membership.__table__.insert(),  # type: ignore[attr-defined]
        [
            {
                "id": new_id(),
                "user_id": u["id"],
                "business_id": "business-acme",
                "role": "fund_auditor",
                "invited_at": now,
                "accepted_at": now,
            }
            for u in users
        ],
    )
    session.flush()
    session.execute(
        Consent.__table__.insert(),  # type: ignore[attr-defined]
        [
            {
                "id": new_id(), "user_id": u["id"], "business_id": "business-acme", "client_id": p.client_id, "scope": "openid funds.summary",
                "asked": "openid", "duration": "12_months", "role": "fund_auditor", "granted_at": now, "expires_at": now + timedelta(days=300),
            }
            for u in users
            for p in partners
        ],
    )  # fmt: skip


def test_many_people_and_applications_take_no_more_statements(
    app: Portal, browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    with transaction() as session:
        crowd(session, 500, 30, clock)
    cast.open_session(browser, cast.alice)
    statements: list[str] = []
    event.listen(
        app.extensions["portal-database"].pages, "before_cursor_execute", lambda c, cur, sql, *rest: statements.append(sql)
    )
    page = browser.get(PAGE)
    assert page.status_code == 200 and len(names(page.text)) == 30 and "and 499 others" in page.text
    assert len([sql for sql in statements if not sql.startswith("UPDATE sessions")]) <= 6, statements
    assert len(page.data) < 700_000
    everyone = browser.get(f"{PAGE}/app-07")
    assert everyone.status_code == 200 and everyone.text.count('class="part') >= 50
    after = re.search(r"\?after=([a-z0-9-]+)", everyone.text)
    assert after
    assert browser.get(f"{PAGE}/app-07?after={after[1]}").text.count("<form") >= 50
