from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from portal import Portal
from portal.businesses import roles
from tests.support.clock import Clock
from tests.support.signin import Cast

PAGE = "/business/business-acme"


def glance(text: str) -> str:
    """The words of the three cards."""
    cards = text.partition('class="glance"')[2].partition('id="policy-heading"')[0]
    return " ".join(re.sub(r"<[^>]*>", "", cards).split())


def test_the_address_of_the_portal_leads_to_my_businesses_by_way_of_signing_in(browser: FlaskClient, cast: Cast) -> None:
    assert browser.get("/", follow_redirects=True).request.path == "/login"
    cast.open_session(browser, cast.alice)
    answer = browser.get("/", follow_redirects=True)
    assert answer.request.path == "/businesses" and cast.acme.name in answer.text


def test_a_business_without_connections_says_so(browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, cast.alice)
    page = browser.get(PAGE).text
    words = glance(page)
    for part in (
        "No application can reach the data",
        "Never used",
        "Nothing ended in the last 30 days",
        "3 users may act for it",
        "No invitation is open",
        "Nothing has happened yet.",
    ):
        assert part in words, part
    for fact in (cast.acme.name, "51 824 753 556", "ACME", "Access Controller"):
        assert fact in page
    assert "?status=ended" not in page
    for path in ("access", "users", "history"):
        assert f'<a href="{PAGE}/{path}">' in page


def test_connections_are_counted_as_the_pages_count_them(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    now = clock.now()
    cast.add_consent(cast.alice, last_accessed_at=now - timedelta(days=2))
    cast.add_consent(cast.bob, expires_at=now + timedelta(days=3))
    cast.add_consent(cast.dana, partner=cast.pocketfolio, expires_at=now + timedelta(days=10))
    cast.add_consent(cast.dana, partner=cast.add_client("wattle", disabled_at=now))
    tidemark = cast.add_client("tidemark")
    cast.add_consent(partner=tidemark, last_accessed_at=now - timedelta(hours=3), revoked_at=now - timedelta(hours=1))
    cast.add_consent(cast.bob, partner=tidemark, expires_at=now - timedelta(days=29))
    cast.add_consent(cast.dana, partner=tidemark, expires_at=now - timedelta(days=31))
    cast.add_consent(cast.charlie, cast.birch, last_accessed_at=now)
    cast.add_member(cast.add_user(), cast.acme, "fund_tax_agent", accepted=False)
    cast.open_session(browser, cast.bob)
    page = browser.get(PAGE).text
    words = glance(page)
    assert f'<a href="{PAGE}/access?status=ended">' in page
    for part in (
        "2 applications can reach the data",
        "Last used 3 hours ago, by Tidemark",
        "1 expires within 30 days",
        "1 is paused",
        "2 ended in the last 30 days",
        "3 users may act for it",
        "1 invitation is open",
    ):
        assert part in words, (part, words)


def test_the_latest_events_are_told_as_in_the_history(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    cast.add_consent(cast.alice, expires_at=clock.now() - timedelta(minutes=5))
    cast.open_session(browser, cast.alice)
    sentence = re.findall(r'class="history-what">([^<]*)<', browser.get(f"{PAGE}/history").text)[0]
    assert sentence in glance(browser.get(PAGE).text)


@pytest.mark.parametrize("role", roles.ROLES)
def test_everyone_accepted_sees_it_and_only_a_manager_changes_who_may_connect(
    browser: FlaskClient, cast: Cast, role: str
) -> None:
    erin = cast.add_user()
    cast.add_member(erin, cast.acme, role)
    cast.open_session(browser, erin)
    page = browser.get(PAGE)
    assert page.status_code == 200 and roles.title(role) in page.text
    assert ("connect_policy" in page.text) == roles.may_manage_users(role)


def test_a_stranger_and_who_is_only_invited_find_nothing(browser: FlaskClient, cast: Cast) -> None:
    erin = cast.add_user()
    cast.add_member(erin, cast.acme, "access_controller", accepted=False)
    for person in (cast.charlie, erin):
        cast.open_session(browser, person)
        assert browser.get(PAGE).status_code == browser.get("/business/a%00b").status_code == 404


def test_many_connections_take_no_more_statements(app: Portal, browser: FlaskClient, cast: Cast) -> None:
    for number in range(8):
        for person in (cast.alice, cast.bob, cast.dana):
            cast.add_consent(person, partner=cast.add_client(f"app-{number}-{person.id}"))
    cast.open_session(browser, cast.alice)
    statements: list[str] = []
    pages = app.extensions["portal-database"].pages
    event.listen(pages, "before_cursor_execute", lambda c, cur, sql, *rest: statements.append(sql))
    assert "24 applications" in glance(browser.get(PAGE).text)
    assert len([sql for sql in statements if not sql.startswith(("BEGIN", "UPDATE sessions"))]) <= 7, statements
