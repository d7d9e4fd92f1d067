from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from tests.consents.access import HTMX, PAGE, names
from tests.support.clock import Clock
from tests.support.forms import form_in
from tests.support.same import shown
from tests.support.signin import Cast


@pytest.fixture
def three(cast: Cast, clock: Clock) -> Cast:
    tidemark = cast.add_client()
    now = clock.now()
    cast.add_consent(cast.alice, granted_at=now - timedelta(days=3), last_accessed_at=now - timedelta(days=1))
    cast.add_consent(cast.bob, partner=cast.pocketfolio, granted_at=now - timedelta(days=2), expires_at=now + timedelta(days=9))
    cast.add_consent(cast.dana, partner=tidemark, granted_at=now - timedelta(days=1), last_accessed_at=now - timedelta(hours=1))
    return cast


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["Ledgerly", "Pocketfolio", "Tidemark"]),
        ("by", ["Ledgerly", "Pocketfolio", "Tidemark"]),
        ("granted", ["Ledgerly", "Pocketfolio", "Tidemark"]),
        ("expires", ["Pocketfolio", "Ledgerly", "Tidemark"]),
        ("accessed", ["Pocketfolio", "Ledgerly", "Tidemark"]),
        ("nonsense", ["Ledgerly", "Pocketfolio", "Tidemark"]),
    ],
)
def test_each_column_sorts_both_ways(browser: FlaskClient, three: Cast, sort: str, order: list[str]) -> None:
    three.open_session(browser, three.alice)
    assert names(browser.get(f"{PAGE}?sort={sort}").text) == order
    down = browser.get(f"{PAGE}?sort={sort}&dir=desc").text
    assert names(down) == order[::-1]
    assert 'aria-sort="descending"' in down


def test_a_heading_links_to_its_order_and_back(browser: FlaskClient, three: Cast) -> None:
    three.open_session(browser, three.alice)
    text = browser.get(f"{PAGE}?q=e&sort=granted").text
    assert "?q=e&amp;sort=granted&amp;dir=desc" in text and "?q=e&amp;sort=expires" in text


def test_the_filter_finds_by_application_and_publisher(browser: FlaskClient, three: Cast) -> None:
    three.open_session(browser, three.alice)
    page = browser.get(PAGE)
    assert {"q", "status"} <= form_in(page, having=["q"]).names()
    assert names(browser.get(f"{PAGE}?q=TIDE").text) == ["Tidemark"]
    assert names(browser.get(f"{PAGE}?q=apps+pty").text) == ["Pocketfolio"]
    nothing = browser.get(f"{PAGE}?q=%25_%00'\"<b>")
    assert nothing.status_code == 200 and "No application matches" in nothing.text and "<b>" not in nothing.text


@pytest.mark.parametrize(
    ("query", "words"),
    [("?q=tide", "Clear the filter"), ("?status=paused", "Clear the filter"), ("?status=ended&q=tide", "Show current access")],
)
def test_the_way_out_of_a_filter_says_where_it_leads(browser: FlaskClient, three: Cast, query: str, words: str) -> None:
    three.open_session(browser, three.alice)
    assert f'<a href="{PAGE}">{words}</a>' in browser.get(f"{PAGE}{query}").text
    assert f'<a href="{PAGE}">' not in browser.get(PAGE).text.partition("<main")[2]


def test_words_that_match_nothing_that_ended_lead_to_all_that_has(browser: FlaskClient, three: Cast) -> None:
    three.open_session(browser, three.alice)
    assert f'<a href="{PAGE}?status=ended">show all that has ended</a>' in browser.get(f"{PAGE}?status=ended&q=zzz").text


def test_filter_and_sort_come_back_as_the_page_shows_them(browser: FlaskClient, three: Cast) -> None:
    three.open_session(browser, three.alice)
    for query in ("", "?sort=expires&dir=desc", "?q=tide&status=active", "?status=ended", "?q=zzz"):
        part, page = browser.get(f"{PAGE}{query}", headers=HTMX).text, browser.get(f"{PAGE}{query}").text
        assert "<html" not in part and shown(part) in shown(page)


def test_after_a_click_the_same_view_comes_back(browser: FlaskClient, three: Cast) -> None:
    three.open_session(browser, three.alice)
    form = form_in(browser.get(f"{PAGE}?q=tide&sort=granted"), action="/tidemark/revoke")
    answer = browser.post(form.action, data=form.data())
    assert answer.location.endswith(f"{PAGE}?q=tide&sort=granted")
    form.fill({"back": "https://evil.example/"})
    assert browser.post(form.action, data=form.data()).location.endswith(PAGE)


def test_ended_ones_are_paged(browser: FlaskClient, cast: Cast, clock: Clock) -> None:
    for n in range(30):
        cast.add_consent(
            cast.alice, revoked_at=clock.now() - timedelta(days=n + 1), revoke_reason="user", revoked_by_user_id=cast.bob.id
        )
    cast.open_session(browser, cast.bob)
    first = browser.get(f"{PAGE}?status=ended").text
    assert len(names(first)) == 25 and f"by {cast.bob.name}" in first
    after = re.search(r"after=([a-z0-9-]+)", first)
    assert after
    assert len(names(browser.get(f"{PAGE}?status=ended&after={after[1]}").text)) == 5
    assert browser.get(f"{PAGE}?status=ended&after=%00%27").status_code == 200
