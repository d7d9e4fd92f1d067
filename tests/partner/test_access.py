from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.partner.authority import CLIENT_SECRET, Authority, challenge
from tests.partner.conftest import Browser, html_from_a_proxy, too_late, words
from tests.support.partner import Partner

FUND = "Thornbury & Sons Superannuation Fund"


@pytest.fixture
def alice(visitor: Browser) -> Browser:
    """A browser that has connected."""
    assert FUND in words(visitor.connect())
    return visitor


def api_calls(authority: Authority, path: str = "/api/v1/funds") -> int:
    return len(authority.to(path))


# reading


def test_the_token_goes_in_the_header_and_nowhere_else(alice: Browser, authority: Authority) -> None:
    (call,) = authority.to("/api/v1/funds")
    assert call.authorization.startswith("Bearer access-") and call.query == {"limit": "20"} and call.form == {}


def test_the_next_page_is_a_link_away(alice: Browser, authority: Authority) -> None:
    assert "/?cursor=c2" in alice.get("/").text
    assert FUND in words(alice.get("/?cursor=c2"))
    assert authority.to("/api/v1/funds")[-1].query["cursor"] == "c2"


def test_a_fund_is_shown_with_its_members(alice: Browser) -> None:
    text = words(alice.get("/funds/01fund"))
    for expected in (FUND, "1 Quay Street, Sydney, NSW, 2000, Australia", "Ida Thornbury", "pension", "1,418,250.75"):
        assert expected in text


def test_the_people_of_the_business_are_shown(alice: Browser) -> None:
    text = words(alice.get("/people"))
    assert "Bob Tran bob@acme.example Fund Auditor accepted nothing" in text


def test_a_business_without_funds_says_so(alice: Browser, authority: Authority) -> None:
    authority.answers["/api/v1/funds"] = lambda: {"data": [], "next_cursor": None}
    assert "This business has no funds yet." in words(alice.get("/"))


def test_each_page_tells_what_was_asked_of_the_portal(alice: Browser) -> None:
    assert "GET /funds/01fund/members answered 200 in" in words(alice.get("/funds/01fund"))


@pytest.mark.parametrize("path", ["/funds/..", "/funds/%2e%2e", "/funds/a%2Fb", "/funds/%00", "/funds/" + "a" * 100, "/nothing"])
def test_an_odd_address_is_nothing_here(alice: Browser, authority: Authority, path: str) -> None:
    asked = len(authority.asked)
    page = alice.get(path)
    assert page.status_code in (200, 404) and ("There is nothing here" in words(page) or page.url.path == "/")
    assert len(authority.asked) == asked or page.url.path == "/"


@pytest.mark.parametrize("path", ["/people", "/funds/01fund"])
def test_without_a_connection_there_is_nothing_to_show(visitor: Browser, path: str) -> None:
    page = visitor.get(path)
    assert page.status_code == 403 and "Ledgerly is not connected" in words(page)


# refreshing


def test_an_expired_token_is_refreshed_once_and_the_call_made_again(alice: Browser, authority: Authority) -> None:
    authority.end("expired")
    text = words(alice.get("/"))
    assert FUND in text and "POST the token endpoint (refresh) answered 200" in text
    assert api_calls(authority) == 3 and len(authority.to("/oauth/token")) == 2


def test_a_refresh_asks_for_what_was_granted_and_not_for_what_was_once_asked(visitor: Browser, authority: Authority) -> None:
    authority.granted = "openid funds.summary offline_access"
    visitor.connect()
    authority.end("expired")
    assert FUND in words(visitor.get("/"))
    form = authority.to("/oauth/token")[-1].form
    assert form["grant_type"] == "refresh_token" and "scope" not in form


def test_a_token_that_is_expired_again_at_once_is_not_refreshed_for_ever(alice: Browser, authority: Authority) -> None:
    authority.answers["/api/v1/funds"] = lambda: challenge(401, error="invalid_token", error_description="expired")
    assert "This access has run out" in words(alice.get("/"))
    assert len(authority.to("/oauth/token")) == 2


def test_pages_opened_together_refresh_once(alice: Browser, authority: Authority) -> None:
    together = threading.Barrier(8, action=lambda: authority.answers.pop("/api/v1/funds"))
    authority.answers["/api/v1/funds"] = lambda: [together.wait(30), None][1]
    authority.end("expired")
    cookie = {"Cookie": f"ledgerly_session={alice.http.cookies['ledgerly_session']}"}
    pages: list[str] = []

    def open_one() -> None:
        pages.append(httpx.get(alice.http.base_url, headers=cookie, trust_env=False).text)

    threads = [threading.Thread(target=open_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("Thornbury" in page for page in pages) and len(pages) == 8
    assert len(authority.to("/oauth/token")) == 2


def test_the_button_refreshes_and_the_successor_is_kept(alice: Browser, authority: Authority) -> None:
    for _ in range(3):
        assert "The access token was refreshed." in words(alice.press("/refresh"))
    presented = [one.form["refresh_token"] for one in authority.to("/oauth/token")[1:]]
    assert len(set(presented)) == 3 and FUND in words(alice.get("/"))


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("revoked", "Access was ended in Class"),
        ("consent_expired", "The time for this access is over"),
        ("user_left", "no longer acts for this business"),
        ("The refresh token was used before.", "Class does not know this access"),
    ],
)
def test_a_refresh_that_is_refused_ends_the_connection_and_offers_another(
    alice: Browser, authority: Authority, partner: Partner, reason: str, told: str
) -> None:
    (token,) = authority.refresh
    assert partner.keeps(token)
    authority.refresh = dict.fromkeys(authority.refresh, reason)
    for row in authority.access.values():
        row["dead"] = "expired"
    text = words(alice.get("/"))
    assert told in text and "Ledgerly has deleted the tokens it had" in text and "Connect again" in text
    assert not partner.keeps(token)
    calls = len(authority.asked)
    assert told in words(alice.get("/")) and len(authority.asked) == calls
    authority.reset()
    assert FUND in words(alice.connect()) and told not in words(alice.get("/"))


def test_connecting_again_forgets_the_former_tokens(alice: Browser, authority: Authority, partner: Partner) -> None:
    (former,) = authority.refresh
    assert FUND in words(alice.connect("/connect?add=funds.write"))
    assert not partner.keeps(former) and partner.keeps(list(authority.refresh)[-1])


def test_the_button_tells_the_same(alice: Browser, authority: Authority) -> None:
    authority.end("revoked")
    text = words(alice.press("/refresh"))
    assert "Access was ended in Class" in text and "Connect again" in text


def test_a_client_that_was_disabled_is_not_told_to_connect_again(alice: Browser, authority: Authority) -> None:
    authority.end("client_disabled")
    text = words(alice.get("/"))
    assert "Class has switched Ledgerly off" in text and "Connect again" not in text


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (lambda: ({"error": "invalid_client"}, 401), 502, "Class did not renew the access"),
        (lambda: ({"error": "invalid_scope"}, 400), 502, "Class did not renew the access"),
        (lambda: ({}, 500), 502, "an answer that Ledgerly cannot read"),
        (lambda: {"token_type": "Bearer"}, 502, "an answer that Ledgerly cannot read"),
        (html_from_a_proxy(), 502, "an answer that Ledgerly cannot read"),
        pytest.param(too_late, 504, "Class takes too long to answer", marks=pytest.mark.impatient),
    ],
)
def test_a_refresh_that_fails_for_another_reason_keeps_the_connection(
    alice: Browser, authority: Authority, answer: Callable[[], Any], status: int, told: str
) -> None:
    authority.end("expired")
    authority.answers["/oauth/token"] = answer
    page = alice.get("/")
    assert page.status_code == status and told in words(page)
    assert told in words(alice.press("/refresh"))
    authority.answers.clear()
    assert FUND in words(alice.get("/"))


# refusals


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("revoked", "Access was ended in Class"),
        ("consent_expired", "The time for this access is over"),
        ("signed_out", "You are no longer signed in to Class"),
        ("user_left", "no longer acts for this business"),
        ("unknown", "Class does not know this access"),
        ("something_new", "Class does not know this access"),
    ],
)
def test_a_401_says_what_happened_and_how_to_go_on(alice: Browser, authority: Authority, reason: str, told: str) -> None:
    authority.end(reason)
    page = alice.get("/")
    assert page.status_code == 200 and told in words(page) and "Connect again" in words(page)
    assert len(authority.to("/oauth/token")) == 1


def test_an_end_that_was_undone_is_seen_by_the_next_call(alice: Browser, authority: Authority) -> None:
    authority.end("revoked")
    assert "If that has been undone there, the next call works." in words(alice.get("/"))
    for row in authority.access.values():
        row["dead"] = ""
    assert FUND in words(alice.get("/"))


def test_online_access_that_expired_asks_to_connect_again(visitor: Browser, authority: Authority) -> None:
    authority.granted = "openid funds.summary"
    visitor.connect()
    authority.end("expired")
    text = words(visitor.get("/"))
    assert "This access has run out" in text and "while you are not logged into Class" in text and "Connect again" in text


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ,,,=", 'Basic realm="x"', "\u00e9", 'Bearer error="'])
def test_a_401_without_a_reason_is_still_told_in_words(alice: Browser, authority: Authority, header: str | None) -> None:
    authority.answers["/api/v1/funds"] = lambda: ("", 401, {} if header is None else {"WWW-Authenticate": header})
    page = alice.get("/")
    assert page.status_code == 200 and "Class does not know this access" in words(page)


def test_a_403_names_what_is_missing_and_offers_to_ask_for_it(visitor: Browser, authority: Authority) -> None:
    authority.granted = "openid funds.summary funds.basic offline_access"
    visitor.connect()
    page = visitor.get("/funds/01fund")
    text = words(page)
    assert FUND in text and "This needs “Read member information”" in text
    assert 'href="/connect?add=members.read"' in page.text
    page = visitor.get("/people")
    assert page.status_code == 200 and "“Read basic business information”" in words(page)


def test_a_403_without_a_scope_is_still_told_in_words(alice: Browser, authority: Authority) -> None:
    authority.answers["/api/v1/funds"] = lambda: ("Forbidden", 403)
    assert "This access does not cover that" in words(alice.get("/"))


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (lambda: ({}, 404), 404, "Class has no such thing"),
        (lambda: ({"detail": "The value of `limit` must be a whole number."}, 400), 502, "The value of `limit` must be"),
        (lambda: (["a"], 400), 502, "Class could not use this request"),
        (lambda: ({}, 429, {"Retry-After": "7"}), 503, "Class is busy Nothing is lost; please try again in 7 seconds."),
        (lambda: ({}, 503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}), 503, "please try again in a moment"),
        (lambda: ({}, 500), 502, "Class had a problem"),
        (html_from_a_proxy(), 502, "an answer that Ledgerly cannot read"),
        (html_from_a_proxy(502), 502, "Class had a problem"),
        (lambda: ("", 302, {"Location": "/elsewhere"}), 502, "an answer that Ledgerly cannot read"),
        (lambda: "[]", 502, "an answer that Ledgerly cannot read"),
        (lambda: {"data": "none"}, 502, "an answer that Ledgerly cannot read"),
        (lambda: {"data": [1]}, 502, "an answer that Ledgerly cannot read"),
        pytest.param(too_late, 504, "Class takes too long to answer", marks=pytest.mark.impatient),
    ],
)
def test_an_api_that_does_not_play_along_is_told_in_words(
    alice: Browser, authority: Authority, answer: Callable[[], Any], status: int, told: str
) -> None:
    authority.answers["/api/v1/funds"] = answer
    page = alice.get("/")
    assert page.status_code == status and told in words(page)
    assert "Acme Super Services" in words(page), "the page itself stays"
    authority.answers.clear()
    assert FUND in words(alice.get("/"))


# ending


def test_disconnect_revokes_the_token_and_ends_the_consent(alice: Browser, authority: Authority, partner: Partner) -> None:
    (token,) = authority.refresh
    text = words(alice.press("/disconnect"))
    assert "Disconnected. Ledgerly has deleted its tokens" in text and "Connect to Class" in text
    assert not partner.keeps(token)
    (revoked,), (ended,) = authority.to("/oauth/revoke"), authority.to("/oauth/consents/01consent")
    assert revoked.form == {"token": token, "token_type_hint": "refresh_token"} and ended.method == "DELETE"
    assert revoked.authorization == ended.authorization != "" and CLIENT_SECRET not in revoked.authorization


def test_disconnect_of_online_access_revokes_the_access_token(visitor: Browser, authority: Authority) -> None:
    authority.granted = "openid funds.summary"
    visitor.connect()
    assert "Disconnected" in words(visitor.press("/disconnect"))
    assert authority.to("/oauth/revoke")[0].form["token_type_hint"] == "access_token"


def test_disconnect_of_what_has_ended_already_is_a_disconnect(alice: Browser, authority: Authority) -> None:
    authority.answers["/oauth/consents/01consent"] = lambda: ({}, 404)
    assert "Disconnected" in words(alice.press("/disconnect"))


@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/consents/01consent"])
@pytest.mark.parametrize(
    "answer", [lambda: ({}, 503), lambda: ({"error": "invalid_client"}, 401), pytest.param(too_late, marks=pytest.mark.impatient)]
)
def test_a_disconnect_that_the_portal_does_not_confirm_can_be_tried_again(
    alice: Browser, authority: Authority, path: str, answer: Callable[[], Any]
) -> None:
    authority.answers[path] = answer
    page = alice.press("/disconnect")
    assert page.status_code in (502, 504) and "Disconnected" not in words(page)
    authority.answers.clear()
    assert "Disconnected" in words(alice.press("/disconnect"))


@pytest.mark.parametrize("path", ["/refresh", "/disconnect"])
def test_a_button_works_only_from_its_own_page(alice: Browser, authority: Authority, path: str) -> None:
    asked = len(authority.to("/oauth/token")) + len(authority.to("/oauth/revoke"))
    assert alice.get(path).status_code == 405
    for form in ({}, {"csrf_token": ""}, {"csrf_token": "guessed"}, {"csrf_token": "é"}):
        page = alice.http.post(path, data=form)
        assert page.status_code == 400 and "Nothing was changed" in words(page)
    assert len(authority.to("/oauth/token")) + len(authority.to("/oauth/revoke")) == asked


@pytest.mark.parametrize("path", ["/refresh", "/disconnect"])
def test_a_button_of_a_session_without_a_connection_changes_nothing(visitor: Browser, path: str) -> None:
    assert visitor.press(path).status_code == 400
