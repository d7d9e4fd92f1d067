from __future__ import annotations

import gzip
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, Response
from werkzeug.test import TestResponse

from tests.support.corridor import Corridor
from tests.support.signin import Cast

ASKS_FOR_GZIP = {"Accept-Encoding": "gzip, br"}
FIRST_VIEW_BYTES = 60_000


def fetch(browser: FlaskClient, **headers: str) -> TestResponse:
    """The style sheet, read whole, so that its file is closed."""
    answer = browser.get("/static/css/base.css", headers=headers, buffered=True)
    answer.close()
    return answer


def test_style_sheets_go_out_packed_to_whom_they_help(browser: FlaskClient) -> None:
    plain = fetch(browser)
    packed = fetch(browser, **ASKS_FOR_GZIP)
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data and len(packed.data) < len(plain.data) / 2
    assert "Accept-Encoding" in plain.headers["Vary"] and "Accept-Encoding" in packed.headers["Vary"]


def test_what_a_browser_has_is_not_sent_again(browser: FlaskClient) -> None:
    packed = fetch(browser, **ASKS_FOR_GZIP)
    again = fetch(browser, **ASKS_FOR_GZIP, **{"If-None-Match": packed.headers["ETag"]})
    assert again.status_code == 304 and again.data == b""


def give_much(cast: Cast) -> None:
    """As many applications and businesses as a practice manager may have."""
    for number in range(30):
        partner = cast.add_client(f"partner-{number}")
        cast.add_consent(cast.alice, partner=partner)
        cast.add_consent(cast.bob, partner=partner)
    for number in range(500):
        cast.add_member(cast.alice, cast.add_business(f"Practice client {number} Pty Ltd"), "fund_administrator")


@pytest.mark.browser
@pytest.mark.looks
@pytest.mark.parametrize(
    "path",
    [
        "/business/business-acme/access",
        "/business/business-acme",
        "/business/business-acme/users",
        "/business/business-acme/history",
        "/businesses",
        "/account",
        "/developers",
        "/connect/business",
    ],
)
def test_the_first_view_of_a_page_is_small_with_much_on_it(page: Page, cast: Cast, corridor: Corridor, path: str) -> None:
    give_much(cast)
    cast.open_page_session(page, cast.alice)
    arrived: list[Response] = []
    page.on("response", lambda answer: arrived.append(answer))  # noqa: PLW0108, a builtin cannot listen
    page.goto(path if path != "/connect/business" else corridor.url(), wait_until="networkidle")
    assert urlsplit(page.url).path == path
    sizes = {
        answer.url: sum(answer.request.sizes()[part] for part in ("responseBodySize", "responseHeadersSize"))
        for answer in arrived
    }  # type: ignore[literal-required]
    assert len(sizes) > 7 and sum(sizes.values()) <= FIRST_VIEW_BYTES, sizes
